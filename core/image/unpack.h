// ADD of an archive of the context: tar, plain or packed with gzip, bzip2, xz or zstd, by the strict rules that hold
// for layers. What the archive says is written into a directory of its own; nothing of it means anything to layers
// below.
#pragma once

#include "core/base/trace.h"

#include <string>

namespace conductor::image {

// Is the open file such an archive? Looks at the content, never at the name. The offset is at the beginning afterwards.
bool is_archive(int fd);
// Makes the directory `path` below `at` and unpacks into it, owners and all. Device nodes are left out, and that is
// said. Throws Error: damaged, hostile, or unpacking to more than it may.
void unpack_archive(Trace& trace, int fd, int at, const std::string& path, const std::string& name);

} // namespace conductor::image
