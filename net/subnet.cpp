#include "net/subnet.h"

#include "core/base/error.h"
#include "core/kernel/files.h"
#include "net/link_writer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

namespace conductor::net {
namespace {

// Of 10.N.0.0/16: k3s uses 42 and 43, podman 88 and 89, kubernetes 96 and 244.
constexpr unsigned first_block = 20, last_block = 219;
constexpr std::array<unsigned, 6> liked_by_others{42, 43, 88, 89, 96, 244};
constexpr unsigned slash_16 = 16;

// FNV-1a. Only the choice of a start needs it, so it need not be a good one; it must stay the same for good.
uint64_t hash_of(std::string_view text)
{
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char each : text) hash = (hash ^ static_cast<unsigned char>(each)) * 0x100000001b3ULL;
  return hash;
}

Prefix prefix_of(uint32_t ipv4, unsigned length)
{
  const uint32_t big = htonl(ipv4);
  const Bytes bytes = bytes_of(big);
  return {.address = {bytes.begin(), bytes.end()}, .length = length};
}

bool is_free(const Prefix& candidate, const std::vector<Prefix>& taken)
{
  return std::none_of(taken.begin(), taken.end(), [&](const Prefix& each) { return overlap(each, candidate); });
}

// All /16 to try, in order.
std::vector<uint32_t> candidates(uint64_t seed, std::string_view pool)
{
  std::vector<uint32_t> all;
  if (pool.empty()) {
    constexpr unsigned count = last_block - first_block + 1;
    for (unsigned i = 0; i < count; ++i) {
      const unsigned block = first_block + static_cast<unsigned>((seed + i) % count);
      if (std::find(liked_by_others.begin(), liked_by_others.end(), block) == liked_by_others.end())
        all.push_back(10U << 24 | block << 16);
    }
    for (unsigned block = 20; block <= 31; ++block) all.push_back(172U << 24 | block << 16);
    return all;
  }
  const size_t slash = pool.find('/');
  const auto address = address_bytes(pool.substr(0, slash));
  unsigned length = 0;
  if (slash != std::string_view::npos) {
    const std::string_view digits = pool.substr(slash + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    if (error != std::errc{} || end != digits.data() + digits.size()) length = 0;
  }
  // This host's own, and those that name no host (RFC 6890).
  const uint32_t network = address.size() == 4 ? big32_from(address) >> 24 : 0;
  const bool reserved = network == 0 || network == 127 || network >= 224;
  if (address.size() != 4 || length < 8 || length > slash_16 || reserved)
    throw Error{fmt::format("the network pool '{}' cannot be used", pool), 0,
                "network_pool is an IPv4 network from /8 to /16, as in 10.83.0.0/16"};
  const uint32_t count = 1U << (slash_16 - length);
  const uint32_t first = big32_from(address) & ~((count << 16) - 1);
  for (uint32_t i = 0; i < count; ++i) all.push_back(first + (static_cast<uint32_t>(seed + i) % count << 16));
  return all;
}

// fdXX:XXXX:XXXX::/64 (RFC 4193) out of the machine id. No group is 0, so there is one way to write it.
std::string unique_local(uint64_t seed)
{
  return fmt::format("fd{:02x}:{:x}:{:x}::", seed >> 32 & 0xff, (seed >> 16 & 0xffff) | 0x8000,
                     (seed & 0xffff) | 0x8000);
}

void take_prefix(std::vector<Prefix>& all, Bytes address, unsigned length, int link)
{
  if (length == 0 || (address.size() != 4 && address.size() != 16) || length > address.size() * 8) return;
  all.push_back({.address = {address.begin(), address.end()}, .length = length, .link = link});
}

} // namespace

std::string Prefix::text() const
{
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  ::inet_ntop(address.size() == 4 ? AF_INET : AF_INET6, address.data(), buffer.data(), buffer.size());
  return fmt::format("{}/{}", buffer.data(), length);
}

bool overlap(const Prefix& one, const Prefix& other)
{
  if (one.address.size() != other.address.size()) return false;
  const unsigned bits = std::min(one.length, other.length);
  const unsigned whole = bits / 8, rest = bits % 8;
  if (!std::equal(one.address.begin(), one.address.begin() + whole, other.address.begin())) return false;
  if (rest == 0) return true;
  const auto mask = static_cast<std::byte>(0xff << (8 - rest));
  return (one.address[whole] & mask) == (other.address[whole] & mask);
}

std::optional<Prefix> route_from(Bytes payload)
{
  if (payload.size() < sizeof(rtmsg)) return std::nullopt;
  const auto header = structure_from<rtmsg>(payload);
  if (header.rtm_type == RTN_MULTICAST || header.rtm_type == RTN_BROADCAST) return std::nullopt;
  const Bytes attributes = payload.subspan(sizeof(rtmsg));
  std::vector<Prefix> found;
  take_prefix(found, attribute_in(attributes, RTA_DST), header.rtm_dst_len,
              structure_from<int>(attribute_in(attributes, RTA_OIF)));
  if (found.empty()) return std::nullopt;
  return std::move(found.front());
}

std::vector<Prefix> rule_from_payload(Bytes payload)
{
  std::vector<Prefix> found;
  if (payload.size() < sizeof(fib_rule_hdr)) return found;
  const auto header = structure_from<fib_rule_hdr>(payload);
  const Bytes attributes = payload.subspan(sizeof(fib_rule_hdr));
  take_prefix(found, attribute_in(attributes, FRA_SRC), header.src_len, 0);
  take_prefix(found, attribute_in(attributes, FRA_DST), header.dst_len, 0);
  return found;
}

std::vector<Prefix> read_prefixes(Netlink& route)
{
  std::vector<Prefix> all;
  for (const int family : {AF_INET, AF_INET6}) {
    std::vector<Prefix> routes;
    rtmsg every{};
    every.rtm_family = static_cast<unsigned char>(family);
    Message request{RTM_GETROUTE, NLM_F_DUMP};
    request.fixed(every);
    route.dump(
        "read the routes", request, [&] { routes.clear(); },
        [&](uint16_t type, Bytes payload) {
          if (type != RTM_NEWROUTE) return;
          if (auto prefix = route_from(payload)) routes.push_back(std::move(*prefix));
        });
    std::vector<Prefix> rules;
    fib_rule_hdr every_rule{};
    every_rule.family = static_cast<__u8>(family);
    Message rule_request{RTM_GETRULE, NLM_F_DUMP};
    rule_request.fixed(every_rule);
    try {
      route.dump(
          "read the routing rules", rule_request, [&] { rules.clear(); },
          [&](uint16_t type, Bytes payload) {
            if (type != RTM_NEWRULE) return;
            for (Prefix& each : rule_from_payload(payload)) rules.push_back(std::move(each));
          });
    } catch (const Error& error) {
      if (error.number() != EOPNOTSUPP && error.number() != EAFNOSUPPORT) throw; // a kernel without such rules
    }
    all.insert(all.end(), routes.begin(), routes.end());
    all.insert(all.end(), rules.begin(), rules.end());
  }
  return all;
}

Subnet choose_subnet(const std::vector<Prefix>& taken, std::string_view machine_id, std::string_view pool, bool ipv6)
{
  const uint64_t seed = hash_of(machine_id);
  for (const uint32_t candidate : candidates(seed, pool)) {
    if (!is_free(prefix_of(candidate, slash_16), taken)) continue;
    Subnet subnet{.ipv4 = candidate};
    for (uint64_t i = 0; ipv6 && subnet.ipv6.empty(); ++i) {
      const std::string local = unique_local(seed + i);
      if (is_free({.address = address_bytes(local), .length = 64}, taken)) subnet.ipv6 = local;
    }
    return subnet;
  }
  throw Error{pool.empty() ? std::string{"no private network of /16 is free on this host"}
                           : fmt::format("no network of /16 in the pool {} is free on this host", pool),
              0, "see ip route show table all; network_pool in the configuration names another one"};
}

std::vector<Prefix> prefixes_of(const Subnet& subnet)
{
  std::vector<Prefix> all{prefix_of(subnet.ipv4, slash_16)};
  if (!subnet.ipv6.empty()) all.push_back({.address = address_bytes(subnet.ipv6), .length = 64});
  return all;
}

bool kernel_has_ipv6() { return kernel::exists(AT_FDCWD, "/proc/thread-self/net/if_inet6"); }

bool host_has_ipv6()
{
  if (!kernel_has_ipv6()) return false;
  for (const char* which : {"all", "default"}) {
    const auto off = kernel::find_content(AT_FDCWD, fmt::format("/proc/sys/net/ipv6/conf/{}/disable_ipv6", which));
    if (off && off->starts_with('1')) return false;
  }
  return true;
}

std::string machine_id() { return kernel::find_content(AT_FDCWD, "/etc/machine-id").value_or(""); }

} // namespace conductor::net
