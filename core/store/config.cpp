// One row a key: what it is for, how it is read, how it is shown.
#include "core/store/config.h"

#include "core/base/error.h"
#include "core/base/handle.h"
#include "core/base/json_lines.h"
#include "core/base/nearest.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <optional>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace conductor {
namespace {

using nlohmann::json;

// What is wrong with a value; the caller knows file, line and key.
struct Wrong {
  std::string why;
  std::string hint;
};

std::string text_of(const json& value)
{
  if (!value.is_string()) throw Wrong{"a string is expected", {}};
  auto text = value.get<std::string>();
  if (text.find('\0') != std::string::npos) throw Wrong{"a NUL character is not possible", {}};
  return text;
}

uint64_t number_of(const json& value, uint64_t least, uint64_t most)
{
  const bool in_range = value.is_number_unsigned() && value.get<uint64_t>() >= least && value.get<uint64_t>() <= most;
  if (!in_range)
    throw Wrong{"a whole number from " + std::to_string(least) + " to " + std::to_string(most) + " is expected", {}};
  return value.get<uint64_t>();
}

// 10485760, "10M": bytes.
uint64_t bytes_of(const json& value)
{
  const std::string hint = "write bytes as a number, or \"512K\", \"10M\", \"1G\"";
  if (value.is_number_unsigned()) return value.get<uint64_t>();
  if (!value.is_string()) throw Wrong{"a size is expected", hint};
  const auto text = value.get<std::string>();
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  constexpr std::string_view units = "KMGT";
  const size_t unit = digits + 1 == text.size() ? units.find(text.back()) : std::string_view::npos;
  if (digits == 0 || digits > 9 || (digits != text.size() && unit == std::string_view::npos))
    throw Wrong{"'" + text + "' is no size", hint};
  const uint64_t count = std::stoull(text.substr(0, digits));
  return digits == text.size() ? count : count << (10 * (unit + 1));
}

Mirror mirror_of(const json& value)
{
  Mirror mirror;
  if (value.is_object()) {
    for (const auto& [key, part] : value.items()) {
      if (key == "url")
        mirror.url = text_of(part);
      else if (key == "keyring")
        mirror.keyring = text_of(part);
      else
        throw Wrong{"unknown key '" + key + "' in a mirror", "a mirror has url and keyring"};
    }
  } else if (value.is_string()) {
    mirror.url = text_of(value);
  } else {
    throw Wrong{"a mirror is expected", R"(write "http://host/debian", or {"url": ..., "keyring": "/path"})"};
  }
  const bool known =
      mirror.url.starts_with("http://") || mirror.url.starts_with("https://") || mirror.url.starts_with("file:/");
  // The address goes into the image's sources.list: one word, or it could say anything there.
  const bool word = std::all_of(mirror.url.begin(), mirror.url.end(), [](char c) { return c > ' ' && c < '\x7f'; });
  if (!known || !word) throw Wrong{"'" + mirror.url + "' is no mirror", "http://, https:// or file:/ and no spaces"};
  if (!mirror.keyring.empty() && mirror.keyring.front() != '/')
    throw Wrong{"the keyring '" + mirror.keyring + "' is no absolute path", {}};
  return mirror;
}

std::map<std::string, Mirror> mirrors_of(const json& value)
{
  if (!value.is_object()) throw Wrong{"an object is expected", R"({"debian": "http://host/debian"})"};
  const std::vector<std::string> known{"debian", "ubuntu"};
  std::map<std::string, Mirror> mirrors;
  for (const auto& [name, part] : value.items()) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      std::string hint = nearest_hint(name, known);
      throw Wrong{"unknown distribution '" + name + "'", hint.empty() ? "debian and ubuntu are known" : hint};
    }
    mirrors[name] = mirror_of(part);
  }
  return mirrors;
}

std::map<std::string, std::vector<std::string>> registry_mirrors_of(const json& value)
{
  if (!value.is_object()) throw Wrong{"an object is expected", R"({"REGISTRY": ["HOST", ...]})"};
  std::map<std::string, std::vector<std::string>> mirrors;
  for (const auto& [name, hosts] : value.items()) {
    if (!hosts.is_array()) throw Wrong{"a list of hosts is expected for '" + name + "'", {}};
    for (const json& host : hosts) mirrors[name].push_back(text_of(host));
  }
  return mirrors;
}

// "FIRST-LAST" of host ids.
std::string id_pool_of(const json& value)
{
  const std::string text = text_of(value);
  const size_t dash = text.find('-');
  const auto is_number = [](std::string_view part) {
    return !part.empty() && part.size() <= 10 && part.find_first_not_of("0123456789") == std::string_view::npos;
  };
  const bool shaped = dash != std::string::npos && is_number(text.substr(0, dash)) && is_number(text.substr(dash + 1));
  if (!shaped) throw Wrong{"'" + text + "' is no range of ids", "write \"FIRST-LAST\""};
  const uint64_t first = std::stoull(text.substr(0, dash)), last = std::stoull(text.substr(dash + 1));
  constexpr uint64_t one_container = 65536;
  if (first < one_container || last > UINT32_MAX - 1 || last + 1 < first + one_container)
    throw Wrong{"the ids " + text + " do not do",
                "at least 65536 ids, above 65535 (below are the host's own) and up to 4294967294"};
  return text;
}

// "10.83.0.0/16" or an IPv6 prefix: the form only, routing is the network's business.
std::string network_pool_of(const json& value)
{
  std::string text = text_of(value);
  const size_t slash = text.find('/');
  const bool shaped = slash != std::string::npos && slash > 0 && slash + 1 < text.size() &&
                      text.find_first_not_of("0123456789abcdefABCDEF.:/") == std::string::npos &&
                      text.find_first_not_of("0123456789", slash + 1) == std::string::npos;
  if (!shaped) throw Wrong{"'" + text + "' is no network", R"(write "10.83.0.0/16")"};
  return text;
}

struct Row {
  const char* key;
  const char* help;
  void (*read)(Config&, const json&);
  json (*show)(const Config&);
};

constexpr Row table[] = {
    {"default_base", "what build makes when there is no build file",
     [](Config& c, const json& v) { c.default_base = text_of(v); },
     [](const Config& c) -> json { return c.default_base; }},
    {"mirrors", "where packages of debian and ubuntu come from; else what this host's apt uses",
     [](Config& c, const json& v) { c.mirrors = mirrors_of(v); },
     [](const Config& c) {
       json shown = json::object();
       for (const auto& [name, mirror] : c.mirrors)
         shown[name] =
             mirror.keyring.empty() ? json(mirror.url) : json{{"url", mirror.url}, {"keyring", mirror.keyring}};
       return shown;
     }},
    {"registry", "where images come from that are neither local nor a base",
     [](Config& c, const json& v) { c.registry = text_of(v); }, [](const Config& c) -> json { return c.registry; }},
    {"registry_mirrors", "hosts to try before a registry; http://HOST is spoken to without encryption",
     [](Config& c, const json& v) { c.registry_mirrors = registry_mirrors_of(v); },
     [](const Config& c) -> json { return c.registry_mirrors; }},
    {"network_pool", "addresses of containers; empty: a private network that this host does not use",
     [](Config& c, const json& v) { c.network_pool = network_pool_of(v); },
     [](const Config& c) -> json { return c.network_pool; }},
    {"id_pool", "host ids for the user namespaces of containers; empty: the built-in range",
     [](Config& c, const json& v) { c.id_pool = id_pool_of(v); }, [](const Config& c) -> json { return c.id_pool; }},
    {"log_size", "bytes of one log file of a container", [](Config& c, const json& v) { c.log_size = bytes_of(v); },
     [](const Config& c) -> json { return c.log_size; }},
    {"log_files", "log files kept of a container",
     [](Config& c, const json& v) { c.log_files = static_cast<unsigned>(number_of(v, 1, 1000)); },
     [](const Config& c) -> json { return c.log_files; }},
    {"stop_seconds", "seconds between the stop signal and SIGKILL",
     [](Config& c, const json& v) { c.stop_seconds = static_cast<unsigned>(number_of(v, 0, 86'400)); },
     [](const Config& c) -> json { return c.stop_seconds; }},
};

const Row* find_row(std::string_view key)
{
  for (const Row& row : table)
    if (key == row.key) return &row;
  return nullptr;
}

std::vector<std::string> keys()
{
  std::vector<std::string> names;
  for (const Row& row : table) names.emplace_back(row.key);
  return names;
}

std::optional<std::string> read_config_file(const std::string& path)
{
  // Not O_NOFOLLOW: administrators keep their files where they like and link them.
  const Fd fd{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (!fd && errno == ENOENT) return std::nullopt;
  if (!fd) throw Error{"read the configuration " + path, errno};
  constexpr size_t limit = 1 << 20;
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t got = read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error{"read the configuration " + path, errno};
    if (got == 0) return text;
    text.append(buffer, static_cast<size_t>(got));
    if (text.size() > limit) throw Error{"read the configuration " + path + ": more than 1 MiB"};
  }
}

} // namespace

Config parse_config(std::string_view text, const std::string& file)
{
  const auto at = [&](size_t line) { return file + ":" + std::to_string(line); };
  const JsonLines lines = json_lines(text);
  if (!lines.good)
    throw Error{at(lines.error_line) + ": this is no JSON", 0,
                "comments are allowed, a comma after the last entry is not"};

  const json document = json::parse(text.begin(), text.end(), nullptr, true, true);
  if (!document.is_object()) throw Error{at(1) + ": the configuration is one object: { ... }"};
  Config config;
  for (const auto& [path, key_line] : lines.keys) {
    if (path.size() > 1) continue; // its row reads it
    const std::string& key = path.front();
    const Row* row = find_row(key);
    if (row == nullptr) {
      std::string hint = nearest_hint(key, keys());
      if (hint.empty()) hint = "conductor config shows the known keys";
      throw Error{at(key_line) + ": unknown key '" + key + "'", 0, hint};
    }
    const auto [before, fresh] = config.origin.emplace(key, at(key_line));
    if (!fresh) throw Error{at(key_line) + ": the key '" + key + "' stands there twice, first at " + before->second};
    try {
      row->read(config, document.at(key));
    } catch (const Wrong& wrong) {
      throw Error{at(key_line) + ": " + key + ": " + wrong.why, 0, wrong.hint};
    }
  }
  return config;
}

Config load_config(const std::string& path)
{
  const std::string file = path.empty() ? default_config_path : path;
  const auto text = read_config_file(file);
  if (text) return parse_config(*text, file);
  if (!path.empty()) throw Error{"read the configuration " + path, ENOENT};
  return {};
}

std::vector<ConfigRow> config_rows(const Config& config)
{
  std::vector<ConfigRow> rows;
  for (const Row& row : table) {
    const auto origin = config.origin.find(row.key);
    rows.push_back(
        {row.key, row.show(config).dump(), origin == config.origin.end() ? "default" : origin->second, row.help});
  }
  return rows;
}

} // namespace conductor
