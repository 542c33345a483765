// Reading the network of the host and of containers.
//
// A netlink socket stays in the namespace it was opened in. So a thread of its own enters the container's namespace,
// opens the socket, reads and ends: there is no way back that could fail, no other thread ever is in the wrong place,
// and nothing keeps the namespace alive after its container (NET.md: it takes its links with it when it dies).
#include "net/network.h"

#include "core/base/error.h"
#include "core/kernel/files.h"
#include "core/kernel/process.h"
#include "net/link_reader.h"
#include "net/netlink.h"

#include <algorithm>
#include <cerrno>
#include <exception>
#include <optional>
#include <thread>

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>

namespace conductor {
namespace {

// Identity of the network namespace of a thread or process: the inode of its file in /proc. 0 when it is gone.
ino_t namespace_of(const std::string& process)
{
  struct stat status {};
  return ::stat(("/proc/" + process + "/ns/net").c_str(), &status) == 0 ? status.st_ino : 0;
}

// Without the right to look into the process (ptrace(2)), as a console that only looks, its namespaces are closed.
bool may_enter(int pid)
{
  struct stat status {};
  return ::stat(("/proc/" + std::to_string(pid) + "/ns/net").c_str(), &status) == 0 || errno != EACCES;
}

std::vector<Interface> interfaces_in_proc(int pid)
{
  const std::string path = "/proc/" + std::to_string(pid) + "/net/";
  const auto dev = kernel::find_content(AT_FDCWD, path + "dev");
  if (!dev) throw Error{"read the interfaces of process " + std::to_string(pid), ESRCH};
  return net::interfaces_from_proc(*dev, kernel::find_content(AT_FDCWD, path + "if_inet6").value_or(""),
                                   kernel::find_content(AT_FDCWD, path + "fib_trie").value_or(""));
}

struct Inside {
  std::vector<net::Link> links;
  std::vector<net::Address> addresses;
};

Inside read_here()
{
  net::Netlink netlink;
  return {net::read_links(netlink), net::read_addresses(netlink)};
}

class LinkNetwork : public Network {
public:
  explicit LinkNetwork(Trace& trace) : trace_(trace) {}

  std::vector<Interface> interfaces(int pid) override
  {
    if (!may_enter(pid)) return interfaces_in_proc(pid);
    const Inside inside = read_inside(pid);
    const auto is_veth = [](const net::Link& link) { return link.peer_is_elsewhere; };
    const bool has_veth = std::any_of(inside.links.begin(), inside.links.end(), is_veth);
    return interfaces_from(inside.links, inside.addresses, has_veth ? read_links(host()) : std::vector<net::Link>{});
  }

  std::vector<Traffic> traffic(std::string_view root_id) override { return traffic_from(read_links(host()), root_id); }
  std::vector<Refusal> refusals() override { return {}; }
  std::vector<Passage> passages() override { return {}; }
  std::optional<Subnet> subnet() override { return std::nullopt; }
  NetworkState state() override { return {}; }
  std::optional<PortListener> listener(const PublishedPort&) override { return std::nullopt; }
  Subnet attach(std::string_view, const WantedLink&, int, std::string_view) override { throw Error{"not there yet"}; }
  void change(std::string_view, const WantedLink&) override { throw Error{"not there yet"}; }
  void detach(std::string_view, std::string_view, LinkIndex, LinkEnd) override { throw Error{"not there yet"}; }
  std::vector<std::string> repair(std::string_view, const std::vector<WantedLink>&) override { return {}; }

private:
  net::Netlink& host()
  {
    if (!host_) host_.emplace();
    return *host_;
  }

  Inside read_inside(int pid)
  {
    const auto process = kernel::open_pidfd(pid);
    const ino_t wanted = namespace_of(std::to_string(pid));
    if (!process || wanted == 0) throw Error{"read the interfaces of process " + std::to_string(pid), ESRCH};
    if (wanted == namespace_of("thread-self")) return read_here();

    Inside inside;
    std::exception_ptr failure;
    std::thread reader{[&] {
      try {
        kernel::enter_namespaces(trace_, process->get(), CLONE_NEWNET,
                                 "nsenter -t " + std::to_string(pid) + " -n ip -s address");
        // A gate may have skipped the call: then this would show the host's interfaces as the container's.
        if (namespace_of("thread-self") != wanted)
          throw Error{"the network namespace of the container was not entered"};
        inside = read_here();
      } catch (...) {
        failure = std::current_exception();
      }
    }};
    reader.join();
    if (failure) std::rethrow_exception(failure);
    return inside;
  }

  Trace& trace_;
  std::optional<net::Netlink> host_;
};

} // namespace

std::unique_ptr<Network> make_network(Trace& trace) { return std::make_unique<LinkNetwork>(trace); }

} // namespace conductor
