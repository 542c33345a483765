// The link of one container: a veth whose far end is born in the container's namespace as eth0.
//
// One number is everything: index 7 is the link cond7, 10.83.0.7, fd..::7 and 02:c0:00:00:00:07. Making cond7 with
// NLM_F_EXCL is its allocation: the kernel arbitrates. Both ends know each other by permanent neighbour entries, so no
// ARP and no neighbour discovery is ever needed, and nobody can answer in another's name (rtnetlink(7), veth(4)).
#pragma once

#include "core/network.h"
#include "net/netlink.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace conductor::net {

// All our links are in this group ("co"): the rules know them by it.
inline constexpr uint32_t link_group = 0x636f;
inline constexpr const char* link_prefix = "cond";

std::string link_name(LinkIndex index);             // "cond7"
LinkIndex link_index(std::string_view name);        // 7; 0 for what is no link of ours
std::array<uint8_t, 6> host_mac(LinkIndex index);   // 02:c0:00:00:00:07
std::array<uint8_t, 6> inside_mac(LinkIndex index); // 02:c0:01:00:00:07
// An address as its bytes in network order, IPv4 or IPv6; empty for a text that is none.
std::vector<std::byte> address_bytes(std::string_view text);

struct LinkPlan {
  LinkIndex index = 0;
  std::string root_id, container_id, name;
  Subnet subnet;
  bool host_has_ipv6 = false; // the kernel, whatever the links have
  std::string memory;         // stands at the end of the mark (net/table.h)
};

// Makes the pair, both ends down. Throws Error, EEXIST when the name is taken.
void make_link(Trace& trace, Netlink& host, const LinkPlan& plan, int namespace_fd);
// Mark, sysctls, addresses, neighbours of the host's end, and up. Throws Error.
void set_up_host_end(Trace& trace, Netlink& host, const LinkPlan& plan);
// Addresses, neighbours, default routes of eth0, and up; run_inside() calls it. Throws Error.
void set_up_inside(Trace& trace, Netlink& inside, const LinkPlan& plan);
// What a link needs of the kernel for its permissions. All is off without one: then such a container reaches nobody
// even when somebody else flushes the rules.
struct Reach {
  bool forwards = false; // IPv4 by its own flag; IPv6 too where the kernel knows one for a link (force_forwarding)
  std::optional<bool> localnet;      // 127.0.0.1:OUTER of the host leads to it (route_localnet); none: as it is
  std::optional<bool> forwards6_now; // what is known of IPv6's flag; none: it is read
};
// A link that is gone is none.
void set_reach(Trace& trace, Netlink& host, LinkIndex index, Reach reach);
// Only IPv4's flag, which the kernel sets on all links with net.ipv4.ip_forward. A link that is gone is none.
void forbid_forwarding(Trace& trace, Netlink& host, LinkIndex index);
// Appends to the mark of a link. Gone already is success.
void append_mark(Trace& trace, Netlink& host, LinkIndex index, const std::string& alias, const std::string& memory);
// ifalias "conductor gone <container-id>": whoever counts our links passes it over. Gone already is success.
void mark_gone(Trace& trace, Netlink& host, LinkIndex index, std::string_view container_id);
// RTM_DELLINK, both ends; some 20 ms. Gone already is success.
void remove_link(Trace& trace, Netlink& host, LinkIndex index);

} // namespace conductor::net
