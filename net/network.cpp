#include "net/network.h"

#include "core/base/error.h"
#include "core/kernel/files.h"
#include "core/kernel/process.h"
#include "net/inside.h"
#include "net/link_reader.h"
#include "net/link_writer.h"
#include "net/listeners.h"
#include "net/netlink.h"
#include "net/nft.h"
#include "net/reconcile.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <unordered_map>

#include <fcntl.h>
#include <linux/netlink.h>
#include <sys/stat.h>

namespace conductor {
namespace {

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

class LinkNetwork : public Network {
public:
  explicit LinkNetwork(Trace& trace) : trace_(trace) {}

  std::vector<Interface> interfaces(int pid) override
  {
    if (!may_enter(pid)) return interfaces_in_proc(pid);
    const Inside inside = read_inside(pid);
    const auto is_veth = [](const net::Link& link) { return link.peer_is_elsewhere; };
    const bool has_veth = std::any_of(inside.links.begin(), inside.links.end(), is_veth);
    return interfaces_from(inside.links, inside.addresses,
                           has_veth ? read_links(host(), net::Counters::without) : std::vector<net::Link>{});
  }

  std::vector<Traffic> traffic(std::string_view root_id) override
  {
    const std::vector<net::LinkCounters> counters = read_counters(host());
    std::vector<Traffic> all;
    // RTM_GETSTATS knows links by their numbers only. Their marks are read again when there is a number we have not
    // seen; the kernel uses none twice.
    if (names_.size() > 2 * counters.size() || !gather(counters, root_id, all)) {
      name_links();
      gather(counters, root_id, all);
    }
    return all;
  }

  std::vector<Refusal> refusals() override { return net::refusals(); }
  std::vector<Passage> passages() override { return net::passages(); }

  std::optional<Subnet> subnet() override
  {
    net::Netlink nft{NETLINK_NETFILTER};
    return net::subnet_in_use(nft);
  }

  NetworkState state() override { return net::state(trace_); }
  std::optional<PortListener> listener(const PublishedPort& port) override { return net::find_listener(port); }

  Subnet attach(std::string_view root_id, const WantedLink& wanted, int namespace_fd, std::string_view pool) override
  {
    return net::attach(trace_, root_id, wanted, namespace_fd, pool);
  }
  bool change(std::string_view root_id, const WantedLink& wanted, const WantedLink& had) override
  {
    return net::change(trace_, root_id, wanted, had);
  }
  void detach(std::string_view root_id, const WantedLink& had, LinkEnd end, int namespace_fd) override
  {
    net::detach(trace_, root_id, had, end, namespace_fd);
  }
  std::vector<std::string> repair(std::string_view root_id, const std::vector<WantedLink>& all) override
  {
    // Nobody has changed a rule since all was well: one question.
    net::Netlink nft{NETLINK_NETFILTER};
    const uint32_t generation = net::read_generation(nft);
    if (generation == well_at_) return {};
    std::vector<std::string> mended = net::repair(trace_, root_id, all);
    well_at_ = mended.empty() ? generation : 0;
    return mended;
  }

private:
  // Kept, since a console asks twice a second.
  net::Netlink& host()
  {
    if (!host_) host_.emplace();
    return *host_;
  }

  // False when there is a number that we have not seen.
  bool gather(const std::vector<net::LinkCounters>& counters, std::string_view root_id, std::vector<Traffic>& all) const
  {
    bool is_whole = true;
    all.clear();
    all.reserve(counters.size());
    for (const net::LinkCounters& each : counters) {
      const auto named = names_.find(each.index);
      is_whole = is_whole && named != names_.end();
      if (named == names_.end() || named->second.root_id != root_id) continue;
      // Turned round: what the host sent the container received.
      all.push_back({.container_id = named->second.container_id, .rx_bytes = each.tx_bytes, .tx_bytes = each.rx_bytes});
    }
    return is_whole;
  }

  void name_links()
  {
    names_.clear();
    for (const net::Link& link : read_links(host(), net::Counters::without)) {
      const auto mark = net::mark_from(link.alias);
      const bool ours = mark && link.group == net::link_group;
      names_[link.index] = ours ? Owner{std::string{mark->root_id}, std::string{mark->container_id}} : Owner{};
      // Its mark comes a moment after the link.
      if (link.group == net::link_group && !mark) names_.erase(link.index);
    }
  }

  Inside read_inside(int pid)
  {
    const auto process = kernel::open_pidfd(pid);
    const ino_t identity = net::namespace_of(std::to_string(pid));
    if (!process || identity == 0) throw Error{"read the interfaces of process " + std::to_string(pid), ESRCH};
    Inside inside;
    net::run_inside(trace_, process->get(), identity, [&] {
      net::Netlink netlink;
      inside = {read_links(netlink, net::Counters::with), read_addresses(netlink)};
    });
    return inside;
  }

  struct Owner {
    std::string root_id, container_id;
  };
  Trace& trace_;
  std::optional<net::Netlink> host_;
  std::unordered_map<int, Owner> names_;
  uint32_t well_at_ = 0; // generation of nftables at which repair() found nothing to do; 0: none
};

} // namespace

std::unique_ptr<Network> make_network(Trace& trace) { return std::make_unique<LinkNetwork>(trace); }

} // namespace conductor
