#include "net/inside.h"

#include "core/base/error.h"
#include "core/base/handle.h"
#include "core/kernel/files.h"
#include "core/kernel/process.h"

#include <cerrno>
#include <cstdlib>

#include <fcntl.h>
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

namespace {

class WayBack {
public:
  WayBack(Trace& trace, ino_t identity)
      : trace_(trace), identity_(identity), own_(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC))
  {
    if (!own_) throw Error{"open the network namespace of this host", errno};
  }
  WayBack(const WayBack&) = delete;
  WayBack& operator=(const WayBack&) = delete;
  // Of itself setns(2) cannot fail here: we came from there, with the same rights.
  ~WayBack()
  {
    const Trace::Undisturbed undisturbed{trace_};
    try {
      kernel::enter_namespaces(trace_, own_.get(), CLONE_NEWNET, "exit");
    } catch (...) { // a listener that is gone
    }
    if (namespace_of("thread-self") != identity_) std::abort();
  }

private:
  Trace& trace_;
  ino_t identity_;
  Fd own_;
};

} // namespace

std::string namespace_path(ino_t identity)
{
  for (const std::string& process : kernel::list_directory(AT_FDCWD, "/proc"))
    if (process.find_first_not_of("0123456789") == std::string::npos && namespace_of(process) == identity)
      return "/proc/" + process + "/ns/net";
  return {};
}

void run_inside(Trace& trace, int fd, ino_t identity, const std::function<void()>& work)
{
  const ino_t own = namespace_of("thread-self");
  if (identity == own) {
    work();
    return;
  }
  const WayBack back{trace, own};
  const std::string by_hand = trace.calls_wanted() ? "nsenter --net=" + namespace_path(identity) : "";
  kernel::enter_namespaces(trace, fd, CLONE_NEWNET, by_hand);
  // A gate may have skipped the call: then the host would be read, or changed, as if it were the container.
  if (namespace_of("thread-self") != identity) throw Error{"the container's network namespace was not entered"};
  work();
}

} // namespace conductor::net
