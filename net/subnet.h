// Which addresses containers get: a /16 that no route, rule or address of this host knows, and a /64 of unique local
// addresses where the host has IPv6.
//
// The walk through the candidates is seeded by the machine id, so hosts differ (a VPN between two of them works) and
// one host chooses the same again. Blocks that other container engines like are passed over even when they are free
// now.
#pragma once

#include "core/network.h"
#include "net/netlink.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace conductor::net {

// Addresses in use: by a route, a routing rule or a link.
struct Prefix {
  std::vector<std::byte> address; // 4 or 16 bytes
  unsigned length = 0;            // in bits
  int link = 0;                   // index of the link it leads to, 0 for none
  std::string text() const;       // "10.83.0.0/16"
};
bool overlap(const Prefix& one, const Prefix& other);

// One route or rule; none for a default route, for multicast, and for what has no address. Pure.
std::optional<Prefix> route_from(Bytes payload);
std::vector<Prefix> rule_from_payload(Bytes payload);

// Every prefix of all routing tables and rules, both families, default routes left out. Throws Error.
std::vector<Prefix> read_prefixes(Netlink& route);

// pool: "10.83.0.0/16" or wider, in which to choose; empty for the built-in walk. Throws Error when nothing is free, or
// when the pool is none. Pure.
Subnet choose_subnet(const std::vector<Prefix>& taken, std::string_view machine_id, std::string_view pool, bool ipv6);

// The /16 and /64 as prefixes.
std::vector<Prefix> prefixes_of(const Subnet& subnet);

// This host has IPv6, and new links get it.
bool host_has_ipv6();
// The kernel has IPv6 at all, if only switched off.
bool kernel_has_ipv6();
std::string machine_id();

} // namespace conductor::net
