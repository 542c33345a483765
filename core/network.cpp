#include "core/network.h"

#include <fmt/format.h>

namespace conductor {
namespace {

constexpr LinkIndex of_the_host = 1;

} // namespace

std::string Subnet::address(LinkIndex index) const
{
  const uint32_t value = ipv4 + index;
  return fmt::format("{}.{}.{}.{}", value >> 24, value >> 16 & 0xff, value >> 8 & 0xff, value & 0xff);
}

std::string Subnet::address6(LinkIndex index) const
{
  return ipv6.empty() ? std::string{} : fmt::format("{}{:x}", ipv6, index);
}

std::string Subnet::host() const { return address(of_the_host); }
std::string Subnet::host6() const { return address6(of_the_host); }

} // namespace conductor
