#include "net/host_lock.h"

#include "core/base/error.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/file.h>

namespace conductor::net {

HostLock::HostLock(Trace& trace) : namespace_(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC))
{
  if (!namespace_) throw Error{"open the network namespace of this host", errno};
  while (::flock(namespace_.get(), LOCK_EX) < 0) {
    if (errno != EINTR) throw Error{"lock the network of this host", errno};
    trace.throw_if_interrupted();
  }
}

} // namespace conductor::net
