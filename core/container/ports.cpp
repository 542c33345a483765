#include "core/container/ports.h"

#include "core/base/error.h"
#include "core/container/spec.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>
#include <tuple>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>

namespace conductor {
namespace {

constexpr std::string_view right = "80-8080 (INNER-OUTER), 53-5353/udp, 80-127.0.0.1:8080, 8000..8010-9000..9010";
constexpr std::array<std::string_view, 2> protocols{"tcp", "udp"};

struct Range {
  uint16_t first = 0, last = 0;
  size_t size() const { return size_t{last} - first + 1; }
};

std::optional<uint16_t> port_number(std::string_view text)
{
  uint16_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || value == 0) return std::nullopt;
  return value;
}

// What is wrong with one value of an option, said with the value in front.
class Refusing {
public:
  Refusing(std::string_view option, std::string_view text)
      : attempt_(fmt::format("{}: '{}'", option, visible(text, 200)))
  {}
  [[noreturn]] void operator()(std::string_view why,
                               std::string hint = std::string{"as in "} + std::string{right}) const
  {
    throw usage_error(fmt::format("{} {}", attempt_, why), std::move(hint));
  }

private:
  std::string attempt_;
};

Range parse_range(std::string_view text, const Refusing& refuse)
{
  const size_t dots = text.find("..");
  const auto first = port_number(text.substr(0, dots));
  const auto last = dots == std::string_view::npos ? first : port_number(text.substr(dots + 2));
  if (!first || !last) refuse(fmt::format("has no port where '{}' stands: ports are 1 to 65535", visible(text)));
  if (*last < *first) refuse(fmt::format("has a range that runs backwards: {}", visible(text)));
  return {.first = *first, .last = *last};
}

// In its normal form. Some addresses are understood, and cannot be what is wanted.
std::string parse_address(std::string text, const Refusing& refuse)
{
  std::array<char, INET6_ADDRSTRLEN> normal{};
  in_addr four{};
  in6_addr six{};
  const bool bracketed = text.starts_with('[') && text.ends_with(']');
  if (bracketed) {
    text = text.substr(1, text.size() - 2);
    if (::inet_pton(AF_INET6, text.c_str(), &six) != 1)
      refuse(fmt::format("has no IPv6 address where '{}' stands", visible(text)));
    if (IN6_IS_ADDR_LOOPBACK(&six))
      refuse("is not possible: the kernel never sends on what comes to [::1]",
             "127.0.0.1 is, or leave the address out");
    if (IN6_IS_ADDR_UNSPECIFIED(&six)) refuse("means every address of the host", "leave the address out for that");
    if (IN6_IS_ADDR_MULTICAST(&six) || IN6_IS_ADDR_LINKLOCAL(&six) || IN6_IS_ADDR_V4MAPPED(&six))
      refuse("names no address that a host is reached at from elsewhere", "a global or a unique local address");
    ::inet_ntop(AF_INET6, &six, normal.data(), normal.size());
    return normal.data();
  }
  if (::inet_pton(AF_INET, text.c_str(), &four) != 1) {
    if (text.find(':') != std::string::npos)
      refuse("has an IPv6 address without brackets", "as in 80-[2001:db8::1]:8080");
    refuse(fmt::format("has no address where '{}' stands", visible(text)));
  }
  const uint32_t value = ntohl(four.s_addr);
  if (value == 0) refuse("means every address of the host", "leave the address out for that");
  if (value >> 24 == 0 || value >> 28 >= 0xe) refuse("names no address of a host");
  ::inet_ntop(AF_INET, &four, normal.data(), normal.size());
  return normal.data();
}

std::string parse_protocol(std::string_view& text, const Refusing& refuse)
{
  const size_t slash = text.rfind('/');
  if (slash == std::string_view::npos) return "tcp";
  const std::string_view name = text.substr(slash + 1);
  if (std::find(protocols.begin(), protocols.end(), name) == protocols.end())
    refuse(fmt::format("has '{}' behind the slash, and only tcp and udp can be published", visible(name)));
  text = text.substr(0, slash);
  return std::string{name};
}

std::string dashes_to_dots(std::string_view range)
{
  std::string text{range};
  if (const size_t dash = text.find('-'); dash != std::string::npos) text.replace(dash, 1, "..");
  return text;
}

bool is_docker_range(std::string_view text)
{
  const size_t dash = text.find('-');
  if (dash == std::string_view::npos) return port_number(text).has_value();
  return port_number(text.substr(0, dash)) && port_number(text.substr(dash + 1));
}

} // namespace

std::string from_docker(std::string_view text)
{
  std::string_view rest = text;
  std::string protocol;
  if (const size_t slash = rest.rfind('/'); slash != std::string_view::npos) {
    protocol = rest.substr(slash) == "/tcp" ? "" : std::string{rest.substr(slash)};
    rest = rest.substr(0, slash);
  }
  const size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos) {
    return is_docker_range(rest) && rest.find('-') == std::string_view::npos ? fmt::format("{0}-{0}{1}", rest, protocol)
                                                                             : std::string{};
  }
  const std::string_view inner = rest.substr(colon + 1);
  rest = rest.substr(0, colon);
  const size_t before = rest.rfind(':');
  const std::string_view outer = before == std::string_view::npos ? rest : rest.substr(before + 1);
  if (!is_docker_range(inner) || !is_docker_range(outer)) return {};
  std::string_view address = before == std::string_view::npos ? std::string_view{} : rest.substr(0, before);
  if (address == "0.0.0.0" || address == "[::]") address = {};
  return fmt::format("{}-{}{}{}{}", dashes_to_dots(inner), address, address.empty() ? "" : ":", dashes_to_dots(outer),
                     protocol);
}

std::vector<PublishedPort> parse_ports(std::string_view text, std::string_view option)
{
  const Refusing refuse{option, text};
  std::string_view rest = text;
  const auto other_order = [&] {
    const std::string spelling = from_docker(text);
    return spelling.empty() ? std::string{"as in "} + std::string{right}
                            : fmt::format("the container's port stands first: {} {}", option, spelling);
  };
  PublishedPort port{.protocol = parse_protocol(rest, refuse), .host_address = {}};
  const size_t dash = rest.find('-');
  if (dash == std::string_view::npos || (rest.find(':') != std::string_view::npos && rest.find(':') > dash &&
                                         rest.find('-', dash + 1) != std::string_view::npos))
    refuse("is not INNER-OUTER", other_order());
  const std::string_view inner = rest.substr(0, dash);
  std::string_view outer = rest.substr(dash + 1);
  const size_t colon = outer.rfind(':');
  if (outer.starts_with('[') && (colon == std::string_view::npos || outer.find(']') > colon))
    refuse("has no port behind its address");
  if (colon != std::string_view::npos) {
    port.host_address = parse_address(std::string{outer.substr(0, colon)}, refuse);
    outer = outer.substr(colon + 1);
  }
  const Range inside = parse_range(inner, refuse);
  const Range outside = parse_range(outer, refuse);
  if (inside.size() != outside.size())
    refuse(fmt::format("has {} ports inside and {} outside", inside.size(), outside.size()));
  if (inside.size() > most_ports)
    refuse(fmt::format("is {} ports, and a container publishes at most {}", inside.size(), most_ports));
  std::vector<PublishedPort> ports;
  for (size_t at = 0; at < inside.size(); ++at) {
    port.inner = static_cast<uint16_t>(inside.first + at);
    port.outer = static_cast<uint16_t>(outside.first + at);
    ports.push_back(port);
  }
  return ports;
}

namespace {

std::string address_text(const std::string& address)
{
  if (address.empty()) return {};
  return address.find(':') == std::string::npos ? address + ":" : "[" + address + "]:";
}

std::string range_text(uint16_t first, size_t count)
{
  return count == 1 ? fmt::format("{}", first) : fmt::format("{}..{}", first, first + count - 1);
}

PublishedRange range_of(const PublishedPort& first, size_t count)
{
  return {.inner = range_text(first.inner, count),
          .outer = fmt::format("{}{}{}", address_text(first.host_address), range_text(first.outer, count),
                               first.protocol == "tcp" ? "" : "/" + first.protocol)};
}

std::string text_of(const PublishedRange& range) { return range.inner + "-" + range.outer; }

} // namespace

std::string port_text(const PublishedPort& port) { return text_of(range_of(port, 1)); }

std::vector<PublishedRange> ranges_of(std::vector<PublishedPort> ports)
{
  const auto key = [](const PublishedPort& port) {
    return std::tie(port.protocol, port.host_address, port.outer, port.inner);
  };
  std::sort(ports.begin(), ports.end(), [&](const auto& a, const auto& b) { return key(a) < key(b); });
  std::vector<PublishedRange> ranges;
  for (size_t at = 0; at < ports.size();) {
    const PublishedPort& first = ports[at];
    size_t count = 1;
    while (at + count < ports.size() && ports[at + count].protocol == first.protocol &&
           ports[at + count].host_address == first.host_address && ports[at + count].outer == first.outer + count &&
           ports[at + count].inner == first.inner + count)
      ++count;
    ranges.push_back(range_of(first, count));
    at += count;
  }
  return ranges;
}

std::vector<std::string> port_texts(std::vector<PublishedPort> ports)
{
  std::vector<std::string> texts;
  for (const PublishedRange& range : ranges_of(std::move(ports))) texts.push_back(text_of(range));
  return texts;
}

std::string outer_text(const PublishedPort& port)
{
  return fmt::format("{}{}{}", address_text(port.host_address), port.outer,
                     port.protocol == "tcp" ? "" : "/" + port.protocol);
}

bool collide(const PublishedPort& one, const PublishedPort& other)
{
  return one.protocol == other.protocol && one.outer == other.outer &&
         (one.host_address.empty() || other.host_address.empty() || one.host_address == other.host_address);
}

bool is_host_address(const std::string& address)
{
  if (address.empty()) return true;
  try {
    const Refusing refuse{"address", address};
    return parse_address(address.find(':') == std::string::npos ? address : "[" + address + "]", refuse) == address;
  } catch (const Error&) {
    return false;
  }
}

bool has_address(const std::string& address)
{
  if (address.starts_with("127.")) return true;
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return true; // nobody can say that it is not
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> all{first, &::freeifaddrs};
  for (const ifaddrs* each = first; each != nullptr; each = each->ifa_next) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (each->ifa_addr == nullptr) continue;
    const int family = each->ifa_addr->sa_family;
    const void* bytes = nullptr;
    if (family == AF_INET) bytes = &reinterpret_cast<const sockaddr_in*>(each->ifa_addr)->sin_addr;
    if (family == AF_INET6) bytes = &reinterpret_cast<const sockaddr_in6*>(each->ifa_addr)->sin6_addr;
    if (bytes != nullptr && ::inet_ntop(family, bytes, text.data(), text.size()) != nullptr && address == text.data())
      return true;
  }
  return false;
}

} // namespace conductor
