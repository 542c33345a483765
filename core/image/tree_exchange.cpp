// export, import, commit: root trees as archives, and what a container wrote as a layer.
#include "core/image/exchange.h"

#include "core/base/error.h"
#include "core/container/overlay.h"
#include "core/container/spec.h"
#include "core/engine/launch.h"
#include "core/engine/standstill.h"
#include "core/image/archive_source.h"
#include "core/image/archive_target.h"
#include "core/image/layer_packer.h"
#include "core/image/layer_unpacker.h"
#include "core/image/layers.h"
#include "core/kernel/files.h"
#include "core/kernel/mount.h"
#include "core/store/journal.h"

#include <algorithm>
#include <cerrno>

namespace conductor::image {
namespace {

std::optional<Container> find_container(Context& context, const std::string& name)
{
  const Containers containers{context.root};
  if (!name.starts_with("id:") && (!is_name(name) || !containers.find_name(name))) return std::nullopt;
  try {
    return settle(context, containers.resolve(name));
  } catch (const Error&) {
    if (name.starts_with("id:")) return std::nullopt; // of an image, then
    throw;
  }
}

// The layers as one tree, read-only. Nothing is written by whoever looks.
Fd merged_tree(Context& context, std::vector<std::string> lower)
{
  if (lower.size() == 1) return kernel::open_directory(context.root.dir(), lower.front());
  const Fd made = make_overlay(context.root, {.tree = context.root.dir(), .lower = std::move(lower)});
  return kernel::open_directory(made.get(), "."); // a fresh mount is a place only, and this is to be read
}

uint64_t write_tree(Context& context, std::vector<std::string> lower, const std::string& file)
{
  OutputFile out{context.trace, file};
  if (lower.empty()) {
    out.write(tar_end());
  } else {
    const Fd tree = merged_tree(context, std::move(lower));
    pack_tree(context.trace, tree.get(), TreeKind::root, [&](std::string_view bytes) { out.write(bytes); });
  }
  out.finish();
  return out.bytes();
}

void note(Context& context, const std::string& name)
{
  try {
    append(context.root, {.name = name, .verb = context.verb, .outcome = "done"});
  } catch (const Error& error) {
    context.trace.notice(error.sentence());
  }
}

std::string checked_name(const std::string& name)
{
  std::string reference = normal_reference(name);
  if (reference.starts_with("id:")) throw usage_error("'" + visible(name) + "' is an id, and a new image needs a name");
  return reference;
}

// What the container was started with, over what its image says: the next container from the new image is like it.
ImageConfig config_of(const Spec& spec, const std::optional<Image>& image)
{
  ImageConfig config = image ? image->config : ImageConfig{};
  config.created.clear();
  config.env = spec.process.env;
  config.user = spec.process.user;
  config.workdir = spec.process.workdir;
  config.labels.insert(spec.labels.begin(), spec.labels.end());
  config.stop_signal = spec.stop_signal;
  const auto& args = spec.process.args;
  const auto& entrypoint = config.entrypoint;
  const bool keeps = entrypoint.size() <= args.size() && std::equal(entrypoint.begin(), entrypoint.end(), args.begin());
  if (!keeps) config.entrypoint.clear();
  config.cmd.assign(args.begin() + static_cast<std::ptrdiff_t>(keeps ? entrypoint.size() : 0), args.end());
  return config;
}

} // namespace

uint64_t export_tree(Context& context, const ExportRequest& request)
{
  const Images images{context.root};
  const Fd hold = images.hold_layers();
  if (const auto container = find_container(context, request.name)) {
    const Lock lock = lock_container(context, container->spec.id, container->spec.name);
    std::vector<std::string> lower = Images::stack(container->spec.layers);
    const std::string upper = Containers{context.root}.path(container->spec.id) + "/rw/upper";
    if (kernel::exists(context.root.dir(), upper)) lower.push_back(upper);
    Step step{context.trace, "export the files of '" + container->spec.name + "'"};
    Standstill still{context, *container};
    const uint64_t bytes = write_tree(context, std::move(lower), request.file);
    still.end();
    step.done();
    return bytes;
  }
  const Image image = images.load(request.name);
  Step step{context.trace, "export the files of the image " + visible(request.name)};
  const uint64_t bytes = write_tree(context, Images::stack(image.layers), request.file);
  step.done();
  return bytes;
}

Image import_tree(Context& context, const ImportRequest& request)
{
  const std::string reference = checked_name(request.name);
  const Images images{context.root};
  const Fd hold = images.hold_layers();
  const Fd input = open_input(request.file);
  Step step{context.trace, "import " + visible(request.file, 200)};
  const Workshop shop{context.root};
  LayerUnpacker unpacker{context.root, shop, "made"};
  // No digest and no size vouch for it: the end mark must be there, and the disk is the limit.
  feed_plain(context.trace, input.get(), UINT64_MAX, [&](std::string_view bytes) { unpacker.feed(bytes); });
  unpacker.end(TarReader::EndMark::needed);
  unpacker.tell_left_out();
  // Known by the archive that we would make of it, since nobody keeps the one that came.
  const Layer layer = commit_made(context.root, shop, "", "import");
  ImageConfig config;
  config.history = {{.created = rfc3339(layer.created_ns), .created_by = "import"}};
  const Image image = make_image(context.root, {layer.id}, std::move(config), "");
  images.save(image, reference);
  note(context, reference);
  step.done();
  return image;
}

Image commit_container(Context& context, const CommitRequest& request)
{
  const std::string reference = checked_name(request.name);
  const Images images{context.root};
  const Fd hold = images.hold_layers();
  const Containers containers{context.root};
  const Container container = settle(context, containers.resolve(request.container));
  const Spec& spec = container.spec;
  const Lock lock = lock_container(context, spec.id, spec.name);
  Step step{context.trace, "commit what '" + spec.name + "' wrote"};
  std::vector<std::string> layers = spec.layers;
  const Workshop shop{context.root};
  LayerUnpacker unpacker{context.root, shop, "made"};
  {
    // A container that never ran has written nothing.
    const auto upper = kernel::find_directory(context.root.dir(), containers.path(spec.id) + "/rw/upper");
    std::optional<Standstill> still;
    if (request.pause) still.emplace(context, container);
    // By way of the archive: the copy then is just what will travel.
    const auto take = [&](std::string_view bytes) { unpacker.feed(bytes); };
    try {
      if (upper)
        pack_tree(context.trace, upper->get(), TreeKind::layer, take);
      else
        take(tar_end());
    } catch (Error& error) {
      const bool moves = !request.pause && container.status.state == State::running && error.number() != EINTR;
      if (moves && error.hint().empty())
        error.with_hint("without --no-pause the container stands still while it is read");
      throw;
    }
    if (still) still->end();
  }
  unpacker.end(TarReader::EndMark::needed);
  const Layer layer = unpacker.finish(layers, {.made_by = "commit " + spec.name, .packed = {}});
  layers.push_back(layer.id);
  const auto image_before = spec.image_id.empty() ? std::nullopt : images.find("id:" + spec.image_id);
  ImageConfig config = config_of(spec, image_before);
  if (!request.author.empty()) config.author = request.author;
  config.history.push_back({.created = rfc3339(layer.created_ns),
                            .created_by = "commit " + spec.name,
                            .author = request.author,
                            .comment = request.message});
  const Image image = make_image(context.root, std::move(layers), std::move(config), spec.image);
  images.save(image, reference);
  note(context, reference);
  step.done();
  return image;
}

} // namespace conductor::image
