// update: the limits of a container, in its spec and, while it runs, in its group.
#include "core/engine/launch.h"

#include "core/base/error.h"
#include "core/base/undo.h"
#include "core/kernel/cgroup.h"
#include "core/kernel/group_limits.h"
#include "core/store/journal.h"

#include <fmt/format.h>

namespace conductor {

Limits update(Context& context, const std::string& id, const std::function<void(Limits&)>& change)
{
  const Containers containers{context.root};
  const std::string name = containers.load(id).spec.name;
  const Lock lock = lock_container(context, id, name);
  Container container = settle_locked(context, id);
  Limits& wanted = container.spec.limits;
  change(wanted);
  kernel::check_limits(wanted);
  kernel::check_limits_here(wanted);

  Step step{context.trace, fmt::format("update '{}'", name), "in its group while it runs, and for its next start"};
  std::optional<kernel::Cgroup> group; // outlives the undos that write into it
  Undo undo{context.trace};
  if (container.status.state == State::running || container.status.state == State::paused) {
    group.emplace(kernel::Cgroup::find(context.root.id(), id));
    // From what the kernel has, not from what the spec says: an update that was killed may stand between them.
    group->change(context.trace, undo, kernel::Cgroup::effective(context.root.id(), id), wanted);
  }
  containers.save_spec(container.spec);
  undo.commit();
  for (const auto& remark : kernel::limit_remarks(wanted)) context.trace.notice(remark);
  append(context.root, {.time_ns = realtime_ns(), .id = id, .name = name, .verb = "update", .outcome = "done"});
  step.done();
  return wanted;
}

} // namespace conductor
