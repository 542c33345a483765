// ps, inspect, diff, top, stats, sessions: what is there now.
#include "core/base/error.h"
#include "core/container/health.h"
#include "core/container/restart.h"
#include "core/container/session.h"
#include "core/engine/changes.h"
#include "core/engine/images.h"
#include "core/engine/networks.h"
#include "core/snapshot/statistics.h"
#include "tui/command/filter.h"
#include "tui/command/invocation.h"
#include "tui/command/reach.h"
#include "tui/command/runs.h"
#include "tui/command/text.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace conductor::command {
namespace {

using Json = nlohmann::ordered_json;
using Align = Table::Align;
constexpr int64_t second_ns = 1'000'000'000;

// " (healthy)"; nothing for one that nobody checks.
std::string health_text(const Root& root, const Container& container)
{
  const auto health = find_health_state(root, container);
  if (!health) return {};
  const bool starting = health->state == HealthState::starting;
  return fmt::format(" ({}{})", starting ? "health: " : "", health_name(health->state));
}

// "up 2h14m (healthy)", "exited 137 (out of memory) 3m ago": an exited one says why in words.
std::string state_text(const Root& root, const Container& container, int64_t now_ns)
{
  const Status& status = container.status;
  const auto since = [&](int64_t then_ns) { return short_duration((now_ns - then_ns) / second_ns); };
  switch (status.state) {
  case State::created: return "created";
  case State::running: return "up " + since(status.started_ns) + health_text(root, container);
  case State::paused: return "paused, up " + since(status.started_ns) + health_text(root, container);
  case State::exited: break;
  }
  std::string text = status.exit_unknown ? "exited unknown" : fmt::format("exited {}", status.exit_code);
  const std::string why = status.oom_killed ? "out of memory" : status.why;
  if (!why.empty()) text += " (" + why + ")";
  if (status.finished_ns != 0) text += " " + since(status.finished_ns) + " ago";
  if (waits_to_restart(status))
    text += ", starts again in " + short_duration(std::max<int64_t>(0, (status.restart_ns - now_ns) / second_ns + 1));
  return text;
}

std::vector<std::string> values_of(const Root& root, const Container& container, std::string_view key)
{
  if (key == "name") return {container.spec.name};
  if (key == "image") return {container.spec.image};
  if (key == "state") return {std::string{state_name(container.status.state)}};
  if (key == "health") {
    const auto health = find_health_state(root, container);
    return {health ? std::string{health_name(health->state)} : "none"};
  }
  std::vector<std::string> labels;
  for (const auto& [name, value] : container.spec.labels) {
    labels.push_back(name);
    labels.push_back(name + "=" + value);
  }
  return labels;
}

constexpr std::string_view filter_keys[] = {"name", "image", "state", "health", "label"};

// Running containers: those that were named, or all.
std::vector<Container> running(Invocation& invocation)
{
  std::vector<Container> found;
  for (const std::string& name : invocation.names()) {
    Container container = settle(invocation.context(), invocation.resolve(name));
    if (container.status.state != State::running && container.status.state != State::paused)
      throw Error{"'" + container.spec.name + "' is not running", 0, "conductor start " + container.spec.name};
    found.push_back(std::move(container));
  }
  if (!found.empty()) return found;
  for (Container& container : settle_all(invocation.context()))
    if (container.status.state == State::running || container.status.state == State::paused)
      found.push_back(std::move(container));
  return found;
}

} // namespace

int run_diff(Invocation& invocation)
{
  const std::vector<Change> found = changes(invocation.context(), invocation.resolve(invocation.names()[0]));
  for (const Change& change : found)
    invocation.print(fmt::format("{} {}\n", static_cast<char>(change.kind), shown(change.path)));
  invocation.result(changes_json(found));
  return 0;
}

int run_ps(Invocation& invocation)
{
  const Filter filter{invocation.arguments().values("filter"), filter_keys};
  const bool all = invocation.has("all");
  mend(invocation.context());
  std::vector<Container> rows;
  for (Container& container : settle_all(invocation.context())) {
    const State state = container.status.state;
    if (!all && !filter.names("state") && state != State::running && state != State::paused) continue;
    if (filter.accepts([&](std::string_view key) { return values_of(invocation.root(), container, key); }))
      rows.push_back(std::move(container));
  }
  if (invocation.has("quiet")) {
    for (const Container& container : rows) invocation.print(container.spec.name + "\n");
  } else if (!invocation.json()) {
    std::vector<std::optional<LinkView>> views;
    for (const Container& container : rows) views.push_back(view_link(invocation.root(), container.spec));
    // Who uses no network has no use for the columns either.
    const bool any = std::any_of(views.begin(), views.end(), [](const auto& view) { return view.has_value(); });
    std::vector<std::string> titles{"NAME", "IMAGE", "STATE", "PID"};
    if (any) titles.insert(titles.end(), {"ADDRESS", "PORTS"});
    titles.emplace_back("COMMAND");
    Table table{titles, {Align::left, Align::left, Align::left, Align::right}};
    const int64_t now = realtime_ns();
    for (size_t row = 0; row < rows.size(); ++row) {
      const Container& container = rows[row];
      std::string command = command_line(container.spec.process.args);
      if (command.size() > 40) command = command.substr(0, 37) + "...";
      const pid_t pid = container.status.pid;
      std::vector<std::string> cells{container.spec.name, container.spec.image,
                                     state_text(invocation.root(), container, now),
                                     pid == 0 ? "-" : std::to_string(pid)};
      if (any) cells.insert(cells.end(), {address_cell(views[row]), ports_cell(views[row])});
      cells.push_back(std::move(command));
      table.add(std::move(cells));
    }
    invocation.print(table.text());
  }
  if (invocation.json() || invocation.trace().listening()) invocation.result(ps_json(invocation.root(), rows));
  return 0;
}

int run_inspect(Invocation& invocation)
{
  const std::string& name = invocation.names()[0];
  // Containers first: their names are what is mostly meant, and images can always be told by their tag (web:latest).
  const auto of_container = [&]() -> std::optional<std::string> {
    if (!name.starts_with("id:") && !is_name(name)) return std::nullopt;
    try {
      return invocation.resolve(name);
    } catch (const Error& error) {
      if (Images{invocation.root()}.exists(name)) return std::nullopt;
      if (name.starts_with("id:") || error.hint().starts_with("did you mean")) throw;
      throw Error{"there is no container and no image '" + visible(name) + "'", 0,
                  "conductor ps -a and conductor images list what there is"};
    }
  };
  const auto id = of_container();
  const std::string document = id ? inspect(invocation.context(), *id) : image::inspect(invocation.context(), name);
  if (!invocation.json()) invocation.print(json_shown(document) + "\n");
  invocation.result(document);
  return 0;
}

int run_top(Invocation& invocation)
{
  const auto rows = processes(invocation.root(), running(invocation)[0], std::chrono::milliseconds{200});
  Table table{{"PID", "HOST PID", "PPID", "USER", "S", "CPU%", "RSS", "COMMAND"},
              {Align::right, Align::right, Align::right, Align::left, Align::left, Align::right, Align::right}};
  for (const ProcessInfo& row : rows) {
    table.add({std::to_string(row.pid), std::to_string(row.host_pid), std::to_string(row.ppid), row.user,
               std::string{row.state}, fmt::format("{:.1f}", row.cpu_percent), short_size(row.rss_bytes), row.command});
  }
  invocation.print(table.text());
  invocation.result(top_json(rows));
  return 0;
}

int run_stats(Invocation& invocation)
{
  const auto containers = running(invocation);
  const auto rows =
      statistics(invocation.root(), invocation.context().network, containers, std::chrono::milliseconds{500});
  // Who has no limit of CPU time has no use for the column.
  const bool throttled =
      std::ranges::any_of(rows, [](const Stats& row) { return row.figures.throttled_percent > 0; }) ||
      std::ranges::any_of(containers, [](const Container& each) { return each.spec.limits.cpus.has_value(); });
  std::vector<std::string> titles{"NAME", "CPU%", "MEMORY", "LIMIT", "PIDS", "READ", "WRITTEN", "RX", "TX"};
  if (throttled) titles.insert(titles.begin() + 2, "THROTTLED");
  std::vector<Align> align(titles.size(), Align::right);
  align[0] = Align::left;
  Table table{titles, align};
  const auto size_or_dash = [](const std::optional<uint64_t>& bytes) { return bytes ? short_size(*bytes) : "-"; };
  for (const Stats& row : rows) {
    const Figures& figures = row.figures;
    std::vector<std::string> cells{row.name,
                                   fmt::format("{:.1f}", figures.cpu_percent),
                                   short_size(figures.memory_bytes),
                                   size_or_dash(figures.memory_limit_bytes),
                                   std::to_string(figures.pids),
                                   size_or_dash(figures.io_read_bytes),
                                   size_or_dash(figures.io_write_bytes),
                                   short_size(figures.rx_bytes),
                                   short_size(figures.tx_bytes)};
    if (throttled) cells.insert(cells.begin() + 2, fmt::format("{:.0f}%", figures.throttled_percent));
    table.add(std::move(cells));
  }
  invocation.print(table.text());
  invocation.result(stats_json(rows));
  return 0;
}

int run_sessions(Invocation& invocation)
{
  Table table{{"SESSION", "CONTAINER", "HOLDER", "ATTACHED"}, {Align::left, Align::left, Align::right}};
  Json document = Json::array();
  for (const Container& container : running(invocation)) {
    const Fd directory = Containers{invocation.root()}.run_directory(container.spec.id);
    for (const SessionInfo& session : list_sessions(directory.get())) {
      table.add({session.id, container.spec.name, std::to_string(session.holder), session.attached ? "yes" : "no"});
      document.push_back({{"session", session.id},
                          {"name", container.spec.name},
                          {"id", container.spec.id},
                          {"holder", session.holder},
                          {"attached", session.attached}});
    }
  }
  invocation.print(table.text());
  invocation.result(document.dump());
  return 0;
}

} // namespace conductor::command
