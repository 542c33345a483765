// What start, run and settle share inside the engine: taking a container from "not running" to a keeper's hands, and
// writing down how it ended.
#pragma once

#include "core/container/keeper.h"
#include "core/engine/engine.h"
#include "core/store/journal.h"

namespace conductor {

// Before the first process of ours goes into a container whose root is root of the host, and before anything is done:
// the verb may begin again.
void protect_program(const Context& context, const Spec& spec);

// The container's lock, taken for `context.verb`.
Lock lock_container(const Context& context, const std::string& id, const std::string& name);

// Starts PID 1 and writes "running"; the request is ready for serve() or run_in_foreground(). The caller holds the
// lock. `restarts`: how often its policy has started it again, this time included. Throws Error; the container then is
// as it was.
KeeperRequest launch(const Context& context, const Container& container, Local local, unsigned restarts = 0);

// The life of a keeper in the background: serves until the container has ended for good, starting it again as its
// policy says (core/container/restart.h).
void keep(const Context& context, const std::string& id, KeeperRequest request);

// Appends to the journal where losing history is better than not doing what happens.
void note(const Context& context, const JournalEntry& entry);

// A container's end: status, group, range, run directory; a container that asked for it is removed. Idempotent.
// `exit`: how PID 1 ended; none when nobody saw it (`why` then says what happened instead). Returns what is true now,
// also where the disk is too full to write it down: the next command finds it out again.
Status finish(const Context& context, const std::string& id, const std::optional<ExitStatus>& exit,
              const std::string& why);

// settle() for somebody who holds the lock.
Container settle_locked(const Context& context, const std::string& id);

} // namespace conductor
