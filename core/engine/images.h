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

// Removes the build cache that nobody needs: every layer that neither an image nor a container stands on, what is known
// of the build steps that made those, and what RUN keeps in its caches. Builds that run now keep theirs.
struct RemovedCache {
  size_t links = 0, layers = 0, blobs = 0;
  uint64_t bytes = 0;
};
RemovedCache remove_cache(Context& context);

// Gives an image another name; one that pointed elsewhere moves. Throws Error: no such image.
Image tag(Context& context, const std::string& reference, const std::string& name);

// One step that made an image.
struct HistoryRow {
  HistoryEntry entry;
  std::string layer; // id; empty: it changed the configuration only
  uint64_t size_bytes = 0;
};
// Newest first. Images that say nothing about their making give one row a layer.
std::vector<HistoryRow> history(Context& context, const std::string& reference);
std::string history_json(const std::vector<HistoryRow>& rows);

// Everything known about an image, as one JSON object.
std::string inspect(Context& context, const std::string& reference);

// ---- the room that it all takes (image_space.cpp): counted by object, from what each says about itself

struct SpaceRow {
  std::string kind; // "layer", "blob", "container", "volume", "build"
  std::string id;   // of a layer or blob; a container's or a volume's name
  uint64_t size_bytes = 0;
  std::vector<std::string> owners; // "image web:latest", "container one", "cache"; none: nobody needs it
};
struct Space {
  std::vector<SpaceRow> rows;
  size_t images = 0, containers = 0, volumes = 0, cached_steps = 0;
  uint64_t free_bytes = 0; // of the file system
};
// containers: count what containers wrote, what lies in volumes and what RUN keeps, too, which means to look at each of
// those files.
Space space(Context& context, bool containers);
std::string space_json(const Space& space);

// Removes images without a name, the build cache that no image needs, and what is left of layers that are gone. Never
// what an image or a container uses. Builds that run now keep theirs.
struct Pruned {
  size_t images = 0, links = 0, layers = 0, blobs = 0;
  uint64_t bytes = 0;
};
Pruned prune(Context& context);
// What that would remove now.
Pruned prunable(Context& context);

// A layer whose files hold less than when it was committed. Nothing is synced while layers are made (that would cost
// more than making them), so after a power failure the last ones may have lost what was still to be written.
struct DamagedLayer {
  std::string id;
  std::vector<std::string> images, containers; // names of those that stand on it
};
// Looks at every file of every layer, at its size only.
std::vector<DamagedLayer> damaged_layers(Context& context);
// Removes those that no container stands on, so that a build or a pull makes them again; gives them back. Throws Error.
std::vector<DamagedLayer> remove_damaged_layers(Context& context);

} // namespace conductor::image
