// The room that images take, and giving it back. Everything is decided from what each object says about itself: a
// layer its size, an image its layers, a link its layer. No file of a layer is looked at but to remove it.
#include "core/engine/images.h"

#include "core/base/error.h"
#include "core/engine/volumes.h"
#include "core/kernel/files.h"
#include "core/store/blobs.h"
#include "core/store/volumes.h"
#include "core/store/workshop.h"

#include <algorithm>
#include <map>
#include <set>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <sys/statvfs.h>

namespace conductor::image {
namespace {

// Everything that an image or a container stands on.
std::set<std::string> needed_layers(const std::vector<Image>& images, const std::vector<Container>& containers)
{
  std::set<std::string> needed;
  for (const Image& image : images)
    if (!image.names.empty()) needed.insert(image.layers.begin(), image.layers.end());
  for (const Container& container : containers)
    needed.insert(container.spec.layers.begin(), container.spec.layers.end());
  return needed;
}

// A container remembers its image by id, for commit and inspect.
bool is_used(const Image& image, const std::vector<Container>& containers)
{
  return std::any_of(containers.begin(), containers.end(),
                     [&](const Container& container) { return container.spec.image_id == image.id; });
}

// layer id -> what is in the cache for it.
std::map<std::string, size_t> cached_layers(const Root& root)
{
  std::map<std::string, size_t> cached;
  const auto cache = kernel::find_directory(root.dir(), "cache");
  if (!cache) return cached;
  for (const std::string& key : kernel::list_directory(cache->get(), "."))
    if (const auto layer = kernel::read_link(cache->get(), key)) ++cached[*layer];
  return cached;
}

// What the files of a tree hold, hard links counted once.
struct TreeBytes {
  uint64_t bytes = 0;
  bool is_all = true; // nothing lies deeper than we look
  std::set<std::pair<dev_t, ino_t>> links;
};

void count_tree(TreeBytes& counted, int directory, int depth)
{
  if (depth > 400) { // a descriptor a level
    counted.is_all = false;
    return;
  }
  for (const std::string& name : kernel::list_directory(directory, ".")) {
    struct stat status {};
    if (fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) continue;
    if (S_ISREG(status.st_mode))
      if (status.st_nlink == 1 || counted.links.emplace(status.st_dev, status.st_ino).second)
        counted.bytes += static_cast<uint64_t>(status.st_size);
    if (!S_ISDIR(status.st_mode)) continue;
    const Fd below{openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    if (below) count_tree(counted, below.get(), depth + 1);
  }
}

TreeBytes bytes_below(const Root& root, const std::string& path)
{
  TreeBytes counted;
  if (const auto directory = kernel::find_directory(root.dir(), path)) count_tree(counted, directory->get(), 0);
  return counted;
}

// What goes and what it frees. With Does::removes it goes now; the layers must be owned then.
enum class Does : char { counts, removes };

class Sweep {
public:
  Sweep(Context& context, Does does) : context_(context), root_(context.root), images_(context.root), does_(does) {}

  void nameless_images(const std::vector<Container>& containers)
  {
    for (const Image& image : images_.list()) {
      if (!image.names.empty() || is_used(image, containers)) continue;
      if (does_ == Does::removes) images_.remove_name("id:" + image.id);
      ++removed_.images;
    }
  }

  // A step whose layer stays anyway costs nothing to keep, and minutes to make again: a base, above all.
  void cache(const std::set<std::string>& needed)
  {
    const auto cache = kernel::find_directory(root_.dir(), "cache");
    if (cache) {
      for (const std::string& key : kernel::list_directory(cache->get(), ".")) {
        const auto layer = kernel::read_link(cache->get(), key);
        if (layer && needed.contains(*layer)) continue;
        if (layer) ++removed_.links;
        if (does_ == Does::removes) kernel::remove_file(root_.trace(), root_.dir(), "cache/" + key);
      }
    }
    if (does_ == Does::counts) return;
    // What the caches of RUN hold, what is known of contexts, and why steps were made (core/image).
    kernel::remove_tree(root_.trace(), root_.dir(), "build");
  }

  void layers(const std::set<std::string>& needed)
  {
    for (const std::string& id : images_.layer_ids()) {
      // Without what a needed one says of its packed forms these would go.
      const bool is_needed = needed.contains(id);
      const auto layer = is_needed ? images_.find_layer(id) : images_.readable_layer(id);
      if (is_needed) {
        if (layer)
          for (const PackedForm& form : layer->packed) kept_blobs_.insert(form.digest);
        continue;
      }
      context_.trace.throw_if_interrupted();
      if (layer) removed_.bytes += layer->size_bytes;
      ++removed_.layers;
      if (does_ == Does::counts) continue;
      // Out of sight first: a layer that is half removed when we are killed must not be taken for a whole one.
      const Workshop shop{root_};
      kernel::rename_entry(root_.trace(), root_.dir(), "layers/" + id, root_.dir(), shop.path() + "/layer");
    }
  }

  // After layers(): packed bytes serve the layers that stay.
  void blobs()
  {
    const Blobs blobs{root_};
    for (const std::string& hex : blobs.list()) {
      if (kept_blobs_.contains(hex)) continue;
      removed_.bytes += blobs.size(hex);
      ++removed_.blobs;
      if (does_ == Does::removes) blobs.remove(hex);
    }
  }

  const Pruned& removed() const { return removed_; }

private:
  Context& context_;
  const Root& root_;
  const Images images_;
  Does does_;
  Pruned removed_;
  std::set<std::string> kept_blobs_;
};

Pruned sweep(Context& context, Does does, bool images_too)
{
  const Root& root = context.root;
  const auto containers = Containers{root}.list();
  Sweep sweeping{context, does};
  if (images_too) sweeping.nameless_images(containers);
  std::vector<Image> images = Images{root}.list();
  // What such an image stands on nobody can tell, so nothing may go.
  for (const Image& image : images)
    if (!image.damage.empty()) throw Error{image.damage, 0, "conductor rmi id:" + image.id.substr(0, 12)};
  // Counting leaves the nameless where they are; removing has taken them away, or somebody uses them.
  for (Image& image : images)
    if (image.names.empty() && (!images_too || is_used(image, containers))) image.names.emplace_back("used");
  const std::set<std::string> needed = needed_layers(images, containers);
  sweeping.cache(needed);
  sweeping.layers(needed);
  sweeping.blobs();
  return sweeping.removed();
}

} // namespace

RemovedCache remove_cache(Context& context)
{
  Step step{context.trace, "remove the build cache", "what no image and no container needs"};
  const Fd own = Images{context.root}.own_layers(context.patience);
  sweep_workshops(context.root);
  const Pruned removed = sweep(context, Does::removes, false);
  step.done();
  return {.links = removed.links, .layers = removed.layers, .blobs = removed.blobs, .bytes = removed.bytes};
}

Pruned prune(Context& context)
{
  Step step{context.trace, "remove what nobody needs", "images without a name, build cache, packed layers"};
  const Fd own = Images{context.root}.own_layers(context.patience);
  sweep_workshops(context.root);
  const Pruned removed = sweep(context, Does::removes, true);
  step.done();
  return removed;
}

Pruned prunable(Context& context) { return sweep(context, Does::counts, true); }

Space space(Context& context, bool containers_too)
{
  const Root& root = context.root;
  const Images images{root};
  const auto all_images = images.list();
  const auto containers = Containers{root}.list();
  std::map<std::string, std::vector<std::string>> owners;
  const auto add = [&](const std::string& layer, const std::string& owner) {
    auto& list = owners[layer];
    if (list.empty() || list.back() != owner) list.push_back(owner); // a layer may occur twice in an image
  };
  for (const Image& image : all_images)
    for (const std::string& layer : image.layers)
      add(layer, "image " + (image.names.empty() ? "id:" + image.id.substr(0, 12) : image.names.front()));
  for (const Container& container : containers)
    for (const std::string& layer : container.spec.layers) add(layer, "container " + container.spec.name);
  Space found{.rows = {}, .images = all_images.size(), .containers = containers.size()};
  for (const auto& [layer, links] : cached_layers(root)) {
    found.cached_steps += links;
    add(layer, "cache");
  }
  std::map<std::string, std::vector<std::string>> blob_owners;
  for (const std::string& id : images.layer_ids()) {
    const auto layer = images.readable_layer(id);
    found.rows.push_back({"layer", id, layer ? layer->size_bytes : 0, owners[id]});
    if (!layer) continue;
    for (const PackedForm& form : layer->packed) blob_owners[form.digest].push_back("layer " + id.substr(0, 12));
  }
  const Blobs blobs{root};
  for (const std::string& hex : blobs.list()) found.rows.push_back({"blob", hex, blobs.size(hex), blob_owners[hex]});
  for (const Container& container : containers) {
    if (!containers_too) break;
    const std::string path = Containers{root}.path(container.spec.id);
    const uint64_t bytes = bytes_below(root, path + "/rw/upper").bytes + bytes_below(root, path + "/volumes").bytes;
    found.rows.push_back({"container", container.spec.name, bytes, {"container " + container.spec.name}});
  }
  for (const ListedVolume& volume : list_volumes(context)) {
    ++found.volumes;
    if (!containers_too) continue;
    SpaceRow row{"volume", volume.name, bytes_below(root, Volumes::path("", {.name = volume.name})).bytes, {}};
    for (const std::string& user : volume.used_by) row.owners.push_back("container " + user);
    found.rows.push_back(std::move(row));
  }
  if (containers_too && kernel::exists(root.dir(), "build"))
    found.rows.push_back({"build", "caches of RUN", bytes_below(root, "build").bytes, {"cache"}});
  struct statvfs disk {};
  if (fstatvfs(root.dir(), &disk) == 0) found.free_bytes = uint64_t{disk.f_bavail} * disk.f_frsize;
  return found;
}

std::vector<DamagedLayer> damaged_layers(Context& context)
{
  const Root& root = context.root;
  const Images images{root};
  const auto all_images = images.list();
  const auto containers = Containers{root}.list();
  const auto stands_on = [](const std::vector<std::string>& layers, const std::string& id) {
    return std::find(layers.begin(), layers.end(), id) != layers.end();
  };
  std::vector<DamagedLayer> damaged;
  for (const std::string& id : images.layer_ids()) {
    context.trace.throw_if_interrupted();
    const auto layer = images.readable_layer(id);
    const TreeBytes counted = bytes_below(root, Images::diff_path(id));
    if (layer && (!counted.is_all || counted.bytes >= layer->size_bytes)) continue;
    DamagedLayer found{.id = id, .images = {}, .containers = {}};
    for (const Image& image : all_images)
      if (stands_on(image.layers, id))
        found.images.push_back(image.names.empty() ? "id:" + image.id.substr(0, 12) : image.names.front());
    for (const Container& container : containers)
      if (stands_on(container.spec.layers, id)) found.containers.push_back(container.spec.name);
    damaged.push_back(std::move(found));
  }
  return damaged;
}

std::vector<DamagedLayer> remove_damaged_layers(Context& context)
{
  const Root& root = context.root;
  const Fd own = Images{root}.own_layers(context.patience);
  std::vector<DamagedLayer> damaged = damaged_layers(context);
  std::erase_if(damaged, [](const DamagedLayer& layer) { return !layer.containers.empty(); });
  for (const DamagedLayer& layer : damaged) {
    const Workshop shop{root}; // out of sight first, as above
    kernel::rename_entry(root.trace(), root.dir(), "layers/" + layer.id, root.dir(), shop.path() + "/layer");
  }
  return damaged;
}

std::string space_json(const Space& space)
{
  nlohmann::ordered_json objects = nlohmann::ordered_json::array();
  for (const SpaceRow& row : space.rows)
    objects.push_back({{"kind", row.kind}, {"id", row.id}, {"size_bytes", row.size_bytes}, {"owners", row.owners}});
  const nlohmann::ordered_json document{{"images", space.images},         {"containers", space.containers},
                                        {"volumes", space.volumes},       {"cached_steps", space.cached_steps},
                                        {"free_bytes", space.free_bytes}, {"objects", std::move(objects)}};
  return document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

} // namespace conductor::image
