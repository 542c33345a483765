// What start, run and settle share inside the engine: taking a container from "not running" to a keeper's hands, and
// writing down how it ended.
#pragma once

#include "core/container/keeper.h"
#include "core/engine/engine.h"

namespace conductor {

// The container's lock, taken for `context.verb`.
Lock lock_container(const Context& context, const std::string& id, const std::string& name);

// Starts PID 1 and writes "running"; the request is ready for serve() or run_in_foreground(). The caller holds the
// lock. Throws Error; the container then is as it was, and why it did not start is in its status.
KeeperRequest launch(const Context& context, const Container& container, Local local);

// A container's end: status, group, range, run directory; a container that asked for it is removed. Idempotent.
// `exit`: how PID 1 ended; none when nobody saw it (`why` then says what happened instead). Returns what is true now,
// also where the disk is too full to write it down: the next command finds it out again.
Status finish(const Context& context, const std::string& id, const std::optional<ExitStatus>& exit,
              const std::string& why);

// settle() for somebody who holds the lock.
Container settle_locked(const Context& context, const std::string& id);

} // namespace conductor
