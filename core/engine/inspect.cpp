// What is known about a container, as the JSON of CLI.md.
#include "core/engine/engine.h"

#include "core/kernel/capabilities.h"
#include "core/kernel/cgroup.h"
#include "core/kernel/files.h"
#include "core/snapshot/parse.h"
#include "core/snapshot/statistics.h"

#include <cstdio>

#include <fcntl.h>
#include <nlohmann/json.hpp>

namespace conductor {
namespace {

using Json = nlohmann::ordered_json;

template <class Value>
Json or_null(const std::optional<Value>& value)
{
  return value ? Json(*value) : Json(nullptr);
}

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

// The files of a container's group, in v1's hierarchy of a controller where there is one, else in v2's.
struct GroupFiles {
  std::string path;
  std::string text(const char* controller, const char* v1_file, const char* v2_file) const
  {
    const auto& host = kernel::cgroup_host();
    const std::string v1 = host.v1(controller);
    const std::string file = v1.empty() ? host.v2 + "/" + path + "/" + v2_file : v1 + "/" + path + "/" + v1_file;
    return kernel::find_content(AT_FDCWD, file).value_or("");
  }
};

// In cores. v2 has quota and period in one file ("max 100000" for no limit), v1 in two (-1 for none).
std::optional<double> cpu_limit(const GroupFiles& group)
{
  const std::string first = group.text("cpu", "cpu.cfs_quota_us", "cpu.max");
  const auto quota = number_at(first);
  const auto period =
      number_at(first.find(' ') != std::string::npos ? first.substr(first.find(' '))
                                                     : group.text("cpu", "cpu.cfs_period_us", "cpu.max"));
  if (!quota || period.value_or(0) == 0) return std::nullopt;
  return static_cast<double>(*quota) / static_cast<double>(*period);
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
  const GroupFiles group{kernel::cgroup_path(root.id(), container.spec.id)};
  json["cgroup"] = group.path;
  json["memory_limit"] = or_null(limit_at(group.text("memory", "memory.limit_in_bytes", "memory.max")));
  json["pids_limit"] = or_null(limit_at(group.text("pids", "pids.max", "pids.max")));
  json["cpu_limit"] = or_null(cpu_limit(group));
  return json;
}

} // namespace

std::string inspect(Context& context, const std::string& id)
{
  return inspect_document(context.root, settle(context, id));
}

std::string inspect_document(const Root& root, const Container& container)
{
  Json json = Json::parse(summary_json(root, container), nullptr, false);
  json["image_id"] = container.spec.image_id;
  json["layers"] = container.spec.layers;
  json["why"] = container.status.why;
  json["keeper"] = container.status.keeper;
  json["spec"] = Json::parse(to_json(container.spec), nullptr, false);
  json["directory"] = root.path() + "/" + Containers{root}.path(container.spec.id);
  json["in_force"] = in_force(root, container);
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

} // namespace conductor
