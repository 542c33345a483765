#include "core/container/enter.h"

#include "core/base/error.h"
#include "core/base/guard.h"
#include "core/base/undo.h"
#include "core/container/channel.h"
#include "core/container/command.h"
#include "core/container/rootfs.h"
#include "core/kernel/cgroup.h"
#include "core/kernel/files.h"
#include "core/kernel/inroot.h"
#include "core/kernel/namespaces.h"
#include "core/kernel/own_descriptors.h"
#include "core/kernel/own_program.h"
#include "core/kernel/process.h"

#include <array>
#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

namespace conductor {
namespace {

struct Entering {
  Trace& trace;
  const EnterRequest& request;
  const kernel::Cgroup& group;
  int pidfd;
};

[[noreturn]] void recipe(const Entering& entering, kernel::Confinement confinement, ChildStreams streams)
{
  Trace& trace = entering.trace;
  const Spec& spec = entering.request.container.spec;
  kernel::join_groups(trace, entering.group.tasks());
  if (spec.oom_score_adj) kernel::set_oom_score_adj(trace, 0, *spec.oom_score_adj);
  if (!spec.ulimits.empty()) kernel::raise_limits(trace, 0, confinement.limits); // the start has said what was refused
  // Before the first step inside: whoever is in the container must not reach our descriptors (CVE-2016-9962).
  kernel::hide_from_container(trace);
  const int namespaces = static_cast<int>(own_namespaces(spec)) & ~CLONE_NEWPID; // that one it was born in
  kernel::enter_namespaces(trace, entering.pidfd, namespaces,
                           fmt::format("nsenter --target {} --all", entering.request.container.status.pid));
  kernel::become_root(trace);
  // With a terminal, taking that begins the session.
  if (!streams.terminal) kernel::new_session(trace);
  become_command(trace, spec, entering.request.process, std::move(confinement), std::move(streams));
}

} // namespace

Child enter_container(EnterRequest request)
{
  const Container& container = request.container;
  Trace& trace = request.root.trace();
  Step step{trace, "enter the container", "its groups, then all its namespaces, then its confinement"};
  if (!container.spec.user_namespace) kernel::require_protected_program();
  kernel::Confinement confinement = plan_confinement(container.spec);
  confinement.death_signal = SIGKILL;
  const Fd self = kernel::open_pidfd(::getpid()).value_or(Fd{});
  confinement.parent = self.get();
  const kernel::Cgroup group = kernel::Cgroup::open(request.root.id(), container.spec.id);
  const auto pidfd = kernel::open_pidfd(container.status.pid);
  // The pid may have been reused between the look-up and the opening; the start time tells.
  if (!pidfd || !kernel::is_alive(container.status.pid, container.status.pid_start))
    throw Error{fmt::format("'{}' has just ended", container.spec.name)};
  Undo undo{trace};
  const bool own_pids = !container.spec.host_pid;
  if (own_pids)
    kernel::enter_namespaces(trace, pidfd->get(), CLONE_NEWPID,
                             fmt::format("nsenter --target {} --pid", container.status.pid));
  const auto come_back = [&] {
    if (!own_pids) return;
    kernel::enter_namespaces(trace, self.get(), CLONE_NEWPID, "# later children are born beside us again");
  };
  undo.push("come back to our own PID namespace", come_back);

  auto [upper, lower] = Channel::pair();
  const auto settings = TraceSettings::of(trace);
  auto child = kernel::clone_process(trace, {.cgroup_fd = request.birthplace >= 0 ? request.birthplace : group.v2()},
                                     "the command");
  if (!child) {
    upper.close();
    Uplink uplink{lower, settings};
    settings.apply(trace, uplink);
    try {
      recipe({trace, request, group, pidfd->get()}, std::move(confinement), std::move(request.streams));
    } catch (const Error& error) {
      lower.send_error(error);
    } catch (const std::exception& error) {
      lower.send_error(Error{error.what()});
    }
    ::_exit(127);
  }
  come_back();
  undo.commit();
  lower.close();
  request.streams = ChildStreams{};
  while (receive_relaying(upper, trace)) {
  }
  step.done();
  return std::move(*child);
}

namespace {

void join(Trace& trace, const Container& container, int pidfd)
{
  if (!holds(guard::copies_inside)) return;
  kernel::hide_from_container(trace);
  kernel::enter_namespaces(trace, pidfd, CLONE_NEWNS | (container.spec.user_namespace ? CLONE_NEWUSER : 0),
                           fmt::format("nsenter --target {} --user --mount", container.status.pid));
  kernel::become_root(trace);
}

bool is_active(const Container& container)
{
  return container.status.state == State::running || container.status.state == State::paused;
}

} // namespace

Visitor::Visitor(const Root& root, const Container& container, const std::function<void(int)>& act)
    : trace_(root.trace())
{
  Trace& trace = trace_;
  const Status& status = container.status;
  std::optional<Fd> pidfd;
  if (is_active(container)) {
    pidfd = kernel::open_pidfd(status.pid);
    if (!pidfd || !kernel::is_alive(status.pid, status.pid_start))
      throw Error{fmt::format("'{}' has just ended", container.spec.name), ESRCH};
  }
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) < 0) throw Error{"make a socket pair", errno};
  stream_ = Fd{ends[0]};
  const Fd theirs{ends[1]};
  ::fcntl(stream_.get(), F_SETFL, O_NONBLOCK);
  auto [upper, lower] = Channel::pair();
  const auto settings = TraceSettings::of(trace);
  child_ = kernel::clone_process(trace, {}, "who goes into the container");
  if (!child_) {
    upper.close();
    stream_.reset(); // or theirs would never come to an end
    kernel::keep_own_descriptors();
    Uplink uplink{lower, settings};
    settings.apply(trace, uplink);
    try {
      if (pidfd)
        join(trace, container, pidfd->get());
      else
        change_into_tree(root, container.spec, Containers{root}.path(container.spec.id) + "/rw");
      act(theirs.get());
    } catch (const Error& error) {
      lower.send_error(error);
    } catch (const std::exception& error) {
      lower.send_error(Error{error.what()});
    }
    ::_exit(0);
  }
  lower.close();
  channel_ = std::move(upper);
}

void Visitor::await(short events)
{
  for (;;) {
    std::array<pollfd, 2> watched{pollfd{stream_.get(), events, 0}, pollfd{channel_.fd(), POLLIN, 0}};
    trace_.throw_if_interrupted();
    if (::poll(watched.data(), channel_.fd() < 0 ? 1 : 2, -1) < 0) {
      if (errno != EINTR) throw Error{"wait for who is in the container", errno};
      continue;
    }
    if (watched[1].revents != 0 && !relay_next(channel_, trace_)) channel_.close();
    if (watched[0].revents != 0) return;
  }
}

void Visitor::finish()
{
  while (channel_.fd() >= 0)
    if (!relay_next(channel_, trace_)) channel_.close();
  child_->wait();
  child_.reset();
}

Visitor::~Visitor()
{
  if (!child_) return;
  stream_.reset();
  channel_.close();
  try {
    child_->wait();
  } catch (const std::exception&) { // gone
  }
}

void act_inside(const Root& root, const Container& container, const std::function<void(int root)>& act)
{
  Visitor visitor{root, container, [&](int) { act(kernel::open_directory(AT_FDCWD, "/", O_PATH).get()); }};
  visitor.finish();
}

Fd devpts_of(const Container& container)
{
  const std::string path = fmt::format("/proc/{}/root", container.status.pid);
  const Fd root{::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
  if (!root) throw Error{"open the root of " + container.spec.name, errno};
  return kernel::open_in_root(root.get(), "dev/pts", O_PATH | O_DIRECTORY | O_NOFOLLOW);
}

} // namespace conductor
