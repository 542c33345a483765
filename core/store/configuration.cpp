#include "core/store/configuration.h"

#include "core/base/error.h"
#include "core/container/spec.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

#include <nlohmann/json.hpp>
#include <sys/utsname.h>

namespace conductor {
namespace {

using nlohmann::json;

[[noreturn]] void refuse(const std::string& what) { throw Error{"the image configuration " + what}; }

// ---- reading: each field has one type, and null is the same as absent (as Go's encoder writes empty ones)

const json* member(const json& object, const char* key)
{
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string text_of(const json& value, const char* key)
{
  if (!value.is_string()) refuse(std::string{"has a '"} + key + "' that is no text");
  auto text = value.get<std::string>();
  if (text.find('\0') != std::string::npos) refuse(std::string{"has a zero byte in '"} + key + "'");
  return text;
}

void read(const json& object, const char* key, std::string& into)
{
  if (const json* value = member(object, key)) into = text_of(*value, key);
}

void read(const json& object, const char* key, std::vector<std::string>& into)
{
  const json* value = member(object, key);
  if (value == nullptr) return;
  if (!value->is_array()) refuse(std::string{"has a '"} + key + "' that is no list");
  for (const json& each : *value) into.push_back(text_of(each, key));
}

// {"80/tcp": {}}: a set, as Go writes it.
void read(const json& object, const char* key, std::set<std::string>& into)
{
  const json* value = member(object, key);
  if (value == nullptr) return;
  if (!value->is_object()) refuse(std::string{"has '"} + key + "' that is no object");
  for (const auto& [name, nothing] : value->items()) into.insert(text_of(name, key));
}

void read(const json& object, const char* key, std::map<std::string, std::string>& into)
{
  const json* value = member(object, key);
  if (value == nullptr) return;
  if (!value->is_object()) refuse(std::string{"has '"} + key + "' that is no object");
  for (const auto& [name, text] : value->items()) into[text_of(name, key)] = text_of(text, key);
}

void read(const json& object, const char* key, int64_t& into)
{
  const json* value = member(object, key);
  if (value == nullptr) return;
  if (!value->is_number_integer()) refuse(std::string{"has a '"} + key + "' that is no whole number");
  // What does not fit (a number above 2^63) is no duration.
  if (value->is_number_unsigned() && value->get<uint64_t>() > INT64_MAX) refuse(std::string{"has a too large "} + key);
  into = value->get<int64_t>();
}

void read(const json& object, const char* key, bool& into)
{
  const json* value = member(object, key);
  if (value == nullptr) return;
  if (!value->is_boolean()) refuse(std::string{"has a '"} + key + "' that is neither true nor false");
  into = value->get<bool>();
}

const json& object_of(const json& value, const char* what)
{
  if (!value.is_object()) refuse(std::string{"has "} + what + " that is no object");
  return value;
}

void read_run_config(const json& object, ImageConfig& config)
{
  read(object, "Env", config.env);
  read(object, "Cmd", config.cmd);
  read(object, "Entrypoint", config.entrypoint);
  read(object, "WorkingDir", config.workdir);
  read(object, "User", config.user);
  read(object, "Labels", config.labels);
  read(object, "StopSignal", config.stop_signal);
  read(object, "ExposedPorts", config.exposed_ports);
  read(object, "Volumes", config.volumes);
  read(object, "Shell", config.shell);
  read(object, "OnBuild", config.on_build);
  // Some images have words there that are no setting; execve(2) would take them, and nobody could read them.
  std::erase_if(config.env, [](const std::string& setting) {
    return setting.find('=') == std::string::npos || setting.starts_with('=');
  });
  const json* health = member(object, "Healthcheck");
  if (health == nullptr) return;
  object_of(*health, "a 'Healthcheck'");
  Healthcheck& check = config.healthcheck.emplace();
  read(*health, "Test", check.test);
  read(*health, "Interval", check.interval_ns);
  read(*health, "Timeout", check.timeout_ns);
  read(*health, "StartPeriod", check.start_period_ns);
  read(*health, "StartInterval", check.start_interval_ns);
  read(*health, "Retries", check.retries);
}

void read_history(const json& list, std::vector<HistoryEntry>& history)
{
  if (!list.is_array()) refuse("has a 'history' that is no list");
  for (const json& each : list) {
    object_of(each, "a step of the history");
    HistoryEntry& entry = history.emplace_back();
    read(each, "created", entry.created);
    read(each, "created_by", entry.created_by);
    read(each, "author", entry.author);
    read(each, "comment", entry.comment);
    read(each, "empty_layer", entry.empty_layer);
  }
}

std::vector<std::string> read_diff_ids(const json& document)
{
  const json* rootfs = member(document, "rootfs");
  if (rootfs == nullptr) refuse("names no layers (rootfs)");
  object_of(*rootfs, "a 'rootfs'");
  std::string type = "layers";
  read(*rootfs, "type", type);
  if (type != "layers") refuse("has a rootfs of the unknown type '" + visible(type) + "'");
  std::vector<std::string> digests;
  read(*rootfs, "diff_ids", digests);
  if (digests.size() > most_layers)
    refuse("has " + std::to_string(digests.size()) + " layers; at most " + std::to_string(most_layers) +
           " are possible");
  for (std::string& digest : digests) {
    auto hex = digest_hex(digest);
    if (!hex) refuse("names a layer by '" + visible(digest) + "', which is no sha256 digest");
    digest = std::move(*hex);
  }
  return digests;
}

// ---- writing: what is empty is left out

void put(json& object, const char* key, const std::string& value)
{
  if (!value.empty()) object[key] = value;
}

void put(json& object, const char* key, const std::vector<std::string>& value)
{
  if (!value.empty()) object[key] = value;
}

void put(json& object, const char* key, const std::set<std::string>& value)
{
  for (const std::string& each : value) object[key][each] = json::object();
}

void put(json& object, const char* key, int64_t value)
{
  if (value != 0) object[key] = value;
}

json run_config(const ImageConfig& config)
{
  json object = json::object();
  put(object, "Env", config.env);
  put(object, "Cmd", config.cmd);
  put(object, "Entrypoint", config.entrypoint);
  put(object, "WorkingDir", config.workdir);
  put(object, "User", config.user);
  if (!config.labels.empty()) object["Labels"] = config.labels;
  put(object, "StopSignal", config.stop_signal);
  put(object, "ExposedPorts", config.exposed_ports);
  put(object, "Volumes", config.volumes);
  put(object, "Shell", config.shell);
  put(object, "OnBuild", config.on_build);
  if (!config.healthcheck) return object;
  json health{{"Test", config.healthcheck->test}};
  put(health, "Interval", config.healthcheck->interval_ns);
  put(health, "Timeout", config.healthcheck->timeout_ns);
  put(health, "StartPeriod", config.healthcheck->start_period_ns);
  put(health, "StartInterval", config.healthcheck->start_interval_ns);
  put(health, "Retries", config.healthcheck->retries);
  object["Healthcheck"] = std::move(health);
  return object;
}

json history_of(const std::vector<HistoryEntry>& history)
{
  json list = json::array();
  for (const HistoryEntry& entry : history) {
    json object = json::object();
    put(object, "created", entry.created);
    put(object, "created_by", entry.created_by);
    put(object, "author", entry.author);
    put(object, "comment", entry.comment);
    if (entry.empty_layer) object["empty_layer"] = true;
    list.push_back(std::move(object));
  }
  return list;
}

// What uname(2) calls it, and what images do.
struct Machine {
  const char* kernel;
  const char* architecture;
  const char* variant;
};
constexpr Machine machines[] = {{"x86_64", "amd64", ""},    {"aarch64", "arm64", "v8"}, {"armv7l", "arm", "v7"},
                                {"armv6l", "arm", "v6"},    {"i686", "386", ""},        {"ppc64le", "ppc64le", ""},
                                {"riscv64", "riscv64", ""}, {"s390x", "s390x", ""}};

Machine this_machine()
{
  struct utsname name {};
  uname(&name);
  for (const Machine& machine : machines)
    if (std::string_view{machine.kernel} == name.machine) return machine;
  return {"", "unknown", ""};
}

} // namespace

bool nests_deeper(std::string_view json, size_t most)
{
  size_t depth = 0;
  bool quoted = false;
  for (size_t at = 0; at < json.size(); ++at) {
    const char c = json[at];
    if (c == '"') quoted = !quoted;
    if (quoted && c == '\\') ++at;
    if (quoted) continue;
    if ((c == '[' || c == '{') && ++depth > most) return true;
    if ((c == ']' || c == '}') && depth > 0) --depth;
  }
  return false;
}

std::string machine_architecture() { return this_machine().architecture; }
std::string machine_variant() { return this_machine().variant; }

bool is_digest_hex(std::string_view digits)
{
  return digits.size() == 64 && std::all_of(digits.begin(), digits.end(),
                                            [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::optional<std::string> digest_hex(std::string_view digest)
{
  constexpr std::string_view algorithm = "sha256:";
  if (!digest.starts_with(algorithm)) return std::nullopt;
  digest.remove_prefix(algorithm.size());
  if (!is_digest_hex(digest)) return std::nullopt;
  return std::string{digest};
}

std::string configuration_text(const ImageConfig& config, const std::vector<std::string>& diff_ids)
{
  json layers = json::array();
  for (const std::string& id : diff_ids) layers.push_back("sha256:" + id);
  json document{{"architecture", config.architecture.empty() ? machine_architecture() : config.architecture},
                {"os", config.os.empty() ? "linux" : config.os},
                {"config", run_config(config)},
                {"rootfs", {{"type", "layers"}, {"diff_ids", std::move(layers)}}}};
  // The variant belongs to the architecture: one that was not named is this machine's.
  put(document, "variant", config.architecture.empty() ? machine_variant() : config.variant);
  put(document, "author", config.author);
  put(document, "created", config.created);
  if (!config.history.empty()) document["history"] = history_of(config.history);
  // Bytes that are no UTF-8 (a file name in an instruction) must not make an image unreadable.
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

Configuration parse_configuration(std::string_view text)
{
  if (text.size() > longest_configuration) refuse("is larger than 4 MiB");
  if (nests_deeper(text, deepest_configuration)) refuse("is nested too deeply");
  const json document = json::parse(text, nullptr, false);
  if (document.is_discarded()) refuse("is no JSON");
  if (!document.is_object()) refuse("is no JSON object");
  Configuration read_one;
  ImageConfig& config = read_one.config;
  read(document, "architecture", config.architecture);
  read(document, "os", config.os);
  read(document, "variant", config.variant);
  read(document, "author", config.author);
  read(document, "created", config.created);
  if (!config.os.empty() && config.os != "linux")
    refuse("is for the operating system '" + visible(config.os) + "', and only linux can run here");
  if (const json* object = member(document, "config")) read_run_config(object_of(*object, "a 'config'"), config);
  if (const json* list = member(document, "history")) read_history(*list, config.history);
  read_one.diff_ids = read_diff_ids(document);
  return read_one;
}

std::optional<int64_t> parse_rfc3339(std::string_view text)
{
  // 2026-11-22T09:44:02.123456789+01:00
  const std::string copy{text.substr(0, 64)};
  std::tm when{};
  int length = 0;
  if (std::sscanf(copy.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d%n", &when.tm_year, &when.tm_mon, &when.tm_mday, &when.tm_hour,
                  &when.tm_min, &when.tm_sec, &length) != 6)
    return std::nullopt;
  when.tm_year -= 1900;
  when.tm_mon -= 1;
  const char* rest = copy.c_str() + length;
  int64_t fraction_ns = 0;
  if (*rest == '.') {
    int64_t unit = 100'000'000;
    for (++rest; *rest >= '0' && *rest <= '9'; ++rest, unit /= 10) fraction_ns += (*rest - '0') * unit;
  }
  int hours = 0, minutes = 0;
  char sign = '+';
  const bool zulu = *rest == 'Z' || *rest == 'z';
  if (!zulu && std::sscanf(rest, "%c%2d:%2d", &sign, &hours, &minutes) != 3) return std::nullopt;
  const int64_t offset = (hours * 3600 + minutes * 60) * (sign == '-' ? -1 : 1);
  const int64_t seconds = timegm(&when) - offset;
  // Beyond these years nanoseconds do not fit.
  if (seconds > 9'000'000'000 || seconds < -9'000'000'000) return std::nullopt;
  return seconds * 1'000'000'000 + fraction_ns;
}

} // namespace conductor
