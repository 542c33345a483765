// The one grammar of published ports: INNER[..INNER]-[ADDRESS:]OUTER[..OUTER][/tcp|/udp].
//
// INNER is the container's port, OUTER the host's: it is read as it flows, "80 of the container comes out as 8080". A
// range is that many single ports, because the kernel's map knows only these.
#pragma once

#include "core/network.h"

#include <string>
#include <string_view>
#include <vector>

namespace conductor {

inline constexpr size_t most_ports = 1024; // of a range, and of a container

// "80-8080", "53-5353/udp", "80-127.0.0.1:8080", "80-[2001:db8::1]:8080", "8000..8010-9000..9010". Addresses come back
// in their normal form. Throws a usage Error that names `option` and shows the right spelling; for docker's 8080:80
// too.
std::vector<PublishedPort> parse_ports(std::string_view text, std::string_view option);
// INNER-OUTER for what somebody wrote as docker would ("8080:80", "127.0.0.1:8080:80/udp"); empty when it is not that.
std::string from_docker(std::string_view text);

// The same text for one port; "/tcp" is left out.
std::string port_text(const PublishedPort& port);
// ... and for several, ranges joined again: "80-8080", "8000..8010-9000..9010".
std::vector<std::string> port_texts(std::vector<PublishedPort> ports);
// Both sides of each range, in order of the host's: {"80", "8080"}, {"8000..8010", "127.0.0.1:9000..9010/udp"}.
struct PublishedRange {
  std::string inner, outer;
};
std::vector<PublishedRange> ranges_of(std::vector<PublishedPort> ports);
// The host's side: "8080", "127.0.0.1:8080", "[2001:db8::1]:8080", with "/udp" behind.
std::string outer_text(const PublishedPort& port);

// Do both claim the same port of the host?
bool collide(const PublishedPort& one, const PublishedPort& other);
// An address that a port may be published at, as PublishedPort has it.
bool is_host_address(const std::string& address);
// Is it one of this host's now? Those of the loopback network always are (getifaddrs(3)).
bool has_address(const std::string& address);

} // namespace conductor
