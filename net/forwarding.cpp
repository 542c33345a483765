#include "net/forwarding.h"

#include "core/base/error.h"
#include "core/kernel/files.h"
#include "net/link_reader.h"
#include "net/link_writer.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/netconf.h>
#include <linux/netfilter.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

namespace conductor::net {
namespace {

constexpr const char* ip_forward = "/proc/sys/net/ipv4/ip_forward";

std::string setting6(const std::string& link, const char* name)
{
  return fmt::format("/proc/sys/net/ipv6/conf/{}/{}", link, name);
}

bool is_on(const std::string& path)
{
  const auto content = kernel::find_content(AT_FDCWD, path);
  return content && !content->empty() && content->front() != '0';
}

// A nat chain with rules behind the routing: somebody translates what is forwarded.
unsigned foreign_nat_chains(Netlink& nft, const Firewalls& others)
{
  unsigned count = 0;
  for (const Chain& chain : others.chains) {
    if (!chain.is_base || chain.type != "nat" || chain.hook != NF_INET_POST_ROUTING) continue;
    if (chain.family == NFPROTO_INET && chain.table == our_table) continue;
    if (!read_rules(nft, chain).empty()) ++count;
  }
  if (others.legacy4.find("nat\n") != std::string::npos) ++count;
  return count;
}

bool among(const std::vector<int>& all, int one) { return std::find(all.begin(), all.end(), one) != all.end(); }

bool is_loopback(const Link& link) { return (link.flags & IFF_LOOPBACK) != 0; }

// What stands in `forwarded` while others is closed.
void remember(Trace& trace, Netlink& nft, const char* set, const std::vector<std::string>& links)
{
  Transaction transaction;
  for (const std::string& link : links)
    transaction.add(set, {.key = link_value(link), .comment = "forwarded before conductor switched it on"});
  transaction.commit(trace, nft, "remember which links forwarded");
}

std::vector<std::string> remembered(Netlink& nft, const char* set)
{
  std::vector<std::string> links;
  for (const Element& element : read_elements(nft, set)) links.push_back(link_in(element.key, 0));
  return links;
}

bool named(const std::vector<std::string>& all, const std::string& one)
{
  return std::find(all.begin(), all.end(), one) != all.end();
}

void switch_on_ipv4(Trace& trace, Netlink& route, const std::vector<Link>& links, const std::vector<int>& forwarding)
{
  kernel::write_value(trace, AT_FDCWD, ip_forward, "1");
  // That switched every link on; ours say for themselves.
  for (const Link& link : links)
    if (link.group == link_group && link_index(link.name) != 0 && !among(forwarding, link.index))
      forbid_forwarding(trace, route, link_index(link.name));
  trace.notice(
      "net.ipv4.ip_forward is 1 now, it was 0: containers reach other networks. For nobody else does this host "
      "forward (chain others of the table inet conductor)");
}

// Every link that is not ours, and those to come.
void force_ipv6(Trace& trace, const std::vector<Link>& links, const std::vector<std::string>& except, bool on)
{
  std::vector<std::string> names{"default"};
  for (const Link& link : links)
    if (link.group != link_group && !is_loopback(link)) names.push_back(link.name);
  for (const std::string& name : names) {
    if (named(except, name) || is_on(setting6(name, "force_forwarding")) == on) continue;
    try {
      kernel::write_value(trace, AT_FDCWD, setting6(name, "force_forwarding"), on ? "1" : "0");
    } catch (const Error& error) {
      if (error.number() != ENOENT) throw; // gone meanwhile
    }
  }
}

std::string place_of(const SwitchedOn& switched)
{
  std::string place = switched.ipv4 ? "net.ipv4.ip_forward" : "";
  if (switched.ipv6) place += std::string{place.empty() ? "" : ", "} + "net.ipv6.conf.*.force_forwarding";
  return place;
}

} // namespace

std::vector<int> links_forwarding(Netlink& route)
{
  std::vector<int> found;
  netconfmsg header{};
  header.ncm_family = AF_INET;
  Message request{RTM_GETNETCONF, NLM_F_DUMP};
  request.fixed(header);
  route.dump(
      "read which links forward", request, [&] { found.clear(); },
      [&](uint16_t type, Bytes payload) {
        if (type != RTM_NEWNETCONF || payload.size() < sizeof(netconfmsg)) return;
        const Bytes attributes = payload.subspan((sizeof(netconfmsg) + 3) & ~size_t{3});
        const int link = structure_from<int>(attribute_in(attributes, NETCONFA_IFINDEX));
        if (link > 0 && structure_from<int>(attribute_in(attributes, NETCONFA_FORWARDING)) != 0) found.push_back(link);
      });
  return found;
}

Forwarding6 forwarding6()
{
  if (is_on(setting6("all", "forwarding"))) return Forwarding6::by_itself;
  return kernel::exists(AT_FDCWD, setting6("all", "force_forwarding")) ? Forwarding6::by_link : Forwarding6::none;
}

std::optional<bool> new_links_forward_ipv6()
{
  const auto content = kernel::find_content(AT_FDCWD, setting6("default", "force_forwarding"));
  return content ? std::optional{content->starts_with('1')} : std::nullopt;
}

bool forwarding_is_on(bool ipv6)
{
  if (!is_on(ip_forward)) return false;
  return !ipv6 || forwarding6() != Forwarding6::by_link || is_on(setting6("default", "force_forwarding"));
}

SwitchedOn switch_on(Trace& trace, Netlink& route, Netlink& nft, const Firewalls& others, SwitchedOn switched,
                     bool ipv6)
{
  const bool needs4 = !is_on(ip_forward);
  // Links to come have it from `default`; so where that is on, they all have it.
  const bool by_link = ipv6 && forwarding6() == Forwarding6::by_link &&
                       !(switched.ipv6 && is_on(setting6("default", "force_forwarding")));
  if (!needs4 && !by_link) return switched;
  const std::vector<Link> links = read_links(route, Counters::without);
  const std::vector<int> forwarding = needs4 ? links_forwarding(route) : std::vector<int>{};

  const bool closes4 = needs4 && !switched.ipv4, closes6 = by_link && !switched.ipv6;
  if (closes4 || closes6) {
    std::vector<std::string> before4, before6;
    for (const Link& link : links) {
      if (link.group == link_group || is_loopback(link)) continue;
      if (among(forwarding, link.index)) before4.push_back(link.name);
      if (is_on(setting6(link.name, "force_forwarding"))) before6.push_back(link.name);
    }
    if (is_on(setting6("default", "force_forwarding"))) before6.emplace_back("default");
    if (closes4) remember(trace, nft, "forwarded", before4);
    if (closes6) remember(trace, nft, "forwarded6", before6);
    if (!switched.any()) switched.foreign = foreign_nat_chains(nft, others);
    switched.ipv4 = switched.ipv4 || closes4;
    switched.ipv6 = switched.ipv6 || closes6;
    // Closed first: not for a moment is this host a router for others.
    write_others(trace, switched);
    for (const Link& link : links)
      if (link.group == link_group && link_index(link.name) != 0 && !switched_on_by_mark(link.alias).any())
        append_mark(trace, route, link_index(link.name), link.alias, forwarding_mark(switched));
  }
  if (needs4) switch_on_ipv4(trace, route, links, forwarding);
  if (by_link) force_ipv6(trace, links, {}, true);
  return switched;
}

void switch_off(Trace& trace, Netlink& route, Netlink& nft)
{
  const SwitchedOn switched = switched_on(nft);
  if (!switched.any()) return;
  if (foreign_nat_chains(nft, read_firewalls(nft)) > switched.foreign) {
    trace.notice(place_of(switched) + " stays on, since others translate addresses by now; conductor switched it on");
    return;
  }
  const std::vector<Link> links = read_links(route, Counters::without);
  if (switched.ipv6) force_ipv6(trace, links, remembered(nft, "forwarded6"), false);
  if (!switched.ipv4 || !is_on(ip_forward)) return;
  const std::vector<std::string> before = remembered(nft, "forwarded");
  kernel::write_value(trace, AT_FDCWD, ip_forward, "0");
  for (const std::string& link : before) {
    const std::string path = fmt::format("/proc/sys/net/ipv4/conf/{}/forwarding", link);
    if (kernel::exists(AT_FDCWD, path)) kernel::write_value(trace, AT_FDCWD, path, "1");
  }
}

bool yield_to_others(Trace& trace, Netlink& nft, const Firewalls& others, const SwitchedOn& switched)
{
  if (!switched.any() || foreign_nat_chains(nft, others) <= switched.foreign) return false;
  write_others(trace, {});
  trace.notice("others translate addresses by now, so this host forwards for them too: " + place_of(switched) +
               " stays on when conductor's containers have gone");
  return true;
}

std::vector<NetworkRemark> forwarding_remarks(Netlink& nft)
{
  std::vector<NetworkRemark> remarks;
  const SwitchedOn switched = switched_on(nft);
  if (switched.any())
    remarks.push_back({.kind = NetworkRemark::Kind::changed,
                       .cured = true,
                       .place = place_of(switched),
                       .sentence = "switched on by conductor; the chain others of the table inet conductor keeps this "
                                   "host from forwarding for anybody else",
                       .hint = "it is switched off again with the last container's network"});
  return remarks;
}

} // namespace conductor::net
