// Addresses of registries, strictly: one parser decides where a request goes, and what it has taken apart is put
// together again for the library that makes the connection. So the two can never disagree about the host.
#pragma once

#include <string>
#include <string_view>

namespace conductor::image::registry {

struct Url {
  std::string scheme; // "http" or "https"
  std::string host;   // lower case; "[::1]" with its brackets
  unsigned port = 0;
  std::string target = "/"; // path and query, as they go over the line

  std::string text() const;          // the whole address; a port that is the scheme's own is left out
  std::string origin() const;        // "https://host:443": who is asked. Credentials belong to exactly one of these.
  std::string host_and_port() const; // "host" or "host:5000"
  bool is_secure() const { return scheme == "https"; }
  bool is_loopback() const; // localhost, 127.0.0.0/8, ::1
};

// http:// or https:// only; no user part, no spaces, no control characters, no fragment. Throws Error.
Url parse_url(std::string_view text);
// What a Location header means (RFC 9110, 10.2.2): absolute, or relative to the address that was asked. Throws Error.
Url resolve(const Url& base, std::string_view location);
// "host", "host:5000" of these characters: can it be the name of a registry?
bool is_host_and_port(std::string_view text);
// The same rule for "localhost:5000" and the like, before there is an address.
bool is_loopback_host(std::string_view host);

// RFC 3986: everything but letters, digits and -._~ as %XX.
std::string percent_encoded(std::string_view text);

} // namespace conductor::image::registry
