// What a Spec must look like before anything is made from it, and the small texts around it: names, times, ids.
#include "core/container/spec.h"

#include "core/base/error.h"
#include "core/base/guard.h"
#include "core/container/restart.h"
#include "core/kernel/group_limits.h"
#include "core/kernel/masks.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <set>
#include <tuple>

#include <sys/random.h>

namespace conductor {
namespace {

constexpr size_t longest_name = 63;

bool is_lower_or_digit(char letter) { return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9'); }

void refuse_nul(std::string_view text, const char* what)
{
  if (text.find('\0') != std::string_view::npos)
    throw usage_error(std::string{what} + " '" + visible(text) + "' holds a zero byte");
}

void check_inside_path(std::string_view path, const char* what)
{
  refuse_nul(path, what);
  if (!path.starts_with('/')) throw usage_error(std::string{what} + " '" + visible(path) + "' is not absolute");
}

// What is mounted over the whole root would never be seen: the root is held by its descriptor already.
void check_mount_point(std::string_view path, const char* what)
{
  check_inside_path(path, what);
  size_t depth = 0;
  for (size_t at = 0; at < path.size();) {
    const size_t slash = std::min(path.find('/', at), path.size());
    const std::string_view name = path.substr(at, slash - at);
    if (name == "..")
      depth -= depth > 0 ? 1 : 0;
    else if (!name.empty() && name != ".")
      ++depth;
    at = slash + 1;
  }
  if (depth == 0)
    throw usage_error(std::string{what} + " '" + visible(path) + "' is the whole root directory",
                      "name a directory in it; a root of one's own is an image: FROM scratch and COPY");
}

void check_volume_name(const std::string& name)
{
  if (!is_name(name))
    throw usage_error("'" + visible(name) + "' cannot be a volume's name",
                      "names are as those of containers; a directory of this host begins with '/' or './'");
}

// Two mounts on one place: the second would hide the first.
void check_once(std::set<std::string>& targets, std::string target)
{
  while (target.size() > 1 && target.ends_with('/')) target.pop_back();
  if (!targets.insert(target).second) throw usage_error("two volumes have the target '" + visible(target) + "'");
}

void check_variable(const std::string& variable)
{
  refuse_nul(variable, "environment variable");
  const size_t equals = variable.find('=');
  if (equals == std::string::npos || equals == 0)
    throw usage_error("environment variable '" + visible(variable) + "' is not KEY=VALUE");
}

void check_hostname(std::string_view name)
{
  if (name.size() > 64)
    throw usage_error("host name '" + visible(name, 64) + "' has " + std::to_string(name.size()) + " characters",
                      "64 are the most");
  // hostname(7): 64 bytes in the kernel, letters, digits, '-' and '.', by RFC 1123 not beginning with a hyphen.
  const bool fine =
      !name.starts_with('-') && !name.starts_with('.') && std::all_of(name.begin(), name.end(), [](char letter) {
        return is_lower_or_digit(letter) || (letter >= 'A' && letter <= 'Z') || letter == '-' || letter == '.' ||
               letter == '_';
      });
  if (!fine) throw usage_error("host name '" + visible(name) + "' may hold only letters, digits, '-', '.' and '_'");
}

void check_process_limits(const Spec& spec)
{
  for (const Ulimit& limit : spec.ulimits)
    if (limit.soft > limit.hard) throw usage_error("ulimit '" + visible(limit.name) + "': soft is above hard");
  if (spec.oom_score_adj && (*spec.oom_score_adj < -1000 || *spec.oom_score_adj > 1000))
    throw usage_error("--oom-score-adj must lie between -1000 and 1000", "1000 is ended first when memory runs out");
  if (spec.shm_bytes && *spec.shm_bytes < 4096) throw usage_error("--shm-size must be 4K at least");
}

// What a namespace of the host allows only to who is root there, or what somebody else does then.
void check_namespaces(const Spec& spec)
{
  for (const auto& [shared, option, place] : {std::tuple{spec.host_pid, "--pid host", "/proc"},
                                              std::tuple{spec.host_cgroup, "--cgroupns host", "/sys/fs/cgroup"}})
    if (shared && spec.user_namespace)
      throw usage_error(std::string{option} +
                            " cannot be had in a user namespace: the kernel would not mount the host's " + place +
                            " there",
                        "give --userns host too");
  if (spec.host_pid && spec.init)
    throw usage_error("--init makes a PID 1, and with --pid host that is the host's", "leave out one of both");
  if (spec.host_ipc && spec.shm_bytes)
    throw usage_error("with --ipc host /dev/shm is the host's, and --shm-size cannot change it",
                      "leave out one of both");
  if (spec.host_uts && !spec.hostname.empty())
    throw usage_error("with --uts host the host name is the host's, and --hostname cannot change it",
                      "leave out one of both");
}

void check_masks(const Spec& spec)
{
  for (const std::string& path : spec.mask) check_mount_point(path, "--mask");
  for (const std::string& pattern : spec.unmask) kernel::check_unmask(pattern);
}

// A character that would steer a terminal or turn the reading direction, and so could show what is not there.
bool is_deceptive(uint32_t point)
{
  return point < 0x20 || (point >= 0x7f && point < 0xa0) || (point >= 0x200b && point <= 0x200f) ||
         (point >= 0x2028 && point <= 0x202e) || (point >= 0x2060 && point <= 0x2069) || point == 0xfeff;
}

struct Character {
  uint32_t point = 0;
  size_t length = 0; // bytes; 0 when the bytes are no UTF-8
};

// RFC 3629: no overlong forms, no surrogates, nothing beyond U+10FFFF.
Character next_character(std::string_view text)
{
  const auto byte = [&](size_t index) { return static_cast<unsigned char>(text[index]); };
  if (byte(0) < 0x80) return {byte(0), 1};
  const size_t length = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : byte(0) >= 0xc2 ? 2 : 0;
  if (length == 0 || byte(0) > 0xf4 || text.size() < length) return {};
  uint32_t point = byte(0) & (0xffU >> (length + 1));
  for (size_t index = 1; index < length; ++index) {
    if ((byte(index) & 0xc0) != 0x80) return {};
    point = point << 6 | (byte(index) & 0x3fU);
  }
  constexpr std::array<uint32_t, 5> least{0, 0, 0x80, 0x800, 0x10000};
  if (point < least[length] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return {};
  return {point, length};
}

std::string escaped(const char* form, unsigned value)
{
  std::array<char, 16> buffer{};
  const int length = std::snprintf(buffer.data(), buffer.size(), form, value);
  return {buffer.data(), static_cast<size_t>(length)};
}

} // namespace

bool is_name(std::string_view name)
{
  if (name.empty() || name.size() > longest_name || !is_lower_or_digit(name.front())) return false;
  return std::all_of(name.begin(), name.end(), [](char letter) {
    return is_lower_or_digit(letter) || letter == '_' || letter == '.' || letter == '-';
  });
}

void check_name(std::string_view name)
{
  const std::string shown = "'" + visible(name, longest_name) + "'";
  // Both are in every container's /etc/hosts: a peer of that name would be taken for them, or they for it.
  if (name == "host" || name == "localhost")
    throw usage_error(shown + " cannot be a container's name: in containers that is " +
                          (name == "host" ? "this host" : "the container itself"),
                      "take another name");
  if (is_name(name)) return;
  if (name.empty()) throw usage_error("the container name is empty");
  if (name.size() > longest_name)
    throw usage_error("the container name " + shown + " has " + std::to_string(name.size()) + " characters",
                      "63 are the most");
  std::string lower{name};
  for (char& letter : lower)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  if (is_name(lower))
    throw usage_error("the container name " + shown + " has upper-case letters", "use '" + lower + "'");
  throw usage_error(shown + " cannot be a container's name: names begin with a-z or 0-9 and go on with a-z, 0-9, '_', "
                            "'.' or '-', 63 characters at most");
}

void check_spec(const Spec& spec)
{
  check_name(spec.name);
  check_hostname(spec.hostname);
  for (const std::string& arg : spec.process.args) refuse_nul(arg, "argument");
  for (const std::string& variable : spec.process.env) check_variable(variable);
  check_inside_path(spec.process.workdir, "working directory");
  refuse_nul(spec.process.user, "user");
  std::set<std::string> targets;
  for (const Volume& volume : spec.volumes) {
    if (volume.name.empty()) {
      if (!volume.anonymous) check_inside_path(volume.source, "volume source");
    } else {
      check_volume_name(volume.name);
    }
    check_mount_point(volume.target, "volume target");
    check_once(targets, volume.target);
  }
  for (const std::string& text : spec.tmpfs) {
    const MemoryMount mount = memory_mount(text);
    check_mount_point(mount.target, "tmpfs");
    check_once(targets, mount.target);
  }
  for (const std::string& device : spec.devices) {
    refuse_nul(device, "device");
    kernel::parse_device(device);
  }
  check_process_limits(spec);
  check_namespaces(spec);
  check_masks(spec);
  if (spec.health)
    for (const std::string& word : spec.health->test) refuse_nul(word, "--health-cmd");
  kernel::check_limits(spec.limits);
  const bool restarts = restart_policy(spec.restart).when != RestartPolicy::When::never;
  if (restarts && spec.auto_remove)
    throw usage_error("--rm removes it when it has ended, --restart starts it again", "give one of both");
  if (spec.stop_seconds < 0) throw usage_error("the grace time of stop cannot be negative");
}

namespace {

// A row is a word of --tmpfs and what it sets; with a value behind '=' or without.
struct MemoryOption {
  std::string_view name;
  bool (*take)(MemoryMount&, std::string_view value);
};
bool take_size(MemoryMount& mount, std::string_view value)
{
  constexpr std::string_view units = "kmgt";
  const size_t digits = std::min(value.find_first_not_of("0123456789"), value.size());
  uint64_t number = 0;
  if (digits == 0 || std::from_chars(value.data(), value.data() + digits, number).ec != std::errc{}) return false;
  std::string_view unit = value.substr(digits);
  if (!unit.empty()) {
    const size_t power = units.find(static_cast<char>(unit.front() | 0x20));
    if (power == std::string_view::npos || unit.size() > 1 || number > (UINT64_MAX >> (10 * (power + 1)))) return false;
    number <<= 10 * (power + 1);
  }
  mount.size_bytes = number;
  return number > 0;
}
bool take_mode(MemoryMount& mount, std::string_view value)
{
  mount.mode = value;
  return !value.empty() && value.size() <= 4 && value.find_first_not_of("01234567") == std::string_view::npos;
}
constexpr MemoryOption memory_options[] = {
    {"size", take_size},
    {"mode", take_mode},
    {"ro", [](MemoryMount& mount, std::string_view value) { return mount.read_only = true, value.empty(); }},
    {"rw", [](MemoryMount&, std::string_view value) { return value.empty(); }},
    {"exec", [](MemoryMount&, std::string_view value) { return value.empty(); }},
    {"noexec", [](MemoryMount& mount, std::string_view value) { return mount.executable = false, value.empty(); }},
    // These are always so.
    {"nosuid", [](MemoryMount&, std::string_view value) { return value.empty(); }},
    {"nodev", [](MemoryMount&, std::string_view value) { return value.empty(); }},
};

} // namespace

MemoryMount memory_mount(std::string_view text)
{
  MemoryMount mount;
  const size_t colon = std::min(text.find(':'), text.size());
  mount.target = text.substr(0, colon);
  std::string_view rest = text.substr(std::min(colon + 1, text.size()));
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(','), rest.size());
    const std::string_view word = rest.substr(0, comma);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    const size_t equals = std::min(word.find('='), word.size());
    const auto row = std::find_if(std::begin(memory_options), std::end(memory_options),
                                  [&](const MemoryOption& option) { return option.name == word.substr(0, equals); });
    if (row == std::end(memory_options) || !row->take(mount, word.substr(std::min(equals + 1, word.size()))))
      throw usage_error("--tmpfs " + visible(text) + ": '" + visible(word) + "' is not understood",
                        "--tmpfs /run:size=64m,mode=755; ro and noexec are possible, too");
  }
  return mount;
}

std::string visible(std::string_view text, size_t most)
{
  if (!holds(guard::visible_text)) return std::string{text.substr(0, most)};
  std::string shown;
  size_t characters = 0;
  while (!text.empty()) {
    const Character character = next_character(text);
    std::string piece;
    if (character.length == 0)
      piece = escaped("\\x%02x", static_cast<unsigned char>(text[0]));
    else if (!is_deceptive(character.point))
      piece = text.substr(0, character.length);
    else
      piece = escaped(character.point < 0x100 ? "\\x%02x" : "\\u%04x", character.point);
    const size_t length = std::max<size_t>(1, character.length);
    const size_t width = piece[0] == '\\' && piece.size() > 1 ? piece.size() : 1;
    if (characters + width > most) return shown + "...";
    shown += piece;
    characters += width;
    text.remove_prefix(length);
  }
  return shown;
}

bool is_utf8(std::string_view text)
{
  while (!text.empty()) {
    const Character character = next_character(text);
    if (character.length == 0) return false;
    text.remove_prefix(character.length);
  }
  return true;
}

std::string rfc3339(int64_t realtime_ns)
{
  const time_t seconds = realtime_ns / 1'000'000'000;
  std::tm parts{};
  std::array<char, 32> buffer{};
  ::gmtime_r(&seconds, &parts);
  return {buffer.data(), std::strftime(buffer.data(), buffer.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

int64_t realtime_ns()
{
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

std::string random_hex(size_t digits)
{
  constexpr std::string_view alphabet = "0123456789abcdef";
  std::string hex(digits, '\0');
  for (size_t filled = 0; filled < digits;) {
    const ssize_t got = ::getrandom(hex.data() + filled, digits - filled, 0);
    if (got < 0 && errno != EINTR) throw Error{"get random bytes", errno};
    if (got > 0) filled += static_cast<size_t>(got);
  }
  for (char& digit : hex) digit = alphabet[static_cast<unsigned char>(digit) & 0xf];
  return hex;
}

} // namespace conductor
