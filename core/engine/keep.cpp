// keep: what a keeper does over the lives of its container. Between two of them it holds nothing but itself: the
// container has ended for everybody, and whoever stops, starts or removes it meanwhile ends the keeper's waiting.
#include "core/engine/launch.h"

#include "core/base/error.h"
#include "core/container/restart.h"
#include "core/container/signals.h"
#include "core/kernel/process.h"
#include "core/store/journal.h"

#include <algorithm>
#include <array>
#include <csignal>

#include <fmt/format.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

namespace conductor {
namespace {

using std::chrono::milliseconds;

// Sleeps until something is written into the container's directory, or that goes, or the keeper is told to end.
class DirectoryWatch {
public:
  DirectoryWatch(const Root& root, const std::string& id) : inotify_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC))
  {
    const std::string path = root.path() + "/" + Containers{root}.path(id);
    if (inotify_ && ::inotify_add_watch(inotify_.get(), path.c_str(), IN_MOVED_TO | IN_MOVE_SELF | IN_DELETE_SELF) < 0)
      inotify_.reset();
  }
  void wait(milliseconds most)
  {
    constexpr milliseconds look{200}; // where the host gives no inotify
    std::array<pollfd, 2> watched{pollfd{inotify_.get(), POLLIN, 0}, pollfd{signals_.fd(), POLLIN, 0}};
    ::poll(watched.data(), watched.size(), static_cast<int>((inotify_ ? most : std::min(most, look)).count()));
    std::array<char, 4096> events; // NOLINT: filled by read(2)
    while (inotify_ && ::read(inotify_.get(), events.data(), events.size()) > 0) {
    }
  }

  bool told_to_end() const { return signals_.next() == SIGTERM; }

private:
  Fd inotify_;
  SignalWatch signals_{SIGTERM};
};

// The container, if it is still for us to start again.
std::optional<Container> ended_and_ours(const Context& context, const std::string& id)
{
  auto container = Containers{context.root}.find(id);
  if (!container || container->status.state != State::exited || is_marked_stopped(context.root, id)) return {};
  const pid_t keeper = container->status.keeper;
  if (keeper != 0 && keeper != ::getpid()) return {};
  if (!starts_again(restart_policy(container->spec.restart), container->status)) return {};
  return container;
}

// A full disk must not end the restarts: then it is only not told when the next one is due.
void save_if_possible(const Context& context, const std::string& id, const Status& status)
{
  try {
    Containers{context.root}.save_status(id, status);
  } catch (const Error& error) {
    context.trace.notice(error.sentence());
  }
}

milliseconds ran(const Status& status) { return milliseconds{(status.finished_ns - status.started_ns) / 1'000'000}; }

// Writes down who waits and until when; the pause.
milliseconds announce(const Context& context, const std::string& id, RestartPause& pause)
{
  const Lock lock = lock_container(context, id, Containers{context.root}.load(id).spec.name);
  const auto container = ended_and_ours(context, id);
  if (!container) return milliseconds{0};
  const milliseconds wait = pause.after(ran(container->status));
  Status status = container->status;
  status.keeper = ::getpid();
  status.keeper_start = kernel::start_time(status.keeper).value_or(0);
  status.restart_ns = realtime_ns() + wait.count() * 1'000'000;
  save_if_possible(context, id, status);
  return wait;
}

// True when the time has come; false when it is not to be started again.
bool await_turn(const Context& context, const std::string& id, RestartPause& pause)
{
  if (!ended_and_ours(context, id)) return false;
  DirectoryWatch watch{context.root, id};
  const milliseconds wait = announce(context, id, pause);
  for (const uint64_t due = monotonic_us() + static_cast<uint64_t>(wait.count()) * 1000;;) {
    const uint64_t now = monotonic_us();
    if (!ended_and_ours(context, id) || watch.told_to_end()) return false;
    if (now >= due) return true;
    watch.wait(milliseconds{(due - now) / 1000 + 1});
  }
}

// A start that failed is an end like any other: the next one comes after a longer pause.
void record_failure(const Context& context, const Container& container, const Error& error)
{
  Status status = container.status;
  status.restarts += 1;
  status.started_ns = status.finished_ns = realtime_ns();
  status.exit_code = error.status() == 1 ? 125 : error.status();
  status.why = error.sentence();
  save_if_possible(context, container.spec.id, status);
  note(context, {.id = container.spec.id,
                 .name = container.spec.name,
                 .verb = "start",
                 .outcome = "failed: " + std::string{error.sentence()}});
}

// The next life; none when there is none.
void start_again(const Context& context, const std::string& id, RestartPause& pause, std::optional<KeeperRequest>& next)
{
  while (await_turn(context, id, pause)) {
    const Lock lock = lock_container(context, id, Containers{context.root}.load(id).spec.name);
    const auto container = ended_and_ours(context, id);
    if (!container) return;
    try {
      next.emplace(launch(context, *container, Local::nobody, container->status.restarts + 1));
      return;
    } catch (const Error& error) {
      record_failure(context, *container, error);
    }
  }
}

} // namespace

void keep(const Context& context, const std::string& id, KeeperRequest request)
{
  Context ours = context;
  ours.verb = "restart";
  ours.patience = std::chrono::minutes{10}; // whoever holds the lock does something with it that may take long
  std::optional<KeeperRequest> life{std::move(request)};
  RestartPause pause;
  while (life) {
    if (serve(std::move(*life))) return;
    life.reset();
    start_again(ours, id, pause, life);
  }
}

} // namespace conductor
