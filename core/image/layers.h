// From finished trees to layers of the store, and from layers to an image.
#pragma once

#include "core/image/layer_packer.h"
#include "core/store/images.h"
#include "core/store/workshop.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace conductor::image {

// Makes the workshop's "made/diff" a layer: packs it to learn its diff_id, which becomes its id (so the same content is
// the same layer), and renames it into the store. created_ns: CLOCK_REALTIME; none: now. packed: what packing it gives,
// where that is known.
Layer commit_made(const Root& root, const Workshop& shop, const std::string& parent, const std::string& made_by,
                  std::optional<int64_t> created_ns = std::nullopt, std::optional<PackedTree> packed = std::nullopt);

// The id of a layer whose directory says more than its archive: directories that the archive only implies look as in
// the layers below (base first), so it belongs to just these.
std::string chained_id(const std::vector<std::string>& lower, const std::string& diff_id);

// The layer of the store that is this archive on top of these layers (base first); none when it must be unpacked.
// Cheap.
std::optional<std::string> find_layer_on(const Root& root, const std::vector<std::string>& lower,
                                         const std::string& diff_id);

// Throws Error when one more layer is one too many.
void check_room_for_layer(const std::vector<std::string>& layers);

// An image that is made here: its configuration is written canonically, with the diff_ids of its layers, and is as old
// as its newest layer (config.created empty). Not stored yet (Images::save). Throws Error when a layer is missing, and
// when there are more layers or more text than parse_configuration() would take back.
Image make_image(const Root& root, std::vector<std::string> layers, ImageConfig config, std::string base);
// One that was made elsewhere: its configuration stays as it is. layers: ids in this store, base first. Throws Error
// when they are not what the configuration names.
Image foreign_image(const Root& root, std::vector<std::string> layers, std::string configuration);

} // namespace conductor::image
