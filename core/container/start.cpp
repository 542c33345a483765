#include "core/container/start.h"

#include "core/base/error.h"
#include "core/base/undo.h"
#include "core/container/channel.h"
#include "core/container/command.h"
#include "core/container/init.h"
#include "core/container/rootfs.h"
#include "core/kernel/cgroup.h"
#include "core/kernel/devices.h"
#include "core/kernel/files.h"
#include "core/kernel/group_limits.h"
#include "core/kernel/masks.h"
#include "core/kernel/namespaces.h"
#include "core/kernel/own_program.h"
#include "core/kernel/process.h"

#include <csignal>

#include <sched.h>
#include <unistd.h>

namespace conductor {
namespace {

// What a process must be born in. The other namespaces the child makes itself, while we mount its layers: a network
// namespace alone takes longer than all the rest of the clone.
uint64_t namespaces_of_birth(const Spec& spec) { return own_namespaces(spec) & (CLONE_NEWPID | CLONE_NEWUSER); }

void allow_devices(Trace& trace, const kernel::Cgroup& group, const Spec& spec)
{
  auto rules = kernel::default_device_rules();
  for (const auto& device : spec.devices) rules.push_back(kernel::device_rule_of(kernel::parse_device(device)));
  if (group.v1("devices") >= 0)
    kernel::allow_devices_v1(trace, group.v1("devices"), rules);
  else
    kernel::allow_devices_v2(trace, group.v2(), rules);
}

// What only the host's root may give, before the child has no more to do with it.
void set_process_limits(Trace& trace, const Spec& spec, pid_t child, const kernel::Confinement& confinement)
{
  if (spec.oom_score_adj) kernel::set_oom_score_adj(trace, child, *spec.oom_score_adj);
  if (spec.ulimits.empty()) return;
  for (const auto& refused : kernel::raise_limits(trace, child, confinement.limits)) trace.notice(refused);
}

// Reads the channel until it falls silent, which is execve; what we keep of the container comes by on the way.
void await_execution(const Channel& channel, Trace& trace, const std::function<void(int)>& link, Started& started)
{
  while (auto message = receive_relaying(channel, trace)) {
    if (message->descriptors.empty()) continue;
    Fd& descriptor = message->descriptors.front();
    if (message->kind == MessageKind::terminal) started.terminal = std::move(descriptor);
    if (message->kind == MessageKind::namespaces) {
      started.mount_namespace = std::move(descriptor);
      if (!link || message->descriptors.size() < 2) continue;
      link(message->descriptors[1].get());
      channel.send(MessageKind::linked);
    }
  }
}

} // namespace

Started start_container(StartRequest request)
{
  const Root& root = request.root;
  const Spec& spec = request.spec;
  Trace& trace = root.trace();
  Started started;
  Undo undo{trace};

  if (!spec.user_namespace) kernel::require_protected_program();
  const kernel::Confinement confinement = plan_confinement(spec);
  RootfsPlan plan = plan_rootfs(root, spec, request.rw, request.is_volatile, request.link != nullptr);
  plan.step_mounts = std::move(request.step_mounts);
  prepare_rw(root, plan);

  undo.push("remove the control group", [&] {
    kernel::kill_cgroup(trace, root.id(), spec.id);
    kernel::remove_cgroup(trace, root.id(), spec.id);
  });
  kernel::Cgroup group = kernel::Cgroup::make_birthplace(trace, root.id(), spec.id);
  auto [upper, lower] = Channel::pair();
  const auto settings = TraceSettings::of(trace);
  const Fd self = kernel::open_pidfd(::getpid()).value_or(Fd{});
  auto child = kernel::clone_process(trace, {.flags = namespaces_of_birth(spec), .cgroup_fd = group.v2()}, "PID 1");
  if (!child) {
    upper.close();
    Uplink uplink{lower, settings};
    settings.apply(trace, uplink);
    InitRequest init{.trace = trace,
                     .channel = lower,
                     .spec = spec,
                     .plan = plan,
                     .confinement = confinement,
                     .streams = std::move(request.streams),
                     .window = request.window,
                     .linked = request.link != nullptr};
    init.confinement.death_signal = SIGKILL;
    init.confinement.parent = self.get();
    run_init(std::move(init));
  }
  started.child = std::move(*child);
  undo.push("end the child", [&] { started.child.kill_and_reap(); });
  lower.close();
  request.streams = ChildStreams{};

  Fd user_namespace;
  if (spec.user_namespace) {
    kernel::write_id_maps(trace, started.child.pid(), request.first_id, ids_per_container);
    user_namespace = kernel::open_namespace(started.child.pid(), "user");
  }
  set_process_limits(trace, spec, started.child.pid(), confinement);
  upper.send(MessageKind::mapped);
  {
    Step step{trace, "complete the control group", "limits and the device rule hold before the first instruction"};
    group.complete(trace, spec.limits);
    for (const auto& remark : kernel::limit_remarks(spec.limits)) trace.notice(remark);
    allow_devices(trace, group, spec);
    upper.send(MessageKind::groups, {}, group.tasks());
    step.done();
  }
  {
    Step step{trace, "mount the layers", "an overlay of the image's layers and the container's own, ids mapped"};
    HostMounts mounts = make_mounts(root, plan, spec, user_namespace ? user_namespace.get() : -1, request.first_id);
    std::vector<int> descriptors;
    descriptors.reserve(mounts.handed.size());
    for (const auto& mount : mounts.handed) descriptors.push_back(mount.get());
    upper.send(MessageKind::mounts, {}, descriptors);
    started.mapped = std::move(mounts.mapped);
    step.done();
  }
  await_execution(upper, trace, request.link, started);
  // Silence without a word of error is execve, unless the child was killed before it came so far.
  if (spec.process.terminal && !started.terminal)
    throw Error{"the container ended before its command was executed", ECHILD}.with_status(125);
  started.started_ns = realtime_ns();
  undo.commit();
  return started;
}

void tear_down(const Root& root, const std::string& id, uint32_t first_id)
{
  Trace& trace = root.trace();
  kernel::kill_cgroup(trace, root.id(), id);
  kernel::remove_cgroup(trace, root.id(), id);
  if (first_id != 0)
    release_id_range(root, id, first_id);
  else
    release_id_ranges_of(root, id);
}

} // namespace conductor
