// settle: what the store says and what the kernel says, made one. This is how the leftovers of a killed keeper, a
// killed verb or another boot disappear at the next command.
#include "core/engine/launch.h"

#include "core/base/error.h"
#include "core/container/restart.h"
#include "core/engine/standstill.h"
#include "core/kernel/cgroup.h"
#include "core/kernel/files.h"
#include "core/kernel/process.h"

#include <chrono>

#include <poll.h>
#include <unistd.h>

namespace conductor {
namespace {

bool is_active(const Status& status) { return status.state == State::running || status.state == State::paused; }

bool this_boot(const Status& status) { return status.boot_id == kernel::boot_id(); }

// A process that comes here keeps nothing itself: a run in the foreground does when it failed, and would wait for
// itself.
bool has_keeper(const Status& status)
{
  return is_active(status) && this_boot(status) && status.keeper != ::getpid() &&
         kernel::is_alive(status.keeper, status.keeper_start);
}

// A PID 1 without its keeper is dying: the kernel has sent it SIGKILL, and only takes its time.
bool runs(const Status& status) { return has_keeper(status) && kernel::is_alive(status.pid, status.pid_start); }

// Its PID 1 is gone but its keeper is still writing that down: a moment's patience. A keeper that will start it again
// does not end with that.
void await_keeper(const Context& context, const Container& container, int timeout_ms)
{
  constexpr int look_ms = 10;
  const Status& status = container.status;
  const auto pidfd = kernel::open_pidfd(status.keeper);
  if (!pidfd || !has_keeper(status)) return;
  pollfd watched{pidfd->get(), POLLIN, 0};
  if (restart_policy(container.spec.restart).when == RestartPolicy::When::never) {
    ::poll(&watched, 1, timeout_ms);
    return;
  }
  for (int left = timeout_ms; left > 0 && ::poll(&watched, 1, look_ms) == 0; left -= look_ms) {
    const auto now = Containers{context.root}.find(container.spec.id);
    if (!now || now->status.state != status.state || now->status.started_ns != status.started_ns) return;
  }
}

// Something of it may be left in the kernel though nobody runs it.
bool has_leftovers(const Context& context, const Container& container)
{
  return is_active(container.status) || kernel::exists(context.root.run(), "c/" + container.spec.id);
}

} // namespace

Container settle_locked(const Context& context, const std::string& id)
{
  const Containers containers{context.root};
  Container container = containers.load(id);
  if (runs(container.status)) {
    end_standstill_locked(context, container);
    return container;
  }
  if (has_keeper(container.status)) {
    await_keeper(context, container, 3000);
    container = containers.load(id);
  }
  if (runs(container.status) || !has_leftovers(context, container)) return container;
  if (has_keeper(container.status)) return container;
  const bool rebooted = is_active(container.status) && !this_boot(container.status);
  container.status = finish(context, id, std::nullopt, rebooted ? "host restarted" : "its keeper was killed");
  return container;
}

Container settle(Context& context, const std::string& id)
{
  const Containers containers{context.root};
  Container container = containers.load(id);
  if (runs(container.status)) {
    end_standstill(context, container);
    return container;
  }
  if (has_keeper(container.status)) {
    await_keeper(context, container, 3000);
    if (auto now = containers.find(id))
      container = *now;
    else {
      container.status.state = State::exited;
      return container;
    }
  }
  if (runs(container.status) || !has_leftovers(context, container)) return container;
  const Lock lock = lock_container(context, id, container.spec.name);
  return settle_locked(context, id);
}

std::vector<Container> settle_all(Context& context)
{
  const Containers containers{context.root};
  std::vector<Container> result = containers.list();
  std::erase_if(result, [&](Container& container) {
    if (runs(container.status)) {
      end_standstill(context, container);
      return false;
    }
    if (!has_leftovers(context, container)) return false;
    // A container that somebody works on is told as it is written down; its worker will settle it.
    Context impatient = context;
    impatient.patience = std::chrono::milliseconds{0};
    try {
      if (has_keeper(container.status)) await_keeper(context, container, 100);
      const Lock lock = lock_container(impatient, container.spec.id, container.spec.name);
      container = settle_locked(impatient, container.spec.id);
    } catch (const Error&) {
      // Held or just removed.
    }
    return !containers.find(container.spec.id).has_value();
  });
  return result;
}

} // namespace conductor
