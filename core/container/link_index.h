// The number of each container's link, which is its address and its name on the host as well.
//
// A taken number is a symlink root/network/<index> -> container id (or a build step's), so the kernel arbitrates. It
// stays with a container that is kept, and with it the address; across roots the link itself decides (EEXIST).
#pragma once

#include "core/network.h"
#include "core/store/root.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace conductor {

// Where the search for a name begins, so that the same name gets the same address on every host: 2 to 65534.
LinkIndex preferred_link_index(std::string_view name);
LinkIndex next_link_index(LinkIndex index);

// Takes `first` or the next that is free for this owner. Throws Error when all are taken.
LinkIndex take_link_index(const Root& root, const std::string& id, LinkIndex first);
// Gives it back; somebody else's is left alone. Gone already is success.
void release_link_index(const Root& root, const std::string& id, LinkIndex index);
// Those that an owner has: more than one only where a start was killed half-way.
std::vector<LinkIndex> link_indexes_of(const Root& root, const std::string& id);
// All that are taken, by number.
std::map<LinkIndex, std::string> link_indexes(const Root& root);

} // namespace conductor
