// Our table of nftables: rules that never change, and sets that say what is allowed.
//
// A container is known by its link, all links by their group; so there is no rule per container. The text is handed to
// nft(8) when the table is missing or of an older version; rules are replaced then, elements kept. The subnet is kept
// in the table's comment, and what conductor switched on for forwarding in the comments of chain `others`.
#pragma once

#include "core/network.h"
#include "net/nft.h"

#include <optional>
#include <string>
#include <string_view>

namespace conductor::net {

// Forwarding that conductor switched on, as chain `others` remembers it: that chain then keeps the host from routing
// for anybody else.
struct SwitchedOn {
  bool ipv4 = false, ipv6 = false;
  // How many nat chains of others had rules then. More of them later: somebody else relies on forwarding too.
  unsigned foreign = 0;
  bool any() const { return ipv4 || ipv6; }
};

// "conductor 10.83.0.0/16 fd12:3456:789a::/64", and back; none for another comment.
std::string table_comment(const Subnet& subnet);
std::optional<Subnet> subnet_from(std::string_view comment);

// The same memory at the end of every link's mark, since the table goes with anybody's `nft flush ruleset`:
// " forwarding=46". Empty when nothing was switched on.
std::string forwarding_mark(const SwitchedOn& switched);
SwitchedOn switched_on_by_mark(std::string_view alias);

// The whole text for nft -f, for a host without our table or with an older one. Pure.
enum class OldTable : char { none, there };
// limit: how many connections a container may have at once, or no_limit.
inline constexpr unsigned no_limit = 0;
std::string ruleset(const Subnet& subnet, const SwitchedOn& switched, OldTable old, unsigned limit);
// A quarter of the kernel's table of connections (nf_conntrack_max, 0: not known), and never so many that to count them
// were itself a burden: the kernel walks through them every few milliseconds while new ones come. Pure.
unsigned connection_limit(unsigned table_size);
// The text that makes chain `others` say so. Pure.
std::string others_text(const SwitchedOn& switched);

// Our table is there, with the rules of this version (or of a newer one, which serves us too).
bool table_is_current(Netlink& nft);
// No chain of ours has lost or gained a rule; `others` may hold what it likes.
bool rules_are_whole(Netlink& nft);
// What chain `others` remembers; nothing when there is no table.
SwitchedOn switched_on(Netlink& nft);
// Makes the table, or brings its rules up to date. Throws Error.
void install_table(Trace& trace, const Subnet& subnet, const SwitchedOn& switched, OldTable old);
void write_others(Trace& trace, const SwitchedOn& switched);

} // namespace conductor::net
