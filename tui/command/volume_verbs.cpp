// volumes, rmvolume.
#include "core/engine/volumes.h"
#include "tui/command/each.h"
#include "tui/command/runs.h"
#include "tui/command/text.h"

#include <nlohmann/json.hpp>

namespace conductor::command {

int run_volumes(Invocation& invocation)
{
  const std::vector<ListedVolume> rows = list_volumes(invocation.context());
  if (invocation.has("quiet")) {
    for (const ListedVolume& row : rows) invocation.print(row.name + "\n");
  } else if (!invocation.json()) {
    Table table{{"NAME", "AGE", "USED BY"}, {Table::Align::left, Table::Align::right, Table::Align::left}};
    const int64_t now = realtime_ns();
    for (const ListedVolume& row : rows) {
      std::string users;
      for (const std::string& name : row.used_by) users += (users.empty() ? "" : ", ") + name;
      table.add({row.name, short_duration((now - row.created_ns) / 1'000'000'000), users});
    }
    invocation.print(table.text());
  }
  invocation.result(volumes_json(rows));
  return 0;
}

int run_rmvolume(Invocation& invocation)
{
  nlohmann::ordered_json done = nlohmann::ordered_json::array();
  const int status = for_each_name(invocation, [&](const std::string& name) {
    remove_volume(invocation.context(), name);
    invocation.print(name + "\n");
    done.push_back(name);
  });
  invocation.result(done.dump());
  return status;
}

} // namespace conductor::command
