#include "core/engine/images.h"

#include "core/base/error.h"
#include "core/store/journal.h"

#include <algorithm>

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

} // namespace

std::vector<Listed> list(Context& context)
{
  const Images images{context.root};
  const auto containers = Containers{context.root}.list();
  std::vector<Listed> rows;
  for (const Image& image : images.list()) {
    if (!image.damage.empty()) context.trace.notice(image.damage);
    for (const std::string& name : image.names)
      rows.push_back({name, image, images.size(image), users_of(containers, image.id)});
  }
  std::sort(rows.begin(), rows.end(), [](const Listed& a, const Listed& b) { return a.name < b.name; });
  return rows;
}

std::string list_json(const std::vector<Listed>& rows)
{
  nlohmann::json document = nlohmann::json::array();
  for (const Listed& row : rows) {
    document.push_back({{"name", row.name},
                        {"id", row.image.id},
                        {"size_bytes", row.size_bytes},
                        {"layers", row.image.layers},
                        {"created", rfc3339(row.image.created_ns)},
                        {"base", row.image.base},
                        {"used_by", row.used_by}});
    if (!row.image.damage.empty()) document.back()["damage"] = row.image.damage;
  }
  return document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

Removed remove(Context& context, const std::string& reference)
{
  const Images images{context.root};
  const Image image = images.load_even_damaged(reference);
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

Image tag(Context& context, const std::string& reference, const std::string& name)
{
  const std::string normal = normal_reference(name);
  if (normal.starts_with("id:")) throw usage_error("'" + visible(name) + "' is an id, and a name is wanted");
  const Images images{context.root};
  const Image image = images.load(reference);
  Step step{context.trace, "name the image " + normal};
  images.tag(image.id, normal);
  note(context, normal);
  step.done();
  return image;
}

std::vector<HistoryRow> history(Context& context, const std::string& reference)
{
  const Images images{context.root};
  const Image image = images.load(reference);
  std::vector<HistoryEntry> entries = image.config.history;
  const auto with_layer = static_cast<size_t>(
      std::count_if(entries.begin(), entries.end(), [](const HistoryEntry& entry) { return !entry.empty_layer; }));
  if (with_layer != image.layers.size()) entries.assign(image.layers.size(), HistoryEntry{});
  std::vector<HistoryRow> rows;
  size_t at = 0;
  for (HistoryEntry& entry : entries) {
    HistoryRow& row = rows.emplace_back();
    row.entry = std::move(entry);
    if (row.entry.empty_layer) continue;
    row.layer = image.layers[at++];
    if (const auto layer = images.readable_layer(row.layer)) row.size_bytes = layer->size_bytes;
  }
  std::reverse(rows.begin(), rows.end());
  return rows;
}

std::string history_json(const std::vector<HistoryRow>& rows)
{
  nlohmann::json document = nlohmann::json::array();
  for (const HistoryRow& row : rows)
    document.push_back({{"created", row.entry.created.empty() ? nlohmann::json{} : nlohmann::json(row.entry.created)},
                        {"created_by", row.entry.created_by},
                        {"author", row.entry.author},
                        {"comment", row.entry.comment},
                        {"layer", row.layer.empty() ? nlohmann::json{} : nlohmann::json(row.layer)},
                        {"size_bytes", row.size_bytes}});
  return document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string inspect(Context& context, const std::string& reference)
{
  using Json = nlohmann::ordered_json;
  const Images images{context.root};
  const Image image = images.load(reference);
  Json layers = Json::array();
  for (const std::string& id : image.layers) {
    const auto layer = images.readable_layer(id);
    if (!layer) continue;
    Json packed = Json::array();
    for (const PackedForm& form : layer->packed)
      packed.push_back(
          {{"digest", "sha256:" + form.digest}, {"size_bytes", form.size}, {"media_type", form.media_type}});
    layers.push_back({{"id", id},
                      {"diff_id", "sha256:" + layer->diff_id},
                      {"size_bytes", layer->size_bytes},
                      {"made_by", layer->made_by},
                      {"packed", std::move(packed)}});
  }
  const Json document{{"names", images.names_of(image.id)},
                      {"id", image.id},
                      {"created", rfc3339(image.created_ns)},
                      {"base", image.base},
                      {"size_bytes", images.size(image)},
                      {"used_by", users_of(Containers{context.root}.list(), image.id)},
                      {"layers", std::move(layers)},
                      {"directory", context.root.path() + "/layers"},
                      {"configuration", Json::parse(image.configuration)}};
  return document.dump(2, ' ', false, Json::error_handler_t::replace);
}

} // namespace conductor::image
