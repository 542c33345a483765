// Where this host's apt gets its packages, so that base images come from the same place: behind a mirror, a proxy or
// offline, what works for the host works for us, and no address of a mirror needs to be known here.
//
// Both forms of apt's sources are read (sources.list(5)): one line, and deb822.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace conductor::image {

// One entry: every uri with every suite.
struct AptSource {
  std::vector<std::string> uris, suites, components;
  std::string signed_by; // path(s) or, deb822 only, a key itself (begins with "-----BEGIN")
  bool trusted = false;  // [trusted=yes]: no signature wanted
};
// deb entries that are switched on; deb-src, comments and what is not understood are left out, as apt warns about them
// anyway.
std::vector<AptSource> parse_one_line_sources(std::string_view text);
std::vector<AptSource> parse_deb822_sources(std::string_view text);
// All of /etc/apt below `root` ("" is the host). A missing file is no source.
std::vector<AptSource> read_sources(const std::string& root);

// The lines of a sources.list for one suite of a distribution.
struct SuiteSource {
  std::string uri, suite, components;
  std::string signed_by; // as above
  bool trusted = false;
};
// The main archive first, then updates and security where the host has those. Empty when the host's apt knows nothing
// of this distribution. suites: all that the distribution has (the host may use another one than is wanted).
std::vector<SuiteSource> choose_sources(const std::vector<AptSource>& host, const std::string& distribution,
                                        const std::string& suite, const std::vector<std::string>& suites);

// "deb [signed-by=...] URI SUITE COMPONENTS"; keyring: path as it is where the line is read, or empty.
std::string one_line(const SuiteSource& source, const std::string& keyring);

} // namespace conductor::image
