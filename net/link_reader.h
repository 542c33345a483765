// Links and addresses out of rtnetlink's messages. Pure: bytes in, values out.
#pragma once

#include "core/network.h"
#include "net/netlink.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace conductor::net {

// What RTM_NEWLINK says of one link (rtnetlink(7), linux/if_link.h).
struct Link {
  int index = 0;
  unsigned flags = 0; // IFF_UP ...
  std::string name;
  std::string alias;              // ifalias: our mark is "conductor <root-id> <container-id> <name>"
  int peer_index = 0;             // IFLA_LINK: of a veth, the other end's index in the other end's namespace
  bool peer_is_elsewhere = false; // IFLA_LINK_NETNSID is there: the other end lies in another namespace
  uint64_t rx_bytes = 0, tx_bytes = 0, rx_packets = 0, tx_packets = 0, rx_dropped = 0, tx_dropped = 0;
};

struct Address {
  int index = 0;    // of its link
  std::string text; // with prefix length: "10.83.0.7/32"
};

// The payload of an RTM_NEWLINK or RTM_NEWADDR message; none when it is too short to be one.
std::optional<Link> link_from(Bytes payload);
std::optional<Address> address_from(Bytes payload);

// All links and all addresses of the namespace the socket is in. Throws Error.
std::vector<Link> read_links(Netlink& netlink);
std::vector<Address> read_addresses(Netlink& netlink);

// Links and addresses put together, in the kernel's order. A veth gets the name of the host's link that is its other
// end: the one with that index which points back at it.
std::vector<Interface> interfaces_from(const std::vector<Link>& inside, const std::vector<Address>& addresses,
                                       const std::vector<Link>& host);

// The same from the texts of /proc/PID/net (dev, if_inet6, fib_trie), for those who may not enter the namespace
// (proc(5)). They know no IPv4 address by its link, so that one is given to the only link that can have it; prefix
// lengths of IPv4, host sides and whether a link is up are not known.
std::vector<Interface> interfaces_from_proc(std::string_view dev, std::string_view if_inet6, std::string_view fib_trie);

// Counters of the host's ends of containers' links, turned round: what the host sent the container received.
std::vector<Traffic> traffic_from(const std::vector<Link>& host, std::string_view root_id);

} // namespace conductor::net
