#include "core/engine/images.h"

#include "core/base/error.h"
#include "core/kernel/files.h"
#include "core/store/journal.h"
#include "core/store/workshop.h"

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

namespace conductor::image {
namespace {

std::vector<std::string> users_of(const std::vector<Container>& containers, const std::string& image_id)
{
  std::vector<std::string> names;
  for (const Container& container : containers)
    if (container.spec.image_id == image_id) names.push_back(container.spec.name);
  return names;
}

std::string joined(const std::vector<std::string>& names)
{
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "'" : ", '") + name + "'";
  return text;
}

void note(Context& context, const std::string& name)
{
  try {
    append(context.root, {.name = name, .verb = context.verb.empty() ? "rmi" : context.verb, .outcome = "done"});
  } catch (const Error& error) {
    context.trace.notice(error.sentence());
  }
}

// Everything that an image or a container stands on.
std::set<std::string> needed_layers(const Root& root)
{
  std::set<std::string> needed;
  for (const Image& image : Images{root}.list()) needed.insert(image.layers.begin(), image.layers.end());
  for (const Container& container : Containers{root}.list())
    needed.insert(container.spec.layers.begin(), container.spec.layers.end());
  return needed;
}

} // namespace

std::vector<Listed> list(Context& context)
{
  const Images images{context.root};
  const auto containers = Containers{context.root}.list();
  std::vector<Listed> rows;
  for (const Image& image : images.list())
    for (const std::string& name : image.names)
      rows.push_back({name, image, images.size(image), users_of(containers, image.id)});
  std::sort(rows.begin(), rows.end(), [](const Listed& a, const Listed& b) { return a.name < b.name; });
  return rows;
}

std::string list_json(const std::vector<Listed>& rows)
{
  nlohmann::json document = nlohmann::json::array();
  for (const Listed& row : rows)
    document.push_back({{"name", row.name},
                        {"id", row.image.id},
                        {"size_bytes", row.size_bytes},
                        {"layers", row.image.layers},
                        {"created", rfc3339(row.image.created_ns)},
                        {"base", row.image.base},
                        {"used_by", row.used_by}});
  return document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

Removed remove(Context& context, const std::string& reference)
{
  const Images images{context.root};
  const Image image = images.load(reference);
  const auto names = images.names_of(image.id);
  const std::string normal = normal_reference(reference);
  const bool by_id = normal.starts_with("id:");
  Removed removed{.names = by_id ? names : std::vector<std::string>{normal}, .image_gone = by_id || names.size() <= 1};
  if (removed.image_gone) {
    const auto users = users_of(Containers{context.root}.list(), image.id);
    if (!users.empty())
      throw Error{"the image '" + visible(reference) + "' is used by " + joined(users), 0,
                  "remove " + std::string{users.size() == 1 ? "it" : "them"} + " first: conductor stop " +
                      users.front() + " or conductor rm " + users.front()};
  }
  Step step{context.trace, "remove the image " + visible(reference),
            removed.image_gone ? "its layers stay for other images and the cache" : "it keeps its other names"};
  images.remove_name(normal);
  note(context, by_id && !names.empty() ? names.front() : normal);
  step.done();
  return removed;
}

RemovedCache remove_cache(Context& context)
{
  const Root& root = context.root;
  const Images images{root};
  Step step{context.trace, "remove the build cache", "what no image and no container needs"};
  const Fd own = images.own_layers(context.patience);
  sweep_workshops(root);
  RemovedCache removed;
  for (const std::string& key : kernel::list_directory(root.dir(), "cache")) {
    kernel::remove_file(root.trace(), root.dir(), "cache/" + key);
    ++removed.links;
  }
  // What the caches of RUN hold, what is known of contexts, and why steps were made (core/image).
  kernel::remove_tree(root.trace(), root.dir(), "build");
  const auto needed = needed_layers(root);
  for (const std::string& id : images.layer_ids()) {
    if (needed.contains(id)) continue;
    context.trace.throw_if_interrupted();
    if (const auto layer = images.find_layer(id)) removed.bytes += layer->size_bytes;
    // Out of sight first: a layer that is half removed when we are killed must not be taken for a whole one.
    const Workshop shop{root};
    kernel::rename_entry(root.trace(), root.dir(), "layers/" + id, root.dir(), shop.path() + "/layer");
    ++removed.layers;
  }
  step.done();
  return removed;
}

} // namespace conductor::image
