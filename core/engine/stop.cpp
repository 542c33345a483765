// stop, kill, remove: how containers end on purpose.
#include "core/engine/launch.h"

#include "core/base/await.h"
#include "core/base/error.h"
#include "core/kernel/cgroup.h"
#include "core/kernel/process.h"
#include "core/kernel/signals.h"
#include "core/store/journal.h"

#include <cerrno>
#include <csignal>

#include <fmt/format.h>

namespace conductor {
namespace {

bool is_active(const Container& container)
{
  return container.status.state == State::running || container.status.state == State::paused;
}

// True when the process ended within the time.
bool await_end(const Context& context, int pidfd, std::chrono::milliseconds patience)
{
  pollfd watched{pidfd, POLLIN, 0};
  return await(context.trace, &watched, 1, static_cast<int>(patience.count())) > 0;
}

// The signal, the grace, the kill; then the keeper's tidying up.
StopResult end_processes(const Context& context, const Container& container, const StopRequest& request)
{
  const Status& status = container.status;
  Trace& trace = context.trace;
  StopResult result{.was_running = true};
  const auto pidfd = kernel::open_pidfd(status.pid);
  const auto keeper = kernel::open_pidfd(status.keeper);
  if (!pidfd || !kernel::is_alive(status.pid, status.pid_start)) return result;
  const int signal = kernel::signal_number(container.spec.stop_signal);
  const int grace = request.seconds.value_or(container.spec.stop_seconds);
  Step step{trace, fmt::format("end '{}'", container.spec.name),
            fmt::format("{}, then SIGKILL to all after {} s", kernel::signal_name(signal), grace)};
  bool ended = false;
  if (status.state == State::paused) kernel::freeze_cgroup(trace, context.root.id(), container.spec.id, false);
  if (signal != SIGKILL && grace > 0 && !kernel::notices_signal(status.pid, signal)) {
    result.killed = true;
    result.why_killed = fmt::format("its PID 1 neither catches nor waits for {}", kernel::signal_name(signal));
  } else if (grace > 0) {
    kernel::send_signal(trace, pidfd->get(), signal, status.pid);
    ended = await_end(context, pidfd->get(), std::chrono::seconds{grace});
    if (!ended) {
      result.killed = true;
      result.why_killed = fmt::format("it did not end within {} s", grace);
    }
  }
  if (!ended) {
    kernel::kill_cgroup(trace, context.root.id(), container.spec.id);
    if (!await_end(context, pidfd->get(), std::chrono::seconds{10}))
      throw Error{fmt::format("'{}' does not die: process {} hangs in the kernel", container.spec.name, status.pid),
                  EBUSY, "a stuck disk or network file system holds it; try again when that is back"};
  }
  step.done();
  // A foreground `run` is its own keeper and may be stuck in a terminal that does not read: not for ever.
  if (keeper && kernel::is_alive(status.keeper, status.keeper_start))
    await_end(context, keeper->get(), std::chrono::seconds{5});
  return result;
}

void remove_locked(const Context& context, const Container& container)
{
  Step step{context.trace, fmt::format("remove '{}'", container.spec.name), "its directory, with all it wrote"};
  Containers{context.root}.remove(container.spec.id, container.spec.name);
  append(context.root, {.time_ns = realtime_ns(),
                        .id = container.spec.id,
                        .name = container.spec.name,
                        .verb = "remove",
                        .outcome = "done"});
  step.done();
}

} // namespace

StopResult stop(Context& context, const std::string& id, const StopRequest& request)
{
  const Containers containers{context.root};
  const Container container = settle(context, id);
  StopResult result;
  if (is_active(container)) result = end_processes(context, container, request);
  // With --rm its keeper has removed it by now.
  if (!containers.find(id)) return result;
  const Lock lock = lock_container(context, id, container.spec.name);
  if (!containers.find(id)) return result;
  const Container now = settle_locked(context, id);
  if (is_active(now)) throw Error{fmt::format("'{}' was started again meanwhile", container.spec.name), EBUSY};
  if (!request.keep && containers.find(id)) remove_locked(context, now);
  return result;
}

void kill(Context& context, const std::string& id, int signal)
{
  const Container container = settle(context, id);
  if (!is_active(container)) throw Error{fmt::format("'{}' is not running", container.spec.name)};
  const auto pidfd = kernel::open_pidfd(container.status.pid);
  if (!pidfd || !kernel::is_alive(container.status.pid, container.status.pid_start) ||
      !kernel::send_signal(context.trace, pidfd->get(), signal, container.status.pid))
    throw Error{fmt::format("'{}' has just ended", container.spec.name)};
  append(context.root, {.time_ns = realtime_ns(),
                        .id = id,
                        .name = container.spec.name,
                        .verb = "kill",
                        .outcome = kernel::signal_name(signal)});
}

void remove(Context& context, const std::string& id, bool force)
{
  const Containers containers{context.root};
  const Container container = settle(context, id);
  if (is_active(container)) {
    if (!force)
      throw Error{fmt::format("'{}' is running", container.spec.name), EBUSY,
                  fmt::format("conductor stop {0}, or conductor rm --force {0}", container.spec.name)};
    stop(context, id, {.seconds = 0});
    return;
  }
  if (!containers.find(id)) return;
  const Lock lock = lock_container(context, id, container.spec.name);
  if (!containers.find(id)) return;
  const Container now = settle_locked(context, id);
  if (is_active(now)) throw Error{fmt::format("'{}' was started meanwhile", container.spec.name), EBUSY};
  remove_locked(context, now);
}

} // namespace conductor
