// Connections that the kernel tracks: those of one container are forgotten when their permission is withdrawn, since a
// translated connection goes on without its rule.
#pragma once

#include "net/netlink.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace conductor::net {

// Which connections: those that `address` began (original), or those that it answers (reply).
struct ConnectionFilter {
  enum class Side : char { original, reply };
  Side side = Side::original;
  std::string address;
  uint8_t protocol = 0; // IPPROTO_TCP ...; 0: any
  uint16_t port = 0;    // of `address`, with a protocol; 0: any
  uint16_t asked = 0;   // of a reply, with a protocol: the port that was asked for, before translation; 0: any
};

// Forgets them; a kernel that tracks none has none. Throws Error.
void forget_connections(Trace& trace, Netlink& netfilter, const ConnectionFilter& filter);
// The same without the kernel's filter: read all, choose here, delete each. Kernels before 6.8 do not delete by a
// filter, and the filter for IPv6 addresses takes exactly the others (ctnetlink_filter_match_tuple() has the comparison
// the wrong way round, seen with 6.18).
void forget_one_by_one(Trace& trace, Netlink& netfilter, const ConnectionFilter& filter);

// UDP has no beginning: who asked before a port was published would be sent to the host itself for as long as he goes
// on asking. Forgets what is addressed to `port` at one of `addresses` (this host's, as text) and is not translated.
// Throws Error.
void forget_early_askers(Trace& trace, Netlink& netfilter, uint16_t port, const std::vector<std::string>& addresses);

// Whether a connection, the attributes of an IPCTNL_MSG_CT_NEW, is meant. Pure.
bool is_meant(const ConnectionFilter& filter, Bytes attributes);

} // namespace conductor::net
