#include "core/container/init.h"

#include "core/base/error.h"
#include "core/base/guard.h"
#include "core/container/command.h"
#include "core/container/pid_one.h"
#include "core/kernel/cgroup.h"
#include "core/kernel/files.h"
#include "core/kernel/namespaces.h"
#include "core/kernel/process.h"

#include <cerrno>
#include <csignal>

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

namespace conductor {
namespace {

Message take(const Channel& channel, MessageKind kind)
{
  auto message = channel.receive();
  if (!message || message->kind != kind) throw Error{"wait for what the parent makes: it is gone", EPIPE};
  return std::move(*message);
}

// The root of a cgroup namespace is the group of whoever makes it, so that comes after joining.
void join_groups(Trace& trace, const Spec& spec, const Message& groups)
{
  std::vector<int> tasks;
  for (const auto& file : groups.descriptors) tasks.push_back(file.get());
  kernel::join_groups(trace, tasks);
  if (!spec.host_cgroup) kernel::unshare_namespaces(trace, CLONE_NEWCGROUP);
}

uint64_t namespaces_of(const Spec& spec)
{
  uint64_t flags = own_namespaces(spec) & (CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET);
  if (!holds(guard::own_network)) flags &= ~static_cast<uint64_t>(CLONE_NEWNET);
  return flags;
}

// No descriptor of the network namespace outlives the sending: a link goes when nobody holds its namespace any more.
void send_namespaces(const InitRequest& request)
{
  const Fd mount = kernel::open_own_namespace("mnt");
  if (!request.linked) {
    request.channel.send(MessageKind::namespaces, {}, {mount.get()});
    return;
  }
  const Fd network = kernel::open_own_namespace("net");
  request.channel.send(MessageKind::namespaces, {}, {mount.get(), network.get()});
}

// In a network of its own ports below 1024 and echo sockets (ip(7), icmp(7)) guard nobody: any user may have them, as
// users of docker are used to. So ping works without its capability, which no_new_privs withholds.
void open_network_to_users(Trace& trace, const Spec& spec, int proc)
{
  constexpr const char* every_group = "0 2147483647";
  constexpr const char* every_group_inside = "0 65535"; // one that has no name here would be refused
  const std::pair<const char*, const char*> settings[] = {
      {"sys/net/ipv4/ip_unprivileged_port_start", "0"},
      {"sys/net/ipv4/ping_group_range", spec.user_namespace ? every_group_inside : every_group}};
  for (const auto& [file, value] : settings) {
    try {
      kernel::write_value(trace, proc, file, value);
    } catch (const Error& error) {
      if (error.number() != ENOENT) throw; // a kernel without IPv4
    }
  }
}

// Everything between birth and execve; the order is explained where it matters.
[[noreturn]] void recipe(InitRequest& request)
{
  Trace& trace = request.trace;
  const Spec& spec = request.spec;

  take(request.channel, MessageKind::mapped);
  kernel::become_root(trace);
  // As the mapped root, so that what the kernel makes in them (the root of mqueue) is that root's.
  kernel::unshare_namespaces(trace, namespaces_of(spec));
  send_namespaces(request);

  PseudoMounts pseudo = make_pseudo_mounts(trace, request.plan);
  if ((namespaces_of(spec) & CLONE_NEWNET) != 0) open_network_to_users(trace, spec, pseudo.proc.get());
  join_groups(trace, spec, take(request.channel, MessageKind::groups));

  PlacedRoot placed;
  {
    Step step{trace, "put the root in place", "pseudo file systems, /dev, volumes, hidden paths; then pivot_root"};
    placed = place_root(trace, std::move(pseudo), take(request.channel, MessageKind::mounts).descriptors, request.plan,
                        spec, request.window);
    step.done();
  }
  if (!spec.hostname.empty() && !spec.host_uts) kernel::set_hostname(trace, spec.hostname);
  if (spec.network != NetworkMode::host) kernel::raise_loopback(trace);

  if (placed.terminal) {
    request.channel.send(MessageKind::terminal, {}, {placed.terminal->master.get()});
    request.streams = make_terminal(std::move(*placed.terminal)).theirs;
  }
  // The command must not find a network that is only half there.
  if (request.linked) take(request.channel, MessageKind::linked);
  std::optional<Uplink> uplink; // of the command's process, which nobody listens to otherwise
  if (spec.init) {
    const auto settings = TraceSettings::of(trace);
    leave_pid_one_behind(trace, spec, request.confinement);
    uplink.emplace(request.channel, settings);
    settings.apply(trace, *uplink);
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
