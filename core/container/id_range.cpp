#include "core/container/id_range.h"

#include "core/base/error.h"
#include "core/kernel/files.h"

#include <cerrno>
#include <charconv>

#include <fmt/format.h>

namespace conductor {
namespace {

std::string slot_path(uint32_t slot) { return fmt::format("ids/{}", slot); }

uint32_t hash(std::string_view text)
{
  uint32_t value = 2166136261U; // FNV-1a
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 16777619U;
  return value;
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
    const uint32_t slot = (wanted + tried) % pool.slots;
    const std::string path = slot_path(slot);
    if (kernel::make_symlink(trace, container_id, root.run(), path)) return pool.first + slot * ids_per_container;
    const auto owner = kernel::read_link(root.run(), path);
    if (owner == container_id) return pool.first + slot * ids_per_container;
    // A container that is gone (removed after a crash) holds nothing.
    if (owner && !kernel::exists(root.dir(), "containers/id/" + *owner) && !kernel::exists(root.run(), "c/" + *owner)) {
      kernel::replace_symlink(trace, container_id, root.run(), path);
      if (kernel::read_link(root.run(), path) == container_id) return pool.first + slot * ids_per_container;
    }
  }
  throw Error{"find a free range of user ids: all are taken", EUSERS, "enlarge id_pool in the configuration"};
}

void release_id_range(const Root& root, const IdPool& pool, uint32_t first_id)
{
  if (first_id < pool.first) return;
  kernel::remove_file(root.trace(), root.run(), slot_path((first_id - pool.first) / ids_per_container));
}

void release_id_ranges_of(const Root& root, const std::string& container_id)
{
  if (!kernel::exists(root.run(), "ids")) return;
  for (const auto& slot : kernel::list_directory(root.run(), "ids"))
    if (kernel::read_link(root.run(), "ids/" + slot) == container_id)
      kernel::remove_file(root.trace(), root.run(), "ids/" + slot);
}

} // namespace conductor
