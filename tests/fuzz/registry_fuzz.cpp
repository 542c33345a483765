// Fuzz target for what registries say: WWW-Authenticate, addresses and redirects, manifests, credential files and names
// of images, and for the unpacking of layers.
//
// The properties: nothing crashes or hangs; what is wrong is an Error; a digest that was accepted is safe as a path; an
// address that was accepted is read the same way again; a redirect never gains a user part.
#include "core/image/decompress.h"
#include "core/image/registry/challenge.h"
#include "core/image/registry/credentials.h"
#include "core/image/registry/manifest.h"
#include "core/image/registry/registry.h"
#include "core/image/registry/url.h"
#include "core/store/images.h"
#include "fuzz/fuzzing.h"

#include <variant>

namespace {

using namespace conductor;
using namespace conductor::fuzz;
using namespace conductor::image::registry;

void look_at(const Descriptor& descriptor)
{
  if (descriptor.digest.size() != 71 || descriptor.digest.find_first_of("/.") != std::string::npos)
    fail("a digest is no digest");
}

void look_at(const Url& url)
{
  const Url again = parse_url(url.text());
  if (again.origin() != url.origin() || again.target != url.target) fail("an address is read in two ways");
  if (url.host.find_first_of("@/\\ ") != std::string::npos) fail("a host holds what a host cannot");
  if (!url.target.starts_with('/')) fail("a target is no path");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  either_way([&] {
    for (const Challenge& challenge : parse_challenges(text))
      if (challenge.scheme.empty()) fail("a challenge without a scheme");
  });
  either_way([&] { look_at(parse_url(text)); });
  either_way([&] { look_at(resolve(parse_url("https://host:5000/v2/a/b?c"), text)); });
  for (const char* media_type : {type::oci_manifest, type::oci_index, type::docker_manifest, ""}) {
    either_way([&] {
      const auto parsed = parse_manifest(text, media_type);
      if (const auto* manifest = std::get_if<Manifest>(&parsed)) {
        look_at(manifest->config);
        for (const Descriptor& layer : manifest->layers) look_at(layer);
      } else {
        for (const Descriptor& entry : std::get<Index>(parsed).manifests) look_at(entry);
        choose(std::get<Index>(parsed), {"linux", "amd64", ""});
      }
    });
  }
  either_way([&] { look_up(text, "f", "host:5000", "team/web"); });
  either_way([&] {
    const std::string reference = normal_reference(text);
    if (reference.starts_with("id:")) return;
    const RemoteName name = remote_name(reference, {});
    if (name.tag.empty() == name.digest.empty()) fail("a name has neither a tag nor a digest, or both");
    if (name.repository.find("..") != std::string::npos || name.repository.starts_with('/')) fail("a name climbs");
  });
  either_way([&] {
    const auto plain = from_base64(text);
    if (plain && from_base64(base64(*plain)) != plain) fail("base64 does not come back");
  });
  either_way([&] {
    std::size_t out = 0;
    image::Decompressor unpack{[&](std::string_view bytes) { out += bytes.size(); }, 1 << 20};
    const std::size_t half = size / 2;
    unpack.feed(text.substr(0, half));
    unpack.feed(text.substr(half));
    unpack.finish();
    if (out > (1 << 20)) fail("more came out than was allowed");
  });
  return 0;
}
