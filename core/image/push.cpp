// push: each blob of an image that the registry does not have, then the manifest that names them. A layer goes as it
// came, where its packed bytes are kept or are there already, so that its digest is what it was.
#include "core/image/pull.h"

#include "core/base/error.h"
#include "core/container/spec.h"
#include "core/image/digest.h"
#include "core/image/layer_packer.h"
#include "core/image/registry/repository.h"
#include "core/store/blobs.h"
#include "core/store/journal.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace conductor::image {
namespace {

using Json = nlohmann::ordered_json;
using registry::RemoteName;

constexpr size_t most_mount_sources = 3;

std::string short_digest(const std::string& hex) { return hex.substr(0, 12); }

bool is_docker_gzip(const PackedForm& form)
{
  return form.media_type == "application/vnd.docker.image.rootfs.diff.tar.gzip";
}

// What docker calls a layer, in the words of OCI; an OCI name stays.
std::string oci_type(const std::string& media_type)
{
  constexpr std::string_view docker = "application/vnd.docker.image.rootfs.";
  if (!media_type.starts_with(docker)) return media_type;
  if (media_type.ends_with(".gzip")) return std::string{registry::type::oci_layer} + "+gzip";
  if (media_type.ends_with(".zstd")) return std::string{registry::type::oci_layer} + "+zstd";
  return registry::type::oci_layer;
}

// The bytes of an open file, from its beginning each time.
class FileSource {
public:
  FileSource(Step& step, int fd, uint64_t size) : step_(step), fd_(fd), size_(size) {}

  void begin() { at_ = 0; }

  size_t read(char* buffer, size_t room)
  {
    for (;;) {
      const ssize_t got = ::pread(fd_, buffer, room, static_cast<off_t>(at_));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw Error{"read a packed layer", errno};
      at_ += static_cast<uint64_t>(got);
      if (at_ - told_ > (1 << 20) || at_ < told_ || at_ == size_) {
        told_ = at_;
        step_.progress(at_, size_, "bytes");
      }
      return static_cast<size_t>(got);
    }
  }

private:
  Step& step_;
  int fd_;
  uint64_t size_, at_ = 0, told_ = 0;
};

class Pusher {
public:
  Pusher(Context& context, const PushRequest& request, const RemoteName& to, const Image& image)
      : context_(context), to_(to), image_(image), registry_(context.config, to.registry, request.options),
        repository_(context.trace, registry_, to.repository, registry::Rights::push), shop_(context.root)
  {}

  Pushed run()
  {
    Pushed pushed{.name = to_.text()};
    std::vector<PackedForm> forms;
    const Images images{context_.root};
    for (size_t at = 0; at < image_.layers.size(); ++at) {
      const auto layer = images.find_layer(image_.layers[at]);
      if (!layer) throw Error{"the layer " + short_digest(image_.layers[at]) + " is missing"};
      forms.push_back(send_layer(*layer, fmt::format("layer {}/{}", at + 1, image_.layers.size()), pushed));
    }
    send_text(image_.configuration, pushed);
    const bool docker = !forms.empty() && std::all_of(forms.begin(), forms.end(), is_docker_gzip);
    const std::string media_type = docker ? registry::type::docker_manifest : registry::type::oci_manifest;
    const std::string text = manifest(forms, media_type, docker);
    pushed.digest = "sha256:" + sha256(text);
    Step step{context_.trace, "name it " + to_.text(), pushed.digest};
    repository_.send_manifest(to_.tag, text, media_type);
    step.done();
    return pushed;
  }

private:
  std::string manifest(const std::vector<PackedForm>& forms, const std::string& media_type, bool docker) const
  {
    Json layers = Json::array();
    for (const PackedForm& form : forms)
      layers.push_back({{"mediaType", docker ? form.media_type : oci_type(form.media_type)},
                        {"digest", "sha256:" + form.digest},
                        {"size", form.size}});
    const Json document{{"schemaVersion", 2},
                        {"mediaType", media_type},
                        {"config",
                         {{"mediaType", docker ? registry::type::docker_config : registry::type::oci_config},
                          {"digest", "sha256:" + image_.id},
                          {"size", image_.configuration.size()}}},
                        {"layers", std::move(layers)}};
    return document.dump(2);
  }

  // Is one of the forms that we know there, or can be taken over from where we know it to be?
  std::optional<PackedForm> find_there(const Layer& layer, Pushed& pushed)
  {
    for (const PackedForm& form : layer.packed) {
      if (!repository_.has_blob("sha256:" + form.digest)) continue;
      ++pushed.present;
      return form;
    }
    for (const PackedForm& form : layer.packed) {
      for (const std::string& source : mount_sources(layer.id)) {
        if (!repository_.mount_blob("sha256:" + form.digest, source)) continue;
        ++pushed.mounted;
        return form;
      }
    }
    return std::nullopt;
  }

  // Other repositories of the same registry that images of ours with this layer are named after.
  std::vector<std::string> mount_sources(const std::string& layer) const
  {
    std::set<std::string> found;
    for (const Image& image : Images{context_.root}.list()) {
      if (std::find(image.layers.begin(), image.layers.end(), layer) == image.layers.end()) continue;
      for (const std::string& name : image.names) {
        const RemoteName other = registry::remote_name(name, context_.config);
        if (other.registry == to_.registry && other.repository != to_.repository) found.insert(other.repository);
      }
    }
    std::vector<std::string> some{found.begin(), found.end()};
    some.resize(std::min(some.size(), most_mount_sources));
    return some;
  }

  PackedForm send_layer(const Layer& layer, const std::string& title, Pushed& pushed)
  {
    if (const auto known = sent_.find(layer.id); known != sent_.end()) return known->second;
    Step step{context_.trace, title};
    auto form = find_there(layer, pushed);
    if (!form) {
      LayerBlob blob = packed_layer(context_.root, shop_, layer);
      form = blob.form;
      // Packed only now: its digest may be one that the registry has.
      if (layer.packed.empty() && repository_.has_blob("sha256:" + form->digest)) {
        ++pushed.present;
      } else {
        FileSource source{step, blob.file.get(), form->size};
        repository_.send_blob({.digest = "sha256:" + form->digest,
                               .size = form->size,
                               .begin = [&] { source.begin(); },
                               .source = [&](char* buffer, size_t room) { return source.read(buffer, room); }});
        ++pushed.sent;
        pushed.sent_bytes += form->size;
      }
    }
    step.done();
    return sent_[layer.id] = *form;
  }

  void send_text(const std::string& text, Pushed& pushed)
  {
    const std::string digest = "sha256:" + image_.id;
    if (repository_.has_blob(digest)) {
      ++pushed.present;
      return;
    }
    size_t at = 0;
    repository_.send_blob({.digest = digest,
                           .size = text.size(),
                           .begin = [&] { at = 0; },
                           .source =
                               [&](char* buffer, size_t room) {
                                 const size_t count = std::min(room, text.size() - at);
                                 std::memcpy(buffer, text.data() + at, count);
                                 at += count;
                                 return count;
                               }});
    ++pushed.sent;
    pushed.sent_bytes += text.size();
  }

  Context& context_;
  const RemoteName& to_;
  const Image& image_;
  registry::Registry registry_;
  registry::Repository repository_;
  Workshop shop_;
  std::map<std::string, PackedForm> sent_; // layer id -> as it is there
};

} // namespace

Pushed push(Context& context, const PushRequest& request)
{
  // Before the image is looked for: what is missing may be its name, not the image.
  const bool has_own_name = !request.destination.empty() && !request.reference.starts_with("id:");
  registry::check_has_image(request.destination.empty() ? request.reference : request.destination,
                            has_own_name ? visible(request.reference.substr(request.reference.rfind('/') + 1))
                                         : "NAME");
  const Images images{context.root};
  const Image image = images.load(request.reference);
  if (request.destination.empty() && request.reference.starts_with("id:"))
    throw usage_error("an image that is named by its id needs a name there", "conductor push id:HEX REGISTRY/NAME:TAG");
  const std::string reference = normal_reference(request.destination.empty() ? request.reference : request.destination);
  const RemoteName to = registry::remote_name(reference, context.config);
  if (to.tag.empty()) throw usage_error("an image is sent under a tag, and gets its digest there by itself");
  const Fd hold = images.hold_layers();
  try {
    Pushed pushed = Pusher{context, request, to, image}.run();
    append(context.root, {.name = reference, .verb = context.verb, .outcome = "done"});
    return pushed;
  } catch (const Error& error) {
    if (error.number() == EINTR) throw;
    throw error.within("push " + to.text());
  }
}

} // namespace conductor::image
