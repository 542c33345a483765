#include "core/image/registry/manifest.h"

#include "core/base/error.h"
#include "core/base/guard.h"
#include "core/container/spec.h"

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>
#include <sys/utsname.h>

namespace conductor::image::registry {
namespace {

using nlohmann::json;

constexpr size_t most_entries = 1000;         // of an index
constexpr int deepest = 32;                   // levels of a document
constexpr uint64_t largest_blob = 1ULL << 40; // 1 TiB

enum class Kind : char { manifest, index, schema1 };
struct Row {
  const char* media_type;
  Kind kind;
};
constexpr Row types[] = {
    {type::oci_manifest, Kind::manifest},
    {type::oci_index, Kind::index},
    {type::docker_manifest, Kind::manifest},
    {type::docker_list, Kind::index},
    {"application/vnd.docker.distribution.manifest.v1+json", Kind::schema1},
    {"application/vnd.docker.distribution.manifest.v1+prettyjws", Kind::schema1},
};

constexpr const char* layer_types[] = {
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
};

const Row* find_type(std::string_view media_type)
{
  for (const Row& row : types)
    if (media_type == row.media_type) return &row;
  return nullptr;
}

[[noreturn]] void refuse(const std::string& why, std::string hint = {})
{
  throw Error{"the manifest is refused: " + why, 0, std::move(hint)};
}

[[noreturn]] void refuse_schema1()
{
  refuse("it is of schema 1, which names no layer by its content",
         "push the image again with a program of this decade, or have it converted: skopeo copy");
}

// A key that stands there twice is read one way by one parser and another way by the next.
json parse(std::string_view text)
{
  std::vector<std::set<std::string>> keys;
  const json::parser_callback_t watch = [&](int depth, json::parse_event_t event, json& parsed) {
    if (depth > deepest) refuse("it is nested too deeply");
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second)
      refuse("the key '" + visible(parsed.get<std::string>()) + "' stands there twice");
    return true;
  };
  try {
    return json::parse(text.begin(), text.end(), watch);
  } catch (const json::exception&) {
    refuse("it is no JSON");
  }
}

std::string text_of(const json& object, const char* key)
{
  const auto found = object.find(key);
  if (found == object.end()) return {};
  if (!found->is_string()) refuse(std::string{"'"} + key + "' is no text");
  return found->get<std::string>();
}

Platform platform_of(const json& object)
{
  const auto found = object.find("platform");
  if (found == object.end() || found->is_null()) return {};
  if (!found->is_object()) refuse("a platform is no object");
  return {text_of(*found, "os"), text_of(*found, "architecture"), text_of(*found, "variant")};
}

Descriptor descriptor(const json& object, uint64_t largest, const std::string& what)
{
  if (!object.is_object()) refuse(what + " is no object");
  Descriptor found{.media_type = text_of(object, "mediaType"),
                   .digest = text_of(object, "digest"),
                   .size = 0,
                   .platform = platform_of(object),
                   .lies_elsewhere = object.contains("urls") && !object["urls"].empty()};
  check_digest(found.digest, what);
  const auto size = object.find("size");
  if (size == object.end() || !size->is_number_unsigned()) refuse(what + " has no size");
  found.size = size->get<uint64_t>();
  if (found.size > largest)
    refuse(what + " is said to have " + std::to_string(found.size) + " bytes; " + std::to_string(largest) +
           " are the most");
  return found;
}

const json& list(const json& document, const char* key, size_t most)
{
  const json& value = document.at(key);
  if (!value.is_array()) refuse(std::string{"'"} + key + "' is no list");
  if (value.size() > most)
    refuse("it has " + std::to_string(value.size()) + " " + key + "; " + std::to_string(most) + " are the most");
  return value;
}

Manifest manifest_of(const json& document, const std::string& media_type)
{
  if (!document.contains("config") || !document.contains("layers")) refuse("it has no config or no layers");
  Manifest manifest{.media_type = media_type, .config = descriptor(document["config"], longest_config, "its config")};
  const std::string& kind = manifest.config.media_type;
  if (kind != type::oci_config && kind != type::docker_config)
    throw Error{"this is no image but an artifact of the type '" + visible(kind) + "'"};
  size_t number = 0;
  for (const json& layer : list(document, "layers", most_layers)) {
    Descriptor found = descriptor(layer, largest_blob, "layer " + std::to_string(++number));
    const bool known = std::any_of(std::begin(layer_types), std::end(layer_types),
                                   [&](const char* each) { return found.media_type == each; });
    if (!known)
      refuse("layer " + std::to_string(number) + " is of the unknown type '" + visible(found.media_type) + "'");
    manifest.layers.push_back(std::move(found));
  }
  return manifest;
}

Index index_of(const json& document, const std::string& media_type)
{
  if (!document.contains("manifests")) refuse("it names no manifests");
  Index index{.media_type = media_type, .manifests = {}};
  size_t number = 0;
  for (const json& entry : list(document, "manifests", most_entries))
    index.manifests.push_back(descriptor(entry, longest_manifest, "manifest " + std::to_string(++number)));
  return index;
}

// The type that header and body agree on. A header that says nothing of use (some file servers) leaves it to the body.
std::string agreed_type(const json& document, std::string_view content_type)
{
  content_type = content_type.substr(0, content_type.find(';'));
  while (content_type.ends_with(' ')) content_type.remove_suffix(1);
  const bool says = !content_type.empty() && content_type != "application/json" &&
                    content_type != "application/octet-stream" && content_type != "text/plain";
  std::string inside = text_of(document, "mediaType");
  if (says && find_type(content_type) == nullptr) refuse("the registry calls it '" + visible(content_type) + "'");
  if (says && !inside.empty() && inside != content_type)
    refuse("the registry calls it '" + visible(content_type) + "', and it calls itself '" + visible(inside) + "'");
  if (!inside.empty()) return inside;
  if (says) return std::string{content_type};
  return document.contains("manifests") ? type::oci_index : type::oci_manifest;
}

bool fits(const Platform& offered, const Platform& wanted)
{
  return offered.os == wanted.os && offered.architecture == wanted.architecture;
}

} // namespace

std::string Platform::text() const
{
  std::string out = os + "/" + architecture;
  if (!variant.empty()) out += "/" + variant;
  return out;
}

Platform this_platform()
{
  struct Name {
    const char* machine;
    const char* architecture;
    const char* variant;
  };
  constexpr Name names[] = {{"x86_64", "amd64", ""},    {"aarch64", "arm64", "v8"}, {"armv7l", "arm", "v7"},
                            {"riscv64", "riscv64", ""}, {"ppc64le", "ppc64le", ""}, {"s390x", "s390x", ""}};
  utsname host{};
  ::uname(&host);
  for (const Name& name : names)
    if (std::string_view{host.machine} == name.machine) return {"linux", name.architecture, name.variant};
  return {"linux", host.machine, ""};
}

void check_digest(std::string_view digest, std::string_view what)
{
  constexpr std::string_view algorithm = "sha256:";
  const bool good = digest.size() == algorithm.size() + 64 && digest.starts_with(algorithm) &&
                    digest.find_first_not_of("0123456789abcdef", algorithm.size()) == std::string_view::npos;
  if (good || !holds(guard::plain_digests)) return;
  const std::string said = std::string{what} + " has the digest '" + visible(digest) + "'";
  if (digest.starts_with("sha512:")) throw Error{said + "; this version checks sha256 only"};
  throw Error{said + ", which is none", 0, "a digest is sha256: and 64 digits 0-9, a-f"};
}

std::variant<Manifest, Index> parse_manifest(std::string_view text, std::string_view content_type)
{
  if (text.size() > longest_manifest) refuse("it has more than 4 MiB");
  const json document = parse(text);
  if (!document.is_object()) refuse("it is no object");
  if (document.contains("fsLayers") || document.contains("signatures")) refuse_schema1();
  const auto version = document.find("schemaVersion");
  if (version != document.end() && *version == 1) refuse_schema1();
  if (version == document.end() || *version != 2) refuse("its schemaVersion is not 2");

  const std::string media_type = agreed_type(document, content_type);
  const Row* row = find_type(media_type);
  if (row == nullptr) refuse("it is of the unknown type '" + visible(media_type) + "'");
  if (row->kind == Kind::schema1) refuse_schema1();
  const bool like_manifest = document.contains("layers") || document.contains("config");
  if (like_manifest && document.contains("manifests")) refuse("it could be read as an image and as an index");
  if (row->kind == Kind::index) return index_of(document, media_type);
  return manifest_of(document, media_type);
}

const Descriptor& choose(const Index& index, const Platform& platform)
{
  const Descriptor* found = nullptr;
  std::string offered;
  std::set<std::string> told;
  for (const Descriptor& entry : index.manifests) {
    if (fits(entry.platform, platform)) {
      // The first that fits, unless a later one names just this variant.
      const bool exact = entry.platform.variant == platform.variant;
      if (found == nullptr || (exact && found->platform.variant != platform.variant)) found = &entry;
    }
    // Attestations of builders are filed under unknown/unknown.
    if (entry.platform.os.empty() || entry.platform.os == "unknown") continue;
    if (told.insert(entry.platform.text()).second && told.size() <= 20)
      offered += (offered.empty() ? "" : ", ") + visible(entry.platform.text());
  }
  if (found != nullptr) return *found;
  throw Error{"the image is not there for " + platform.text(), 0,
              offered.empty() ? "its index names no platform at all" : "there is " + offered};
}

std::string accepted_types()
{
  std::string text;
  for (const Row& row : types)
    if (row.kind != Kind::schema1) text += (text.empty() ? "" : ", ") + std::string{row.media_type};
  return text;
}

} // namespace conductor::image::registry
