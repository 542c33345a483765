// Other firewalls of this host: an accept in our table never overrides a drop in another base chain.
//
// What refuses forwarded packets is found by going through the base chains at the forward hook, their jumps too
// (net/judge.h): of nftables, of iptables-nft, and of iptables-legacy by its policy and rules for all. Two static rules
// per family cure it where that is right (our chain has dropped what is not allowed, whichever comes first): -i cond+
// and -o cond+ accept, in DOCKER-USER where Docker keeps that for its users, else at the top of FORWARD. Tables that a
// person wrote by hand, or firewalld, are never edited: what to add is told.
#pragma once

#include "core/network.h"
#include "net/firewalls.h"
#include "net/judge.h"
#include "net/nft.h"

#include <string>
#include <vector>

namespace conductor::net {

struct Obstacle {
  enum class Cure : char { nft_rules, legacy_rules, by_hand };
  Cure cure = Cure::by_hand;
  Chain chain;                   // at the hook; of legacy iptables: family, "filter", "FORWARD"
  Chain place;                   // where our two rules belong
  Judgement found;               // what happens there without them
  std::vector<std::string> lost; // what does not work: "internet", "published ports", "peers"
  bool cured = false;            // with the two rules all passes
  bool there = false;            // both rules are there
};

// Reads only (it asks iptables-legacy when the kernel has such tables). Throws Error.
std::vector<Obstacle> find_obstacles(Trace& trace, Netlink& nft, const Firewalls& others, const Subnet& subnet);
// Inserts our two rules wherever they are missing and ours to insert, and tells it. True when something was inserted.
// Others' rules are theirs: with Uncured::told the place is named, and the lines that would do it.
enum class Uncured : char { silent, told };
bool cure_obstacles(Trace& trace, Netlink& nft, const Firewalls& others, const Subnet& subnet, Uncured uncured);
// Takes our rules out of every table that has them. Throws Error.
void withdraw_cures(Trace& trace, Netlink& nft);
// In words for doctor; also what filters packets for the host itself.
std::vector<NetworkRemark> obstacle_remarks(Trace& trace, Netlink& nft, const Firewalls& others, const Subnet& subnet);

} // namespace conductor::net
