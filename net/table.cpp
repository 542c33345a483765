#include "net/table.h"

#include "core/base/error.h"
#include "core/base/guard.h"
#include "core/kernel/ask.h"
#include "core/kernel/files.h"
#include "net/link_writer.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdlib>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/netfilter.h>

namespace conductor::net {
namespace {

// Counts up with every change of the text below; it is the name of an empty chain, so one question tells it.
constexpr unsigned version = 5;
constexpr std::string_view version_prefix = "version_";

// $group: the group of our links. Why each rule is as it is:
//  guard        a container's packets carry its own address (its link is the way back to it), never reach 127.0.0.0/8
//               of the host (route_localnet is on where ports are published there), and route nothing: no router
//               advertisement and no redirect is taken. Both ends know each other for good, so nothing of IPv6's
//               neighbour discovery is needed, nor an address of the link alone: each would be a new entry in the
//               kernel's table of neighbours, which all links share. A link without any permission is refused here,
//               since the kernel forwards nothing from it and would only be silent.
//  forged       a full set ends the rule that would add to it, so the refusal is a rule of its own.
//  prerouting   ports published by anybody are for those that may leave the host; others find them closed.
//  output       the host itself. ::1 cannot be translated (the reply dies in ip6_route_input), so it is left alone and
//               refused at once.
//  forward      no shortcut for established connections: what is withdrawn ends with the next packet. Translated ones
//               are tied to direction and group, or a container would leave through a port that somebody else
//               published. Refusals are TCP resets, since ICMP errors are limited in number.
//               A set is asked last, since it counts whoever it finds.
//  others       what is not ours passes, unless conductor switched forwarding on.
//  strays       for a container whose link is gone (who has CAP_NET_ADMIN inside can delete it): the route is gone with
//               it, so its packets would leave by the host's default route, unanswered. Packets of the host itself are
//               known by the source that only our links have: what others have at such addresses stays reachable.
//               (Those that the host sends to its own published port have another source, and in `output` still the
//               route that they had before their translation: repair() ends them.)
//  arrivals,    what passes a published port is counted by the container's own port, both directions, wherever the
//  departures   asker is; and no container fills the host's one table of connections. The kernel forgets by itself
//               who has none. The count is a lookup without a verdict: what is not in the set passes all the same.
//  postrouting  the uplink is whatever the packet leaves by. What a container gets from 127.0.0.1, and from a published
//               port of another container, comes from the host's end of its link.
constexpr std::string_view text = R"(table inet conductor {
	comment "$comment"

	set internet { type ifname; counter; comment "links that may leave the host"; }
	set routed { type ifname; comment "links with any permission: chain forward judges what comes from them"; }
	set peers { type ifname . ifname; counter; comment "links that may talk, a pair for each direction"; }
	map published { type inet_proto . inet_service : ipv4_addr . inet_service; }
	map published6 { type inet_proto . inet_service : ipv6_addr . inet_service; }
	map published_at { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }
	map published_at6 { type ipv6_addr . inet_proto . inet_service : ipv6_addr . inet_service; }
	set blocked { type ifname . ifname; size 4096; flags dynamic,timeout; timeout 1h; counter; comment "refused, from and to"; }
	set blocked_early { type ifname . iface_index; size 4096; flags dynamic,timeout; timeout 1h; counter; comment "the same, of links without any permission"; }
	set through { type ifname . inet_proto . inet_service; counter; comment "published ports, as they are inside"; }
	set connections { type ifname; size 65535; flags dynamic; comment "how many each link has at once"; }
	set crowded { type ifname; size 4096; flags dynamic,timeout; timeout 1h; counter; comment "links that wanted more connections"; }
	set forwarded { type ifname; comment "links that forwarded IPv4 before conductor switched it on"; }
	set forwarded6 { type ifname; comment "links that forwarded IPv6 before conductor switched it on"; }

	chain version_$version { }
	chain others { }
	chain forged {
		update @blocked { iifname . iifname }
		drop
	}

	chain refused {
		meta l4proto tcp reject with tcp reset
		reject with icmpx admin-prohibited
	}
	chain crowd {
		update @crowded { iifname }
		goto refused
	}
	chain strays {
		iifgroup $group goto refused
		ct status dnat goto refused
	}

	chain guard {
		type filter hook prerouting priority raw; policy accept;
		iifgroup != $group accept
		ip daddr 127.0.0.0/8 drop
		icmp type redirect drop
		icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, nd-redirect } drop
		ip6 saddr { ::, fe80::/10 } drop
		fib saddr . iif oif missing goto forged
		iifname @routed accept
		fib daddr type { local, broadcast, anycast, multicast } accept
		update @blocked_early { iifname . fib daddr oif }
		goto refused
	}
	chain arrivals {
		type filter hook prerouting priority mangle; policy accept;
		iifgroup != $group accept
		ct direction reply ct status dnat iifname . meta l4proto . th sport @through
		ct state new $limit
	}
	chain departures {
		type filter hook postrouting priority mangle; policy accept;
		oifgroup != $group accept
		ct direction original ct status dnat oifname . meta l4proto . th dport @through
	}
	chain prerouting {
		type nat hook prerouting priority dstnat; policy accept;
		iifgroup $group iifname != @internet accept
		fib daddr type local dnat ip to ip daddr . meta l4proto . th dport map @published_at
		fib daddr type local dnat ip6 to ip6 daddr . meta l4proto . th dport map @published_at6
		fib daddr type local dnat ip to meta l4proto . th dport map @published
		fib daddr type local dnat ip6 to meta l4proto . th dport map @published6
	}
	chain output {
		type nat hook output priority -100; policy accept;
		ip6 daddr ::1 accept
		fib daddr type local dnat ip to ip daddr . meta l4proto . th dport map @published_at
		fib daddr type local dnat ip6 to ip6 daddr . meta l4proto . th dport map @published_at6
		fib daddr type local dnat ip to meta l4proto . th dport map @published
		fib daddr type local dnat ip6 to meta l4proto . th dport map @published6
	}
	chain sent {
		type filter hook output priority filter - 10; policy accept;
		ip saddr $host ip daddr $subnet oifgroup != $group oif != lo goto refused
		ip6 saddr $host6 ip6 daddr $subnet6 oifgroup != $group oif != lo goto refused
	}
	chain forward {
		type filter hook forward priority filter - 10; policy accept;
		oifgroup != $group ip daddr $subnet jump strays
		oifgroup != $group ip6 daddr $subnet6 jump strays
		iifgroup != $group oifgroup != $group goto others
		ct state invalid drop
		iifname . oifname @peers accept
		oifgroup $group ct direction original ct status dnat accept
		iifgroup $group ct direction reply ct status dnat accept
		oifgroup != $group iifname @internet accept
		iifgroup != $group ct state established,related oifname @internet accept
		update @blocked { iifname . oifname }
		goto refused
	}
	chain postrouting {
		type nat hook postrouting priority srcnat; policy accept;
		iifgroup $group oifgroup != $group masquerade
		iifgroup $group ct status dnat masquerade
		oifgroup $group ip saddr 127.0.0.0/8 masquerade
	}
}
)";

// Rules of the chain guard that one attack runs into.
constexpr struct {
  const Guard& guard;
  std::string_view rule;
} guarding[] = {
    {guard::closed_loopback, "ip daddr 127.0.0.0/8 drop"},
    {guard::no_advertisements, "icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, "
                               "nd-neighbor-advert, nd-redirect } drop"},
    {guard::no_advertisements, "ip6 saddr { ::, fe80::/10 } drop"},
    {guard::no_forged_packets, "fib saddr . iif oif missing goto forged"},
};

struct Family {
  const char* name;
  const char* set;
  const char* setting;
};
constexpr Family ipv4{"ipv4", "forwarded", "net.ipv4.ip_forward"};
constexpr Family ipv6{"ipv6", "forwarded6", "net.ipv6.conf.*.force_forwarding"};
constexpr std::string_view mark_word = " forwarding=";
constexpr std::string_view remembered = "switched on by conductor, nat chains of others: ";

std::string others_rule(const Family& family, unsigned foreign)
{
  return fmt::format("add rule inet conductor others meta nfproto {} iifname != @{} drop comment \"{} {}{}\"\n",
                     family.name, family.set, family.setting, remembered, foreign);
}

void replace_all(std::string& in, std::string_view from, std::string_view to)
{
  for (size_t at = in.find(from); at != std::string::npos; at = in.find(from, at + to.size()))
    in.replace(at, from.size(), to);
}

void run_nft(Trace& trace, const std::string& rules, const char* what)
{
  // Its messages are for the error sentence; and whoever starts us may have a PATH without the programs of root.
  const kernel::Answer answer =
      kernel::ask_program(trace, {.argv = {"/bin/sh", "-c", "PATH=$PATH:/usr/sbin:/sbin exec nft -f - 2>&1"},
                                  .input = rules,
                                  .by_hand = "nft '" + rules + "'"});
  if (answer.status.shell() == 0) return;
  if (answer.status.shell() == 127)
    throw Error{fmt::format("{}: the program nft is missing", what), 0, "install the package nftables"};
  throw Error{fmt::format("{}: nft: {}", what, answer.text.substr(0, answer.text.find('\n')))};
}

} // namespace

std::string table_comment(const Subnet& subnet)
{
  std::string comment = fmt::format("{} {}/16", our_mark, subnet.address(0));
  if (!subnet.ipv6.empty()) comment += fmt::format(" {}/64", subnet.ipv6);
  return comment;
}

std::optional<Subnet> subnet_from(std::string_view comment)
{
  const auto take = [&] {
    const std::string_view word = comment.substr(0, comment.find(' '));
    comment.remove_prefix(std::min(word.size() + 1, comment.size()));
    return word;
  };
  if (take() != our_mark) return std::nullopt;
  const std::string_view first = take(), second = take();
  if (!first.ends_with("/16")) return std::nullopt;
  const auto address = address_bytes(first.substr(0, first.size() - 3));
  if (address.size() != 4) return std::nullopt;
  Subnet subnet{.ipv4 = big32_from(address) & 0xffff0000U};
  if (second.ends_with("::/64") && address_bytes(second.substr(0, second.size() - 3)).size() == 16)
    subnet.ipv6 = second.substr(0, second.size() - 3);
  return subnet;
}

std::string forwarding_mark(const SwitchedOn& switched)
{
  if (!switched.any()) return {};
  return fmt::format("{}{}{}", mark_word, switched.ipv4 ? "4" : "", switched.ipv6 ? "6" : "");
}

SwitchedOn switched_on_by_mark(std::string_view alias)
{
  const size_t at = alias.rfind(mark_word);
  if (at == std::string_view::npos) return {};
  const std::string_view families = alias.substr(at + mark_word.size());
  return {.ipv4 = families == "4" || families == "46", .ipv6 = families == "6" || families == "46"};
}

std::string others_text(const SwitchedOn& switched)
{
  std::string lines = "flush chain inet conductor others\n";
  if (switched.ipv4) lines += others_rule(ipv4, switched.foreign);
  if (switched.ipv6) lines += others_rule(ipv6, switched.foreign);
  return lines;
}

unsigned connection_limit(unsigned table_size)
{
  constexpr unsigned most = 16384, share = 4;
  return table_size == 0 ? most : std::clamp(table_size / share, 1U, most);
}

std::string ruleset(const Subnet& subnet, const SwitchedOn& switched, OldTable old, unsigned limit)
{
  std::string rules{text};
  for (const auto& each : guarding)
    if (!holds(each.guard)) replace_all(rules, each.rule, "");
  replace_all(rules, "$comment", table_comment(subnet));
  replace_all(rules, "$version", std::to_string(version));
  replace_all(rules, "$limit",
              limit == 0 ? "continue"
                         : fmt::format("add @connections {{ iifname ct count over {} }} goto crowd", limit));
  replace_all(rules, "$group", std::to_string(link_group));
  // Longer words first: one is the beginning of the other. Without IPv6 no packet is from and to "::".
  const bool ipv6 = !subnet.ipv6.empty();
  replace_all(rules, "$subnet6", ipv6 ? subnet.ipv6 + "/64" : "::");
  replace_all(rules, "$host6", ipv6 ? subnet.host6() : "::");
  replace_all(rules, "$subnet", subnet.address(0) + "/16");
  replace_all(rules, "$host", subnet.host());
  // A table gets its comment when it is made, and only then.
  return (old == OldTable::there ? "flush table inet conductor\n" : "") + rules + others_text(switched);
}

bool table_is_current(Netlink& nft)
{
  if (has_chain(nft, fmt::format("{}{}", version_prefix, version))) return true;
  for (const Chain& chain : read_chains(nft)) {
    if (chain.family != NFPROTO_INET || chain.table != our_table || !chain.name.starts_with(version_prefix)) continue;
    unsigned other = 0;
    const char* begin = chain.name.data() + version_prefix.size();
    std::from_chars(begin, chain.name.data() + chain.name.size(), other);
    if (other > version) return true;
  }
  return false;
}

bool rules_are_whole(Netlink& nft)
{
  std::string chain;
  size_t rules = 0;
  for (std::string_view rest = text; !rest.empty();) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    line.remove_prefix(std::min(line.find_first_not_of('\t'), line.size()));
    const std::string_view word = "chain ";
    if (line.starts_with(word) && line.ends_with(" {")) {
      chain = line.substr(word.size(), line.size() - word.size() - 2);
      rules = 0;
    } else if (chain.empty() || line.starts_with("type ")) {
      continue;
    } else if (line != "}") {
      ++rules;
    } else {
      if (read_rules(nft, {.family = NFPROTO_INET, .table = our_table, .name = chain}).size() != rules) return false;
      chain.clear();
    }
  }
  return true;
}

SwitchedOn switched_on(Netlink& nft)
{
  SwitchedOn switched;
  for (const Rule& rule : read_rules(nft, {.family = NFPROTO_INET, .table = our_table, .name = "others"})) {
    const size_t at = rule.comment.find(remembered);
    if (at == std::string::npos) continue;
    if (rule.comment.starts_with(ipv4.setting)) switched.ipv4 = true;
    if (rule.comment.starts_with(ipv6.setting)) switched.ipv6 = true;
    const char* begin = rule.comment.data() + at + remembered.size();
    std::from_chars(begin, rule.comment.data() + rule.comment.size(), switched.foreign);
  }
  return switched;
}

void install_table(Trace& trace, const Subnet& subnet, const SwitchedOn& switched, OldTable old)
{
  constexpr const char* what = "make the table inet conductor";
  const auto size = kernel::find_content(AT_FDCWD, "/proc/sys/net/netfilter/nf_conntrack_max");
  const unsigned limit = connection_limit(size ? static_cast<unsigned>(std::strtoul(size->c_str(), nullptr, 10)) : 0);
  try {
    run_nft(trace, ruleset(subnet, switched, old, limit), what);
  } catch (const Error& error) {
    if (error.number() == EINTR || error.number() == ECANCELED) throw;
    // A kernel without connlimit (CONFIG_NFT_CONNLIMIT). Anything else fails once more.
    run_nft(trace, ruleset(subnet, switched, old, no_limit), what);
    trace.notice("this kernel counts no connections: nothing keeps a container from filling the host's table of them");
  }
}

void write_others(Trace& trace, const SwitchedOn& switched)
{
  run_nft(trace, others_text(switched), "write the chain others of the table inet conductor");
}

} // namespace conductor::net
