// The one poll of the console: descriptors and who is told when they are ready.
#pragma once

#include "core/base/handle.h"

#include <cstdint>
#include <unordered_map>

namespace conductor::console {

/// Somebody with a descriptor to watch.
class Source {
public:
  /// events: EPOLLIN, EPOLLOUT, EPOLLHUP ... of epoll(7). May add and remove sources, itself included. A call without
  /// cause is possible, so reads must not block.
  virtual void ready(int fd, std::uint32_t events) = 0;

protected:
  ~Source() = default;
};

class Loop {
public:
  Loop();
  /// Watches, or changes what is watched for. The source must outlive it, or call forget() first.
  void watch(int fd, std::uint32_t events, Source& source);
  void forget(int fd);
  /// Waits for events, at most so long (-1: no limit), and tells the sources.
  void wait(int timeout_ms);

private:
  Fd epoll_;
  std::unordered_map<int, Source*> sources_;
};

} // namespace conductor::console
