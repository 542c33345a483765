// From a finished tree to a layer of the store.
#pragma once

#include "core/store/images.h"
#include "core/store/workshop.h"

#include <cstdint>
#include <string>

namespace conductor::image {

// Bytes of the files below a directory; hard links count once.
uint64_t tree_size(int at, const std::string& path);

// Makes the workshop's "made/diff" a layer: counts it, gives it an id, renames it into the store.
Layer commit_made(const Root& root, const Workshop& shop, const std::string& parent, const std::string& made_by);

} // namespace conductor::image
