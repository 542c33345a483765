#include "core/engine/standstill.h"

#include "core/base/error.h"
#include "core/engine/launch.h"
#include "core/kernel/cgroup.h"
#include "core/kernel/files.h"

#include <cerrno>

namespace conductor {
namespace {

std::string mark_of(const std::string& id) { return "c/" + id + "/still"; }

} // namespace

Standstill::Standstill(Context& context, const Container& container)
    : context_(context), container_(container), undo_(context.trace)
{
  if (container.status.state != State::running) return;
  const std::string& id = container.spec.id;
  kernel::write_file(context.trace, context.root.run(), mark_of(id), "");
  undo_.push("let '" + container.spec.name + "' go on", [this] { end_standstill_locked(context_, container_); });
  kernel::freeze_cgroup(context.trace, context.root.id(), id, true);
}

void Standstill::end()
{
  end_standstill_locked(context_, container_);
  undo_.commit();
}

void Standstill::stay()
{
  kernel::remove_file(context_.trace, context_.root.run(), mark_of(container_.spec.id));
  undo_.commit();
}

void end_standstill_locked(const Context& context, const Container& container)
{
  const std::string& id = container.spec.id;
  if (!kernel::exists(context.root.run(), mark_of(id))) return;
  try {
    if (container.status.state != State::paused) kernel::freeze_cgroup(context.trace, context.root.id(), id, false);
  } catch (const Error& error) {
    if (error.number() != ENOENT) throw; // it has ended
  }
  kernel::remove_file(context.trace, context.root.run(), mark_of(id));
}

void end_standstill(const Context& context, const Container& container)
{
  if (!kernel::exists(context.root.run(), mark_of(container.spec.id))) return;
  std::optional<Lock> lock;
  try {
    Context impatient = context;
    impatient.patience = std::chrono::milliseconds{0};
    lock.emplace(lock_container(impatient, container.spec.id, container.spec.name));
  } catch (const Error&) {
    return; // its reader is at work
  }
  // Paused meanwhile, or no more?
  if (const auto now = Containers{context.root}.find(container.spec.id)) end_standstill_locked(context, *now);
}

void let_go_on(const Context& context, Container container)
{
  const Containers containers{context.root};
  const std::string& id = container.spec.id;
  const Status before = container.status;
  Undo undo{context.trace};
  kernel::write_file(context.trace, context.root.run(), mark_of(id), "");
  undo.push("take the mark away", [&] { kernel::remove_file(context.trace, context.root.run(), mark_of(id)); });
  container.status.state = State::running;
  containers.save_status(id, container.status);
  undo.push("it is paused as before", [&] { containers.save_status(id, before); });
  end_standstill_locked(context, container);
  undo.commit();
}

} // namespace conductor
