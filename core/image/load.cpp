// load: what an archive says it holds, checked against its digests. All layers of all images are unpacked in a workshop
// first and go into the store when nothing can be wrong with the archive any more; the names come last.
#include "core/image/exchange.h"

#include "core/base/error.h"
#include "core/container/spec.h"
#include "core/image/archive_source.h"
#include "core/image/decompress.h"
#include "core/image/digest.h"
#include "core/image/layer_packer.h"
#include "core/image/layer_unpacker.h"
#include "core/image/layers.h"
#include "core/image/registry/manifest.h"
#include "core/kernel/files.h"
#include "core/store/blobs.h"
#include "core/store/journal.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

namespace conductor::image {
namespace {

using nlohmann::json;

constexpr size_t most_images = 1000;
constexpr const char* plain_layer_type = "application/vnd.oci.image.layer.v1.tar";

// Where one layer of an image lies in the source.
struct SourceLayer {
  std::string file;
  std::string digest; // 64 hex digits of the file; empty: nobody said
  std::string media_type;
};
struct SourceImage {
  std::vector<std::string> names; // as the archive has them; of an image that is taken, as they are here
  std::string configuration;
  std::vector<SourceLayer> layers;   // base first
  std::vector<std::string> diff_ids; // of these, by the configuration
};
// A layer in the workshop, checked.
struct Unpacked {
  std::unique_ptr<LayerUnpacker> unpacker;
  PackedForm form;
};
// A layer that went into the store.
struct Taken {
  const SourceLayer* from;
  PackedForm form;
  Layer layer;
};

std::string text_of(const json& object, const char* key)
{
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

// The stem of the file that was loaded, for images that only have a tag; empty where it is no name.
std::string stem_of(const std::string& path)
{
  std::string clean = path;
  while (clean.ends_with('/')) clean.pop_back();
  std::string stem = clean.substr(clean.rfind('/') + 1);
  stem = stem.substr(0, stem.find('.'));
  for (char& c : stem)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  try {
    return normal_reference(stem) == stem + ":latest" ? stem : "";
  } catch (const Error&) {
    return "";
  }
}

// A name that the archive gives, as it is here. That it is a bad one is no wrong usage.
std::string name_of_archive(const std::string& name)
{
  std::string normal;
  try {
    normal = normal_reference(name);
  } catch (const Error& error) {
    throw Error{"the archive's image has no usable name: " + std::string{error.sentence()}, 0,
                "give it another, if it is the only one: --name NAME"};
  }
  if (normal.starts_with("id:"))
    throw Error{"the archive calls its image '" + visible(name) + "', which is an id", 0,
                "give it another, if it is the only one: --name NAME"};
  return normal;
}

class Loader {
public:
  Loader(Context& context, const LoadRequest& request)
      : context_(context), root_(context.root), request_(request), shop_(context.root)
  {}

  std::vector<Loaded> run()
  {
    Step reading{context_.trace, "read the archive"};
    source_ = open_source(root_, shop_, request_.file);
    std::vector<SourceImage> found = read_source();
    reading.done();
    if (found.empty()) throw Error{"the archive has no image for this machine"};
    if (!request_.name.empty() && found.size() > 1)
      throw usage_error("the archive has several images, so --name does not say which", "leave --name out");
    for (SourceImage& each : found) check(each);
    for (const SourceImage& each : found) unpack(each);
    std::vector<Image> images;
    for (const SourceImage& each : found) images.push_back(take(each));
    for (const Taken& each : taken_) keep(*each.from, each.form, each.layer);
    std::vector<Loaded> loaded;
    for (size_t at = 0; at < found.size(); ++at) name(images[at], found[at].names, loaded);
    return loaded;
  }

private:
  std::vector<SourceImage> read_source()
  {
    if (source_->open("index.json")) return read_layout();
    if (source_->open("manifest.json")) return read_docker();
    throw Error{"this is neither an OCI layout nor an archive of docker: it has no index.json and no manifest.json", 0,
                "a root tree is taken by: conductor import FILE NAME"};
  }

  std::string read(const std::string& name, size_t most)
  {
    const auto fd = source_->open(name);
    if (!fd) throw Error{"the archive lacks '" + visible(name, 200) + "'"};
    return kernel::read_all(fd->get(), "'" + visible(name, 200) + "' of the archive", most);
  }

  static json parse(const std::string& text, const char* what)
  {
    json document = json::parse(text, nullptr, false);
    if (document.is_discarded()) throw Error{std::string{what} + " of the archive is no JSON"};
    return document;
  }

  // Bytes that were announced by a digest and a size.
  std::string read_blob(const registry::Descriptor& descriptor, size_t most)
  {
    const std::string hex = digest_hex(descriptor.digest).value_or("");
    std::string text = read("blobs/sha256/" + hex, most);
    if (text.size() != descriptor.size || sha256(text) != hex)
      throw Error{"the archive's blob " + hex.substr(0, 12) + " is not what its digest and size say"};
    return text;
  }

  // ---- OCI layout

  std::vector<SourceImage> read_layout()
  {
    const json index = parse(read("index.json", registry::longest_manifest), "index.json");
    const auto list = index.is_object() ? index.find("manifests") : index.end();
    if (list == index.end() || !list->is_array()) throw Error{"index.json of the archive lists no manifests"};
    if (list->size() > most_images) throw Error{"index.json of the archive lists more than 1000 images"};
    std::vector<SourceImage> found;
    for (const json& entry : *list) {
      if (!entry.is_object() || !is_ours(entry)) continue;
      registry::Descriptor descriptor{.media_type = text_of(entry, "mediaType"), .digest = text_of(entry, "digest")};
      registry::check_digest(descriptor.digest, "a manifest of index.json");
      descriptor.size = size_of(entry);
      SourceImage image = read_manifest(descriptor, 0);
      image.names = names_of(entry);
      found.push_back(std::move(image));
    }
    return found;
  }

  static uint64_t size_of(const json& entry)
  {
    const auto size = entry.find("size");
    if (size == entry.end() || !size->is_number_unsigned()) throw Error{"a manifest of index.json has no size"};
    return size->get<uint64_t>();
  }

  // One that says it is for another machine is passed over; one that says nothing is tried.
  static bool is_ours(const json& entry)
  {
    const auto platform = entry.find("platform");
    if (platform == entry.end() || !platform->is_object()) return true;
    const registry::Platform here = registry::this_platform();
    const std::string architecture = text_of(*platform, "architecture");
    const std::string os = text_of(*platform, "os");
    return (architecture.empty() || architecture == here.architecture) && (os.empty() || os == here.os);
  }

  static std::vector<std::string> names_of(const json& entry)
  {
    const auto annotations = entry.find("annotations");
    if (annotations == entry.end() || !annotations->is_object()) return {};
    const std::string whole = text_of(*annotations, "io.containerd.image.name");
    const std::string name = text_of(*annotations, "org.opencontainers.image.ref.name");
    // umoci tags anew and leaves the whole name as it was: then it is of another image.
    const bool fits = name.empty() || whole == name || whole.ends_with(":" + name);
    if (!whole.empty() && fits) return {whole};
    return name.empty() ? std::vector<std::string>{} : std::vector<std::string>{name};
  }

  SourceImage read_manifest(const registry::Descriptor& descriptor, int depth)
  {
    const std::string text = read_blob(descriptor, registry::longest_manifest);
    const auto parsed = registry::parse_manifest(text, descriptor.media_type);
    if (const auto* index = std::get_if<registry::Index>(&parsed)) {
      if (depth > 0) throw Error{"an index of the archive leads to another index"};
      return read_manifest(registry::choose(*index, registry::this_platform()), depth + 1);
    }
    const auto& manifest = std::get<registry::Manifest>(parsed);
    SourceImage image{.names = {}, .configuration = read_blob(manifest.config, longest_configuration), .layers = {}};
    for (const registry::Descriptor& layer : manifest.layers) {
      const std::string hex = digest_hex(layer.digest).value_or("");
      image.layers.push_back({"blobs/sha256/" + hex, hex, layer.media_type});
    }
    return image;
  }

  // ---- docker's archive

  std::vector<SourceImage> read_docker()
  {
    const json list = parse(read("manifest.json", registry::longest_manifest), "manifest.json");
    if (!list.is_array()) throw Error{"manifest.json of the archive is no list"};
    if (list.size() > most_images) throw Error{"manifest.json of the archive lists more than 1000 images"};
    std::vector<SourceImage> found;
    for (const json& entry : list) {
      if (!entry.is_object()) throw Error{"manifest.json of the archive is damaged"};
      SourceImage image{.names = texts_of(entry, "RepoTags"),
                        .configuration = read(clean_entry_name(text_of(entry, "Config")), longest_configuration),
                        .layers = {}};
      for (const std::string& path : texts_of(entry, "Layers"))
        image.layers.push_back({clean_entry_name(path), "", ""});
      found.push_back(std::move(image));
    }
    return found;
  }

  static std::vector<std::string> texts_of(const json& entry, const char* key)
  {
    std::vector<std::string> texts;
    const auto list = entry.find(key);
    if (list == entry.end() || list->is_null()) return texts;
    if (!list->is_array() || list->size() > most_images)
      throw Error{std::string{"manifest.json of the archive has wrong "} + key};
    for (const json& each : *list) {
      if (!each.is_string()) throw Error{std::string{"manifest.json of the archive has wrong "} + key};
      texts.push_back(each.get<std::string>());
    }
    return texts;
  }

  // ---- into the store

  void check(SourceImage& image) const
  {
    image.diff_ids = parse_configuration(image.configuration).diff_ids;
    if (image.diff_ids.size() != image.layers.size())
      throw Error{fmt::format("the image has {} layers, and its configuration names {}", image.layers.size(),
                              image.diff_ids.size())};
    image.names = local_names(image);
  }

  // What is not here. A layer's id may hang on those below (chained_id); those that are still to come are taken to have
  // plain ids, which is so nearly always, and else take() unpacks once more.
  void unpack(const SourceImage& image)
  {
    std::vector<std::string> lower;
    for (size_t at = 0; at < image.layers.size(); ++at) {
      const std::string& diff_id = image.diff_ids[at];
      const auto here = find_layer_on(root_, lower, diff_id);
      if (!here && !made_.contains(diff_id)) made_[diff_id] = unpack_layer(image, at);
      lower.push_back(here.value_or(diff_id));
    }
  }

  // Into the store, the layers of which the archive's images consist.
  Image take(const SourceImage& from)
  {
    std::vector<std::string> layers;
    for (size_t at = 0; at < from.layers.size(); ++at) {
      if (auto here = find_layer_on(root_, layers, from.diff_ids[at])) {
        layers.push_back(std::move(*here));
        continue;
      }
      const auto found = made_.find(from.diff_ids[at]);
      const bool is_made = found != made_.end() && found->second.unpacker;
      const Unpacked made = is_made ? std::move(found->second) : unpack_layer(from, at);
      const Layer layer = made.unpacker->finish(layers, {.made_by = "load", .packed = {made.form}});
      layers.push_back(layer.id);
      taken_.push_back({&from.layers[at], made.form, layer});
    }
    return foreign_image(root_, std::move(layers), from.configuration);
  }

  void name(const Image& image, const std::vector<std::string>& names, std::vector<Loaded>& loaded)
  {
    const Images images{root_};
    for (const std::string& name : names) {
      Step step{context_.trace, "name the image " + name};
      const auto before = images.find(name);
      images.save(image, name);
      step.done();
      loaded.push_back({name, image, !before || before->id != image.id});
    }
  }

  // Checked before anything is unpacked.
  std::vector<std::string> local_names(const SourceImage& from) const
  {
    if (!request_.name.empty()) {
      std::string normal = normal_reference(request_.name);
      if (normal.starts_with("id:"))
        throw usage_error("'" + visible(request_.name) + "' is an id, and the image needs a name");
      return {std::move(normal)};
    }
    std::vector<std::string> names;
    for (std::string name : from.names) {
      // What docker leaves out when it shows a name, others write.
      for (const std::string_view hub : {"docker.io/library/", "docker.io/"})
        if (name.starts_with(hub)) name.erase(0, hub.size());
      const bool is_whole = name.find_first_of(":/") != std::string::npos;
      if (!is_whole) { // a tag alone
        const std::string stem = stem_of(request_.file);
        if (stem.empty()) continue;
        name.insert(0, stem + ":");
      }
      names.push_back(name_of_archive(name));
    }
    if (names.empty() && from.names.empty() && !stem_of(request_.file).empty())
      names.push_back(normal_reference(stem_of(request_.file)));
    if (names.empty()) throw Error{"the archive does not say what its image is called", 0, "say it: --name NAME"};
    return names;
  }

  Unpacked unpack_layer(const SourceImage& image, size_t at)
  {
    const SourceLayer& from = image.layers[at];
    const std::string& diff_id = image.diff_ids[at];
    Step step{context_.trace, fmt::format("layer {}/{} {}", at + 1, image.layers.size(), diff_id.substr(0, 12))};
    const auto file = source_->open(from.file);
    if (!file) throw Error{"the archive lacks the layer '" + visible(from.file, 200) + "'"};
    struct stat status {};
    if (fstat(file->get(), &status) < 0) throw Error{"look at a layer of the archive", errno};
    PackedForm form{.digest = {}, .size = static_cast<uint64_t>(status.st_size), .media_type = {}};
    auto unpacker = std::make_unique<LayerUnpacker>(root_, shop_, fmt::format("layer-{}", ++unpacked_));
    Digest packed;
    uint64_t done = 0;
    feed_plain(
        context_.trace, file->get(), bomb_limit(form.size), [&](std::string_view bytes) { unpacker->feed(bytes); },
        [&](std::string_view bytes) {
          packed.bytes(bytes);
          done += bytes.size();
          step.progress(done, form.size, "bytes");
        });
    form.digest = packed.hex();
    if (!from.digest.empty() && form.digest != from.digest)
      throw Error{"the archive's layer " + from.digest.substr(0, 12) + " is not what its digest says"};
    // The configuration names the digest of all of it, so an end mark that some writers leave out is not missed.
    if (unpacker->end(TarReader::EndMark::may_be_missing) != diff_id)
      throw Error{fmt::format("layer {} of the image is not the one that its configuration names", at + 1)};
    form.media_type = !from.media_type.empty() ? from.media_type
                      : form.digest == diff_id ? plain_layer_type
                                               : gzip_layer_type;
    step.done();
    return {std::move(unpacker), std::move(form)};
  }

  // The bytes it came as, for the day it leaves; plain ones only where packing the directory would give others.
  void keep(const SourceLayer& from, const PackedForm& form, const Layer& layer)
  {
    const Blobs blobs{root_};
    if (blobs.has(form.digest)) return;
    if (form.digest == layer.diff_id && is_packed_alike(root_, layer)) return;
    if (const auto own = source_->own_path(from.file)) return blobs.commit(*own, form.digest);
    const auto file = source_->open(from.file);
    const std::string copy = shop_.path() + "/blob-" + form.digest;
    const Fd to = kernel::make_file(context_.trace, root_.dir(), copy, 0600);
    if (!file) throw Error{"the archive lost '" + visible(from.file, 200) + "' while it was being loaded"};
    Digest digest;
    std::string buffer(256 << 10, '\0');
    for (;;) {
      const ssize_t got = ::read(file->get(), buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw Error{"read a layer", errno};
      if (got == 0) break;
      const std::string_view bytes{buffer.data(), static_cast<size_t>(got)};
      digest.bytes(bytes);
      write_whole(to.get(), bytes, "keep a layer");
    }
    if (digest.hex() != form.digest) throw Error{"a layer changed while it was being loaded"};
    blobs.commit(copy, form.digest);
  }

  Context& context_;
  const Root& root_;
  const LoadRequest& request_;
  const Workshop shop_;
  std::unique_ptr<ArchiveSource> source_;
  std::map<std::string, Unpacked> made_; // by diff_id; one that went into the store is empty
  std::vector<Taken> taken_;
  size_t unpacked_ = 0;
};

void note(Context& context, const std::string& name, const char* outcome)
{
  try {
    append(context.root, {.name = name, .verb = context.verb.empty() ? "load" : context.verb, .outcome = outcome});
  } catch (const Error& error) {
    context.trace.notice(error.sentence());
  }
}

} // namespace

std::vector<Loaded> load_images(Context& context, const LoadRequest& request)
{
  const Images images{context.root};
  const Fd hold = images.hold_layers();
  try {
    const std::vector<Loaded> loaded = Loader{context, request}.run();
    for (const Loaded& each : loaded) note(context, each.name, "done");
    return loaded;
  } catch (const Error&) {
    note(context, request.name, "failed");
    throw;
  }
}

} // namespace conductor::image
