// What other firewalls there are on this host: read once per operation, since several ask.
#pragma once

#include "net/nft.h"

#include <string>
#include <vector>

namespace conductor::net {

struct Firewalls {
  std::vector<Chain> chains; // of nftables, ours too
  // Tables of iptables-legacy that the kernel has, a line each (ip_tables_names); empty where there are none.
  std::string legacy4, legacy6;
};
// Throws Error.
Firewalls read_firewalls(Netlink& nft);

} // namespace conductor::net
