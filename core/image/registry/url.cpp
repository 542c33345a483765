#include "core/image/registry/url.h"

#include "core/base/error.h"
#include "core/container/spec.h"

#include <algorithm>

#include <arpa/inet.h>

namespace conductor::image::registry {
namespace {

constexpr size_t longest_url = 16384; // addresses of storage services carry long signatures

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::string lowered(std::string_view text)
{
  std::string out{text};
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

unsigned usual_port(std::string_view scheme) { return scheme == "https" ? 443 : 80; }

bool is_host(std::string_view host)
{
  if (host.empty() || host.size() > 255) return false;
  if (host.front() == '[') {
    in6_addr address{};
    return host.size() > 2 && host.back() == ']' &&
           inet_pton(AF_INET6, std::string{host.substr(1, host.size() - 2)}.c_str(), &address) == 1;
  }
  if (host.front() == '.' || host.front() == '-' || host.find("..") != std::string_view::npos) return false;
  return std::all_of(host.begin(), host.end(),
                     [](char c) { return is_digit(c) || is_letter(c) || c == '.' || c == '-' || c == '_'; });
}

// 0 for what is no port.
unsigned port_of(std::string_view text)
{
  if (text.empty() || text.size() > 5 || !std::all_of(text.begin(), text.end(), is_digit)) return 0;
  const unsigned long port = std::stoul(std::string{text});
  return port <= 65535 ? static_cast<unsigned>(port) : 0;
}

// Where the port's colon stands; npos without one. The colons of an IPv6 address are inside of its brackets.
size_t port_colon(std::string_view authority)
{
  const size_t bracket = authority.rfind(']');
  return authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
}

[[noreturn]] void refuse(std::string_view text, const char* why)
{
  throw Error{"'" + visible(text) + "' is no address of a registry: " + why};
}

} // namespace

std::string Url::host_and_port() const { return port == usual_port(scheme) ? host : host + ":" + std::to_string(port); }
std::string Url::text() const { return scheme + "://" + host_and_port() + target; }
std::string Url::origin() const { return scheme + "://" + host + ":" + std::to_string(port); }
bool Url::is_loopback() const { return is_loopback_host(host); }

bool is_loopback_host(std::string_view host)
{
  host = host.substr(0, port_colon(host));
  if (host == "localhost" || host.ends_with(".localhost") || host == "[::1]") return true; // RFC 6761
  in_addr address{};
  return inet_pton(AF_INET, std::string{host}.c_str(), &address) == 1 && (ntohl(address.s_addr) >> 24) == 127;
}

bool is_host_and_port(std::string_view text)
{
  const size_t colon = port_colon(text);
  if (!is_host(text.substr(0, colon))) return false;
  return colon == std::string_view::npos || port_of(text.substr(colon + 1)) != 0;
}

Url parse_url(std::string_view text)
{
  const std::string_view whole = text;
  if (text.size() > longest_url) refuse(whole, "it is longer than 16384 characters");
  if (!std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; }))
    refuse(whole, "it holds characters that an address cannot have");
  Url url;
  const size_t end = text.find("://");
  if (end != std::string_view::npos) url.scheme = lowered(text.substr(0, end));
  if (url.scheme != "http" && url.scheme != "https") refuse(whole, "it begins neither with https:// nor with http://");
  text.remove_prefix(end + 3);
  const size_t slash = std::min(text.find_first_of("/?#"), text.size());
  const std::string_view authority = text.substr(0, slash);
  // RFC 3986 reads a backslash as part of the host, browsers as a slash: nobody needs one.
  if (whole.find('\\') != std::string_view::npos) refuse(whole, "it holds a backslash");
  if (authority.find('@') != std::string_view::npos) refuse(whole, "it holds a user name");
  const size_t colon = port_colon(authority);
  url.host = lowered(authority.substr(0, colon));
  if (!is_host(url.host)) refuse(whole, "its host is no host name");
  url.port = colon == std::string_view::npos ? usual_port(url.scheme) : port_of(authority.substr(colon + 1));
  if (url.port == 0) refuse(whole, "its port is no port");
  std::string_view target = text.substr(slash);
  target = target.substr(0, target.find('#')); // a fragment never goes over the line
  url.target = target.starts_with('/') ? std::string{target} : "/" + std::string{target};
  return url;
}

Url resolve(const Url& base, std::string_view location)
{
  if (location.starts_with("//")) return parse_url(base.scheme + ":" + std::string{location});
  const size_t colon = location.find(':');
  if (colon != std::string_view::npos && colon < location.find_first_of("/?#")) return parse_url(location);
  const std::string origin = base.scheme + "://" + base.host + ":" + std::to_string(base.port);
  if (location.starts_with('/')) return parse_url(origin + std::string{location});
  const std::string path = base.target.substr(0, base.target.find('?'));
  if (location.starts_with('?')) return parse_url(origin + path + std::string{location});
  return parse_url(origin + path.substr(0, path.rfind('/') + 1) + std::string{location});
}

std::string percent_encoded(std::string_view text)
{
  constexpr const char* digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (is_letter(c) || is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~') {
      out += c;
    } else {
      out += '%';
      out += digits[static_cast<unsigned char>(c) >> 4];
      out += digits[static_cast<unsigned char>(c) & 15];
    }
  }
  return out;
}

} // namespace conductor::image::registry
