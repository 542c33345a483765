// images, rmi, rmcache, tag, history, df, prune; and the way to what only the images program holds.
#include "core/base/error.h"
#include "core/engine/images.h"
#include "core/engine/volumes.h"
#include "tui/command/each.h"
#include "tui/command/filter.h"
#include "tui/command/runs.h"
#include "tui/command/text.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace conductor::command {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view filter_keys[] = {"name", "base", "label"};

std::vector<std::string> values_of(const image::Listed& row, std::string_view key)
{
  if (key == "name") return {row.name};
  if (key == "base") return {row.image.base};
  std::vector<std::string> labels;
  for (const auto& [name, value] : row.image.config.labels) {
    labels.push_back(name);
    labels.push_back(name + "=" + value);
  }
  return labels;
}

} // namespace

int run_build(Invocation& invocation) { return invocation.program().build(invocation); }
int run_pull(Invocation& invocation) { return invocation.program().pull(invocation); }
int run_push(Invocation& invocation) { return invocation.program().push(invocation); }
int run_login(Invocation& invocation) { return invocation.program().login(invocation); }
int run_logout(Invocation& invocation) { return invocation.program().logout(invocation); }
int run_exchange(Invocation& invocation) { return invocation.program().exchange(invocation); }

int run_images(Invocation& invocation)
{
  const Filter filter{invocation.arguments().values("filter"), filter_keys};
  std::vector<image::Listed> rows = image::list(invocation.context());
  std::erase_if(rows, [&](const image::Listed& row) {
    return !filter.accepts([&](std::string_view key) { return values_of(row, key); });
  });
  if (invocation.has("quiet")) {
    for (const image::Listed& row : rows) invocation.print(row.name + "\n");
  } else if (!invocation.json()) {
    using Align = Table::Align;
    Table table{{"NAME", "ID", "SIZE", "LAYERS", "AGE", "BASE", "USED BY"},
                {Align::left, Align::left, Align::right, Align::right, Align::right, Align::left, Align::left}};
    const int64_t now = realtime_ns();
    for (const image::Listed& row : rows) {
      std::string users;
      for (const std::string& name : row.used_by) users += (users.empty() ? "" : ", ") + name;
      if (!row.image.damage.empty()) {
        table.add({row.name, row.image.id.substr(0, 12), "-", "-", "-", "(damaged)", users});
        continue;
      }
      table.add({row.name, row.image.id.substr(0, 12), short_size(row.size_bytes),
                 std::to_string(row.image.layers.size()), short_duration((now - row.image.created_ns) / 1'000'000'000),
                 row.image.base, users});
    }
    invocation.print(table.text());
  }
  if (invocation.json() || invocation.trace().listening()) invocation.result(image::list_json(rows));
  return 0;
}

int run_rmi(Invocation& invocation)
{
  Json done = Json::array();
  const int status = for_each_name(invocation, [&](const std::string& reference) {
    const image::Removed removed = image::remove(invocation.context(), reference);
    for (const std::string& name : removed.names) invocation.print(name + "\n");
    done.push_back({{"names", removed.names}, {"image_gone", removed.image_gone}});
  });
  invocation.result(done.dump());
  return status;
}

int run_rmcache(Invocation& invocation)
{
  const image::RemovedCache removed = image::remove_cache(invocation.context());
  invocation.print(fmt::format("{} cached steps and {} layers removed, {} freed\n", removed.links, removed.layers,
                               short_size(removed.bytes)));
  invocation.result(
      Json{{"links", removed.links}, {"layers", removed.layers}, {"blobs", removed.blobs}, {"bytes", removed.bytes}}
          .dump());
  return 0;
}

int run_tag(Invocation& invocation)
{
  const auto& names = invocation.names();
  const Image image = image::tag(invocation.context(), names[0], names[1]);
  const std::string reference = normal_reference(names[1]);
  invocation.print(reference + "  " + image.id.substr(0, 12) + "\n");
  invocation.result(Json{{"name", reference}, {"id", image.id}}.dump());
  return 0;
}

int run_history(Invocation& invocation)
{
  const auto rows = image::history(invocation.context(), invocation.names()[0]);
  using Align = Table::Align;
  Table table{{"CREATED", "SIZE", "LAYER", "MADE BY"}, {Align::left, Align::right, Align::left, Align::left}};
  for (const image::HistoryRow& row : rows) {
    std::string made_by = row.entry.created_by;
    if (!row.entry.comment.empty()) made_by += (made_by.empty() ? "# " : "  # ") + row.entry.comment;
    table.add({row.entry.created.empty() ? "-" : row.entry.created.substr(0, 19),
               row.layer.empty() ? "-" : short_size(row.size_bytes), row.layer.empty() ? "-" : row.layer.substr(0, 12),
               std::move(made_by)});
  }
  invocation.print(table.text());
  invocation.result(image::history_json(rows));
  return 0;
}

namespace {

struct Sum {
  size_t count = 0;
  uint64_t bytes = 0, unneeded_bytes = 0;
};

// Needed is what an image or a container has; what only the cache has can be made again.
bool is_needed(const image::SpaceRow& row)
{
  return std::any_of(row.owners.begin(), row.owners.end(), [](const std::string& owner) { return owner != "cache"; });
}

void print_sums(Invocation& invocation, const image::Space& space, bool counted)
{
  std::map<std::string_view, Sum> sums;
  for (const image::SpaceRow& row : space.rows) {
    Sum& sum = sums[row.kind];
    ++sum.count;
    sum.bytes += row.size_bytes;
    if (!is_needed(row)) sum.unneeded_bytes += row.size_bytes;
  }
  Table table{{"WHAT", "COUNT", "SIZE", "NOT NEEDED"},
              {Table::Align::left, Table::Align::right, Table::Align::right, Table::Align::right}};
  const auto add = [&](const char* title, std::string_view kind) {
    const Sum& sum = sums[kind];
    table.add({title, std::to_string(sum.count), short_size(sum.bytes), short_size(sum.unneeded_bytes)});
  };
  add("layers", "layer");
  add("packed layers", "blob");
  if (counted)
    add("written by containers", "container");
  else
    table.add({"written by containers", std::to_string(space.containers), "-", "-"});
  if (counted)
    add("volumes", "volume");
  else if (space.volumes > 0)
    table.add({"volumes", std::to_string(space.volumes), "-", "-"});
  if (sums.contains("build")) add("caches of RUN", "build");
  invocation.print(table.text());
  invocation.print(fmt::format("{} images, {} cached steps; {} free on the disk\n", space.images, space.cached_steps,
                               short_size(space.free_bytes)));
}

void print_rows(Invocation& invocation, const image::Space& space)
{
  Table table{{"WHAT", "ID", "SIZE", "NEEDED BY"},
              {Table::Align::left, Table::Align::left, Table::Align::right, Table::Align::left}};
  for (const image::SpaceRow& row : space.rows) {
    std::string owners;
    for (const std::string& owner : row.owners) owners += (owners.empty() ? "" : ", ") + owner;
    table.add({row.kind, row.kind == "layer" || row.kind == "blob" ? row.id.substr(0, 12) : row.id,
               short_size(row.size_bytes), owners.empty() ? "nobody" : owners});
  }
  invocation.print(table.text());
}

bool confirmed(const image::Pruned& found, const std::vector<std::string>& volumes)
{
  if (isatty(STDIN_FILENO) != 1 || isatty(STDERR_FILENO) != 1)
    throw usage_error("prune asks before it deletes, and there is no terminal to ask on", "conductor prune --force");
  std::string question =
      fmt::format("delete {} images without a name, {} cached steps, {} layers and {} packed layers ({})", found.images,
                  found.links, found.layers, found.blobs, short_size(found.bytes));
  if (!volumes.empty())
    question += fmt::format(", and the volumes {}, with all that lies in them", fmt::join(volumes, ", "));
  question += "? [y/N] ";
  write_all(STDERR_FILENO, question);
  char answer[16] = {};
  const ssize_t got = read(STDIN_FILENO, answer, sizeof answer);
  return got > 0 && (answer[0] == 'y' || answer[0] == 'Y');
}

} // namespace

int run_df(Invocation& invocation)
{
  const bool verbose = invocation.has("verbose");
  const image::Space space = image::space(invocation.context(), verbose);
  if (verbose) print_rows(invocation, space);
  print_sums(invocation, space, verbose);
  invocation.result(image::space_json(space));
  return 0;
}

int run_prune(Invocation& invocation)
{
  const bool volumes_too = invocation.has("volumes");
  std::vector<std::string> unused;
  if (volumes_too)
    for (const ListedVolume& volume : list_volumes(invocation.context()))
      if (volume.used_by.empty()) unused.push_back(volume.name);
  if (!invocation.has("force") && !confirmed(image::prunable(invocation.context()), unused)) {
    invocation.print("nothing was deleted\n");
    return 0;
  }
  const image::Pruned pruned = image::prune(invocation.context());
  const auto volumes = volumes_too ? prune_volumes(invocation.context()) : std::vector<std::string>{};
  for (const std::string& name : volumes) invocation.print("volume " + name + " deleted\n");
  invocation.print(fmt::format("{} images, {} cached steps, {} layers and {} packed layers deleted, {} freed\n",
                               pruned.images, pruned.links, pruned.layers, pruned.blobs, short_size(pruned.bytes)));
  invocation.result(Json{
      {"images", pruned.images},
      {"links", pruned.links},
      {"layers", pruned.layers},
      {"blobs", pruned.blobs},
      {"volumes", volumes},
      {"bytes",
       pruned.bytes}}.dump());
  return 0;
}

} // namespace conductor::command
