// Volumes with a name, and those that an image asks for: made when a container first needs them, with what the image
// has at their place.
#pragma once

#include "core/engine/engine.h"

#include <string>
#include <vector>

namespace conductor {

// One for each VOLUME of the image that the wish does not mount something on. Numbers them, and those that the wish
// left without a name.
void add_image_volumes(Spec& spec, const ImageConfig& config);

// Makes the volumes of a container that are not there yet: content, owner and mode are those of the image's directory
// at the target, else it is empty and root's. Returns the names of those that are new. All or nothing. Throws Error.
std::vector<std::string> ensure_volumes(const Context& context, const Spec& spec);
// Are all of them there? Costs nothing where none has a name.
bool has_volumes(const Root& root, const Spec& spec);

struct ListedVolume {
  std::string name;
  std::string path;                 // of its content, on this host
  int64_t created_ns = 0;           // CLOCK_REALTIME
  std::vector<std::string> used_by; // names of containers
};
std::vector<ListedVolume> list_volumes(Context& context);
// The document of `volumes --json`.
std::string volumes_json(const std::vector<ListedVolume>& volumes);
// Throws Error: not there (the hint is the nearest name), or a container uses it (says which).
void remove_volume(Context& context, const std::string& name);
// Removes those that no container uses; their names.
std::vector<std::string> prune_volumes(Context& context);

} // namespace conductor
