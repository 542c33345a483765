#include "tui/console/loop.h"

#include "core/base/error.h"

#include <array>
#include <cerrno>

#include <sys/epoll.h>

namespace conductor::console {

Loop::Loop() : epoll_(epoll_create1(EPOLL_CLOEXEC))
{
  if (!epoll_) throw Error{"make an epoll descriptor", errno};
}

void Loop::watch(int fd, std::uint32_t events, Source& source)
{
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  const bool known = sources_.contains(fd);
  sources_[fd] = &source;
  if (epoll_ctl(epoll_.get(), known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) == 0) return;
  // A number that was closed without forget() has left the kernel's set already.
  if (errno == ENOENT && epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return;
  throw Error{"watch a descriptor", errno};
}

void Loop::forget(int fd)
{
  if (sources_.erase(fd) != 0) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void Loop::wait(int timeout_ms)
{
  std::array<epoll_event, 32> events{};
  const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), timeout_ms);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    // Looked up now: an earlier source of this round may have forgotten it.
    if (const auto found = sources_.find(event.data.fd); found != sources_.end())
      found->second->ready(event.data.fd, event.events);
  }
}

} // namespace conductor::console
