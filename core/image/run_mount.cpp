#include "core/image/run_mount.h"

#include "core/base/error.h"
#include "core/base/nearest.h"
#include "core/container/spec.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <vector>

namespace conductor::image {
namespace {

constexpr std::string_view kinds[] = {"bind", "cache", "tmpfs", "secret"}; // in the order of MountKind

bool parse_switch(std::string_view value, std::string_view key)
{
  if (value.empty() || value == "true" || value == "1") return true;
  if (value == "false" || value == "0") return false;
  throw Error{std::string{key} + "='" + visible(value) + "' is neither true nor false"};
}

uint64_t parse_number(std::string_view value, std::string_view key, int base, uint64_t most)
{
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number, base);
  if (value.empty() || error != std::errc{} || end != value.data() + value.size() || number > most)
    throw Error{std::string{key} + "='" + visible(value) + "' is no number that fits"};
  return number;
}

// 64m, 1g, 1048576
uint64_t parse_size(std::string_view value)
{
  int shift = 0;
  if (!value.empty() && (value.back() == 'b' || value.back() == 'B')) value.remove_suffix(1);
  constexpr std::string_view units = "kmgt";
  if (!value.empty()) {
    const size_t unit = units.find(static_cast<char>(value.back() | 0x20));
    if (unit != std::string_view::npos) {
      shift = 10 * (static_cast<int>(unit) + 1);
      value.remove_suffix(1);
    }
  }
  return parse_number(value, "size", 10, uint64_t{1} << (62 - shift)) << shift;
}

Sharing parse_sharing(std::string_view value)
{
  if (value == "shared") return Sharing::shared;
  if (value == "private") return Sharing::exclusive;
  if (value == "locked") return Sharing::locked;
  throw Error{"sharing='" + visible(value) + "' is not possible", 0, "shared, private or locked"};
}

using Set = void (*)(RunMount&, std::string_view value);
// A row is a key, the types that have it (letters of bind, cache, tmpfs, secret), and what it does.
struct Key {
  const char* name;
  const char* of;
  Set set;
};
constexpr uint64_t most_id = 4294967294;
constexpr Key keys[] = {
    {"target", "bcts", [](RunMount& m, std::string_view v) { m.target = v; }},
    {"dst", "bcts", [](RunMount& m, std::string_view v) { m.target = v; }},
    {"destination", "bcts", [](RunMount& m, std::string_view v) { m.target = v; }},
    {"source", "bc", [](RunMount& m, std::string_view v) { m.source = v; }},
    {"src", "bc", [](RunMount& m, std::string_view v) { m.source = v; }},
    {"from", "bc", [](RunMount& m, std::string_view v) { m.from = v; }},
    {"id", "cs", [](RunMount& m, std::string_view v) { m.id = v; }},
    {"ro", "bc", [](RunMount& m, std::string_view v) { m.writable = !parse_switch(v, "ro"); }},
    {"readonly", "bc", [](RunMount& m, std::string_view v) { m.writable = !parse_switch(v, "readonly"); }},
    {"rw", "bc", [](RunMount& m, std::string_view v) { m.writable = parse_switch(v, "rw"); }},
    {"readwrite", "bc", [](RunMount& m, std::string_view v) { m.writable = parse_switch(v, "readwrite"); }},
    {"sharing", "c", [](RunMount& m, std::string_view v) { m.sharing = parse_sharing(v); }},
    {"mode", "cs",
     [](RunMount& m, std::string_view v) { m.mode = static_cast<mode_t>(parse_number(v, "mode", 8, 07777)); }},
    {"uid", "cs",
     [](RunMount& m, std::string_view v) { m.uid = static_cast<uint32_t>(parse_number(v, "uid", 10, most_id)); }},
    {"gid", "cs",
     [](RunMount& m, std::string_view v) { m.gid = static_cast<uint32_t>(parse_number(v, "gid", 10, most_id)); }},
    {"required", "s", [](RunMount& m, std::string_view v) { m.required = parse_switch(v, "required"); }},
    {"env", "s", [](RunMount& m, std::string_view v) { m.variable = v; }},
    {"size", "t", [](RunMount& m, std::string_view v) { m.size_bytes = parse_size(v); }},
};

using Field = std::pair<std::string_view, std::string_view>;
std::vector<Field> fields_of(std::string_view text)
{
  std::vector<Field> fields;
  while (!text.empty()) {
    const std::string_view field = text.substr(0, text.find(','));
    text.remove_prefix(std::min(field.size() + 1, text.size()));
    const size_t equals = field.find('=');
    fields.emplace_back(field.substr(0, equals),
                        equals == std::string_view::npos ? std::string_view{} : field.substr(equals + 1));
  }
  return fields;
}

MountKind kind_of(const std::vector<Field>& fields)
{
  for (const auto& [key, value] : fields) {
    if (key != "type") continue;
    const auto* const found = std::find(std::begin(kinds), std::end(kinds), value);
    if (found != std::end(kinds)) return static_cast<MountKind>(found - std::begin(kinds));
    if (value == "ssh")
      throw Error{"type=ssh is not possible: no agent of the host is reachable from a step", 0,
                  "give a key as a secret: --mount=type=secret,id=key"};
    const std::string near = nearest_hint(value, {kinds[0].data(), kinds[1].data(), kinds[2].data(), kinds[3].data()});
    throw Error{"there is no mount of type '" + visible(value) + "'", 0,
                near.empty() ? "bind, cache, tmpfs and secret are possible" : near};
  }
  return MountKind::bind;
}

const Key& find_key(std::string_view name, MountKind kind)
{
  const char letter = kinds[static_cast<size_t>(kind)].front();
  std::vector<std::string> known{"type"};
  std::string all = "type";
  for (const Key& key : keys) {
    if (std::strchr(key.of, letter) == nullptr) continue;
    if (name == key.name) return key;
    known.emplace_back(key.name);
    all += std::string{" "} + key.name;
  }
  const std::string near = nearest_hint(name, known);
  throw Error{"a mount of type " + std::string{kinds[static_cast<size_t>(kind)]} + " has no '" + visible(name) + "'", 0,
              near.empty() ? "it knows " + all : near};
}

RunMount read(std::string_view text, bool with_values)
{
  const auto fields = fields_of(text);
  RunMount mount{.kind = kind_of(fields)};
  mount.writable = mount.kind == MountKind::cache || mount.kind == MountKind::tmpfs;
  for (const auto& [name, value] : fields) {
    if (name == "type") continue;
    const Key& key = find_key(name, mount.kind);
    if (with_values || value.find('$') == std::string_view::npos)
      key.set(mount, value);
    else
      mount.target = mount.id = "later";
  }
  if (mount.kind == MountKind::secret) {
    if (mount.id.empty()) mount.id = mount.target.substr(mount.target.rfind('/') + 1);
    if (mount.id.empty()) throw Error{"a secret needs an id", 0, "--mount=type=secret,id=NAME"};
    if (mount.target.empty() && mount.variable.empty()) mount.target = "/run/secrets/" + mount.id;
  } else if (mount.target.empty()) {
    throw Error{"a target is missing", 0,
                "--mount=type=" + std::string{kinds[static_cast<size_t>(mount.kind)]} + ",target=/path"};
  }
  if (mount.kind == MountKind::cache && mount.id.empty()) mount.id = mount.target;
  return mount;
}

} // namespace

RunMount parse_mount(std::string_view text)
{
  try {
    return read(text, true);
  } catch (const Error& error) {
    throw error.within("RUN: --mount=" + visible(text));
  }
}

void check_mount(std::string_view text)
{
  if (text.find("type=$") != std::string_view::npos) return;
  try {
    read(text, false);
  } catch (const Error& error) {
    throw error.within("RUN: --mount=" + visible(text));
  }
}

} // namespace conductor::image
