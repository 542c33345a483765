// Making a base image: a layer with a root tree, and what containers of it run. Made once, then found in the cache.
#pragma once

#include "core/engine/engine.h"
#include "core/image/base.h"

#include <string>
#include <vector>

namespace conductor::image {

struct MadeBase {
  std::vector<std::string> layers; // none for scratch
  ImageConfig config;
};
// From the cache, or made now (two at once share the work). Throws Error: no way to make it (the hint is the cure).
MadeBase make_base(Context& context, const Base& base);

// ---- one function per kind: what its layer depends on, and how its tree is filled

// tree: of the layer, relative to the root directory; it is there and empty.
std::string busybox_key(const Context& context);
void fill_busybox(Context& context, const std::string& tree);

std::string distribution_key(const Context& context, const Base& base);
// workshop: a directory (relative to the root directory) for what is needed only meanwhile.
void fill_distribution(Context& context, const Base& base, const std::string& tree, const std::string& workshop);

} // namespace conductor::image
