// What can be done with images that are there: list, look at, remove. Needs nothing but the store, so that these verbs
// start as fast as `ps`; what makes images is in core/image.
#pragma once

#include "core/engine/engine.h"

#include <string>
#include <vector>

namespace conductor::image {

// A row of `conductor images`: one name of an image.
struct Listed {
  std::string name; // "web:latest"
  Image image;
  uint64_t size_bytes = 0;          // of all its layers
  std::vector<std::string> used_by; // names of containers
};
// Every name of every image, by name.
std::vector<Listed> list(Context& context);
// The document of `images --json` (CLI.md).
std::string list_json(const std::vector<Listed>& rows);

// Takes a name away; with its last name the image goes too. `id:HEX` takes all its names. Throws Error: not there (the
// hint is the nearest name), or a container was made from it (says which; an image that keeps another name may lose
// this one).
struct Removed {
  std::vector<std::string> names;
  bool image_gone = false;
};
Removed remove(Context& context, const std::string& reference);

// Removes the build cache: every link of a build step to its layer, and every layer that neither an image nor a
// container needs. Builds that run now keep theirs.
struct RemovedCache {
  size_t links = 0, layers = 0;
  uint64_t bytes = 0;
};
RemovedCache remove_cache(Context& context);

} // namespace conductor::image
