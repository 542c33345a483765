// save: the packed layers, the exact configurations, and the documents that tie them together.
#include "core/image/exchange.h"

#include "core/base/error.h"
#include "core/container/spec.h"
#include "core/image/archive_target.h"
#include "core/image/decompress.h"
#include "core/image/digest.h"
#include "core/image/layer_packer.h"
#include "core/kernel/files.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace conductor::image {
namespace {

using nlohmann::json;

constexpr const char* manifest_type = "application/vnd.oci.image.manifest.v1+json";
constexpr const char* config_type = "application/vnd.oci.image.config.v1+json";
constexpr const char* index_type = "application/vnd.oci.image.index.v1+json";

// Docker has other words for the same bytes; in an OCI manifest only these are allowed.
std::string oci_layer_type(const std::string& type)
{
  if (type.ends_with("gzip")) return gzip_layer_type;
  if (type.ends_with("zstd")) return "application/vnd.oci.image.layer.v1.tar+zstd";
  return "application/vnd.oci.image.layer.v1.tar";
}

std::string blob_path(const std::string& hex) { return "blobs/sha256/" + hex; }

json descriptor(const char* type, const std::string& content)
{
  return {{"mediaType", type}, {"digest", "sha256:" + sha256(content)}, {"size", content.size()}};
}

struct Chosen {
  std::string name;
  Image image;
};

// Each name once, however often it was given.
std::vector<Chosen> choose(const Images& images, const std::vector<std::string>& references)
{
  std::vector<Chosen> chosen;
  for (const std::string& reference : references) {
    Image image = images.load(reference);
    std::string name = normal_reference(reference);
    if (name.starts_with("id:")) name = image.names.empty() ? "" : image.names.front();
    const bool again = std::any_of(chosen.begin(), chosen.end(),
                                   [&](const Chosen& each) { return each.name == name && each.image.id == image.id; });
    if (!again) chosen.push_back({std::move(name), std::move(image)});
  }
  return chosen;
}

Layer layer_of(const Images& images, const std::string& id)
{
  auto layer = images.find_layer(id);
  if (!layer) throw Error{"the layer " + id.substr(0, 12) + " is missing", 0, "build, pull or load the image again"};
  return std::move(*layer);
}

constexpr const char* reference_key = "org.opencontainers.image.ref.name";
constexpr const char* whole_name_key = "io.containerd.image.name";

std::string annotation(const json& entry, const char* key)
{
  const auto annotations = entry.find("annotations");
  if (annotations == entry.end() || !annotations->is_object()) return {};
  const auto found = annotations->find(key);
  return found != annotations->end() && found->is_string() ? found->get<std::string>() : std::string{};
}

// The other images of a layout that is there already: they stay, and only one of the same name is replaced.
json present_images(const ArchiveTarget& target)
{
  const auto text = target.present("index.json");
  if (!text) return json::array();
  const json document =
      nests_deeper(*text, deepest_configuration) ? json{} : json::parse(text->begin(), text->end(), nullptr, false);
  const auto list = document.is_object() ? document.find("manifests") : document.end();
  const bool good = list != document.end() && list->is_array() &&
                    std::all_of(list->begin(), list->end(), [](const json& entry) { return entry.is_object(); });
  if (!good)
    throw Error{"there is an index.json in that directory already, and it is none of an OCI layout", 0,
                "name another directory"};
  return *list;
}

// The same for docker's list, which a layout of somebody else need not have.
json present_for_docker(const ArchiveTarget& target)
{
  const auto text = target.present("manifest.json");
  if (!text || nests_deeper(*text, deepest_configuration)) return json::array();
  json list = json::parse(text->begin(), text->end(), nullptr, false);
  return list.is_array() ? list : json::array();
}

class Saver {
public:
  Saver(Context& context, ArchiveTarget& target)
      : context_(context), root_(context.root), images_(context.root), target_(target), shop_(context.root)
  {}

  void oci(const std::vector<Chosen>& chosen)
  {
    json manifests = present_images(target_);
    json for_docker = present_for_docker(target_);
    target_.put("oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
    for (const Chosen& each : chosen) {
      json layers = json::array();
      json paths = json::array();
      for (const std::string& id : each.image.layers) {
        const PackedForm form = put_packed(id);
        layers.push_back(
            {{"mediaType", oci_layer_type(form.media_type)}, {"digest", "sha256:" + form.digest}, {"size", form.size}});
        paths.push_back(blob_path(form.digest));
      }
      put_once(blob_path(each.image.id), each.image.configuration);
      const std::string manifest = json{
          {"schemaVersion", 2},
          {"mediaType", manifest_type},
          {"config", descriptor(config_type, each.image.configuration)},
          {"layers",
           std::move(layers)}}.dump();
      put_once(blob_path(sha256(manifest)), manifest);
      json entry = descriptor(manifest_type, manifest);
      if (!each.name.empty()) entry["annotations"] = annotations(each.name, manifests, chosen.size() > 1);
      replace(manifests, std::move(entry));
      replace_for_docker(for_docker, docker_entry(each, blob_path(each.image.id), std::move(paths)));
    }
    target_.put("manifest.json", for_docker.dump());
    target_.put("index.json",
                json{{"schemaVersion", 2}, {"mediaType", index_type}, {"manifests", std::move(manifests)}}.dump());
  }

  void docker(const std::vector<Chosen>& chosen)
  {
    json list = json::array();
    for (const Chosen& each : chosen) {
      json paths = json::array();
      for (const std::string& id : each.image.layers) paths.push_back(put_plain(id));
      const std::string config = each.image.id + ".json";
      put_once(config, each.image.configuration);
      list.push_back(docker_entry(each, config, std::move(paths)));
    }
    target_.put("manifest.json", list.dump());
  }

private:
  // The tag alone is what `skopeo copy oci:DIR:TAG` and umoci look for; several images need their whole names.
  static json annotations(const std::string& name, const json& present, bool several)
  {
    const std::string tag = name.substr(name.rfind(':') + 1);
    const bool is_taken = std::any_of(present.begin(), present.end(), [&](const json& entry) {
      const std::string other = annotation(entry, whole_name_key);
      return annotation(entry, reference_key) == tag && !other.empty() && other != name;
    });
    return {{reference_key, several || is_taken ? name : tag}, {whole_name_key, name}};
  }

  // Of what has the same name, as skopeo and umoci replace it, or is the same and has none.
  static void replace(json& manifests, json entry)
  {
    const std::string reference = annotation(entry, reference_key), name = annotation(entry, whole_name_key);
    const std::string tag = name.substr(name.rfind(':') + 1);
    json kept = json::array();
    for (json& other : manifests) {
      const std::string its_reference = annotation(other, reference_key);
      const std::string its_name = annotation(other, whole_name_key);
      const bool is_nameless = its_reference.empty() && its_name.empty();
      // umoci tags anew and leaves the whole name as it was; such a one is another.
      const bool is_ours = its_name == name && (its_reference == tag || its_reference == name);
      const bool is_same =
          is_nameless ? other.value("digest", json{}) == entry["digest"] : is_ours || its_reference == reference;
      if (!is_same) kept.push_back(std::move(other));
    }
    kept.push_back(std::move(entry));
    manifests = std::move(kept);
  }

  static void replace_for_docker(json& list, json entry)
  {
    json kept = json::array();
    for (json& other : list)
      if (other.is_object() && other.value("RepoTags", json{}) != entry["RepoTags"]) kept.push_back(std::move(other));
    kept.push_back(std::move(entry));
    list = std::move(kept);
  }

  static json docker_entry(const Chosen& each, const std::string& config, json paths)
  {
    json entry{{"Config", config}, {"Layers", std::move(paths)}, {"RepoTags", json::array()}};
    if (!each.name.empty()) entry["RepoTags"].push_back(each.name);
    return entry;
  }

  void put_once(const std::string& name, const std::string& content)
  {
    if (written_.insert(name).second) target_.put(name, content);
  }

  PackedForm put_packed(const std::string& id)
  {
    if (const auto done = packed_.find(id); done != packed_.end()) return done->second;
    Step step{context_.trace, "pack the layer " + id.substr(0, 12)};
    LayerBlob blob = packed_layer(root_, shop_, layer_of(images_, id));
    const std::string path = blob_path(blob.form.digest);
    if (written_.insert(path).second) target_.put_file(path, blob.file.get(), blob.form.size);
    step.done();
    return packed_[id] = blob.form;
  }

  // The plain archive, by way of a file, since its size stands in front of it.
  std::string put_plain(const std::string& id)
  {
    const Layer layer = layer_of(images_, id);
    const std::string name = layer.diff_id + ".tar";
    if (!written_.insert(name).second) return name;
    Step step{context_.trace, "pack the layer " + id.substr(0, 12)};
    const Fd file = kernel::make_file(context_.trace, root_.dir(), shop_.path() + "/" + name, 0600);
    uint64_t size = 0;
    const auto sink = [&](std::string_view bytes) {
      size += bytes.size();
      write_whole(file.get(), bytes, "write a plain layer");
    };
    plain_layer(layer, sink);
    if (lseek(file.get(), 0, SEEK_SET) < 0) throw Error{"go back to the beginning of a plain layer", errno};
    target_.put_file(name, file.get(), size);
    kernel::remove_file(context_.trace, root_.dir(), shop_.path() + "/" + name); // plain ones are large
    step.done();
    return name;
  }

  // From the bytes that it came as where they are kept, since only these give its digest for sure.
  void plain_layer(const Layer& layer, const ByteSink& sink)
  {
    if (!has_kept_form(root_, layer)) return pack_layer(root_, layer, sink);
    const LayerBlob blob = packed_layer(root_, shop_, layer);
    Digest digest;
    Decompressor decompressor{[&](std::string_view bytes) {
                                digest.bytes(bytes);
                                sink(bytes);
                              },
                              UINT64_MAX};
    std::string buffer(256 << 10, '\0');
    for (;;) {
      context_.trace.throw_if_interrupted();
      const ssize_t got = read(blob.file.get(), buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw Error{"read a packed layer", errno};
      if (got == 0) break;
      decompressor.feed({buffer.data(), static_cast<size_t>(got)});
    }
    decompressor.finish();
    if (digest.hex() != layer.diff_id)
      throw Error{"the kept bytes of the layer " + layer.id.substr(0, 12) + " are damaged"};
  }

  Context& context_;
  const Root& root_;
  const Images images_;
  ArchiveTarget& target_;
  const Workshop shop_;
  std::set<std::string> written_;
  std::map<std::string, PackedForm> packed_; // layer id -> as it was written
};

} // namespace

Saved save_images(Context& context, const SaveRequest& request)
{
  const Images images{context.root};
  const Fd hold = images.hold_layers(); // nothing of these goes away meanwhile
  const std::vector<Chosen> chosen = choose(images, request.references);
  const auto target = open_target(context.trace, request.file);
  Saver saver{context, *target};
  if (request.format == ArchiveFormat::docker)
    saver.docker(chosen);
  else
    saver.oci(chosen);
  target->finish();
  Saved saved{.names = {}, .bytes = target->bytes()};
  for (const Chosen& each : chosen)
    saved.names.push_back(each.name.empty() ? "id:" + each.image.id.substr(0, 12) : each.name);
  return saved;
}

} // namespace conductor::image
