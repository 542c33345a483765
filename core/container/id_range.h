// Each container's own range of 65536 host user and group ids.
//
// A taken range is a symlink run/ids/<first id> -> container id, so the kernel arbitrates (EEXIST: take the next) and
// no lock is held. The name says which ids these are, whatever pool is configured by then. What lies on disk has the
// image's own ids, so a container may have another range at every start.
#pragma once

#include "core/store/root.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace conductor {

inline constexpr uint32_t ids_per_container = 65536;

struct IdPool {
  uint32_t first = 0x20000000; // 536,870,912: above what useradd, subuid(5) and systemd-homed hand out
  uint32_t slots = 4096;
};
// "FIRST-LAST" of the configuration; empty: the built-in pool. Throws Error when it holds no whole range.
IdPool parse_id_pool(std::string_view text);

// Takes a free range for the container and returns its first id. The one it had before is preferred.
uint32_t take_id_range(const Root& root, const IdPool& pool, const std::string& container_id);
// Gives it back; somebody else's is left alone. Gone already is success.
void release_id_range(const Root& root, const std::string& container_id, uint32_t first_id);
// Gives back whatever the container has: for one that was killed before it wrote down its range.
void release_id_ranges_of(const Root& root, const std::string& container_id);

} // namespace conductor
