#include "core/snapshot/statistics.h"

#include "core/base/error.h"
#include "core/base/trace.h"
#include "core/container/health.h"
#include "core/kernel/process.h"
#include "core/snapshot/group_reader.h"
#include "core/snapshot/process_reader.h"
#include "core/snapshot/read_text.h"

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <map>

#include <nlohmann/json.hpp>

namespace conductor {
namespace {

using Json = nlohmann::ordered_json;

// Two readings need time between them, that is what they measure.
void let_pass(std::chrono::milliseconds interval)
{
  timespec rest{.tv_sec = interval.count() / 1000, .tv_nsec = interval.count() % 1000 * 1'000'000};
  while (::nanosleep(&rest, &rest) < 0 && errno == EINTR) {
  }
}

bool runs(const Container& container)
{
  const Status& status = container.status;
  return (status.state == State::running || status.state == State::paused) && status.boot_id == kernel::boot_id() &&
         kernel::is_alive(status.pid, status.pid_start);
}

std::vector<Interface> interfaces_of(Network& network, const Container& container)
{
  try {
    return network.interfaces(container.status.pid);
  } catch (const Error& error) {
    if (error.number() == ESRCH) return {}; // it has just ended
    throw;
  }
}

// Never negative. No std::round: that alone would load libm into every verb.
double hundredths(double value) { return static_cast<double>(static_cast<uint64_t>(value * 100 + 0.5)) / 100; }

Json or_null(const std::optional<uint64_t>& value) { return value ? Json(*value) : Json(); }

Json time_or_null(int64_t time_ns) { return time_ns == 0 ? Json() : Json(rfc3339(time_ns)); }

std::string text_of(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace); }

Json text_or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

// One that does not run now has no link, and so no address; what it wants is told all the same.
Json link_object(const LinkView& view)
{
  Json published = Json::array();
  for (const PublishedPort& port : view.published)
    published.push_back({{"protocol", port.protocol},
                         {"host_address", port.host_address},
                         {"outer", port.outer},
                         {"inner", port.inner}});
  const auto& link = view.link;
  return {{"interface", link_inside},
          {"host_interface", link ? Json(link_outside(link->index)) : Json()},
          {"address", link ? Json(link->subnet.address(link->index)) : Json()},
          {"address6", link ? text_or_null(link->subnet.address6(link->index)) : Json()},
          {"internet", view.internet},
          {"published", std::move(published)},
          {"peers", view.peers}};
}

Json ps_object(const Root& root, const Container& container)
{
  Json networks = Json::array();
  if (const auto view = view_link(root, container.spec)) networks.push_back(link_object(*view));
  const Spec& spec = container.spec;
  const Status& status = container.status;
  const bool up = status.state == State::running || status.state == State::paused;
  const Limits& limits = spec.limits;
  const auto health = find_health_state(root, container);
  return {{"name", spec.name},
          {"id", spec.id},
          {"image", spec.image},
          {"state", state_name(status.state)},
          {"health", health ? Json(health_name(health->state)) : Json()},
          {"pid", up ? status.pid : 0},
          {"exit_code", status.exit_unknown ? Json() : Json(status.exit_code)},
          {"oom_killed", status.oom_killed},
          {"created", time_or_null(spec.created_ns)},
          {"started", time_or_null(status.started_ns)},
          {"finished", time_or_null(up ? 0 : status.finished_ns)},
          {"command", spec.process.args},
          {"networks", std::move(networks)},
          {"limits",
           {{"memory_bytes", or_null(limits.memory_bytes)},
            {"cpus", limits.cpus ? Json(*limits.cpus) : Json()},
            {"pids", or_null(limits.pids)}}}};
}

Json interface_object(const Interface& interface)
{
  return {{"name", interface.name},
          {"rx_bytes", interface.rx_bytes},
          {"tx_bytes", interface.tx_bytes},
          {"rx_packets", interface.rx_packets},
          {"tx_packets", interface.tx_packets},
          {"rx_dropped", interface.rx_dropped},
          {"tx_dropped", interface.tx_dropped}};
}

} // namespace

std::vector<Stats> statistics(const Root& root, Network& network, const std::vector<Container>& containers,
                              std::chrono::milliseconds interval)
{
  struct Pending {
    const Container& container;
    GroupReader group;
    GroupReading before;
  };
  TextReader text;
  std::vector<Pending> pending;
  for (const Container& container : containers) {
    if (!runs(container)) continue;
    GroupReader group{root.id(), container.spec.id};
    if (const auto before = group.read(text)) pending.push_back({container, std::move(group), *before});
  }
  if (!pending.empty()) let_pass(interval);
  std::vector<Stats> all;
  for (const Pending& each : pending) {
    const auto now = each.group.read(text);
    if (!now) continue;
    const Container& container = each.container;
    Stats stats{container.spec.name, container.spec.id, figures_between(each.before, *now), {}};
    stats.interfaces = interfaces_of(network, container);
    all.push_back(std::move(stats));
  }
  return all;
}

std::vector<ProcessInfo> processes(const Root& root, const Container& container, std::chrono::milliseconds interval)
{
  if (!runs(container)) return {};
  TextReader text;
  uint64_t left_out = 0;
  ProcessReader reader{root.id(), container.spec.id, container.status.first_id};
  std::vector<ProcessInfo> processes = reader.read(text, left_out);
  if (interval.count() <= 0 || processes.empty()) return processes;
  let_pass(interval);
  return reader.read(text, left_out);
}

std::string command_line(const std::vector<std::string>& args)
{
  constexpr std::string_view harmless = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,+@%^";
  std::string line;
  for (const std::string& arg : args) {
    if (!line.empty()) line += ' ';
    if (!arg.empty() && arg.find_first_not_of(harmless) == std::string::npos) {
      line += arg;
      continue;
    }
    line += '\'';
    for (const char letter : arg) line += letter == '\'' ? std::string{"'\\''"} : std::string{letter};
    line += '\'';
  }
  return line;
}

std::string summary_json(const Root& root, const Container& container) { return text_of(ps_object(root, container)); }

std::string link_json(const LinkView& view) { return text_of(link_object(view)); }

std::string ps_json(const Root& root, const std::vector<Container>& containers)
{
  Json list = Json::array();
  for (const Container& container : containers) list.push_back(ps_object(root, container));
  return text_of(list);
}

std::string stats_json(const std::vector<Stats>& stats)
{
  // v1's blkio is no way out: it counts a disk only once somebody has set a limit on it (seen on Linux 6.18), and never
  // what the kernel writes back later. A wrong figure would be worse than none.
  constexpr const char* no_io =
      "cgroup v2 of this host has no io controller, and v1 does not count all that is read and "
      "written";
  Json list = Json::array();
  for (const Stats& each : stats) {
    Json interfaces = Json::array();
    for (const Interface& interface : each.interfaces) interfaces.push_back(interface_object(interface));
    Json row = {{"name", each.name},
                {"cpu_percent", hundredths(each.figures.cpu_percent)},
                {"memory_bytes", each.figures.memory_bytes},
                {"memory_limit_bytes", or_null(each.figures.memory_limit_bytes)},
                {"pids", each.figures.pids},
                {"throttled_percent", hundredths(each.figures.throttled_percent)},
                {"io_read_bytes", or_null(each.figures.io_read_bytes)},
                {"io_write_bytes", or_null(each.figures.io_write_bytes)}};
    if (!each.figures.io_read_bytes) row["io_reason"] = no_io;
    row["interfaces"] = std::move(interfaces);
    list.push_back(std::move(row));
  }
  return text_of(list);
}

std::string top_json(const std::vector<ProcessInfo>& processes)
{
  Json list = Json::array();
  for (const ProcessInfo& each : processes)
    list.push_back({{"pid", each.pid},
                    {"host_pid", each.host_pid},
                    {"ppid", each.ppid},
                    {"user", each.user},
                    {"state", std::string(1, each.state)},
                    {"cpu_percent", hundredths(each.cpu_percent)},
                    {"rss_bytes", each.rss_bytes},
                    {"command", each.command}});
  return text_of(list);
}

} // namespace conductor
