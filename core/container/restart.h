// Restart policies: whether a container that has ended is started again, and when.
//
// Its keeper does that, waiting 100 ms before the first time and twice as long before each further one, up to a minute;
// who ran for ten seconds is taken to be well, and waits 100 ms again. That it was stopped by somebody is a file in the
// container's directory, which goes with the next start: so it outlives the host, and a stop and an end that meet do
// not overwrite each other.
#pragma once

#include "core/container/spec.h"
#include "core/store/root.h"

#include <chrono>
#include <optional>
#include <string_view>

namespace conductor {

struct RestartPolicy {
  enum class When : char { never, on_failure, always, unless_stopped };
  When when = When::never;
  std::optional<unsigned> most; // how often in a row, of on_failure; none: any number
};

// "no", "on-failure", "on-failure:3", "always", "unless-stopped". Throws a usage Error for anything else.
RestartPolicy restart_policy(std::string_view text);

// Is it started again after this end? status.restarts: how often it was already. Not asked of one that was stopped.
bool starts_again(const RestartPolicy& policy, const Status& status);
// At the first command of another boot, where one that was stopped starts if it is to run always.
bool starts_at_boot(const RestartPolicy& policy, bool was_stopped);

// How long to wait before each start.
class RestartPause {
public:
  // ran: how long the container has run this time.
  std::chrono::milliseconds after(std::chrono::milliseconds ran);

private:
  std::chrono::milliseconds last_{0};
};

// That somebody wants it ended: its policy does not count until it is started. Nothing for one without a policy, or
// that is gone.
void mark_stopped(const Root& root, const Spec& spec);
void unmark_stopped(const Root& root, const Spec& spec);
// Does its keeper wait to start it again?
bool waits_to_restart(const Status& status);
bool is_marked_stopped(const Root& root, const std::string& id);

} // namespace conductor
