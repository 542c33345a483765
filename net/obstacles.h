// Other firewalls of this host: an accept in our table never overrides a drop in another base chain.
//
// What drops forwarded packets is found in the kernel: base chains at the forward hook with policy drop, of nftables
// and of iptables in both kinds. Two static rules per family cure it where that is right (our chain comes first and has
// dropped what is not allowed): -i cond+ and -o cond+ accept, in DOCKER-USER where Docker keeps that for its users,
// else at the top of FORWARD. Tables that a person wrote by hand are never edited: what to add is told.
#pragma once

#include "core/network.h"
#include "net/nft.h"

#include <string>
#include <vector>

namespace conductor::net {

struct Obstacle {
  enum class Cure : char { nft_rules, legacy_rules, by_hand };
  Cure cure = Cure::by_hand;
  Chain chain;        // that drops; of legacy iptables: family, "filter", "FORWARD"
  Chain place;        // where our two rules belong
  bool cured = false; // both are there
  uint64_t rule = 0;  // that drops or rejects whatever comes to it; 0: the policy does
};

// Reads only (it asks iptables-legacy when the kernel has such tables). Throws Error.
std::vector<Obstacle> find_obstacles(Trace& trace, Netlink& nft);
// Inserts our two rules wherever they are missing and ours to insert, and tells it. True when something was inserted.
// Others' rules are theirs: with Uncured::told the place is named, and the lines that would do it.
enum class Uncured : char { silent, told };
bool cure_obstacles(Trace& trace, Netlink& nft, Uncured uncured);
// Takes our rules out of every table that has them. Throws Error.
void withdraw_cures(Trace& trace, Netlink& nft);
// In words for doctor; also what filters packets for the host itself.
std::vector<NetworkRemark> obstacle_remarks(Trace& trace, Netlink& nft);

} // namespace conductor::net
