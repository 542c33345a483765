// Spare container directories: what a container leaves behind when it wrote nothing.
//
// Making and removing the dozen directories of a container is most of what a short `run --rm` costs on a disk: where the
// file system discards freed blocks at once (mount -o discard), each removed directory waits for the device. So a
// directory whose writable layer is untouched is emptied of everything that was the container's and put aside; the next
// container begins with it. At most a few are kept, 40 KiB each.
#pragma once

#include "core/store/root.h"

#include <string>

namespace conductor {

inline constexpr const char* spare_directory = "spare"; // below the root directory
// The mode of a spare upper/: nobody's, so that whoever makes the root of a container sees that it must be set.
inline constexpr unsigned untouched_mode = 0;

// Renames a spare directory to `made` (relative to the root directory). False when there is none.
bool take_spare(const Root& root, const std::string& made);
// Keeps `doomed` (relative to the root directory, nobody else knows it any more) as a spare if nothing of its container
// remains in it. False when it must be removed instead; it may have lost some of its files then. Throws nothing.
bool keep_as_spare(const Root& root, const std::string& doomed, const std::string& id);
// Removes all spares (rmcache, doctor).
void remove_spares(const Root& root);

} // namespace conductor
