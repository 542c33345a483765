#include "net/inside.h"

#include "core/base/error.h"
#include "core/kernel/process.h"

#include <exception>
#include <thread>

#include <sched.h>
#include <sys/stat.h>

namespace conductor::net {

ino_t namespace_of(const std::string& process)
{
  struct stat status {};
  return ::stat(("/proc/" + process + "/ns/net").c_str(), &status) == 0 ? status.st_ino : 0;
}

ino_t namespace_of(int fd)
{
  struct stat status {};
  return ::fstat(fd, &status) == 0 ? status.st_ino : 0;
}

void run_inside(Trace& trace, int fd, ino_t identity, const std::string& by_hand, const std::function<void()>& work)
{
  if (identity == namespace_of("thread-self")) {
    work();
    return;
  }
  std::exception_ptr failure;
  std::thread worker{[&] {
    try {
      kernel::enter_namespaces(trace, fd, CLONE_NEWNET, by_hand);
      // A gate may have skipped the call: then the host would be read, or changed, as if it were the container.
      if (namespace_of("thread-self") != identity) throw Error{"the container's network namespace was not entered"};
      work();
    } catch (...) {
      failure = std::current_exception();
    }
  }};
  worker.join();
  if (failure) std::rethrow_exception(failure);
}

} // namespace conductor::net
