#include "tui/console/view.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <ctime>
#include <map>

namespace conductor::console {
namespace {

std::string lower(std::string_view text)
{
  std::string all{text};
  for (char& c : all) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return all;
}

std::int64_t seconds_since(std::int64_t then_ns, std::int64_t now_ns)
{
  return std::max<std::int64_t>((now_ns - then_ns) / 1'000'000'000, 0);
}

std::string short_image(std::string_view reference)
{
  // ":latest" says nothing that a reader misses.
  constexpr std::string_view latest = ":latest";
  if (reference.ends_with(latest)) reference.remove_suffix(latest.size());
  return std::string{reference};
}

} // namespace

std::string size_text(std::uint64_t bytes)
{
  constexpr std::string_view units = "KMGTP";
  if (bytes < 1000) return std::to_string(bytes);
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < units.size()) {
    value /= 1024;
    ++unit;
  }
  return value < 9.95 ? fmt::format("{:.1f}{}", value, units[unit]) : fmt::format("{:.0f}{}", value, units[unit]);
}

std::string rate_text(double bytes_per_second)
{
  return bytes_per_second < 1 ? "0" : size_text(static_cast<std::uint64_t>(bytes_per_second));
}

std::string percent_text(double percent)
{
  return percent < 99.95 ? fmt::format("{:.1f}", percent) : fmt::format("{:.0f}", percent);
}

std::string duration_text(std::uint64_t seconds)
{
  const std::uint64_t minutes = seconds / 60, hours = minutes / 60, days = hours / 24;
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (minutes < 60) return fmt::format("{}m", minutes);
  if (hours < 24) return fmt::format("{}h{:02}m", hours, minutes % 60);
  if (days < 100) return fmt::format("{}d{:02}h", days, hours % 24);
  return fmt::format("{}d", days);
}

std::string ago_text(std::uint64_t seconds)
{
  if (seconds < 60) return "now";
  if (seconds < 3600) return fmt::format("{} min ago", seconds / 60);
  if (seconds < 48 * 3600) return fmt::format("{} h ago", seconds / 3600);
  return fmt::format("{} days ago", seconds / 86400);
}

std::string clock_text(std::int64_t realtime_ns, bool with_seconds)
{
  const std::time_t seconds = realtime_ns / 1'000'000'000;
  std::tm local{};
  localtime_r(&seconds, &local);
  return with_seconds ? fmt::format("{:02}:{:02}:{:02}", local.tm_hour, local.tm_min, local.tm_sec)
                      : fmt::format("{:02}:{:02}", local.tm_hour, local.tm_min);
}

std::vector<GraphCell> graph(const History& history, int columns, double full, bool ascii)
{
  constexpr std::array<char32_t, 8> blocks{U'▁', U'▂', U'▃', U'▄', U'▅', U'▆', U'▇', U'█'};
  constexpr std::array<char32_t, 8> signs{U'.', U':', U'-', U'=', U'+', U'*', U'#', U'@'};
  std::vector<GraphCell> cells(static_cast<std::size_t>(std::max(columns, 0)), GraphCell{U' ', Role::graph_1});
  if (columns <= 0) return cells;
  const auto values = history_seconds;
  const std::size_t first_known = values - std::min(history.known, values);
  std::vector<double> highest(cells.size(), -1);
  for (std::size_t i = first_known; i < values; ++i) {
    const std::size_t cell = i * cells.size() / values;
    highest[cell] = std::max(highest[cell], static_cast<double>(history.values[i]));
  }
  // Wider than the history: what lies between two values is the older one.
  for (std::size_t cell = 1; cell < cells.size(); ++cell)
    if (highest[cell] < 0 && cells.size() > values) highest[cell] = highest[cell - 1];
  const double most = full > 0 ? full : std::max(*std::max_element(highest.begin(), highest.end()), 1e-9);
  for (std::size_t cell = 0; cell < cells.size(); ++cell) {
    if (highest[cell] < 0) continue;
    const double share = std::clamp(highest[cell] / most, 0.0, 1.0);
    const auto step = static_cast<std::size_t>(std::lround(share * 7));
    cells[cell].shape = (ascii ? signs : blocks)[step];
    cells[cell].role = static_cast<Role>(static_cast<std::size_t>(Role::graph_1) + std::min<std::size_t>(step / 2, 3));
  }
  return cells;
}

std::string_view sort_name(Sort sort)
{
  constexpr std::array<std::string_view, 6> names{"name", "CPU", "memory", "pids", "age", "state"};
  return names[static_cast<std::size_t>(sort)];
}

std::string reason_text(const ContainerPicture& container, std::int64_t now_ns)
{
  const Status& status = container.status();
  if (container.state == State::created) return "never started";
  if (container.state != State::exited) return {};
  std::string text = status.exit_unknown                            ? "exit unknown"
                     : status.oom_killed && status.exit_code == 137 ? "exit 137: out of memory"
                                                                    : fmt::format("exit {}", status.exit_code);
  if (!container.why.empty()) text += ": " + container.why;
  if (status.finished_ns > 0)
    text += ", " + ago_text(static_cast<std::uint64_t>(seconds_since(status.finished_ns, now_ns)));
  return text;
}

std::string health_text(const ContainerPicture& container)
{
  if (!container.health) return {};
  const Health& health = *container.health;
  std::string text{health_name(health.state)};
  if (health.failing_streak > 0) text += fmt::format(", {} failed in a row", health.failing_streak);
  if (health.failing_streak == 0 || health.log.empty()) return text;
  const std::string& output = health.log.back().output;
  const auto last = output.find_last_not_of(" \n\r\t");
  if (last != std::string::npos) text += ": " + visible(output.substr(0, last + 1), 500);
  return text;
}

bool about_container(command::Needs needs)
{
  return needs != command::Needs::nothing && needs != command::Needs::image;
}

bool suits(command::Needs needs, const ContainerRow& row)
{
  using command::Needs;
  switch (needs) {
  case Needs::running: return row.running;
  case Needs::paused: return row.paused;
  case Needs::active: return row.running || row.paused;
  case Needs::stopped: return !row.running && !row.paused;
  default: return true;
  }
}

std::vector<ContainerRow> container_rows(const Snapshot& snapshot, const ListWish& wish)
{
  constexpr std::array<char, 4> letters{'.', '*', '=', 'o'};
  constexpr std::array<Role, 4> roles{Role::muted, Role::good, Role::warning, Role::muted};
  std::vector<ContainerRow> rows;
  const std::string filter = lower(wish.filter);
  for (const ContainerPicture& each : snapshot.containers) {
    const auto state = static_cast<std::size_t>(each.state);
    ContainerRow row{.id = each.spec().id, .name = each.spec().name, .image = short_image(each.spec().image)};
    if (!filter.empty() &&
        lower(row.name + " " + row.image + " " + std::string{state_name(each.state)}).find(filter) == std::string::npos)
      continue;
    row.picture = &each;
    row.state = letters[state];
    row.state_role = roles[state];
    row.running = each.state == State::running;
    row.paused = each.state == State::paused;
    if (each.health && row.running && each.health->state != HealthState::healthy) {
      const bool starting = each.health->state == HealthState::starting;
      if (!starting) row.state = '!';
      row.state_role = starting ? Role::warning : Role::bad;
    }
    row.marked = wish.marked.contains(row.id);
    if (row.running || row.paused) {
      row.up = duration_text(each.uptime_seconds);
      if (each.measured) {
        row.cpu = percent_text(each.figures.cpu_percent);
        row.memory = size_text(each.figures.memory_bytes);
        row.pids = std::to_string(each.figures.pids);
        row.rx = rate_text(each.figures.rx_rate);
        row.tx = rate_text(each.figures.tx_rate);
      }
    } else {
      row.reason = reason_text(each, snapshot.time_ns);
      if (each.state == State::exited && each.status().exit_code != 0) row.state_role = Role::bad;
    }
    rows.push_back(std::move(row));
  }
  const auto less = [&](const ContainerRow& a, const ContainerRow& b) {
    const Figures &left = a.picture->figures, &right = b.picture->figures;
    // Figures: the largest first, those that do not run last.
    switch (wish.sort) {
    case Sort::cpu:
      if (left.cpu_percent != right.cpu_percent) return left.cpu_percent > right.cpu_percent;
      break;
    case Sort::memory:
      if (left.memory_bytes != right.memory_bytes) return left.memory_bytes > right.memory_bytes;
      break;
    case Sort::pids:
      if (left.pids != right.pids) return left.pids > right.pids;
      break;
    case Sort::age: return a.picture->spec().created_ns < b.picture->spec().created_ns;
    case Sort::state:
      if (a.running != b.running) return a.running;
      break;
    case Sort::name: break;
    }
    return a.name < b.name;
  };
  std::stable_sort(rows.begin(), rows.end(),
                   [&](const auto& a, const auto& b) { return wish.reverse ? less(b, a) : less(a, b); });
  return rows;
}

std::string mounts_text(const Spec& spec)
{
  std::string text;
  const auto add = [&](const std::string& target, const std::string& what, bool read_only) {
    text += (text.empty() ? "" : ", ") + target + what + (read_only ? " (read-only)" : "");
  };
  for (const Volume& volume : spec.volumes)
    add(volume.target,
        volume.anonymous      ? ", its own"
        : volume.name.empty() ? " = " + volume.source
                              : " = " + volume.name,
        volume.read_only);
  for (const std::string& each : spec.tmpfs) {
    const MemoryMount mount = memory_mount(each);
    add(mount.target, " in memory", mount.read_only);
  }
  return visible(text, 1000);
}

std::vector<Column> container_columns(int columns, int longest_name, int longest_image)
{
  using What = Column::What;
  struct Plan {
    What what;
    int width, priority; ///< lower stays longer
  };
  // In the order of the screen; name and image take what is left.
  const int name = std::clamp(longest_name, 4, 24), image = std::clamp(longest_image, 5, 22);
  std::vector<Plan> plan{{What::name, std::min(name, 10), 0},
                         {What::image, std::min(image, 12), 5},
                         {What::up, 6, 6},
                         {What::cpu, 5, 1},
                         {What::graph, 8, 3},
                         {What::memory, 5, 2},
                         {What::pids, 4, 7},
                         {What::rx, 5, 4},
                         {What::tx, 5, 8}};
  const auto used = [&] {
    int sum = -1;
    for (const Plan& each : plan) sum += each.width + 1;
    return sum;
  };
  while (plan.size() > 1 && used() > columns) {
    const auto worst = std::max_element(plan.begin(), plan.end(),
                                        [](const Plan& a, const Plan& b) { return a.priority < b.priority; });
    plan.erase(worst);
  }
  int left = std::max(columns - used(), 0);
  const auto widen = [&](What what, int wanted) {
    for (Plan& each : plan) {
      if (each.what != what) continue;
      const int more = std::clamp(wanted - each.width, 0, left);
      each.width += more;
      left -= more;
    }
  };
  widen(What::name, name);
  widen(What::image, image);
  widen(What::graph, 60);
  widen(What::image, 40);
  if (plan.size() == 1) plan[0].width = std::max(columns, 1);
  std::vector<Column> result;
  for (const Plan& each : plan) result.push_back({each.what, each.width});
  return result;
}

std::string_view column_title(Column::What what)
{
  constexpr std::array<std::string_view, 9> titles{"NAME", "IMAGE", "UP",   "CPU%", "last 60 s",
                                                   "MEM",  "PIDS",  "RX/s", "TX/s"};
  return titles[static_cast<std::size_t>(what)];
}

std::vector<ImageRow> image_rows(const Snapshot& snapshot)
{
  std::vector<ImageRow> rows;
  if (!snapshot.images) return rows;
  for (const ImagePicture& each : *snapshot.images) {
    std::string used;
    if (each.used_by.size() == 1)
      used = each.used_by[0];
    else if (!each.used_by.empty())
      used = std::to_string(each.used_by.size());
    for (const auto& name : each.image.names)
      rows.push_back({each.image.id, short_image(name), size_text(each.size_bytes), used});
  }
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.tag < b.tag; });
  return rows;
}

std::string images_total(const Snapshot& snapshot)
{
  if (!snapshot.images || snapshot.images->empty()) return {};
  // Layers are shared: each counts once, which the size of an image does not tell. So only how many is said.
  const std::size_t count = snapshot.images->size();
  std::size_t unused = 0;
  for (const auto& each : *snapshot.images) unused += each.used_by.empty() ? 1 : 0;
  return fmt::format("{} image{}, {} not used", count, count == 1 ? "" : "s", unused);
}

std::vector<EventRow> event_rows(const Snapshot& snapshot)
{
  std::vector<EventRow> rows;
  if (!snapshot.events) return rows;
  for (auto each = snapshot.events->rbegin(); each != snapshot.events->rend(); ++each) {
    // "exit" has its own word in the outcome: "exit 137"; and health has enough of one.
    const bool is_health = each->verb == "health_status";
    const bool said = is_health || each->outcome.starts_with(each->verb);
    const std::string text = said                      ? each->outcome
                             : each->outcome == "done" ? each->verb
                                                       : each->verb + " " + each->outcome;
    const bool bad = each->outcome.starts_with("failed") ||
                     (each->outcome.starts_with("exit ") && each->outcome != "exit 0") || each->verb == "oom" ||
                     (is_health && each->outcome == "unhealthy");
    rows.push_back({clock_text(each->time_ns, true), each->name, text, bad});
  }
  return rows;
}

std::vector<ProcessRow> process_rows(const Details& details, bool ascii)
{
  std::map<int, std::vector<const ProcessInfo*>> children;
  std::set<int> pids;
  for (const auto& each : details.processes) pids.insert(each.pid);
  for (const auto& each : details.processes)
    children[pids.contains(each.ppid) && each.ppid != each.pid ? each.ppid : 0].push_back(&each);
  std::vector<ProcessRow> rows;
  const auto add = [&](const auto& self, int parent, const std::string& branch) -> void {
    const auto found = children.find(parent);
    if (found == children.end()) return;
    const auto all = std::move(found->second);
    children.erase(found);
    for (std::size_t i = 0; i < all.size(); ++i) {
      const ProcessInfo& each = *all[i];
      const bool last = i + 1 == all.size();
      const bool root = parent == 0;
      const std::string knot = root ? "" : ascii ? (last ? "`-" : "+-") : (last ? "└─" : "├─");
      rows.push_back({branch + knot + std::to_string(each.pid) + " " + each.command, std::to_string(each.host_pid),
                      percent_text(each.cpu_percent), size_text(each.rss_bytes), each.wchan, each.state});
      self(self, each.pid, root ? branch : branch + (last ? "  " : ascii ? "| " : "│ "));
    }
  };
  add(add, 0, "");
  return rows;
}

std::pair<std::string, std::string> title_texts(const Snapshot& snapshot, bool read_only, int columns)
{
  std::size_t up = 0;
  for (const auto& each : snapshot.containers)
    up += each.state == State::running || each.state == State::paused ? 1 : 0;
  const HostPicture& host = snapshot.host;
  std::string left = fmt::format(" conductor {}   {} up / {}", host.name, up, snapshot.containers.size());
  const std::string cpu = fmt::format("   cpu {:.0f}% of {}", host.cpu_percent, host.cpus);
  const std::string memory =
      fmt::format("   mem {}/{}", size_text(host.memory_used_bytes), size_text(host.memory_total_bytes));
  double received = 0, sent = 0;
  for (const auto& each : snapshot.containers) {
    received += each.figures.rx_rate;
    sent += each.figures.tx_rate;
  }
  const bool linked =
      std::any_of(snapshot.containers.begin(), snapshot.containers.end(), [](const auto& each) { return !!each.link; });
  const std::string net = linked ? fmt::format("   net {} in  {} out", rate_text(received), rate_text(sent)) : "";
  const std::string right =
      std::string{read_only ? "read-only" : "rw"} + "  " + clock_text(snapshot.time_ns, false) + " ";
  const auto room = [&](const std::string& more) {
    return static_cast<int>(left.size() + more.size() + right.size()) + 2 <= columns;
  };
  if (room(cpu)) left += cpu;
  if (room(memory)) left += memory;
  if (room(net)) left += net;
  return {left, static_cast<int>(left.size() + right.size()) <= columns ? right : std::string{}};
}

} // namespace conductor::console
