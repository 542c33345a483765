// Images and layers on disk. An image is one JSON file keyed by id; its names are symlinks; layers are directories.
#pragma once

#include "core/store/configuration.h"
#include "core/store/root.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace conductor {

struct Image {
  std::string id;                  // 64 hex digits: the sha256 of its configuration
  std::vector<std::string> layers; // layer ids, base first
  ImageConfig config;
  std::string base;               // the reference FROM named; empty for one that was made elsewhere
  int64_t created_ns = 0;         // CLOCK_REALTIME: what the configuration says, else when it came here
  std::vector<std::string> names; // references: "web:latest"; of find() by a name, that one
  std::string configuration;      // the exact text (configuration.h); config is what it says
  std::string damage;             // why its file cannot be read; then nothing but id and names is known
};

// One way a layer is packed for travelling.
struct PackedForm {
  std::string digest; // 64 hex digits: the sha256 of the packed bytes
  uint64_t size = 0;  // of the packed bytes
  std::string media_type;
  bool operator==(const PackedForm&) const = default;
};

struct Layer {
  std::string id;          // 64 hex digits, its directory: the diff_id, with few exceptions (chained_id)
  std::string diff_id;     // 64 hex digits: the sha256 of its plain tar archive
  std::string parent;      // layer id or empty: what it was made on, first
  std::string made_by;     // the instruction, for history
  uint64_t size_bytes = 0; // of the files, counted when it was committed
  int64_t created_ns = 0;
  std::vector<PackedForm> packed; // as it came or went; blobs.h has the bytes of those that came
  // Directories that its archive does not describe, because it only has something in them; "" is the root.
  std::vector<std::string> implied;
};

class Images {
public:
  explicit Images(const Root& root) : root_(root) {}

  // Of all images; one whose file is damaged is among them (Image::damage), so that it can be seen and removed.
  std::vector<Image> list() const;
  // A reference ("web", "web:latest", "id:HEX") to an image of this root; none when there is none. Throws Error when
  // its file is damaged.
  std::optional<Image> find(std::string_view reference) const;
  bool exists(std::string_view reference) const;
  // Every name of an image. Looks at all names there are; what is above does not when it is asked by name.
  std::vector<std::string> names_of(const std::string& id) const;
  // As find(), Error with the nearest name as hint.
  Image load(std::string_view reference) const;
  // As load(), for whoever removes it: a damaged one is found too.
  Image load_even_damaged(std::string_view reference) const;
  // Stores the image (same id already there: kept) and points `reference` at it. An image whose last name that was
  // goes.
  void save(const Image& image, const std::string& reference) const;
  void tag(const std::string& id, const std::string& reference) const;
  // Takes the name away; the image file goes with its last name. Layers stay until rmcache. Callers check users first.
  void remove_name(const std::string& reference) const;

  bool has_layer(const std::string& id) const;
  // None when it is not there; Error when what it says about itself is damaged.
  std::optional<Layer> find_layer(const std::string& id) const;
  // As find_layer(), for lists and sums: of a damaged one nothing is known either.
  std::optional<Layer> readable_layer(const std::string& id) const;
  // Path of a layer's diff relative to the root directory: "layers/<id>/diff".
  static std::string diff_path(const std::string& layer_id);
  // The directories of layers (base first) as an overlay takes them. A layer that occurs again is left out below: what
  // it shows there it shows again above, with everything that it hides, and the kernel takes no directory twice.
  static std::vector<std::string> stack(const std::vector<std::string>& layers);
  // Renames a finished directory (root-relative, holding diff/) to its place; a layer of that id already there wins.
  void commit_layer(const std::string& made, const Layer& layer) const;
  // Notes a packed form of a layer that is there.
  void add_packed(const std::string& id, const PackedForm& form) const;
  uint64_t size(const Image& image) const; // bytes, all its layers; one that is missing or damaged counts nothing
  std::vector<std::string> layer_ids() const;

  // While the returned descriptor is open no layer is removed (a shared flock(2) on root/layers): held by builds, and
  // by whoever writes layer ids into a new image or container.
  Fd hold_layers() const;
  // The opposite: while it is open nobody builds or creates. Waits at most `patience`; then Error.
  Fd own_layers(std::chrono::milliseconds patience) const;

private:
  const Root& root_;
};

// "web" -> "web:latest"; checks the characters. Throws a usage Error. id:HEX is passed through.
std::string normal_reference(std::string_view text);
// The same as a file name in images/name: '/' is '%2F'. And back.
std::string reference_file(std::string_view reference);
std::string reference_of_file(std::string_view file);

// What lies in images/id/<id> and layers/<id>/layer.json. Names are not part of it, and of an image's config only its
// exact text is.
std::string to_json(const Image& image);
std::string to_json(const Layer& layer);
// Throw Error when the text is not one of ours.
Image image_from_json(std::string_view text);
Layer layer_from_json(std::string_view text);

} // namespace conductor
