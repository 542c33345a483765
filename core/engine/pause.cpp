// pause, unpause: every process of a container stands still, held by the kernel's freezer, and goes on where it was.
#include "core/engine/launch.h"

#include "core/base/error.h"
#include "core/engine/standstill.h"
#include "core/kernel/process.h"
#include "core/store/journal.h"

#include <fmt/format.h>

namespace conductor {
namespace {

void tell(const Context& context, const Spec& spec)
{
  append(context.root, {.id = spec.id, .name = spec.name, .verb = context.verb, .outcome = "done"});
}

} // namespace

void pause(Context& context, const std::string& id)
{
  const Containers containers{context.root};
  const Lock lock = lock_container(context, id, containers.load(id).spec.name);
  Container container = settle_locked(context, id);
  const std::string& name = container.spec.name;
  if (container.status.state == State::paused)
    throw Error{fmt::format("'{}' is paused already", name), 0, "conductor unpause " + name};
  if (container.status.state != State::running)
    throw Error{fmt::format("'{}' is not running", name), 0, "conductor start " + name};
  Step step{context.trace, fmt::format("pause '{}'", name), "the kernel gives its processes no more time"};
  Standstill still{context, container};
  if (!kernel::is_alive(container.status.pid, container.status.pid_start))
    throw Error{fmt::format("'{}' has just ended", name)};
  const Status before = container.status;
  container.status.state = State::paused;
  Undo undo{context.trace};
  containers.save_status(id, container.status);
  undo.push("it is not paused", [&] { containers.save_status(id, before); });
  still.stay();
  undo.commit();
  tell(context, container.spec);
  step.done();
}

void unpause(Context& context, const std::string& id)
{
  const Lock lock = lock_container(context, id, Containers{context.root}.load(id).spec.name);
  const Container container = settle_locked(context, id);
  if (container.status.state != State::paused) throw Error{fmt::format("'{}' is not paused", container.spec.name)};
  Step step{context.trace, fmt::format("let '{}' go on", container.spec.name), "its processes never notice"};
  let_go_on(context, container);
  tell(context, container.spec);
  step.done();
}

} // namespace conductor
