#include "core/image/layers.h"

#include "core/base/error.h"
#include "core/base/guard.h"
#include "core/container/spec.h"
#include "core/image/digest.h"
#include "core/kernel/files.h"

#include <algorithm>

namespace conductor::image {
namespace {

Layer known_layer(const Images& images, const std::string& id)
{
  auto layer = images.find_layer(id);
  if (!layer)
    throw Error{"the layer " + id.substr(0, 12) + " is missing", 0, "the cache is damaged: conductor rmcache"};
  return std::move(*layer);
}

} // namespace

Layer commit_made(const Root& root, const Workshop& shop, const std::string& parent, const std::string& made_by,
                  std::optional<int64_t> created_ns, std::optional<PackedTree> packed)
{
  const std::string made = shop.path() + "/made";
  if (!packed) {
    const Fd tree = kernel::open_directory(root.dir(), made + "/diff");
    packed = pack_tree(root.trace(), tree.get(), TreeKind::layer, {});
  }
  const Layer layer{.id = packed->diff_id,
                    .diff_id = packed->diff_id,
                    .parent = parent,
                    .made_by = made_by,
                    .size_bytes = packed->content_bytes,
                    .created_ns = created_ns.value_or(realtime_ns())};
  const Images images{root};
  images.commit_layer(made, layer);
  return known_layer(images, layer.id); // one that was there already has a time of its own
}

std::string chained_id(const std::vector<std::string>& lower, const std::string& diff_id)
{
  Digest digest;
  digest.field("implied directories 1").field(lower.size());
  for (const std::string& id : lower) digest.field(id);
  return digest.field(diff_id).hex();
}

void check_room_for_layer(const std::vector<std::string>& layers)
{
  if (layers.size() >= most_layers)
    throw Error{"the image would have more than " + std::to_string(most_layers) + " layers", 0,
                "RUN and COPY make one each: let one of them do the work of several"};
}

Image make_image(const Root& root, std::vector<std::string> layers, ImageConfig config, std::string base)
{
  if (layers.size() > most_layers) check_room_for_layer(layers);
  const Images images{root};
  std::vector<std::string> diff_ids;
  int64_t newest_ns = 0;
  for (const std::string& id : layers) {
    const Layer layer = known_layer(images, id);
    newest_ns = std::max(newest_ns, layer.created_ns);
    diff_ids.push_back(layer.diff_id);
  }
  // Not the time of day: a build from the cache alone gives the same image.
  if (config.created.empty() && !layers.empty()) config.created = rfc3339(newest_ns);
  Image image{.layers = std::move(layers), .config = std::move(config), .base = std::move(base)};
  image.configuration = configuration_text(image.config, diff_ids);
  if (image.configuration.size() > longest_configuration)
    throw Error{"the image's configuration would have " + std::to_string(image.configuration.size()) +
                    " bytes; at most " + std::to_string(longest_configuration) + " are possible",
                0, "shorten its labels, its variables or its history"};
  image.id = sha256(image.configuration);
  image.created_ns = parse_rfc3339(image.config.created).value_or(realtime_ns());
  return image;
}

Image foreign_image(const Root& root, std::vector<std::string> layers, std::string configuration)
{
  Configuration parsed = parse_configuration(configuration);
  const Images images{root};
  if (parsed.diff_ids.size() != layers.size())
    throw Error{"the image has " + std::to_string(layers.size()) + " layers, and its configuration names " +
                std::to_string(parsed.diff_ids.size())};
  for (size_t at = 0; at < layers.size(); ++at)
    if (known_layer(images, layers[at]).diff_id != parsed.diff_ids[at] && holds(guard::checked_content))
      throw Error{"layer " + std::to_string(at + 1) + " of the image is not the one that its configuration names"};
  Image image{.layers = std::move(layers), .config = std::move(parsed.config)};
  image.id = sha256(configuration);
  image.configuration = std::move(configuration);
  image.created_ns = parse_rfc3339(image.config.created).value_or(realtime_ns());
  return image;
}

} // namespace conductor::image
