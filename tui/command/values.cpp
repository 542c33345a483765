// Values of options, each with its own refusal.
#include "tui/command/values.h"

#include "core/base/error.h"
#include "core/kernel/files.h"
#include "core/kernel/signals.h"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <iterator>
#include <vector>

#include <unistd.h>

namespace conductor::command {
namespace {

[[noreturn]] void refuse(std::string_view option, std::string_view text, std::string_view right)
{
  throw usage_error(std::string{option} + ": '" + visible(text) + "' is not understood", "as in " + std::string{right});
}

// A decimal number at the front; none when there is none. `rest` is what stands behind it.
std::optional<double> leading_number(std::string_view text, std::string_view& rest)
{
  double value = 0;
  if (text.empty() || (text[0] != '.' && (text[0] < '0' || text[0] > '9'))) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc{}) return std::nullopt;
  rest = text.substr(static_cast<size_t>(end - text.data()));
  return value;
}

std::optional<uint64_t> whole_number(std::string_view text)
{
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

} // namespace

uint64_t parse_size(std::string_view text, std::string_view option)
{
  constexpr std::string_view right = "256M, 1G or 4096";
  std::string_view unit;
  const auto value = leading_number(text, unit);
  if (!value) refuse(option, text, right);
  constexpr std::string_view units = "kmgtp";
  double factor = 1;
  if (!unit.empty()) {
    const size_t index = units.find(static_cast<char>(std::tolower(unit[0])));
    if (index != std::string_view::npos) {
      factor = static_cast<double>(uint64_t{1} << (10 * (index + 1)));
      unit.remove_prefix(1);
    }
    if (!unit.empty() && unit != "B" && unit != "b" && unit != "iB" && unit != "ib") refuse(option, text, right);
  }
  const double bytes = *value * factor;
  if (bytes >= 0x1p63) refuse(option, text, right);
  return static_cast<uint64_t>(bytes);
}

uint64_t parse_number(std::string_view text, std::string_view option, uint64_t most)
{
  const auto value = whole_number(text);
  if (!value) refuse(option, text, "10");
  if (*value > most)
    throw usage_error(std::string{option} + ": " + std::to_string(*value) + " is too large",
                      "at most " + std::to_string(most));
  return *value;
}

int parse_adjustment(std::string_view text, std::string_view option)
{
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) refuse(option, text, "-500 or 500");
  return value;
}

double parse_fraction(std::string_view text, std::string_view option)
{
  std::string_view rest;
  const auto value = leading_number(text, rest);
  if (!value || !rest.empty() || *value <= 0 || *value > 1e6) refuse(option, text, "0.5 or 2");
  return *value;
}

int64_t parse_seconds(std::string_view text, std::string_view option)
{
  std::string_view rest;
  const auto value = leading_number(text, rest);
  if (!value || (!rest.empty() && rest != "s") || *value > 365.0 * 86400) refuse(option, text, "10 (seconds)");
  return static_cast<int64_t>(*value * 1000);
}

int parse_signal(std::string_view text, std::string_view option)
{
  if (const auto number = kernel::find_signal(text)) return *number;
  refuse(option, text, "TERM, SIGHUP or 15");
}

std::string signal_name(int number) { return kernel::signal_name(number); }

std::pair<std::string, std::string> parse_pair(std::string_view text, std::string_view option)
{
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) refuse(option, text, std::string{option} + " KEY=VALUE");
  return {std::string{text.substr(0, equals)}, std::string{text.substr(equals + 1)}};
}

std::string absolute_path(std::string_view text, std::string_view option)
{
  if (text.starts_with('/')) return std::string{text};
  char* here = ::get_current_dir_name();
  if (here == nullptr)
    throw Error{"find the working directory for " + std::string{option} + " " + visible(text), errno};
  std::string path = std::string{here} + "/" + std::string{text};
  std::free(here);
  return path;
}

namespace {

// The pieces between a separator.
std::vector<std::string_view> split(std::string_view text, char separator)
{
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t at = std::min(text.find(separator), text.size());
    parts.push_back(text.substr(0, at));
    if (at == text.size()) return parts;
    text.remove_prefix(at + 1);
  }
}

// A directory or file of this host begins with '/' or '.', and a plain word is the name of a volume.
void set_source(Volume& volume, std::string_view source, std::string_view option)
{
  const bool is_path = source.starts_with('/') || source.starts_with('.');
  if (!is_path && source.find('/') != std::string_view::npos)
    throw usage_error(std::string{option} + ": '" + visible(source) + "' is no name of a volume",
                      "a directory of this host begins with '/' or './'");
  (is_path ? volume.source : volume.name) = is_path ? absolute_path(source, option) : std::string{source};
}

} // namespace

Volume parse_volume(std::string_view text)
{
  constexpr std::string_view right = "--volume /srv/data:/data, /srv/data:/data:ro, or NAME:/data";
  Volume volume;
  std::vector<std::string_view> parts = split(text, ':');
  if (parts.size() > 1 && (parts.back() == "ro" || parts.back() == "rw")) {
    volume.read_only = parts.back() == "ro";
    parts.pop_back();
  }
  if (parts.size() > 2 || parts.front().empty() || !parts.back().starts_with('/')) refuse("--volume", text, right);
  volume.target = parts.back();
  volume.anonymous = parts.size() == 1;
  if (!volume.anonymous) set_source(volume, parts.front(), "--volume");
  return volume;
}

bool is_unlimited(std::string_view text) { return text == "max" || text == "unlimited" || text == "-1"; }

std::pair<std::string, std::optional<uint64_t>> parse_rate(std::string_view text, std::string_view option, bool sizes)
{
  const std::string right = std::string{option} + (sizes ? " /dev/vda:10M" : " /dev/vda:100");
  const size_t colon = text.rfind(':');
  if (!text.starts_with('/') || colon == std::string_view::npos || colon + 1 == text.size())
    refuse(option, text, right);
  const std::string_view value = text.substr(colon + 1);
  std::optional<uint64_t> rate;
  if (!is_unlimited(value)) rate = sizes ? parse_size(value, option) : parse_number(value, option, uint64_t{1} << 32);
  return {std::string{text.substr(0, colon)}, rate};
}

namespace {

struct MountWish {
  std::string type = "volume"; // as docker has it
  std::string source, target, size, mode;
  bool read_only = false;
};

// A row is a key of --mount; several spell the same.
struct MountKey {
  std::string_view name;
  std::string MountWish::*text; // none: read_only
};
constexpr MountKey mount_keys[] = {
    {"type", &MountWish::type},
    {"source", &MountWish::source},
    {"src", &MountWish::source},
    {"target", &MountWish::target},
    {"dst", &MountWish::target},
    {"destination", &MountWish::target},
    {"tmpfs-size", &MountWish::size},
    {"tmpfs-mode", &MountWish::mode},
    {"readonly", nullptr},
    {"ro", nullptr},
};
constexpr std::string_view right_mount =
    "--mount type=bind,src=/srv/data,dst=/data,readonly; type=volume,src=NAME,dst=/data; type=tmpfs,dst=/run";

MountWish mount_wish(std::string_view text)
{
  MountWish wish;
  for (const std::string_view word : split(text, ',')) {
    const size_t equals = std::min(word.find('='), word.size());
    const std::string_view value = word.substr(std::min(equals + 1, word.size()));
    const auto key = std::find_if(std::begin(mount_keys), std::end(mount_keys),
                                  [&](const MountKey& each) { return each.name == word.substr(0, equals); });
    if (key == std::end(mount_keys)) refuse("--mount", text, right_mount);
    if (key->text != nullptr)
      wish.*key->text = value;
    else if (equals == word.size() || value == "true" || value == "1")
      wish.read_only = true;
    else if (value != "false" && value != "0")
      refuse("--mount", text, right_mount);
  }
  return wish;
}

} // namespace

void parse_mount(std::string_view text, Spec& into)
{
  const MountWish wish = mount_wish(text);
  const bool memory = wish.type == "tmpfs";
  if (!wish.target.starts_with('/') || (memory && !wish.source.empty())) refuse("--mount", text, right_mount);
  if (memory) {
    std::string options;
    const auto add = [&](const std::string& option) { options += (options.empty() ? ":" : ",") + option; };
    if (!wish.size.empty()) add("size=" + wish.size);
    if (!wish.mode.empty()) add("mode=" + wish.mode);
    if (wish.read_only) add("ro");
    into.tmpfs.push_back(wish.target + options);
    return;
  }
  Volume volume{.source = {}, .target = wish.target, .read_only = wish.read_only};
  const bool is_path = wish.source.starts_with('/') || wish.source.starts_with('.');
  if (wish.type == "bind" ? !is_path : wish.type != "volume" || is_path) refuse("--mount", text, right_mount);
  volume.anonymous = wish.source.empty();
  if (!volume.anonymous) set_source(volume, wish.source, "--mount");
  into.volumes.push_back(std::move(volume));
}

Ulimit parse_ulimit(std::string_view text)
{
  const auto [name, value] = parse_pair(text, "--ulimit");
  const auto number = [&](std::string_view part) -> uint64_t {
    if (is_unlimited(part)) return UINT64_MAX;
    const auto parsed = whole_number(part);
    if (!parsed) refuse("--ulimit", text, "--ulimit nofile=1024:4096");
    return *parsed;
  };
  const size_t colon = value.find(':');
  Ulimit limit{.name = name, .soft = number(std::string_view{value}.substr(0, colon)), .hard = 0};
  limit.hard = colon == std::string::npos ? limit.soft : number(std::string_view{value}.substr(colon + 1));
  if (limit.soft > limit.hard) throw usage_error("--ulimit " + visible(text) + ": the first limit is above the second");
  return limit;
}

int64_t parse_since(std::string_view text, int64_t now_ns, std::string_view option)
{
  constexpr std::string_view right = "10m, 2h, 3d, 2026-11-22T09:44:02Z or seconds since 1970";
  constexpr int64_t second = 1'000'000'000;
  tm moment{};
  const std::string whole{text};
  const char* end = ::strptime(whole.c_str(), "%Y-%m-%dT%H:%M:%S", &moment);
  if (end != nullptr) {
    std::string_view rest = end;
    int64_t fraction = 0;
    if (rest.starts_with('.')) {
      rest.remove_prefix(1);
      for (int64_t unit = second / 10; !rest.empty() && rest[0] >= '0' && rest[0] <= '9'; unit /= 10) {
        fraction += (rest[0] - '0') * unit;
        rest.remove_prefix(1);
      }
    }
    if (rest != "Z" && !rest.empty()) refuse(option, text, right);
    return ::timegm(&moment) * second + fraction;
  }
  std::string_view unit;
  const auto value = leading_number(text, unit);
  if (!value || *value > 4e9) refuse(option, text, right);
  if (unit.empty()) return static_cast<int64_t>(*value) * second;
  const double factor = unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : unit == "d" ? 86400 : 0;
  if (factor == 0) refuse(option, text, right);
  return now_ns - static_cast<int64_t>(*value * factor * 1e9);
}

std::string parse_choice(std::string_view text, std::string_view option, std::string_view choices)
{
  for (std::string_view rest = choices; !rest.empty();) {
    const size_t bar = rest.find('|');
    if (rest.substr(0, bar) == text) return std::string{text};
    rest.remove_prefix(bar == std::string_view::npos ? rest.size() : bar + 1);
  }
  refuse(option, text, std::string{option} + " " + std::string{choices});
}

std::string parse_env(std::string_view text)
{
  const size_t equals = text.find('=');
  if (text.empty() || equals == 0) refuse("--env", text, "--env KEY=VALUE");
  if (equals != std::string_view::npos) return std::string{text};
  const char* value = std::getenv(std::string{text}.c_str());
  return value == nullptr ? std::string{} : std::string{text} + "=" + value;
}

std::vector<std::string> read_env_file(const std::string& path)
{
  const std::string content = kernel::read_file(AT_FDCWD, path, 1 << 20);
  std::vector<std::string> variables;
  std::string_view rest = content;
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    if (line.empty() || line[0] == '#') continue;
    std::string variable = parse_env(line);
    if (!variable.empty()) variables.push_back(std::move(variable));
  }
  return variables;
}

} // namespace conductor::command
