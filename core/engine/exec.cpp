// exec: a command in a running container, in front of us, in the background, or in a session that can be left and found
// again.
#include "core/engine/launch.h"

#include "core/base/error.h"
#include "core/container/channel.h"
#include "core/container/enter.h"
#include "core/container/session.h"
#include "core/kernel/cgroup.h"
#include "core/kernel/files.h"
#include "core/kernel/process.h"
#include "core/store/journal.h"

#include <cerrno>

#include <fmt/format.h>
#include <unistd.h>

namespace conductor {
namespace {

// What the request leaves open is as for PID 1.
ProcessSpec complete(const Container& container, const ExecRequest& request)
{
  ProcessSpec process = request.process;
  std::vector<std::string> env = container.spec.process.env;
  env.insert(env.end(), process.env.begin(), process.env.end());
  process.env = std::move(env);
  if (process.workdir.empty()) process.workdir = container.spec.process.workdir;
  if (process.user.empty()) process.user = container.spec.process.user;
  if (request.session) process.terminal = true;
  return process;
}

struct Entered {
  Child child;
  Streams ours;
};

Entered enter(const Context& context, const Container& container, const ProcessSpec& process, bool ours_is_terminal)
{
  StreamPair streams;
  if (process.terminal) {
    const WindowSize size = ours_is_terminal ? window_size(STDIN_FILENO).value_or(WindowSize{}) : WindowSize{};
    streams = make_terminal(open_pty(context.trace, devpts_of(container).get(), size, container.status.first_id));
  } else {
    streams = make_pipes(process.interactive ? Stdin::open : Stdin::empty, container.status.first_id);
  }
  Child child = enter_container(
      {.root = context.root, .container = container, .process = process, .streams = std::move(streams.theirs)});
  return {.child = std::move(child), .ours = std::move(streams.ours)};
}

KeeperRequest keeper_request(const Context& context, Entered entered, Local local, bool interactive)
{
  return KeeperRequest{.trace = context.trace,
                       .child = std::move(entered.child),
                       .streams = std::move(entered.ours),
                       .log = {},
                       .listener = {},
                       .local = local,
                       .interactive = interactive,
                       .on_exit = {}};
}

// The process that stays behind a session or a detached command.
[[noreturn]] void be_holder(const Context& context, const Container& container, const ProcessSpec& process,
                            const std::string& session, const kernel::Cgroup& keepers, Channel& channel,
                            const TraceSettings& settings)
{
  int status = 0;
  try {
    Trace& trace = context.trace;
    Uplink uplink{channel, settings};
    settings.apply(trace, uplink);
    kernel::join_groups(trace, keepers.tasks());
    kernel::close_descriptors_except({context.root.dir(), context.root.run(), channel.fd()});
    kernel::leave_session(trace);
    Fd directory;
    Fd listener;
    const std::string socket = session + ".sock";
    if (!session.empty()) {
      const Fd run_directory = Containers{context.root}.run_directory(container.spec.id);
      if (!kernel::exists(run_directory.get(), session_directory))
        kernel::make_directory(trace, run_directory.get(), session_directory, 0700);
      directory = kernel::open_directory(run_directory.get(), session_directory);
      listener = wire::listen_in(trace, directory.get(), socket);
    }
    Entered entered = enter(context, container, process, false);
    trace.remove(uplink);
    trace.set_gate(nullptr);
    channel.send(MessageKind::started, session);
    channel.close();
    trim_memory();
    if (session.empty())
      serve(keeper_request(context, std::move(entered), Local::nobody, process.interactive));
    else
      hold_session({.trace = trace,
                    .child = std::move(entered.child),
                    .master = std::move(entered.ours.master),
                    .listener = std::move(listener),
                    .directory = directory.get(),
                    .name = socket});
  } catch (const Error& error) {
    channel.send_error(error);
    status = 1;
  } catch (const std::exception& error) {
    channel.send_error(Error{error.what()});
    status = 1;
  }
  ::_exit(status);
}

std::string start_holder(Context& context, const Container& container, const ProcessSpec& process, bool session)
{
  Trace& trace = context.trace;
  const std::string id = session ? random_hex(8) : std::string{};
  const kernel::Cgroup keepers = kernel::Cgroup::make(trace, context.root.id(), kernel::keepers_leaf, {});
  auto [upper, lower] = Channel::pair();
  const auto settings = TraceSettings::of(trace);
  auto holder =
      kernel::clone_process(trace, {.cgroup_fd = keepers.v2()}, session ? "the session's holder" : "the keeper");
  if (!holder) {
    upper.close();
    be_holder(context, container, process, id, keepers, lower, settings);
  }
  lower.close();
  try {
    const auto message = receive_relaying(upper, trace);
    if (!message || message->kind != MessageKind::started) throw Error{"its keeper ended before it ran", ECHILD};
  } catch (const Error&) {
    holder->wait();
    throw;
  }
  holder->release();
  return id;
}

} // namespace

ExecResult exec(Context& context, const std::string& id, const ExecRequest& request)
{
  const Container container = settle(context, id);
  const std::string attempt = fmt::format("cannot execute in '{}'", container.spec.name);
  if (container.status.state == State::paused)
    throw Error{attempt + ": it is paused", 0, "conductor unpause " + container.spec.name}.with_status(125);
  if (container.status.state != State::running)
    throw Error{attempt + ": it is not running", 0, "conductor start " + container.spec.name}.with_status(125);
  protect_program(context, container.spec);
  const ProcessSpec process = complete(container, request);
  ExecResult result;
  try {
    if (request.session || request.detach) {
      result.session = start_holder(context, container, process, request.session);
      return result;
    }
    const bool terminal = process.terminal && ::isatty(STDIN_FILENO) == 1;
    Entered entered = enter(context, container, process, terminal);
    result.status = run_in_foreground(keeper_request(context, std::move(entered),
                                                     terminal ? Local::terminal : Local::streams, process.interactive))
                        .shell();
  } catch (const Error& error) {
    throw error.within(attempt).with_status(error.status() == 1 ? 125 : error.status());
  }
  return result;
}

} // namespace conductor
