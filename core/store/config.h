// The configuration file: one table of keys, each value knowing where it came from.
//
// Everything has a default, so that a host needs no file; a host without one pays a single openat(2). The file is JSON
// in which // and /* */ comments are allowed. What is wrong in it is an Error that names file and line.
#pragma once

#include "core/base/trace.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace conductor {

inline constexpr const char* default_config_path = "/etc/conductor/config.json";

// Where the packages of a distribution come from.
struct Mirror {
  std::string url;     // "http://host/debian"
  std::string keyring; // file that its Release is signed with; empty: what the host's apt trusts
};

struct Config {
  std::string default_base = "debian:bookworm"; // what `build NAME` without a build file makes
  std::map<std::string, Mirror> mirrors;        // "debian", "ubuntu"; absent: what the host's apt uses
  std::string registry = "docker.io";           // where names that are neither local nor a base would come from
  std::map<std::string, std::vector<std::string>> registry_mirrors; // registry -> hosts to try before it
  std::string network_pool;                                         // "10.0.0.0/8"; empty: chosen on this host
  std::string id_pool;                       // "100000-6653599999", host ids for user ranges; empty: the built-in pool
  uint64_t log_size = 10 << 20;              // bytes of one log file
  unsigned log_files = 3;                    // files kept
  unsigned stop_seconds = 10;                // grace between the stop signal and SIGKILL
  std::map<std::string, std::string> origin; // key -> "FILE:LINE"; a key that is missing here has its default
};

// Reads `path`; empty means default_config_path, which may be missing, while a file that was named must be there.
// Throws Error: not readable, no JSON, an unknown key (the hint names the nearest), a value of the wrong type.
Config load_config(const std::string& path = {});
// The same from text; `file` is the name for messages.
Config parse_config(std::string_view text, const std::string& file);

// One row of `conductor config`.
struct ConfigRow {
  std::string key;
  std::string value;  // as JSON
  std::string origin; // "default" or FILE:LINE
  std::string help;   // one line
};
std::vector<ConfigRow> config_rows(const Config& config);

} // namespace conductor
