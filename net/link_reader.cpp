#include "net/link_reader.h"

#include "core/base/error.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstddef>

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

namespace conductor::net {
namespace {

void take_counters(Bytes value, Link& link)
{
  const auto counters = structure_from<rtnl_link_stats64>(value);
  link.rx_bytes = counters.rx_bytes;
  link.tx_bytes = counters.tx_bytes;
  link.rx_packets = counters.rx_packets;
  link.tx_packets = counters.tx_packets;
  link.rx_dropped = counters.rx_dropped;
  link.tx_dropped = counters.tx_dropped;
}

std::string address_text(int family, Bytes value, unsigned prefix)
{
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  const size_t length = family == AF_INET ? 4 : 16;
  if (value.size() != length) return {};
  if (::inet_ntop(family, value.data(), buffer.data(), buffer.size()) == nullptr) return {};
  return std::string{buffer.data()} + "/" + std::to_string(prefix);
}

} // namespace

std::optional<Link> link_from(Bytes payload)
{
  if (payload.size() < sizeof(ifinfomsg)) return std::nullopt;
  const auto header = structure_from<ifinfomsg>(payload);
  Link link{.index = header.ifi_index, .flags = header.ifi_flags};
  for (const Attribute& attribute : Attributes{payload.subspan(sizeof(ifinfomsg))}) {
    switch (attribute.type) {
    case IFLA_IFNAME: link.name = text_from(attribute.value); break;
    case IFLA_IFALIAS: link.alias = text_from(attribute.value); break;
    case IFLA_GROUP: link.group = structure_from<uint32_t>(attribute.value); break;
    case IFLA_LINK: link.peer_index = structure_from<int>(attribute.value); break;
    case IFLA_LINK_NETNSID: link.peer_is_elsewhere = true; break;
    case IFLA_STATS64: take_counters(attribute.value, link); break;
    default: break;
    }
  }
  if (link.name.empty()) return std::nullopt;
  return link;
}

std::optional<Address> address_from(Bytes payload)
{
  if (payload.size() < sizeof(ifaddrmsg)) return std::nullopt;
  const auto header = structure_from<ifaddrmsg>(payload);
  if (header.ifa_family != AF_INET && header.ifa_family != AF_INET6) return std::nullopt;
  std::string local;
  std::string other;
  for (const Attribute& attribute : Attributes{payload.subspan(sizeof(ifaddrmsg))}) {
    if (attribute.type == IFA_LOCAL) local = address_text(header.ifa_family, attribute.value, header.ifa_prefixlen);
    if (attribute.type == IFA_ADDRESS) other = address_text(header.ifa_family, attribute.value, header.ifa_prefixlen);
  }
  // On a point-to-point link IFA_ADDRESS is the far end; IFA_LOCAL is absent where both are the same (IPv6).
  std::string text = local.empty() ? std::move(other) : std::move(local);
  if (text.empty()) return std::nullopt;
  return Address{static_cast<int>(header.ifa_index), std::move(text)};
}

std::optional<Mark> mark_from(std::string_view alias)
{
  const auto take = [&] {
    const std::string_view word = alias.substr(0, alias.find(' '));
    alias.remove_prefix(std::min(word.size() + 1, alias.size()));
    return word;
  };
  if (take() != "conductor") return std::nullopt;
  const std::string_view root = take(), container = take();
  if (root.empty() || container.empty()) return std::nullopt;
  if (root == "gone") return Mark{.root_id = {}, .container_id = container, .gone = true, .name = {}};
  return Mark{.root_id = root, .container_id = container, .gone = false, .name = take()};
}

std::vector<Link> read_links(Netlink& netlink, Counters counters)
{
  std::vector<Link> links;
  const ifinfomsg every{};
  Message request{RTM_GETLINK, NLM_F_DUMP};
  request.fixed(every);
  if (counters == Counters::without) request.value(IFLA_EXT_MASK, uint32_t{RTEXT_FILTER_SKIP_STATS});
  netlink.dump(
      "read the links by rtnetlink", request, [&] { links.clear(); },
      [&](uint16_t type, Bytes payload) {
        if (type != RTM_NEWLINK) return;
        if (auto link = link_from(payload)) links.push_back(std::move(*link));
      });
  return links;
}

std::optional<Link> find_link(Netlink& netlink, const std::string& name)
{
  std::optional<Link> found;
  const ifinfomsg any{};
  Message request{RTM_GETLINK, NLM_F_ACK};
  request.fixed(any).text(IFLA_IFNAME, name).value(IFLA_EXT_MASK, uint32_t{RTEXT_FILTER_SKIP_STATS});
  const std::string what = "look for the link " + name;
  const int error = netlink.ask(what, request, [&](uint16_t type, Bytes payload) {
    if (type == RTM_NEWLINK) found = link_from(payload);
  });
  if (error != 0 && error != ENODEV) throw Error{what, error};
  return found;
}

std::vector<Address> read_addresses(Netlink& netlink)
{
  std::vector<Address> addresses;
  const ifaddrmsg every{};
  Message request{RTM_GETADDR, NLM_F_DUMP};
  request.fixed(every);
  netlink.dump(
      "read the addresses by rtnetlink", request, [&] { addresses.clear(); },
      [&](uint16_t type, Bytes payload) {
        if (type != RTM_NEWADDR) return;
        if (auto address = address_from(payload)) addresses.push_back(std::move(*address));
      });
  return addresses;
}

std::vector<Interface> interfaces_from(const std::vector<Link>& inside, const std::vector<Address>& addresses,
                                       const std::vector<Link>& host)
{
  std::vector<Interface> interfaces;
  interfaces.reserve(inside.size());
  for (const Link& link : inside) {
    Interface interface {
      .name = link.name, .up = (link.flags & IFF_UP) != 0, .rx_bytes = link.rx_bytes, .tx_bytes = link.tx_bytes,
      .rx_packets = link.rx_packets, .tx_packets = link.tx_packets, .rx_dropped = link.rx_dropped,
      .tx_dropped = link.tx_dropped
    };
    const auto other_end = std::find_if(host.begin(), host.end(), [&](const Link& each) {
      return link.peer_is_elsewhere && each.peer_is_elsewhere && each.index == link.peer_index &&
             each.peer_index == link.index;
    });
    if (other_end != host.end()) interface.host_interface = other_end->name;
    for (const Address& address : addresses)
      if (address.index == link.index) interface.addresses.push_back(address.text);
    interfaces.push_back(std::move(interface));
  }
  return interfaces;
}

namespace {

std::string_view take_line(std::string_view& text)
{
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

std::string_view take_word(std::string_view& line)
{
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  return word;
}

template <class Number>
Number number_from(std::string_view word, int base = 10)
{
  Number number = 0;
  std::from_chars(word.data(), word.data() + word.size(), number, base);
  return number;
}

// "lo: bytes packets errs drop fifo frame compressed multicast bytes packets errs drop ..."
std::optional<Interface> interface_from_line(std::string_view line)
{
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view name = line.substr(0, colon);
  std::string_view counters = line.substr(colon + 1);
  std::array<uint64_t, 12> numbers{};
  for (uint64_t& number : numbers) number = number_from<uint64_t>(take_word(counters));
  return Interface{.name = std::string{take_word(name)},
                   .up = true,
                   .rx_bytes = numbers[0],
                   .tx_bytes = numbers[8],
                   .rx_packets = numbers[1],
                   .tx_packets = numbers[9],
                   .rx_dropped = numbers[3],
                   .tx_dropped = numbers[11]};
}

// Leaves of the trie are "|-- ADDRESS", their entries stand below: "/32 host LOCAL" is an address of a link.
std::vector<std::string> local_addresses(std::string_view fib_trie)
{
  std::vector<std::string> all;
  std::string_view leaf;
  while (!fib_trie.empty()) {
    std::string_view line = take_line(fib_trie);
    const std::string_view first = take_word(line), second = take_word(line), third = take_word(line);
    if (first == "|--")
      leaf = second;
    else if (first == "/32" && second == "host" && third == "LOCAL" &&
             std::find(all.begin(), all.end(), leaf) == all.end())
      all.emplace_back(leaf);
  }
  return all;
}

} // namespace

std::vector<Interface> interfaces_from_proc(std::string_view dev, std::string_view if_inet6, std::string_view fib_trie)
{
  std::vector<Interface> interfaces;
  while (!dev.empty())
    if (auto interface = interface_from_line(take_line(dev))) interfaces.push_back(std::move(*interface));
  for (const std::string& address : local_addresses(fib_trie)) {
    const bool loops = address.starts_with("127.");
    const auto can_have_it = [&](const Interface& interface) { return (interface.name == "lo") == loops; };
    const auto owner = std::find_if(interfaces.begin(), interfaces.end(), can_have_it);
    if (owner != interfaces.end() && std::none_of(owner + 1, interfaces.end(), can_have_it))
      owner->addresses.push_back(address);
  }
  // "00000000000000000000000000000001 01 80 10 80 lo": address, index, prefix length (hexadecimal), scope, flags, name
  while (!if_inet6.empty()) {
    std::string_view line = take_line(if_inet6);
    const std::string_view digits = take_word(line);
    take_word(line);
    const auto prefix = number_from<unsigned>(take_word(line), 16);
    take_word(line);
    take_word(line);
    const std::string_view name = take_word(line);
    std::array<uint8_t, 16> address{};
    if (digits.size() != 2 * address.size()) continue;
    for (size_t i = 0; i < address.size(); ++i) address[i] = number_from<uint8_t>(digits.substr(2 * i, 2), 16);
    for (Interface& interface : interfaces)
      if (interface.name == name)
        interface.addresses.push_back(address_text(AF_INET6, std::as_bytes(std::span{address}), prefix));
  }
  return interfaces;
}

std::optional<LinkCounters> counters_from(Bytes payload)
{
  if (payload.size() < sizeof(if_stats_msg)) return std::nullopt;
  const auto header = structure_from<if_stats_msg>(payload);
  const Bytes value = attribute_in(payload.subspan(sizeof(if_stats_msg)), IFLA_STATS_LINK_64);
  if (value.empty()) return std::nullopt;
  // The beginning of rtnl_link_stats64, which has 200 bytes; this is done for each link, twice a second.
  struct Beginning {
    uint64_t rx_packets, tx_packets, rx_bytes, tx_bytes;
  };
  static_assert(offsetof(Beginning, tx_bytes) == offsetof(rtnl_link_stats64, tx_bytes));
  const auto counters = structure_from<Beginning>(value);
  return LinkCounters{static_cast<int>(header.ifindex), counters.rx_bytes, counters.tx_bytes};
}

std::vector<LinkCounters> read_counters(Netlink& netlink)
{
  std::vector<LinkCounters> all;
  if_stats_msg every{};
  every.filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64);
  Message request{RTM_GETSTATS, NLM_F_DUMP};
  request.fixed(every);
  netlink.dump(
      "read the counters of the links", request, [&] { all.clear(); },
      [&](uint16_t type, Bytes payload) {
        if (type != RTM_NEWSTATS) return;
        if (const auto counters = counters_from(payload)) all.push_back(*counters);
      });
  return all;
}

} // namespace conductor::net
