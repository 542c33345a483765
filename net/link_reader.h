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
  uint32_t group = 0; // conductor's links are all in link_group
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

// The mark of a link of ours: ifalias "conductor <root-id> <container-id> <name>", or "conductor gone <container-id>"
// once its container has ended and its namespace takes the link along.
struct Mark {
  std::string_view root_id, container_id; // root_id is empty for a link that is gone
  bool gone = false;
  std::string_view name; // empty for a link that is gone
};
std::optional<Mark> mark_from(std::string_view alias);

// All links and all addresses of the namespace the socket is in. Throws Error.
enum class Counters : char { without, with };
std::vector<Link> read_links(Netlink& netlink, Counters counters);
// One link by its name, none when there is no such link. Throws Error.
std::optional<Link> find_link(Netlink& netlink, const std::string& name);
std::vector<Address> read_addresses(Netlink& netlink);

// Links and addresses put together, in the kernel's order. A veth gets the name of the host's link that is its other
// end: the one with that index which points back at it.
std::vector<Interface> interfaces_from(const std::vector<Link>& inside, const std::vector<Address>& addresses,
                                       const std::vector<Link>& host);

// The same from the texts of /proc/PID/net (dev, if_inet6, fib_trie), for those who may not enter the namespace
// (proc(5)). They know no IPv4 address by its link, so that one is given to the only link that can have it; prefix
// lengths of IPv4, host sides and whether a link is up are not known.
std::vector<Interface> interfaces_from_proc(std::string_view dev, std::string_view if_inet6, std::string_view fib_trie);

// The counters of one link, as RTM_GETSTATS tells them: a fifth of the bytes that RTM_GETLINK needs.
struct LinkCounters {
  int index = 0;
  uint64_t rx_bytes = 0, tx_bytes = 0;
};
std::optional<LinkCounters> counters_from(Bytes payload);
// Of all links. Throws Error.
std::vector<LinkCounters> read_counters(Netlink& netlink);

} // namespace conductor::net
