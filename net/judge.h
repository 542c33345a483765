// What somebody else's rules do with a packet of a container's, found by going through them as the kernel would.
//
// Of the packet only some things are known: that one end is a link of ours, that it begins a connection, which
// addresses it may have. So every test has three answers, and so has the whole: it passes, it is refused, or it may be,
// where that hangs on something that is not known (a port, a mark, a limit). Jumps are followed; expressions of
// nftables and those of iptables-nft that say the same are understood (linux/netfilter/nf_tables.h), all others are
// "may be".
#pragma once

#include "core/network.h"
#include "net/nft.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace conductor::net {

// One end of its way.
struct PacketEnd {
  enum class Kind : char { ours, uplink, unknown };
  Kind kind = Kind::unknown;
  std::string link; // of an uplink
  int index = 0;    // of an uplink
};

struct Packet {
  int family = 0; // NFPROTO_IPV4, NFPROTO_IPV6
  PacketEnd in, out;
  bool is_answer = false;     // of a connection that is there; else the first packet of one
  bool is_translated = false; // for a published port, or the answer
};

// What is asked of the kernel meanwhile; a test has its own.
struct Rulebook {
  std::function<const std::vector<Rule>&(const std::string& chain)> rules;
  std::function<std::vector<Element>(const std::string& set)> elements;
  std::function<std::string(int index)> link_name; // "" when there is none
};

struct Judgement {
  enum class Word : char { passes, may_be_refused, is_refused };
  Word word = Word::passes;
  std::string chain; // where it ends
  uint64_t rule = 0; // 0: the policy of that chain
};

// Through one base chain and all that it jumps to. Rules that carry our mark are passed over where `without_ours`.
// Throws what the rulebook throws.
enum class Ours : char { counted, passed_over };
Judgement judge(const Rulebook& book, const Chain& base, const Packet& packet, const Subnet& subnet, Ours ours);

} // namespace conductor::net
