// A container's /dev: a tmpfs of its own with the few nodes that are safe. Never the host's.
#pragma once

#include "core/base/handle.h"
#include "core/base/trace.h"

#include <cstdint>
#include <string>
#include <vector>

namespace conductor::kernel {

// A detached tmpfs with device_nodes(), device_links(), the directories pts, shm and mqueue, and the host's devices
// that are passed in (as parse_device() takes them; without a place of its own a device keeps its path, or the last
// name alone of one outside of /dev). Made in the host's user namespace, because a tmpfs of another one ignores device
// nodes. owner: host uid and gid of the container's root. Throws Error.
Fd make_dev(Trace& trace, uint32_t owner, const std::vector<std::string>& devices);

} // namespace conductor::kernel
