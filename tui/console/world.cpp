#include "tui/console/world.h"

#include "core/base/error.h"
#include "core/container/session.h"

#include <algorithm>
#include <cerrno>
#include <csignal>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

namespace conductor::console {
namespace {

constexpr std::uint64_t second_us = 1'000'000;

void empty_bell(int fd)
{
  eventfd_t value = 0;
  eventfd_read(fd, &value);
}

// The sockets in the run directories of running containers. Only names are read: asking each holder would wake it.
std::vector<KeptSession> kept_sessions(const std::string& run_path, const Snapshot& snapshot)
{
  constexpr std::string_view suffix = ".sock";
  std::vector<KeptSession> all;
  for (const auto& container : snapshot.containers) {
    if (container.state != State::running && container.state != State::paused) continue;
    const std::string& id = container.spec().id;
    DIR* directory = opendir((run_path + "/c/" + id + "/" + session_directory).c_str());
    if (directory == nullptr) continue;
    while (const dirent* entry = readdir(directory)) {
      const std::string_view name = entry->d_name;
      struct stat about {};
      if (!name.ends_with(suffix) || fstatat(dirfd(directory), entry->d_name, &about, AT_SYMLINK_NOFOLLOW) != 0)
        continue;
      all.push_back({id, std::string{name.substr(0, name.size() - suffix.size())},
                     about.st_mtim.tv_sec * 1'000'000'000LL + about.st_mtim.tv_nsec});
    }
    closedir(directory);
  }
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.since_ns < b.since_ns; });
  return all;
}

} // namespace

WorldWatch::WorldWatch(Place place)
    : place_(std::move(place)), root_(trace_, place_.root_path, place_.run_path),
      news_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))
{
  if (!news_ || !wake_) throw Error{"make an event descriptor", errno};
}

void WorldWatch::begin()
{
  // Signals are the UI thread's.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread{[this] { run(); }};
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

WorldWatch::~WorldWatch()
{
  {
    const std::lock_guard lock{mutex_};
    stop_ = true;
  }
  ring(wake_);
  if (thread_.joinable()) thread_.join();
}

void WorldWatch::ring(const Fd& bell) const { eventfd_write(bell.get(), 1); }

World WorldWatch::take()
{
  empty_bell(news_.get());
  const std::lock_guard lock{mutex_};
  return newest_;
}

void WorldWatch::wish(SampleWish wish)
{
  {
    const std::lock_guard lock{mutex_};
    wish_ = std::move(wish);
  }
  ring(wake_);
}

void WorldWatch::run()
{
  World world;
  const auto publish = [&] {
    {
      const std::lock_guard lock{mutex_};
      newest_ = world;
    }
    ring(news_);
  };
  try {
    const auto network = place_.make_network(trace_);
    Sampler sampler{root_, *network};
    std::uint64_t next_us = 0, sessions_us = 0;
    std::shared_ptr<const std::vector<JournalEntry>> events;
    for (;;) {
      SampleWish wish;
      {
        const std::lock_guard lock{mutex_};
        if (stop_) return;
        wish = wish_;
      }
      world.snapshot = sampler.sample(wish);
      const std::uint64_t now = monotonic_us();
      // Sessions come and go with verbs; the slow look is for those that ended by themselves.
      if (world.snapshot->events != events || now >= sessions_us) {
        events = world.snapshot->events;
        world.sessions = kept_sessions(place_.run_path, *world.snapshot);
        sessions_us = now + 5 * second_us;
      }
      publish();
      // Full seconds, so that a console that is asked for more in between stays at one measurement a second.
      if (next_us <= now) next_us = now + second_us;
      pollfd wait[2] = {{.fd = wake_.get(), .events = POLLIN, .revents = 0},
                        {.fd = sampler.fd(), .events = POLLIN, .revents = 0}};
      const auto left_ms = static_cast<int>((next_us - now + 999) / 1000);
      poll(wait, sampler.fd() >= 0 ? 2 : 1, left_ms);
      if (wait[0].revents != 0) empty_bell(wake_.get());
    }
  } catch (const std::exception& error) {
    world.problem = error.what();
    publish();
  }
}

} // namespace conductor::console
