#include "core/container/init.h"

#include "core/base/error.h"
#include "core/container/command.h"
#include "core/kernel/call.h"
#include "core/kernel/namespaces.h"

#include <cerrno>
#include <csignal>

#include <fmt/format.h>
#include <unistd.h>

namespace conductor {
namespace {

void await_mapping(const Channel& channel)
{
  const auto message = channel.receive();
  if (!message || message->kind != MessageKind::mapped)
    throw Error{"wait for the user range: the parent is gone", EPIPE};
}

// Everything between birth and execve; the order is explained where it matters.
[[noreturn]] void recipe(InitRequest& request)
{
  Trace& trace = request.trace;
  const Spec& spec = request.spec;

  request.group.join(trace, !request.born_in_v2);
  // After joining, or the root of the cgroup namespace would be the group of whoever started us.
  kernel::unshare_cgroup(trace);
  await_mapping(request.channel);
  kernel::become_root(trace);

  PlacedRoot placed;
  {
    Step step{trace, "put the root in place", "pseudo file systems, /dev, volumes, hidden paths; then pivot_root"};
    placed = place_root(trace, request.channel, request.plan, spec, request.window);
    step.done();
  }
  if (!spec.hostname.empty()) kernel::set_hostname(trace, spec.hostname);
  if (spec.network != NetworkMode::host) kernel::raise_loopback(trace);

  if (placed.terminal) {
    request.channel.send(MessageKind::terminal, {}, {placed.terminal->master.get()});
    request.streams = make_terminal(std::move(*placed.terminal)).theirs;
  }
  // With a terminal, taking that begins the session.
  if (!request.streams.terminal) kernel::new_session(trace);

  Step step{trace, "confine and execute",
            "capabilities, no_new_privs and the system-call filter go last: they are for good"};
  become_command(trace, spec, spec.process, std::move(request.confinement), std::move(request.streams));
}

} // namespace

void run_init(InitRequest request)
{
  try {
    recipe(request);
  } catch (const Error& error) {
    request.channel.send_error(error);
  } catch (const std::exception& error) {
    request.channel.send_error(Error{error.what()});
  }
  ::_exit(127);
}

} // namespace conductor
