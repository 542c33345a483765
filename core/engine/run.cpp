// start, start_attached, wait: a container and the process that keeps it.
#include "core/engine/launch.h"

#include "core/base/await.h"
#include "core/base/error.h"
#include "core/base/undo.h"
#include "core/container/channel.h"
#include "core/container/restart.h"
#include "core/kernel/cgroup.h"
#include "core/kernel/process.h"
#include "core/store/journal.h"

#include <cerrno>
#include <charconv>
#include <csignal>

#include <fmt/format.h>
#include <unistd.h>

namespace conductor {
namespace {

Container startable(const Context& context, const std::string& id)
{
  Container container = settle_locked(context, id);
  if (container.status.state == State::paused)
    throw Error{fmt::format("'{}' is paused", container.spec.name), 0, "conductor unpause " + container.spec.name};
  if (container.status.state == State::running)
    throw Error{fmt::format("'{}' is running already", container.spec.name), 0,
                fmt::format("conductor exec {} opens a shell in it", container.spec.name)};
  return container;
}

// The keeper's life, from its clone to its end.
[[noreturn]] void be_keeper(const Context& context, const std::string& id, const kernel::Cgroup& keepers,
                            Channel& channel, Lock& lock, const TraceSettings& settings)
{
  int status = 0;
  try {
    Trace& trace = context.trace;
    Uplink uplink{channel, settings};
    settings.apply(trace, uplink);
    kernel::join_groups(trace, keepers.tasks());
    kernel::close_descriptors_except({context.root.dir(), context.root.run(), lock.fd(), channel.fd()});
    kernel::leave_session(trace);
    KeeperRequest request = launch(context, startable(context, id), Local::nobody);
    trace.remove(uplink);
    trace.set_gate(nullptr);
    channel.send(MessageKind::started);
    // From here on nobody listens and nobody waits: the lock is free for whoever wants to stop it.
    channel.close();
    lock.release();
    trim_memory();
    keep(context, id, std::move(request));
  } catch (const Error& error) {
    channel.send_error(error);
    status = 1;
  } catch (const std::exception& error) {
    channel.send_error(Error{error.what()});
    status = 1;
  }
  ::_exit(status);
}

} // namespace

void start(Context& context, const std::string& id)
{
  const Containers containers{context.root};
  Trace& trace = context.trace;
  const Spec spec = containers.load(id).spec;
  protect_program(context, spec);
  const std::string& name = spec.name;
  Lock lock = lock_container(context, id, name);
  startable(context, id);
  const kernel::Cgroup keepers = kernel::Cgroup::make(trace, context.root.id(), kernel::keepers_leaf, {});
  auto [upper, lower] = Channel::pair();
  const auto settings = TraceSettings::of(trace);
  auto keeper = kernel::clone_process(trace, {.cgroup_fd = keepers.v2()}, "the keeper");
  if (!keeper) {
    upper.close();
    be_keeper(context, id, keepers, lower, lock, settings);
  }
  lower.close();
  try {
    const auto message = receive_relaying(upper, trace);
    if (!message || message->kind != MessageKind::started)
      throw Error{"its keeper ended before it ran", ECHILD, "conductor doctor shows what this host lacks"};
  } catch (const Error& error) {
    keeper->wait(); // it is rolling back; what we return to must be clean
    throw error.within(fmt::format("cannot start '{}'", name)).with_status(error.status() == 1 ? 125 : error.status());
  }
  keeper->release();
}

std::vector<Container> due_after_boot(Context& context)
{
  std::vector<Container> due = settle_all(context);
  std::erase_if(due, [&](const Container& container) {
    const Status& status = container.status;
    return status.state != State::exited || status.boot_id.empty() || status.boot_id == kernel::boot_id() ||
           !starts_at_boot(restart_policy(container.spec.restart), is_marked_stopped(context.root, container.spec.id));
  });
  return due;
}

int start_attached(Context& context, const std::string& id)
{
  const Containers containers{context.root};
  const Container before = containers.load(id);
  protect_program(context, before.spec);
  const bool terminal = before.spec.process.terminal && ::isatty(STDIN_FILENO) == 1;
  try {
    std::optional<Lock> lock;
    if (terminal) {
      Front front = Front::split(context.trace);
      lock.emplace(lock_container(context, id, before.spec.name));
      KeeperRequest request = launch(context, startable(context, id), Local::terminal);
      lock.reset();
      return run_in_foreground(std::move(request), std::move(front)).shell();
    }
    lock.emplace(lock_container(context, id, before.spec.name));
    KeeperRequest request = launch(context, startable(context, id), Local::streams);
    lock.reset();
    return run_in_foreground(std::move(request)).shell();
  } catch (const Error& error) {
    throw error.within(fmt::format("cannot start '{}'", before.spec.name))
        .with_status(error.status() == 1 ? 125 : error.status());
  }
}

namespace {

void await_end(const Context& context, pid_t pid, uint64_t start)
{
  const auto pidfd = kernel::open_pidfd(pid);
  if (!pidfd || !kernel::is_alive(pid, start)) return;
  pollfd watched{pidfd->get(), POLLIN, 0};
  await(context.trace, &watched, 1, -1);
}

// Until its end is written down. The keeper of one that will start again lives on.
void await_record(const Context& context, const Container& container)
{
  const Status& status = container.status;
  if (restart_policy(container.spec.restart).when == RestartPolicy::When::never)
    return await_end(context, status.keeper, status.keeper_start);
  const auto keeper = kernel::open_pidfd(status.keeper);
  pollfd watched{keeper ? keeper->get() : -1, POLLIN, 0};
  const auto is_open = [&] {
    const auto now = Containers{context.root}.find(container.spec.id);
    return now && now->status.started_ns == status.started_ns && now->status.state != State::exited &&
           kernel::is_alive(status.keeper, status.keeper_start);
  };
  while (is_open()) await(context.trace, &watched, 1, 20);
}

// A container with --rm is gone when it ended; what its end was stands in the journal.
std::optional<int> exit_in_journal(const Context& context, const std::string& id)
{
  std::optional<int> code;
  for (const auto& entry : last_entries(context.root, 4096)) {
    if (entry.id != id || entry.verb != "exit" || !entry.outcome.starts_with("exit ")) continue;
    int value = 0;
    const auto parsed = std::from_chars(entry.outcome.data() + 5, entry.outcome.data() + entry.outcome.size(), value);
    code = parsed.ec == std::errc{} ? std::optional{value} : std::nullopt; // "exit unknown: host restarted"
  }
  return code;
}

} // namespace

int wait(Context& context, const std::string& id)
{
  const Containers containers{context.root};
  const Container container = containers.load(id);
  if (container.status.state == State::created)
    throw Error{fmt::format("'{}' was never started", container.spec.name), 0,
                fmt::format("conductor start {}", container.spec.name)};
  await_end(context, container.status.pid, container.status.pid_start);
  await_record(context, container);
  const auto found = containers.find(id);
  if (found && found->status.started_ns == container.status.started_ns) {
    const Container now = settle(context, id);
    if (now.status.exit_unknown)
      throw Error{fmt::format("'{}' has ended, and nobody saw how: {}", container.spec.name, now.status.why)};
    if (containers.find(id)) return now.status.exit_code;
  }
  if (const auto code = exit_in_journal(context, id)) return *code;
  throw Error{fmt::format("'{}' was removed before its end was seen", container.spec.name)};
}

} // namespace conductor
