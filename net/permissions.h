// What one container may do, as elements of the sets of our table; and what it takes to get there from what is there.
#pragma once

#include "core/network.h"
#include "net/nft.h"

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

// Those that matter when the link of `wanted` is given what it wants and loses what it had: all, except that where it
// had nothing and is to have no peers only its ports need to be looked up, however long the sets are. Throws Error.
std::vector<Permission> read_permissions_for(Netlink& nft, const WantedLink& wanted, const Subnet& subnet);

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

// What a link needs of the kernel for the permissions in `all`.
struct Needs {
  bool forwards = false; // anything at all
  bool localnet = false; // a published port
};
Needs needs_of(LinkIndex index, const std::vector<Permission>& all, const Subnet& subnet);
// The links whose permissions differ: `index` and the other ends of its pairs.
std::vector<LinkIndex> links_in(const Difference& difference, LinkIndex index);
// Brings the set `routed`, which follows from all others, in line for these links. `all`: what was read before.
void add_routed(Difference& difference, const std::vector<Permission>& all, const std::vector<LinkIndex>& links,
                const Subnet& subnet);
// `all` as it will be.
std::vector<Permission> after(const std::vector<Permission>& all, const Difference& difference);

// One transaction. Throws Error.
void apply(Trace& trace, Netlink& nft, const Difference& difference, const std::string& what);

} // namespace conductor::net
