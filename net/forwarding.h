// Letting the host forward, and no more than that.
//
// IPv4: net.ipv4.ip_forward, since the uplink may change at any time. It makes the host a router between all its links;
// so when conductor switches it on, chain `others` of our table drops what comes from links that did not forward
// before. IPv6: never all.forwarding, with which the kernel no longer takes router advertisements; from 6.17 on each
// link has force_forwarding, and `default` gives it to links to come.
#pragma once

#include "core/network.h"
#include "net/firewalls.h"
#include "net/netlink.h"
#include "net/nft.h"
#include "net/table.h"

#include <optional>
#include <string>
#include <vector>

namespace conductor::net {

enum class Forwarding6 : char {
  none,      // no IPv6, or this kernel forwards IPv6 for all links or none, and does not
  by_link,   // force_forwarding
  by_itself, // the host is an IPv6 router already
};
Forwarding6 forwarding6();

// Switches on what is off, after closing chain `others`. `switched`: what chain `others` remembers. Returns what was
// switched on by now, by this call or earlier. Throws Error.
SwitchedOn switch_on(Trace& trace, Netlink& route, Netlink& nft, const Firewalls& others, SwitchedOn switched,
                     bool ipv6);
// Back to what was before switch_on, unless somebody else relies on it by now: then that is told as a notice. Called
// while the table still is there. Throws Error.
void switch_off(Trace& trace, Netlink& route, Netlink& nft);
// Somebody else relies on forwarding that conductor switched on: opens chain `others` and tells it. True when it did.
bool yield_to_others(Trace& trace, Netlink& nft, const Firewalls& others, const SwitchedOn& switched);

// What a link that is made now has as force_forwarding; none where the kernel has no such setting.
std::optional<bool> new_links_forward_ipv6();
// IPv4 is forwarded, and IPv6 where it is asked for and can be.
bool forwarding_is_on(bool ipv6);
// Indexes of the links whose own flag lets IPv4 through. Throws Error.
std::vector<int> links_forwarding(Netlink& route);

// The settings that differ from what they were, in words for doctor. Reads only.
std::vector<NetworkRemark> forwarding_remarks(Netlink& nft);

} // namespace conductor::net
