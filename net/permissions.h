// What one container may do, as elements of the sets of our table; and what it takes to get there from what is there.
#pragma once

#include "core/network.h"
#include "net/nft.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace conductor::net {

struct Permission {
  std::string set; // "internet", "peers", "published" ...
  Element element;
};

// Has it any permission? Then the kernel forwards what comes from it, as chain forward allows.
bool is_routed(const WantedLink& wanted);

// The elements that `wanted` stands for. Throws Error for a port that cannot be published (an IPv6 address where the
// containers have none, ::1). Pure.
std::vector<Permission> permissions_of(std::string_view root_id, const WantedLink& wanted, const Subnet& subnet);

// All elements of all sets that permissions are in. Throws Error; ENOENT when there is no table.
std::vector<Permission> read_permissions(Netlink& nft);

// Those that belong to the link `index`: its own, and the halves of pairs with others. Pure.
std::vector<Permission> permissions_on(LinkIndex index, const std::vector<Permission>& all, const Subnet& subnet);

// From `now` to `wanted`, both of one link.
struct Difference {
  std::vector<Permission> missing, extra;
  bool empty() const { return missing.empty() && extra.empty(); }
};
Difference difference(const std::vector<Permission>& now, const std::vector<Permission>& wanted);

// Throws Error where something in `missing` is another container's already: a published port.
void refuse_taken(const Difference& difference, const std::vector<Permission>& all);

// How things stand for one link and those it has to do with, before something is changed. Elements are looked up by
// their keys, however long the sets are: each link's element of `routed` says how many there are of it, so none can be
// overlooked. Where it does not add up (another version wrote it, somebody else's hand), all are read.
struct Standing {
  std::vector<Permission> own;  // of the link itself
  std::vector<Permission> near; // those, and others that have a key that is wanted
  struct Count {
    unsigned permissions = 0;
    std::optional<std::string> says; // the comment of its element of `routed`, none without one
  };
  std::map<LinkIndex, Count> counts; // of the link and its peers
};
// `had` and `wanted`: what the link may have, by the store, and what it is to have. Throws Error.
Standing standing_of(Netlink& nft, const WantedLink& had, const WantedLink& wanted, const Subnet& subnet);
// The same from all permissions, which were read, for several links. Pure.
Standing standing_among(const std::vector<Permission>& all, const std::vector<LinkIndex>& links, const Subnet& subnet);

// The links whose permissions differ: `index` and the other ends of its pairs.
std::vector<LinkIndex> links_in(const Difference& difference, LinkIndex index);
// How many permissions a link has then.
unsigned count_after(const Standing& standing, const Difference& difference, LinkIndex link, const Subnet& subnet);
// Brings the set `routed`, which follows from all others, in line for these links.
void add_routed(Difference& difference, const Standing& standing, const std::vector<LinkIndex>& links,
                const Subnet& subnet);
bool has_ports(const std::vector<Permission>& permissions);
// Is any of them reached at the host's 127.0.0.0/8? Only that needs route_localnet.
bool leads_from_loopback(const std::vector<Permission>& permissions);
// `all` as it will be.
std::vector<Permission> after(const std::vector<Permission>& all, const Difference& difference);

// One transaction. Throws Error.
void apply(Trace& trace, Netlink& nft, const Difference& difference, const std::string& what);

} // namespace conductor::net
