// What a registry says an image is: a manifest, or an index that names one for each platform. OCI image specification
// v1 and docker's schema 2, which say the same in other words.
//
// A document that could be read as both, or that says in its body something other than the registry said in its header,
// is refused: two programs that check the same digest must see the same image (CVE-2021-41190).
#pragma once

#include "core/store/configuration.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace conductor::image::registry {

inline constexpr size_t longest_manifest = 4 << 20; // bytes; the distribution specification asks for at least this
inline constexpr size_t longest_config = 8 << 20;

struct Platform {
  std::string os, architecture, variant;
  std::string text() const; // "linux/arm64/v8"
};
// This machine's, in the words of registries.
Platform this_platform();

struct Descriptor {
  std::string media_type;
  std::string digest; // checked: "sha256:" and 64 digits
  uint64_t size = 0;
  Platform platform;           // of an index's entry; empty where it says none
  bool lies_elsewhere = false; // has `urls`, which are never followed
};

struct Manifest {
  std::string media_type;
  Descriptor config;
  std::vector<Descriptor> layers; // base first
};

struct Index {
  std::string media_type;
  std::vector<Descriptor> manifests;
};

// content_type: of the answer's header; empty where there was none. Throws Error: too long, no JSON, a key twice,
// schema 1, ambiguous, an artifact that is no image, a digest or a size that cannot be.
std::variant<Manifest, Index> parse_manifest(std::string_view text, std::string_view content_type);

// The entry for a platform. Throws Error that tells what there is.
const Descriptor& choose(const Index& index, const Platform& platform);

// "sha256:" and 64 digits in lower case; everything else, another algorithm as well, is an Error that says `what`.
void check_digest(std::string_view digest, std::string_view what);

// The value of the header Accept.
std::string accepted_types();

namespace type {
inline constexpr const char* oci_manifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr const char* oci_index = "application/vnd.oci.image.index.v1+json";
inline constexpr const char* oci_config = "application/vnd.oci.image.config.v1+json";
inline constexpr const char* oci_layer = "application/vnd.oci.image.layer.v1.tar";
inline constexpr const char* docker_manifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr const char* docker_list = "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr const char* docker_config = "application/vnd.docker.container.image.v1+json";
} // namespace type

} // namespace conductor::image::registry
