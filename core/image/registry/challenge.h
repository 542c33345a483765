// WWW-Authenticate (RFC 9110, 11.6.1): what a registry wants to see before it answers. Read strictly, since it decides
// where a password goes.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace conductor::image::registry {

struct Challenge {
  std::string scheme;                            // lower case: "bearer", "basic"
  std::map<std::string, std::string> parameters; // names in lower case
};

// All challenges of a header (or of several, joined by ", "). Throws Error: malformed, a parameter that stands there
// twice, more than 8 KiB.
std::vector<Challenge> parse_challenges(std::string_view header);

} // namespace conductor::image::registry
