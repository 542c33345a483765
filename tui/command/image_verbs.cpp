// images, rmi, rmcache; and the way to build, pull, push, login, logout, which only the images program holds.
#include "core/base/error.h"
#include "core/engine/images.h"
#include "tui/command/each.h"
#include "tui/command/filter.h"
#include "tui/command/runs.h"
#include "tui/command/text.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

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
  invocation.result(Json{{"links", removed.links}, {"layers", removed.layers}, {"bytes", removed.bytes}}.dump());
  return 0;
}

} // namespace conductor::command
