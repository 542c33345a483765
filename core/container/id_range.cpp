#include "core/container/id_range.h"

#include "core/base/error.h"
#include "core/kernel/files.h"

#include <cerrno>
#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace conductor {
namespace {

std::string link_path(uint32_t first_id) { return fmt::format("ids/{}", first_id); }

uint32_t hash(std::string_view text)
{
  uint32_t value = 2166136261U; // FNV-1a
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 16777619U;
  return value;
}

// The first id of the range that a link stands for. Smaller numbers are slots of the pool: so an earlier version named
// its links, and its containers may run on (no pool begins below ids_per_container).
std::optional<uint64_t> first_id_of(const IdPool& pool, const std::string& name)
{
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc{} || end != name.data() + name.size()) return std::nullopt;
  return number < ids_per_container ? pool.first + number * ids_per_container : number;
}

// A container that is gone (removed after a crash) holds nothing.
bool is_held(const Root& root, const std::string& owner)
{
  return kernel::exists(root.dir(), "containers/id/" + owner) || kernel::exists(root.run(), "c/" + owner);
}

// Does anybody else hold some of these ids? Ranges of one pool are the same or apart; those of a pool that the
// configuration named before may lie across.
bool is_shared(const Root& root, const IdPool& pool, const std::string& container_id, uint32_t first_id)
{
  for (const auto& name : kernel::list_directory(root.run(), "ids")) {
    const auto other = first_id_of(pool, name);
    if (!other || *other >= uint64_t{first_id} + ids_per_container || *other + ids_per_container <= first_id) continue;
    const auto owner = kernel::read_link(root.run(), "ids/" + name);
    if (owner && *owner != container_id && is_held(root, *owner)) return true;
  }
  return false;
}

// The kernel decides who gets a link. True when it is ours now.
bool take_link(const Root& root, const std::string& container_id, const std::string& path)
{
  Trace& trace = root.trace();
  if (kernel::make_symlink(trace, container_id, root.run(), path)) return true;
  const auto owner = kernel::read_link(root.run(), path);
  if (owner && *owner != container_id && !is_held(root, *owner))
    kernel::replace_symlink(trace, container_id, root.run(), path);
  return kernel::read_link(root.run(), path) == container_id;
}

} // namespace

IdPool parse_id_pool(std::string_view text)
{
  if (text.empty()) return {};
  uint64_t first = 0;
  uint64_t last = 0;
  const size_t dash = text.find('-');
  const auto number = [](std::string_view digits, uint64_t& value) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc{} && end == digits.data() + digits.size();
  };
  const bool good = dash != std::string_view::npos && number(text.substr(0, dash), first) &&
                    number(text.substr(dash + 1), last) && first >= ids_per_container && last < 0xfffffffeU &&
                    last >= first + ids_per_container - 1;
  if (!good)
    throw Error{fmt::format("id_pool '{}' is no range of at least {} host ids", text, ids_per_container), EINVAL,
                "for example \"536870912-805306367\""};
  return {.first = static_cast<uint32_t>(first),
          .slots = static_cast<uint32_t>((last - first + 1) / ids_per_container)};
}

uint32_t take_id_range(const Root& root, const IdPool& pool, const std::string& container_id)
{
  Trace& trace = root.trace();
  if (!kernel::exists(root.run(), "ids")) kernel::make_directory(trace, root.run(), "ids", 0700);
  const uint32_t wanted = hash(container_id) % pool.slots;
  for (uint32_t tried = 0; tried < pool.slots; ++tried) {
    const uint32_t first_id = pool.first + (wanted + tried) % pool.slots * ids_per_container;
    if (!take_link(root, container_id, link_path(first_id))) continue;
    // Looked at once the link is there: of two that lie across each other, one at least sees the other.
    if (!is_shared(root, pool, container_id, first_id)) return first_id;
    release_id_range(root, container_id, first_id);
  }
  throw Error{"find a free range of user ids: all are taken", EUSERS, "enlarge id_pool in the configuration"};
}

void release_id_range(const Root& root, const std::string& container_id, uint32_t first_id)
{
  const std::string path = link_path(first_id);
  if (kernel::read_link(root.run(), path) == container_id)
    kernel::remove_file(root.trace(), root.run(), path);
  else // an earlier version took it
    release_id_ranges_of(root, container_id);
}

void release_id_ranges_of(const Root& root, const std::string& container_id)
{
  if (!kernel::exists(root.run(), "ids")) return;
  for (const auto& slot : kernel::list_directory(root.run(), "ids"))
    if (kernel::read_link(root.run(), "ids/" + slot) == container_id)
      kernel::remove_file(root.trace(), root.run(), "ids/" + slot);
}

} // namespace conductor
