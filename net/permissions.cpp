#include "net/permissions.h"

#include "core/base/error.h"
#include "net/link_writer.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <net/if.h>
#include <netinet/in.h>

namespace conductor::net {
namespace {

constexpr std::array<const char*, 8> permission_sets{"internet",     "peers",         "published", "published6",
                                                     "published_at", "published_at6", "through",   "routed"};

bool is_of_links(const Permission& each) { return !each.set.starts_with("published"); }

constexpr size_t ipv4_size = 4, ipv6_size = 16;

void put_port(std::vector<Permission>& all, const PublishedPort& port, const WantedLink& wanted, const Subnet& subnet,
              const std::string& comment)
{
  const Value outer = protocol_value(port.protocol) + port_value(port.outer);
  const Value inner = port_value(port.inner);
  const auto put = [&](const char* set, Value key, const std::string& address) {
    all.push_back({set, {.key = std::move(key), .data = address_value(address) + inner, .comment = comment}});
  };
  const bool every = port.host_address.empty();
  const bool every4 = every || port.host_address == "0.0.0.0", every6 = every || port.host_address == "::";
  if (every4) put("published", outer, subnet.address(wanted.index));
  if (every6 && !subnet.ipv6.empty()) put("published6", outer, subnet.address6(wanted.index));
  if (every4 || every6) {
    if (!every && every6 && subnet.ipv6.empty())
      throw Error{fmt::format("port {} cannot be published at {}: containers have no IPv6 on this host", port.outer,
                              port.host_address)};
    return;
  }
  const Value address = address_value(port.host_address);
  if (address.bytes.size() == ipv4_size) {
    put("published_at", address + outer, subnet.address(wanted.index));
    return;
  }
  if (address.bytes.size() != ipv6_size)
    throw Error{fmt::format("port {} cannot be published at '{}': that is no address", port.outer, port.host_address)};
  if (address.bytes == address_bytes("::1"))
    throw Error{fmt::format("port {} cannot be published at ::1: the kernel translates nothing there", port.outer), 0,
                "publish it at 127.0.0.1"};
  if (subnet.ipv6.empty())
    throw Error{fmt::format("port {} cannot be published at {}: containers have no IPv6 on this host", port.outer,
                            port.host_address)};
  put("published_at6", address + outer, subnet.address6(wanted.index));
}

bool same(const Permission& one, const Permission& other)
{
  return one.set == other.set && one.element.key == other.element.key && one.element.data == other.element.data;
}

bool holds(const std::vector<Permission>& all, const Permission& wanted)
{
  return std::any_of(all.begin(), all.end(), [&](const Permission& each) { return same(each, wanted); });
}

bool begins_with(const Value& value, const std::vector<std::byte>& bytes)
{
  return !bytes.empty() && value.bytes.size() >= bytes.size() &&
         std::equal(bytes.begin(), bytes.end(), value.bytes.begin());
}

std::string address_text(Bytes bytes)
{
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  ::inet_ntop(bytes.size() == ipv4_size ? AF_INET : AF_INET6, bytes.data(), buffer.data(), buffer.size());
  return buffer.data();
}

std::string port_text(Bytes bytes)
{
  return std::to_string(std::to_integer<unsigned>(bytes[0]) << 8 | std::to_integer<unsigned>(bytes[1]));
}

// What was read has bytes only; nft writes them like this.
void write_texts(std::string_view set, Element& element)
{
  constexpr size_t port_size = 4, protocol_size = 4;
  Bytes key{element.key.bytes}, data{element.data.bytes};
  if (data.empty()) {
    element.key.text = link_in(element.key, 0);
    if (set == "peers") element.key.text += " . " + link_in(element.key, 1);
    if (set == "through" && key.size() == IFNAMSIZ + protocol_size + port_size)
      element.key.text += (std::to_integer<int>(key[IFNAMSIZ]) == IPPROTO_UDP ? " . udp . " : " . tcp . ") +
                          port_text(key.last(port_size));
    return;
  }
  const size_t address =
      set.starts_with("published_at") ? key.size() - std::min(key.size(), port_size + protocol_size) : 0;
  if (key.size() < address + port_size + protocol_size || data.size() < ipv4_size + port_size) return;
  if (address != 0) element.key.text = address_text(key.first(address)) + " . ";
  element.key.text += std::to_integer<int>(key[address]) == IPPROTO_UDP ? "udp . " : "tcp . ";
  element.key.text += port_text(key.subspan(address + protocol_size));
  element.data.text = address_text(data.first(data.size() - port_size)) + " . " + port_text(data.last(port_size));
}

// "conductor <root-id> <container-id> web" -> "web"
std::string name_in(const std::string& comment)
{
  const size_t space = comment.rfind(' ');
  return space == std::string::npos ? comment : comment.substr(space + 1);
}

// "conductor <root-id> <container-id> web" -> "<root-id>"
std::string_view root_in(std::string_view comment)
{
  const size_t first = comment.find(' ');
  if (first == std::string_view::npos) return {};
  return comment.substr(first + 1, comment.find(' ', first + 1) - first - 1);
}

// "192.0.2.1 . tcp . 80" -> "192.0.2.1:80", "udp . 53" -> "53/udp"
std::string outer_text(const std::string& key)
{
  const size_t last = key.rfind(" . ");
  if (last == std::string::npos) return key;
  const size_t before = key.rfind(" . ", last - 1);
  const std::string port = key.substr(last + 3);
  const std::string address = before == std::string::npos ? "" : key.substr(0, before);
  const bool six = address.find(':') != std::string::npos;
  return (address.empty() ? ""
          : six           ? "[" + address + "]:"
                          : address + ":") +
         port + (key.substr(0, last).ends_with("udp") ? "/udp" : "");
}

} // namespace

bool is_routed(const WantedLink& wanted)
{
  return wanted.internet || !wanted.published.empty() || !wanted.peers.empty();
}

std::vector<Permission> permissions_of(std::string_view root_id, const WantedLink& wanted, const Subnet& subnet)
{
  std::vector<Permission> all;
  const std::string own = link_name(wanted.index);
  const std::string comment = fmt::format("{} {} {} {}", our_mark, root_id, wanted.container_id, wanted.name);
  if (wanted.internet) all.push_back({"internet", {.key = link_value(own), .comment = comment}});
  for (const LinkPeer& peer : wanted.peers) {
    if (peer.index == wanted.index) continue;
    const Value mine = link_value(own), theirs = link_value(link_name(peer.index));
    const std::string mark = fmt::format("{} {} ", our_mark, root_id);
    all.push_back({"peers", {.key = mine + theirs, .comment = mark + wanted.name + " " + peer.name}});
    all.push_back({"peers", {.key = theirs + mine, .comment = mark + peer.name + " " + wanted.name}});
  }
  for (const PublishedPort& port : wanted.published) put_port(all, port, wanted, subnet, comment);
  for (const PublishedPort& port : wanted.published) {
    const Permission counted{
        "through",
        {.key = link_value(own) + protocol_value(port.protocol) + port_value(port.inner), .comment = comment}};
    if (!holds(all, counted)) all.push_back(counted); // one port inside may be several outside
  }
  return all;
}

std::vector<Permission> read_permissions(Netlink& nft)
{
  std::vector<Permission> all;
  for (const char* set : permission_sets)
    for (Element& element : read_elements(nft, set)) {
      write_texts(set, element);
      all.push_back({set, std::move(element)});
    }
  return all;
}

std::vector<Permission> permissions_on(LinkIndex index, const std::vector<Permission>& all, const Subnet& subnet)
{
  const std::string own = link_name(index);
  const auto ipv4 = address_bytes(subnet.address(index)), ipv6 = address_bytes(subnet.address6(index));
  std::vector<Permission> found;
  for (const Permission& each : all) {
    const Value& key = each.element.key;
    if (each.set == "routed") continue; // follows from the others
    const bool is_its = is_of_links(each)
                            ? link_in(key, 0) == own || link_in(key, 1) == own
                            : begins_with(each.element.data, ipv4) || begins_with(each.element.data, ipv6);
    if (is_its) found.push_back(each);
  }
  return found;
}

Difference difference(const std::vector<Permission>& now, const std::vector<Permission>& wanted)
{
  Difference difference;
  for (const Permission& each : wanted)
    if (!holds(now, each) && !holds(difference.missing, each)) difference.missing.push_back(each);
  for (const Permission& each : now)
    if (!holds(wanted, each)) difference.extra.push_back(each);
  return difference;
}

void refuse_taken(const Difference& difference, const std::vector<Permission>& all)
{
  for (const Permission& wanted : difference.missing) {
    if (wanted.element.data.bytes.empty()) continue;
    const auto taken = std::find_if(all.begin(), all.end(), [&](const Permission& each) {
      return each.set == wanted.set && each.element.key == wanted.element.key;
    });
    // What is taken away in the same transaction is no hindrance.
    if (taken == all.end() || holds(difference.extra, *taken)) continue;
    const bool same_root = root_in(taken->element.comment) == root_in(wanted.element.comment);
    throw Error::relayed(fmt::format("port {} of this host leads to '{}'{} already",
                                     outer_text(wanted.element.key.text), name_in(taken->element.comment),
                                     same_root ? "" : " of another root"),
                         EADDRINUSE, "take another port of the host", 1);
  }
}

namespace {

constexpr size_t most_lookups = 64; // beyond that reading all is cheaper

Value routed_key(LinkIndex link) { return link_value(link_name(link)); }
std::string routed_comment(unsigned permissions) { return fmt::format("{} {}", our_mark, permissions); }

// None when the element of `routed` does not say how many.
std::optional<Standing::Count> read_count(Netlink& nft, LinkIndex link)
{
  const auto element = find_element(nft, "routed", routed_key(link));
  if (!element) return Standing::Count{};
  unsigned number = 0;
  const std::string_view prefix = our_mark;
  if (element->comment.size() > prefix.size() + 1)
    std::from_chars(element->comment.data() + prefix.size() + 1, element->comment.data() + element->comment.size(),
                    number);
  if (element->comment != routed_comment(number) || number == 0) return std::nullopt;
  return Standing::Count{number, element->comment};
}

// By the keys of `candidates`; none when that cannot be all.
std::optional<Standing> look_up(Netlink& nft, const std::vector<Permission>& candidates, LinkIndex index,
                                const Subnet& subnet)
{
  if (candidates.size() > most_lookups) return std::nullopt;
  Standing standing;
  for (const LinkIndex link : links_in({candidates, {}}, index)) {
    const auto count = read_count(nft, link);
    if (!count) return std::nullopt;
    standing.counts[link] = *count;
  }
  const unsigned expected = standing.counts[index].permissions;
  for (const Permission& each : candidates) {
    if (expected == 0 && is_of_links(each)) continue; // such keys are nobody else's
    auto found = find_element(nft, each.set, each.element.key);
    if (!found) continue;
    write_texts(each.set, *found);
    standing.near.push_back({each.set, std::move(*found)});
  }
  standing.own = permissions_on(index, standing.near, subnet);
  if (standing.own.size() != expected) return std::nullopt;
  return standing;
}

} // namespace

namespace {

// What has a key that either has or is to have; none when that is too much, or not to be told from the store.
std::optional<std::vector<Permission>> candidates_of(const WantedLink& had, const WantedLink& wanted,
                                                     const Subnet& subnet)
{
  if (had.published.size() + wanted.published.size() > most_lookups) return std::nullopt;
  std::vector<Permission> candidates = permissions_of({}, wanted, subnet);
  try {
    for (Permission& each : permissions_of({}, had, subnet)) {
      const auto is_it = [&](const Permission& other) {
        return other.set == each.set && other.element.key == each.element.key;
      };
      if (std::none_of(candidates.begin(), candidates.end(), is_it)) candidates.push_back(std::move(each));
    }
  } catch (const Error&) { // a port that cannot be published (any more)
    return std::nullopt;
  }
  return candidates;
}

} // namespace

Standing standing_of(Netlink& nft, const WantedLink& had, const WantedLink& wanted, const Subnet& subnet)
{
  if (const auto candidates = candidates_of(had, wanted, subnet))
    if (auto standing = look_up(nft, *candidates, wanted.index, subnet)) return std::move(*standing);
  std::vector<Permission> all = read_permissions(nft);
  std::vector<Permission> own = permissions_on(wanted.index, all, subnet);
  // What is withdrawn may concern links that nobody named.
  Standing standing = standing_among(all, links_in({permissions_of({}, wanted, subnet), own}, wanted.index), subnet);
  standing.own = std::move(own);
  standing.near = std::move(all);
  return standing;
}

Standing standing_among(const std::vector<Permission>& all, const std::vector<LinkIndex>& links, const Subnet& subnet)
{
  Standing standing;
  for (const LinkIndex link : links) {
    Standing::Count& count = standing.counts[link];
    count.permissions = static_cast<unsigned>(permissions_on(link, all, subnet).size());
    for (const Permission& each : all)
      if (each.set == "routed" && each.element.key == routed_key(link)) count.says = each.element.comment;
  }
  return standing;
}

bool leads_from_loopback(const std::vector<Permission>& permissions)
{
  constexpr auto loopback = std::byte{127};
  return std::any_of(permissions.begin(), permissions.end(), [](const Permission& each) {
    return each.set == "published" || (each.set == "published_at" && each.element.key.bytes.front() == loopback);
  });
}

bool has_ports(const std::vector<Permission>& permissions)
{
  return std::any_of(permissions.begin(), permissions.end(), [](const Permission& each) { return !is_of_links(each); });
}

unsigned count_after(const Standing& standing, const Difference& difference, LinkIndex link, const Subnet& subnet)
{
  const auto before = standing.counts.find(link);
  const size_t there = before == standing.counts.end() ? 0 : before->second.permissions;
  return static_cast<unsigned>(there + permissions_on(link, difference.missing, subnet).size() -
                               permissions_on(link, difference.extra, subnet).size());
}

std::vector<LinkIndex> links_in(const Difference& difference, LinkIndex index)
{
  std::vector<LinkIndex> links{index};
  for (const auto* half : {&difference.missing, &difference.extra})
    for (const Permission& each : *half)
      for (const size_t part : {0U, 1U}) {
        const LinkIndex link = is_of_links(each) ? link_index(link_in(each.element.key, part)) : LinkIndex{0};
        if (link != 0 && std::find(links.begin(), links.end(), link) == links.end()) links.push_back(link);
      }
  return links;
}

void add_routed(Difference& difference, const Standing& standing, const std::vector<LinkIndex>& links,
                const Subnet& subnet)
{
  for (const LinkIndex link : links) {
    const unsigned count = count_after(standing, difference, link, subnet);
    const auto before = standing.counts.find(link);
    const auto says = before == standing.counts.end() ? std::nullopt : before->second.says;
    if (says == (count == 0 ? std::nullopt : std::optional{routed_comment(count)})) continue;
    if (says) difference.extra.push_back({"routed", {.key = routed_key(link)}});
    if (count != 0)
      difference.missing.push_back({"routed", {.key = routed_key(link), .comment = routed_comment(count)}});
  }
}

std::vector<Permission> after(const std::vector<Permission>& all, const Difference& difference)
{
  std::vector<Permission> later;
  for (const Permission& each : all)
    if (!holds(difference.extra, each)) later.push_back(each);
  later.insert(later.end(), difference.missing.begin(), difference.missing.end());
  return later;
}

void apply(Trace& trace, Netlink& nft, const Difference& difference, const std::string& what)
{
  Transaction transaction;
  for (const Permission& each : difference.extra) transaction.remove(each.set, each.element);
  for (const Permission& each : difference.missing) transaction.add(each.set, each.element);
  transaction.commit(trace, nft, what);
}

} // namespace conductor::net
