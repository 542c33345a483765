#include "core/kernel/namespaces.h"

#include "core/base/error.h"
#include "core/kernel/call.h"
#include "core/kernel/files.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace conductor::kernel {
namespace {

template <class Make>
void simple(Trace& trace, const char* name, const std::string& call, const std::string& by_hand,
            const std::string& what, Make make)
{
  const auto result = perform(
      trace, name,
      [&] {
        return CallText{call, by_hand};
      },
      make);
  if (result.failed()) throw Error{what, result.error};
}

} // namespace

void write_id_maps(Trace& trace, pid_t pid, uint32_t first, uint32_t count)
{
  const std::string line = fmt::format("0 {} {}\n", first, count);
  for (const char* file : {"uid_map", "gid_map"})
    write_value(trace, AT_FDCWD, fmt::format("/proc/{}/{}", pid, file), line);
}

namespace {

Fd open_namespace_of(const std::string& process, const char* name)
{
  const std::string path = fmt::format("/proc/{}/ns/{}", process, name);
  Fd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!fd) throw Error{"open " + path, errno};
  return fd;
}

} // namespace

Fd open_namespace(pid_t pid, const char* name) { return open_namespace_of(std::to_string(pid), name); }
Fd open_own_namespace(const char* name) { return open_namespace_of("self", name); }

void become_root(Trace& trace)
{
  simple(trace, "setgroups", "setgroups(0, NULL)", "# no supplementary groups", "drop the supplementary groups",
         [] { return ::setgroups(0, nullptr); });
  simple(trace, "setresgid", "setresgid(0, 0, 0)", "# root of the user namespace", "become the mapped root group",
         [] { return ::setresgid(0, 0, 0); });
  simple(trace, "setresuid", "setresuid(0, 0, 0)", "# root of the user namespace", "become the mapped root",
         [] { return ::setresuid(0, 0, 0); });
}

void set_hostname(Trace& trace, const std::string& name)
{
  simple(trace, "sethostname", fmt::format("sethostname(\"{}\")", name), "hostname " + name, "set the host name",
         [&] { return ::sethostname(name.c_str(), name.size()); });
}

void raise_loopback(Trace& trace)
{
  const Fd socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  if (!socket) throw Error{"open a socket for lo", errno};
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
  simple(trace, "ioctl", "ioctl(SIOCSIFFLAGS, lo, IFF_UP)", "ip link set lo up", "bring lo up",
         [&] { return ::ioctl(socket.get(), SIOCSIFFLAGS, &request); });
}

void new_session(Trace& trace)
{
  simple(trace, "setsid", "setsid()", "setsid", "make a session", [] { return ::setsid(); });
}

} // namespace conductor::kernel
