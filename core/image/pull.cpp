// pull: a name becomes a manifest, the manifest a configuration and layers, and these an image of the store. Everything
// is made in a workshop, and named last.
#include "core/image/pull.h"

#include "core/base/error.h"
#include "core/container/spec.h"
#include "core/image/base.h"
#include "core/image/decompress.h"
#include "core/image/digest.h"
#include "core/image/layer_cache.h"
#include "core/image/layer_fetch.h"
#include "core/image/layers.h"
#include "core/image/registry/repository.h"
#include "core/store/blobs.h"
#include "core/store/journal.h"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>
#include <sys/statvfs.h>

namespace conductor::image {
namespace {

using registry::Descriptor;
using registry::Manifest;

// What is asked for, found: one image for this machine.
struct Found {
  Manifest manifest;
  std::string digest; // of what the name means: the index, where there is one
  std::string configuration;
  std::vector<std::string> diff_ids;
};

std::string short_digest(const std::string& digest) { return digest.substr(digest.find(':') + 1).substr(0, 12); }

std::string megabytes(uint64_t bytes)
{
  return bytes < 1'000'000 ? fmt::format("{:.1f} kB", static_cast<double>(bytes) / 1e3)
                           : fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

Found find_image(registry::Repository& repository, const registry::RemoteName& name)
{
  registry::Document document = repository.manifest(name.selector());
  Found found{.manifest = {}, .digest = document.digest, .configuration = {}, .diff_ids = {}};
  auto parsed = registry::parse_manifest(document.text, document.content_type);
  if (const auto* index = std::get_if<registry::Index>(&parsed)) {
    const Descriptor entry = registry::choose(*index, registry::this_platform());
    document = repository.manifest(entry);
    parsed = registry::parse_manifest(document.text, document.content_type);
    if (std::holds_alternative<registry::Index>(parsed)) throw Error{"the index leads to another index"};
  }
  found.manifest = std::get<Manifest>(std::move(parsed));
  found.configuration = repository.small_blob(found.manifest.config);
  const Configuration configuration = parse_configuration(found.configuration);
  if (configuration.diff_ids.size() != found.manifest.layers.size())
    throw Error{fmt::format("the manifest has {} layers, and the configuration names {}", found.manifest.layers.size(),
                            configuration.diff_ids.size())};
  const registry::Platform here = registry::this_platform();
  const std::string& architecture = configuration.config.architecture;
  if (!architecture.empty() && architecture != here.architecture)
    throw Error{fmt::format("the image is for {}/{}, and this machine is {}",
                            configuration.config.os.empty() ? "linux" : visible(configuration.config.os),
                            visible(architecture), here.text()),
                0, "it is not there for this machine"};
  found.diff_ids = configuration.diff_ids;
  return found;
}

void check_space(const Context& context, uint64_t wanted)
{
  struct statvfs disk {};
  if (fstatvfs(context.root.dir(), &disk) < 0) return;
  const uint64_t free = uint64_t{disk.f_bavail} * disk.f_frsize;
  if (wanted > free)
    throw Error{fmt::format("the layers have {} packed, and {} is free below {}", megabytes(wanted), megabytes(free),
                            context.root.path()),
                ENOSPC, "conductor rmcache frees what no image needs"};
}

// Where a layer comes from: it is here, or it is the same as an earlier one of this image (docker's builder repeats its
// empty layer), or it is fetched.
struct Slot {
  std::optional<std::string> id;
  std::optional<size_t> same_as;
};
struct Plan {
  std::vector<Slot> slots; // base first
  std::vector<WantedLayer> wanted;
};

// A layer's id may hang on the ids of those below (chained_id). Below the first that is missing they are known; above
// it a layer is looked for as if the missing ones had plain ids, which is so nearly always, and else it is fetched
// again.
Plan plan_layers(const Context& context, const Found& found, uint64_t most)
{
  Plan plan;
  std::vector<std::string> lower;
  const size_t count = found.diff_ids.size();
  for (size_t at = 0; at < count; ++at) {
    Slot slot{.id = find_layer_on(context.root, lower, found.diff_ids[at]), .same_as = {}};
    for (size_t earlier = 0; earlier < at && !slot.id; ++earlier)
      if (found.diff_ids[earlier] == found.diff_ids[at]) slot.same_as = earlier;
    lower.push_back(slot.id.value_or(found.diff_ids[at]));
    plan.slots.push_back(slot);
    if (slot.id || slot.same_as) continue;
    const Descriptor& descriptor = found.manifest.layers[at];
    plan.wanted.push_back({.descriptor = descriptor,
                           .diff_id = found.diff_ids[at],
                           .title = fmt::format("layer {}/{} {}", at + 1, count, short_digest(descriptor.digest)),
                           .most = most != 0 ? most : bomb_limit(descriptor.size)});
  }
  return plan;
}

// Fetches what is missing; ids of all layers, base first.
std::vector<std::string> get_layers(Context& context, const registry::Registry& from, const std::string& repository,
                                    const Found& found, const PullRequest& request, Pulled& pulled)
{
  const Plan plan = plan_layers(context, found, request.most_unpacked);
  for (const WantedLayer& layer : plan.wanted) pulled.fetched_bytes += layer.descriptor.size;
  check_space(context, pulled.fetched_bytes);
  pulled.fetched = plan.wanted.size();
  const Workshop shop{context.root};
  std::vector<FetchedLayer> fetched = fetch_layers({context.root, shop, from, repository}, plan.wanted);
  const Blobs blobs{context.root};
  std::vector<std::string> layers;
  auto next = fetched.begin();
  for (const Slot& slot : plan.slots) {
    if (slot.id) {
      layers.push_back(*slot.id);
    } else if (slot.same_as) {
      layers.push_back(layers[*slot.same_as]);
    } else {
      blobs.commit(next->blob, next->form.digest);
      layers.push_back(next->unpacker->finish(layers, {.made_by = "pull", .packed = {next->form}}).id);
      ++next;
    }
  }
  return layers;
}

void note(Context& context, const std::string& name, const char* outcome)
{
  try {
    append(context.root, {.name = name, .verb = context.verb.empty() ? "pull" : context.verb, .outcome = outcome});
  } catch (const Error& error) {
    context.trace.notice(error.sentence());
  }
}

} // namespace

Pulled pull(Context& context, const PullRequest& request)
{
  registry::check_has_image(request.reference, "NAME");
  const std::string reference = normal_reference(request.reference);
  const registry::RemoteName name = registry::remote_name(reference, context.config);
  registry::Transport::load(); // before there are threads
  const registry::Registry from{context.config, name.registry, request.options};
  const Images images{context.root};
  try {
    Step asking{context.trace, "ask " + name.registry + " for " + name.repository, name.selector()};
    registry::Repository repository{context.trace, from, name.repository, registry::Rights::pull};
    const Found found = find_image(repository, name);
    asking.done();

    Pulled pulled{.name = reference, .digest = found.digest};
    const std::string id = sha256(found.configuration);
    const Fd hold = images.hold_layers();
    // Two that want the same image share the work.
    const StepLock lock{context.root, sha256("pull " + id)};
    const auto before = images.find(reference);
    pulled.is_new =
        !before || before->id != id || !std::all_of(before->layers.begin(), before->layers.end(), [&](auto& layer) {
          return images.has_layer(layer); // a damaged one may have been removed
        });
    if (pulled.is_new) {
      std::vector<std::string> layers = get_layers(context, from, name.repository, found, request, pulled);
      const Image image = foreign_image(context.root, std::move(layers), found.configuration);
      Step step{context.trace, "name the image " + reference};
      images.save(image, reference);
      step.done();
    }
    pulled.image = images.load(reference);
    note(context, reference, "done");
    return pulled;
  } catch (const Error& error) {
    note(context, reference, "failed");
    if (error.number() == EINTR) throw;
    throw error.within("pull " + name.text());
  }
}

Image pull_missing(Context& context, const std::string& reference)
{
  try {
    return pull(context, {.reference = reference}).image;
  } catch (const Error& error) {
    if (error.number() == EINTR || error.number() == ECANCELED) throw;
    std::string hint{error.hint()};
    // A tag that the table of bases does not have, or a name that is nearly one of an image that is here.
    try {
      find_base(reference);
      Images{context.root}.load(reference);
    } catch (const Error& nearer) {
      if (!nearer.hint().empty()) hint = nearer.hint();
    }
    throw Error::relayed("there is no image '" + visible(reference) + "' here: " + std::string{error.sentence()},
                         error.number(), hint, 1);
  }
}

} // namespace conductor::image
