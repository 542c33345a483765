// Everything that others may see appears by one rename(2): an image file, a name, a whole layer. So a reader never
// needs a lock; writers that decide by what they see ("was that the last name?") take images/lock.
#include "core/store/images.h"

#include "core/base/error.h"
#include "core/base/nearest.h"
#include "core/container/spec.h"
#include "core/kernel/files.h"

#include <algorithm>
#include <cerrno>

#include <poll.h>
#include <sys/file.h>

namespace conductor {
namespace {

constexpr const char* ids_directory = "images/id";
constexpr const char* names_directory = "images/name";
constexpr std::string_view id_mark = "id:";

std::string id_path(std::string_view id) { return std::string{ids_directory} + "/" + std::string{id}; }
std::string name_path(std::string_view reference)
{
  return std::string{names_directory} + "/" + reference_file(reference);
}
std::string layer_path(std::string_view id) { return "layers/" + std::string{id}; }

bool is_hex(std::string_view text)
{
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// Entries of a directory of ours; none when it was never made.
std::vector<std::string> entries(const Root& root, const char* directory)
{
  const auto fd = kernel::find_directory(root.dir(), directory);
  return fd ? kernel::list_directory(fd->get(), ".") : std::vector<std::string>{};
}

// What a name points at: the id, when it has the form that we make.
std::optional<std::string> id_of_name(const Root& root, std::string_view reference)
{
  const auto target = kernel::read_link(root.dir(), name_path(reference));
  constexpr std::string_view up = "../id/";
  if (!target || !target->starts_with(up)) return std::nullopt;
  std::string id = target->substr(up.size());
  if (id.size() != 64 || !is_hex(id)) return std::nullopt;
  return id;
}

// reference -> id, of every name.
std::vector<std::pair<std::string, std::string>> all_names(const Root& root)
{
  std::vector<std::pair<std::string, std::string>> names;
  for (const std::string& file : entries(root, names_directory)) {
    if (file.starts_with('.')) continue; // being made, or left of somebody who was killed while he made it
    std::string reference = reference_of_file(file);
    if (auto id = id_of_name(root, reference)) names.emplace_back(std::move(reference), std::move(*id));
  }
  return names;
}

// Told: as Image::damage.
enum class Damage : char { throws, told };

std::optional<Image> read_image(const Root& root, const std::string& id,
                                const std::vector<std::pair<std::string, std::string>>& names, Damage damage)
{
  Image image;
  try {
    const auto text = kernel::find_content(root.dir(), id_path(id));
    if (!text) return std::nullopt;
    image = image_from_json(*text);
  } catch (const Error& error) {
    const Error whole = error.within(root.path() + "/" + id_path(id)).with_hint("conductor rmi id:" + id.substr(0, 12));
    if (damage == Damage::throws) throw Error{whole};
    image = Image{};
    image.damage = whole.sentence();
  }
  image.id = id;
  for (const auto& [name, points_at] : names)
    if (points_at == id) image.names.push_back(name);
  return image;
}

// The full id that `id:HEX` means; none when there is no such image. Throws Error when there are several.
std::optional<std::string> complete_id(const Root& root, std::string_view digits)
{
  std::optional<std::string> found;
  for (const std::string& id : entries(root, ids_directory)) {
    if (!id.starts_with(digits) || id.size() != 64 || !is_hex(id)) continue;
    if (found)
      throw Error{"'id:" + std::string{digits} + "' is the beginning of several images", 0, "give more digits"};
    found = id;
  }
  return found;
}

// The id that a normal reference means, by name or by id; none when there is none.
std::optional<std::string> id_of(const Root& root, const std::string& reference)
{
  return reference.starts_with(id_mark) ? complete_id(root, std::string_view{reference}.substr(id_mark.size()))
                                        : id_of_name(root, reference);
}

std::optional<Image> find_image(const Root& root, std::string_view text, Damage damage)
{
  const std::string reference = normal_reference(text);
  const auto id = id_of(root, reference);
  if (!id) return std::nullopt;
  if (!reference.starts_with(id_mark)) return read_image(root, *id, {{reference, *id}}, damage);
  return read_image(root, *id, all_names(root), damage);
}

[[noreturn]] void no_image(const Root& root, std::string_view reference)
{
  std::vector<std::string> known;
  for (const auto& [name, id] : all_names(root)) {
    known.push_back(name);
    if (name.ends_with(":latest")) known.push_back(name.substr(0, name.size() - 7));
  }
  throw Error{"there is no image '" + visible(reference) + "'", 0, nearest_hint(reference, known)};
}

// Points a name at an image. The one it pointed at before goes when that was its last name. Needs the names' lock.
void point(const Root& root, const std::string& id, const std::string& reference)
{
  const auto before = id_of_name(root, reference);
  if (before == id) return; // a rename that changes nothing costs a build from the cache half its time
  kernel::replace_symlink(root.trace(), "../id/" + id, root.dir(), name_path(reference));
  if (!before) return;
  const auto names = all_names(root);
  const bool named = std::any_of(names.begin(), names.end(), [&](const auto& name) { return name.second == *before; });
  if (!named) kernel::remove_file(root.trace(), root.dir(), id_path(*before));
}

Lock lock_names(const Root& root, std::string_view verb)
{
  return Lock{root.dir(), "images/lock", verb, std::chrono::seconds{10}, "the names of images"};
}

void make_directories(const Root& root)
{
  kernel::make_directories(root.trace(), root.dir(), ids_directory, 0700);
  kernel::make_directories(root.trace(), root.dir(), names_directory, 0700);
}

Fd open_layers(const Root& root)
{
  if (auto found = kernel::find_directory(root.dir(), "layers")) return std::move(*found);
  kernel::make_directories(root.trace(), root.dir(), "layers", 0700);
  return kernel::open_directory(root.dir(), "layers");
}

} // namespace

std::vector<Image> Images::list() const
{
  const auto names = all_names(root_);
  std::vector<Image> images;
  for (const std::string& id : entries(root_, ids_directory)) {
    if (id.size() != 64 || !is_hex(id)) continue; // a file that is being written
    if (auto image = read_image(root_, id, names, Damage::told)) images.push_back(std::move(*image));
  }
  return images;
}

std::optional<Image> Images::find(std::string_view text) const { return find_image(root_, text, Damage::throws); }

bool Images::exists(std::string_view reference) const
{
  const auto id = id_of(root_, normal_reference(reference));
  return id && kernel::exists(root_.dir(), id_path(*id));
}

std::vector<std::string> Images::names_of(const std::string& id) const
{
  std::vector<std::string> names;
  for (auto& [name, points_at] : all_names(root_))
    if (points_at == id) names.push_back(std::move(name));
  return names;
}

Image Images::load(std::string_view reference) const
{
  if (auto image = find(reference)) return std::move(*image);
  no_image(root_, reference);
}

Image Images::load_even_damaged(std::string_view reference) const
{
  if (auto image = find_image(root_, reference, Damage::told)) return std::move(*image);
  no_image(root_, reference);
}

void Images::save(const Image& image, const std::string& reference) const
{
  if (image.id.size() != 64 || !is_hex(image.id)) throw Error{"store an image: '" + visible(image.id) + "' is no id"};
  make_directories(root_);
  const Lock lock = lock_names(root_, "build");
  if (!kernel::exists(root_.dir(), id_path(image.id)))
    kernel::write_file(root_.trace(), root_.dir(), id_path(image.id), to_json(image));
  point(root_, image.id, normal_reference(reference));
}

void Images::tag(const std::string& id, const std::string& reference) const
{
  make_directories(root_);
  const Lock lock = lock_names(root_, "tag");
  if (!kernel::exists(root_.dir(), id_path(id))) throw Error{"there is no image id:" + id};
  point(root_, id, normal_reference(reference));
}

void Images::remove_name(const std::string& text) const
{
  const std::string reference = normal_reference(text);
  make_directories(root_);
  const Lock lock = lock_names(root_, "rmi");
  const bool by_id = reference.starts_with(id_mark);
  const auto id = id_of(root_, reference);
  bool named = false;
  for (const auto& [name, points_at] : all_names(root_)) {
    if (name == reference || (by_id && points_at == id))
      kernel::remove_file(root_.trace(), root_.dir(), name_path(name));
    else if (points_at == id)
      named = true;
  }
  if (id && !named) kernel::remove_file(root_.trace(), root_.dir(), id_path(*id));
}

bool Images::has_layer(const std::string& id) const { return kernel::exists(root_.dir(), layer_path(id)); }

std::optional<Layer> Images::find_layer(const std::string& id) const
{
  const std::string path = layer_path(id) + "/layer.json";
  const auto text = kernel::find_content(root_.dir(), path);
  if (!text) return std::nullopt;
  try {
    return layer_from_json(*text);
  } catch (const Error& error) {
    throw error.within(root_.path() + "/" + path)
        .with_hint("remove the images that stand on it (conductor df -v names them), then: conductor rmcache");
  }
}

std::optional<Layer> Images::readable_layer(const std::string& id) const
{
  try {
    return find_layer(id);
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::vector<std::string> Images::layer_ids() const
{
  std::vector<std::string> ids;
  for (std::string& id : entries(root_, "layers"))
    if (is_hex(id)) ids.push_back(std::move(id));
  return ids;
}

std::string Images::diff_path(const std::string& layer_id) { return layer_path(layer_id) + "/diff"; }

std::vector<std::string> Images::stack(const std::vector<std::string>& layers)
{
  std::vector<std::string> directories;
  for (size_t at = 0; at < layers.size(); ++at)
    if (std::find(layers.begin() + static_cast<std::ptrdiff_t>(at) + 1, layers.end(), layers[at]) == layers.end())
      directories.push_back(diff_path(layers[at]));
  return directories;
}

void Images::commit_layer(const std::string& made, const Layer& layer) const
{
  open_layers(root_);
  kernel::write_file(root_.trace(), root_.dir(), made + "/layer.json", to_json(layer));
  try {
    kernel::rename_entry(root_.trace(), root_.dir(), made, root_.dir(), layer_path(layer.id), RENAME_NOREPLACE);
  } catch (const Error& error) {
    if (error.number() != EEXIST && error.number() != ENOTEMPTY) throw;
    kernel::remove_tree(root_.trace(), root_.dir(), made);
  }
}

void Images::add_packed(const std::string& id, const PackedForm& form) const
{
  auto layer = find_layer(id);
  if (!layer || std::find(layer->packed.begin(), layer->packed.end(), form) != layer->packed.end()) return;
  layer->packed.push_back(form);
  kernel::write_file(root_.trace(), root_.dir(), layer_path(id) + "/layer.json", to_json(*layer));
}

uint64_t Images::size(const Image& image) const
{
  uint64_t bytes = 0;
  for (const std::string& id : image.layers)
    if (const auto layer = readable_layer(id)) bytes += layer->size_bytes;
  return bytes;
}

Fd Images::hold_layers() const
{
  Fd layers = open_layers(root_);
  while (flock(layers.get(), LOCK_SH) != 0)
    if (errno != EINTR) throw Error{"lock " + root_.path() + "/layers", errno};
  return layers;
}

Fd Images::own_layers(std::chrono::milliseconds patience) const
{
  Fd layers = open_layers(root_);
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (flock(layers.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) throw Error{"lock " + root_.path() + "/layers", errno};
    if (std::chrono::steady_clock::now() >= deadline)
      throw Error{"the layers are in use: a build is running", 0,
                  "try again when it is done, or wait longer: --wait SECONDS"};
    poll(nullptr, 0, 20); // flock(2) knows no time limit
  }
  return layers;
}

} // namespace conductor
