// stop, kill, remove: how containers end on purpose.
#include "core/engine/launch.h"
#include "core/engine/networks.h"
#include "core/engine/standstill.h"

#include "core/base/await.h"
#include "core/base/error.h"
#include "core/container/restart.h"
#include "core/container/start.h"
#include "core/kernel/cgroup.h"
#include "core/kernel/process.h"
#include "core/kernel/signals.h"
#include "core/store/journal.h"

#include <cerrno>
#include <csignal>

#include <fmt/format.h>
#include <unistd.h>

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

bool is_alive(const Status& status) { return kernel::is_alive(status.pid, status.pid_start); }

// Behind the end of PID 1 its keeper tidies up. One that does not get on (somebody stopped it) keeps nothing that would
// be lost with it: whoever settles the container does the rest.
void end_keeper(const Context& context, const Status& status)
{
  const auto keeper = kernel::open_pidfd(status.keeper);
  // It may be this very process, when a `run` in the foreground rolls back.
  if (!keeper || status.keeper == ::getpid() || !kernel::is_alive(status.keeper, status.keeper_start)) return;
  if (await_end(context, keeper->get(), std::chrono::seconds{5})) return;
  kernel::send_signal(context.trace, keeper->get(), SIGKILL, status.keeper);
  await_end(context, keeper->get(), std::chrono::seconds{10});
}

// What stands still would not hear the signal.
void resume(const Context& context, const Container& container)
{
  const Lock lock = lock_container(context, container.spec.id, container.spec.name);
  const Container now = settle_locked(context, container.spec.id);
  if (now.status.state == State::paused) let_go_on(context, now);
}

// The signal, the grace, the kill; then the keeper's tidying up.
StopResult end_processes(const Context& context, const Container& container, const StopRequest& request)
{
  const Status& status = container.status;
  Trace& trace = context.trace;
  StopResult result{.was_running = true};
  const auto pidfd = kernel::open_pidfd(status.pid);
  if (!pidfd || !is_alive(status)) {
    end_keeper(context, status);
    return result;
  }
  const int signal = kernel::signal_number(container.spec.stop_signal);
  const int grace = request.seconds.value_or(container.spec.stop_seconds);
  Step step{trace, fmt::format("end '{}'", container.spec.name),
            fmt::format("{}, then SIGKILL to all after {} s", kernel::signal_name(signal), grace)};
  bool ended = false;
  if (status.state == State::paused && grace > 0) resume(context, container);
  const bool is_pid_one = !container.spec.host_pid; // whom the kernel spares what it does not catch
  if (signal != SIGKILL && grace > 0 && is_pid_one && !kernel::notices_signal(status.pid, signal)) {
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
      throw Error{fmt::format("'{}' does not die: process {} hangs in the kernel", container.spec.name, status.pid), 0,
                  "a stuck disk or network file system holds it; try again when that is back"};
  }
  step.done();
  end_keeper(context, status);
  return result;
}

Error in_the_way(const Container& container)
{
  const std::string& name = container.spec.name;
  if (is_alive(container.status))
    return Error{fmt::format("'{}' is running; stop it first, or rm -f", name), 0,
                 fmt::format("conductor stop {0}, or conductor rm -f {0}", name)};
  return Error{
      fmt::format("'{}' has ended, but its keeper (process {}) does not get on", name, container.status.keeper), 0,
      fmt::format("somebody may have stopped it: kill -CONT {}, or conductor rm -f {}", container.status.keeper, name)};
}

// v1's freezer keeps even what was killed from dying. Its status is left to its end.
void thaw(const Context& context, const std::string& id)
{
  try {
    kernel::freeze_cgroup(context.trace, context.root.id(), id, false);
  } catch (const Error& error) {
    if (error.number() != ENOENT) throw; // it has ended
  }
}

void remove_locked(const Context& context, const Container& container)
{
  Step step{context.trace, fmt::format("remove '{}'", container.spec.name), "its directory, with all it wrote"};
  Containers{context.root}.remove(container.spec.id, container.spec.name);
  if (container.spec.networked) links_of(context).release(container.spec.id);
  append(context.root, {.time_ns = realtime_ns(),
                        .id = container.spec.id,
                        .name = container.spec.name,
                        .verb = "remove",
                        .outcome = "done"});
  step.done();
}

} // namespace

void restart(Context& context, const std::string& id, std::optional<int> seconds)
{
  const Container container = settle(context, id);
  protect_program(context, container.spec);
  if (container.spec.auto_remove && is_active(container))
    throw Error{
        fmt::format("'{}' was made with --rm: its end removes it, so it cannot be started again", container.spec.name),
        0, "make it without --rm, or conductor stop " + container.spec.name};
  if (is_active(container)) stop(context, id, {.keep = true, .seconds = seconds});
  start(context, id);
  append(context.root, {.id = id, .name = container.spec.name, .verb = "restart", .outcome = "done"});
}

StopResult stop(Context& context, const std::string& id, const StopRequest& request)
{
  constexpr int most_attempts = 3;
  const Containers containers{context.root};
  StopResult result;
  for (int attempt = 1;; ++attempt) {
    const Container container = settle(context, id);
    // Before its end, which its keeper judges by that.
    mark_stopped(context.root, container.spec);
    if (is_active(container)) result = end_processes(context, container, request);
    if (waits_to_restart(container.status)) end_keeper(context, container.status);
    // With --rm its keeper has removed it by now.
    if (!containers.find(id)) return result;
    const Lock lock = lock_container(context, id, container.spec.name);
    if (!containers.find(id)) return result;
    const Container now = settle_locked(context, id);
    if (is_active(now)) {
      // Its keeper may have been about to start it again when we looked; somebody else is told.
      if (now.status.restarts == 0 || attempt == most_attempts)
        throw Error{fmt::format("'{}' was started again meanwhile", container.spec.name)};
      continue;
    }
    if (!request.keep && containers.find(id)) remove_locked(context, now);
    return result;
  }
}

void kill(Context& context, const std::string& id, int signal)
{
  const Container container = settle(context, id);
  if (!is_active(container)) throw Error{fmt::format("'{}' is not running", container.spec.name)};
  const auto pidfd = kernel::open_pidfd(container.status.pid);
  // As docker: who sends what ends it wants it ended.
  if (signal == SIGKILL || signal == kernel::find_signal(container.spec.stop_signal))
    mark_stopped(context.root, container.spec);
  if (!pidfd || !is_alive(container.status) ||
      !kernel::send_signal(context.trace, pidfd->get(), signal, container.status.pid))
    throw Error{fmt::format("'{}' has just ended", container.spec.name)};
  const bool paused = container.status.state == State::paused;
  if (paused && signal != SIGKILL)
    context.trace.notice(fmt::format("'{0}' is paused, and gets the signal when it goes on: conductor unpause {0}",
                                     container.spec.name));
  if (paused && signal == SIGKILL) thaw(context, id);
  // Nothing can follow on this but the end, and the next command shall find it.
  if (signal == SIGKILL) await_end(context, pidfd->get(), std::chrono::seconds{10});
  append(context.root, {.time_ns = realtime_ns(),
                        .id = id,
                        .name = container.spec.name,
                        .verb = "kill",
                        .outcome = kernel::signal_name(signal)});
}

namespace {

bool is_damaged(const Containers& containers, const std::string& id)
{
  try {
    containers.find(id);
    return false;
  } catch (const Error&) {
    return true;
  }
}

// What a container is cannot be read, but all that it may have in the kernel carries its id. Its keeper ends with it.
void remove_damaged(const Context& context, const std::string& id)
{
  const Containers containers{context.root};
  const std::string name = containers.name_of(id);
  const Lock lock = lock_container(context, id, name.empty() ? "id:" + id : name);
  Step step{context.trace, fmt::format("give '{}' up", name), "its processes, its group, its range of ids"};
  tear_down(context.root, id, 0);
  links_of(context).leave(id);
  step.done();
  remove_locked(context, {.spec = {.id = id, .name = name, .networked = true}, .status = {}});
}

} // namespace

void remove(Context& context, const std::string& id, bool force)
{
  const Containers containers{context.root};
  if (force && is_damaged(containers, id)) return remove_damaged(context, id);
  const Container container = settle(context, id);
  if (is_active(container)) {
    if (!force) throw in_the_way(container);
    stop(context, id, {.seconds = 0});
    return;
  }
  if (!containers.find(id)) return;
  const Lock lock = lock_container(context, id, container.spec.name);
  if (!containers.find(id)) return;
  const Container now = settle_locked(context, id);
  if (is_active(now)) throw Error{fmt::format("'{}' was started meanwhile", container.spec.name)};
  remove_locked(context, now);
}

} // namespace conductor
