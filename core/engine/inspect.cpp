// What is known about a container, as the JSON of CLI.md.
#include "core/engine/engine.h"

#include "core/container/health.h"
#include "core/container/restart.h"
#include "core/kernel/capabilities.h"
#include "core/kernel/cgroup.h"
#include "core/kernel/confine.h"
#include "core/kernel/files.h"
#include "core/kernel/masks.h"
#include "core/snapshot/group_reader.h"
#include "core/snapshot/read_text.h"
#include "core/snapshot/statistics.h"
#include "core/store/volumes.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>

#include <fcntl.h>
#include <fmt/format.h>
#include <fnmatch.h>
#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <sys/stat.h>

namespace conductor {
namespace {

using Json = nlohmann::ordered_json;

// uid_map and gid_map of /proc/PID: a line a range, three numbers (user_namespaces(7)).
Json id_ranges(const std::string& text)
{
  Json ranges = Json::array();
  unsigned inside = 0, host = 0, count = 0;
  int length = 0;
  for (const char* at = text.c_str(); std::sscanf(at, "%u %u %u%n", &inside, &host, &count, &length) == 3; at += length)
    ranges.push_back({{"inside", inside}, {"host", host}, {"count", count}});
  return ranges;
}

// Spaces and the like are octal in mountinfo: "\\040".
std::string plain_text(std::string_view text)
{
  std::string plain;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '\\' || at + 3 >= text.size()) {
      plain += text[at];
      continue;
    }
    plain += static_cast<char>((text[at + 1] - '0') << 6 | (text[at + 2] - '0') << 3 | (text[at + 3] - '0'));
    at += 3;
  }
  return plain;
}

// What is mounted at each place, with the options of the mount (/proc/PID/mountinfo: proc_pid_mountinfo(5)).
std::map<std::string, std::string> mounted(const Container& container);

// "own" or "host", by the kernel's numbers of them (namespaces(7)).
Json namespaces_of(pid_t pid)
{
  Json json;
  for (const auto& [title, name] :
       {std::pair{"mount", "mnt"}, std::pair{"pid", "pid"}, std::pair{"network", "net"}, std::pair{"uts", "uts"},
        std::pair{"ipc", "ipc"}, std::pair{"cgroup", "cgroup"}, std::pair{"user", "user"}}) {
    const auto theirs = kernel::read_link(AT_FDCWD, fmt::format("/proc/{}/ns/{}", pid, name));
    const auto ours = kernel::read_link(AT_FDCWD, fmt::format("/proc/self/ns/{}", name));
    json[title] = !theirs || !ours ? Json(nullptr) : Json(*theirs == *ours ? "host" : "own");
  }
  return json;
}

// The places that are masked or read-only now.
Json hidden_in_force(const Container& container, const std::map<std::string, std::string>& mounts)
{
  Json masked = Json::array(), read_only = Json::array();
  for (const auto& [place, options] : mounts) {
    for (const kernel::HiddenPath& hidden : kernel::hidden_paths())
      if (::fnmatch(("/" + std::string{hidden.path}).c_str(), place.c_str(), FNM_PATHNAME) == 0)
        (hidden.how == kernel::Hide::masked ? masked : read_only).push_back(place);
    const auto& more = container.spec.mask;
    if (std::find(more.begin(), more.end(), place) != more.end()) masked.push_back(place);
  }
  return {{"masked", std::move(masked)}, {"read_only", std::move(read_only)}};
}

// What the kernel has in force now, read from where it keeps it.
Json in_force(const Root& root, const Container& container)
{
  if (container.status.pid == 0) return nullptr;
  Json json;
  const std::string proc = "/proc/" + std::to_string(container.status.pid);
  const std::string status = kernel::find_content(AT_FDCWD, proc + "/status").value_or("");
  const auto field = [&](const std::string& key) {
    const size_t at = status.find("\n" + key + ":");
    if (at == std::string::npos) return std::string{};
    const size_t begin = status.find_first_not_of(" \t", at + key.size() + 2);
    return status.substr(begin, status.find('\n', begin) - begin);
  };
  const std::string bounding = field("CapBnd");
  json["capabilities"] =
      bounding.empty() ? Json(nullptr) : Json(kernel::capability_names(std::stoull(bounding, nullptr, 16)));
  json["no_new_privileges"] = field("NoNewPrivs") == "1";
  json["seccomp"] = field("Seccomp") == "2" ? "filter" : "off";
  json["uid_map"] = id_ranges(kernel::find_content(AT_FDCWD, proc + "/uid_map").value_or(""));
  json["gid_map"] = id_ranges(kernel::find_content(AT_FDCWD, proc + "/gid_map").value_or(""));
  json["cgroup"] = kernel::cgroup_path(root.id(), container.spec.id);
  json["namespaces"] = namespaces_of(container.status.pid);
  const auto mounts = mounted(container);
  json["paths"] = hidden_in_force(container, mounts);
  const auto root_mount = mounts.find("/");
  json["root_read_only"] =
      root_mount == mounts.end() ? Json(nullptr) : Json((root_mount->second + ",").starts_with("ro,"));
  // The file is there only where a security module is that uses it (proc_pid_attr(5)).
  const auto profile = kernel::find_content(AT_FDCWD, proc + "/attr/apparmor/current");
  json["apparmor"] = profile ? Json(profile->substr(0, profile->find('\n'))) : Json(nullptr);
  return json;
}

Json or_unlimited(uint64_t value) { return value == RLIM_INFINITY ? Json(nullptr) : Json(value); }

// As the kernel keeps them while it runs; as they are wanted for its next start otherwise.
Json limits_of(const Root& root, const Container& container)
{
  const bool runs = container.status.pid != 0;
  const Limits limits = runs ? kernel::Cgroup::effective(root.id(), container.spec.id) : container.spec.limits;
  Json json = Json::parse(to_json(limits), nullptr, false);
  json["shm_bytes"] = container.spec.shm_bytes.value_or(default_shm_bytes);
  json["oom_score_adj"] = container.spec.oom_score_adj ? Json(*container.spec.oom_score_adj) : Json(nullptr);
  Json ulimits = Json::object();
  if (runs) {
    const std::string adjustment = fmt::format("/proc/{}/oom_score_adj", container.status.pid);
    if (const auto text = kernel::find_content(AT_FDCWD, adjustment)) json["oom_score_adj"] = std::atoi(text->c_str());
    for (const auto& [name, limit] : kernel::limits_of(container.status.pid))
      ulimits[name] = {{"soft", or_unlimited(limit.soft)}, {"hard", or_unlimited(limit.hard)}};
  } else {
    for (const Ulimit& limit : container.spec.ulimits)
      ulimits[limit.name] = {{"soft", or_unlimited(limit.soft)}, {"hard", or_unlimited(limit.hard)}};
  }
  json["ulimits"] = std::move(ulimits);
  return json;
}

std::map<std::string, std::string> mounted(const Container& container)
{
  std::map<std::string, std::string> found;
  if (container.status.pid == 0) return found;
  const std::string text =
      kernel::find_content(AT_FDCWD, "/proc/" + std::to_string(container.status.pid) + "/mountinfo").value_or("");
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::array<char, 4096> point{}, options{};
    const std::string line = text.substr(at, end - at);
    if (std::sscanf(line.c_str(), "%*s %*s %*s %*s %4095s %4095s", point.data(), options.data()) == 2)
      found[plain_text(point.data())] = options.data();
    at = end + 1;
  }
  return found;
}

Json mounts(const Root& root, const Container& container)
{
  const auto in_force = mounted(container);
  Json list = Json::array();
  const auto add = [&](const char* type, const std::string& name, const std::string& source, const std::string& target,
                       bool read_only) {
    const auto found = in_force.find(target);
    list.push_back({{"type", type},
                    {"name", name},
                    {"source", source},
                    {"target", target},
                    {"read_only", read_only},
                    {"in_force", found == in_force.end() ? Json(nullptr) : Json(found->second)}});
  };
  for (const Volume& volume : container.spec.volumes)
    add(volume.name.empty() ? "bind" : "volume", volume.anonymous ? "" : volume.name,
        Volumes{root}.source(container.spec.id, volume), volume.target, volume.read_only);
  for (const std::string& text : container.spec.tmpfs) {
    const MemoryMount mount = memory_mount(text);
    add("tmpfs", "", "", mount.target, mount.read_only);
  }
  return list;
}

// What is kept of its output: a file is put aside when it is full, and the oldest of them goes.
Json log_object(const Context& context, const std::string& id)
{
  const Containers containers{context.root};
  uint64_t bytes = 0;
  unsigned files = 0;
  if (const auto directory = kernel::find_directory(context.root.dir(), containers.path(id) + "/log"))
    for (const std::string& name : kernel::list_directory(directory->get(), ".")) {
      struct stat about {};
      if (!name.starts_with("log") || ::fstatat(directory->get(), name.c_str(), &about, AT_SYMLINK_NOFOLLOW) < 0)
        continue;
      bytes += static_cast<uint64_t>(about.st_size);
      ++files;
    }
  return {{"directory", context.root.path() + "/" + containers.path(id) + "/log"},
          {"bytes", bytes},
          {"files", files},
          {"most_bytes_of_a_file", context.config.log_size},
          {"most_files", context.config.log_files}};
}

// What its limits have cost it until now; null for one that does not run.
Json felt_limits(const Root& root, const Container& container)
{
  if (container.status.pid == 0) return nullptr;
  const std::string& id = container.spec.id;
  Json victims = Json::array();
  const uint64_t kills = kernel::oom_kills(root.id(), id);
  if (kills > 0)
    for (const auto& victim : kernel::oom_victims(root.id(), id))
      victims.push_back({{"name", visible(victim.name)}, {"host_pid", victim.pid}});
  TextReader text;
  const auto reading = GroupReader{root.id(), id}.read(text).value_or(GroupReading{});
  return {{"oom_kills", kills},
          {"oom_victims", std::move(victims)},
          {"cpu_periods", reading.periods},
          {"cpu_throttled_periods", reading.throttled_periods},
          {"cpu_throttled_milliseconds", reading.throttled_us / 1000}};
}

// What its checks have found, the newest result last; null without checks.
Json health_object(const Root& root, const Container& container)
{
  const auto health = find_health(root, container);
  if (!health) return nullptr;
  Json log = Json::array();
  for (const HealthResult& each : health->log)
    log.push_back({{"start", rfc3339(each.start_ns)},
                   {"end", rfc3339(each.end_ns)},
                   {"milliseconds", (each.end_ns - each.start_ns) / 1'000'000},
                   {"exit_code", each.exit_code},
                   {"output", each.output}});
  return {{"status", health_name(health->state)}, {"failing_streak", health->failing_streak}, {"log", std::move(log)}};
}

} // namespace

std::string inspect(Context& context, const std::string& id)
{
  const Container container = settle(context, id);
  Json json = Json::parse(inspect_document(context.root, container), nullptr, false);
  json["log"] = log_object(context, id);
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

std::string inspect_document(const Root& root, const Container& container)
{
  Json json = Json::parse(summary_json(root, container), nullptr, false);
  json["limits"] = limits_of(root, container);
  json["image_id"] = container.spec.image_id;
  json["layers"] = container.spec.layers;
  json["why"] = container.status.why;
  json["keeper"] = container.status.keeper;
  json["felt_limits"] = felt_limits(root, container);
  json["health_checks"] = health_object(root, container);
  json["restart"] = {
      {"policy", container.spec.restart},
      {"count", container.status.restarts},
      {"stopped", is_marked_stopped(root, container.spec.id)},
      {"next", waits_to_restart(container.status) ? Json(rfc3339(container.status.restart_ns)) : Json()}};
  json["spec"] = Json::parse(to_json(container.spec), nullptr, false);
  json["directory"] = root.path() + "/" + Containers{root}.path(container.spec.id);
  json["mounts"] = mounts(root, container);
  json["in_force"] = in_force(root, container);
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

} // namespace conductor
