// What is known about a container, as the JSON of CLI.md.
#include "core/engine/engine.h"

#include "core/kernel/capabilities.h"
#include "core/kernel/cgroup.h"
#include "core/kernel/files.h"
#include "core/snapshot/statistics.h"

#include <nlohmann/json.hpp>

namespace conductor {
namespace {

using Json = nlohmann::ordered_json;

std::string trimmed(std::string text)
{
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
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
  json["uid_map"] = trimmed(kernel::find_content(AT_FDCWD, proc + "/uid_map").value_or(""));
  const auto& host = kernel::cgroup_host();
  const std::string path = kernel::cgroup_path(root.id(), container.spec.id);
  const auto limit = [&](const char* controller, const char* v1_file, const char* v2_file) -> Json {
    const std::string v1 = host.v1(controller);
    const auto text = v1.empty() ? kernel::find_content(AT_FDCWD, host.v2 + "/" + path + "/" + v2_file)
                                 : kernel::find_content(AT_FDCWD, v1 + "/" + path + "/" + v1_file);
    return text ? Json(trimmed(*text)) : Json(nullptr);
  };
  json["cgroup"] = path;
  json["memory_limit"] = limit("memory", "memory.limit_in_bytes", "memory.max");
  json["pids_limit"] = limit("pids", "pids.max", "pids.max");
  json["cpu_quota"] = limit("cpu", "cpu.cfs_quota_us", "cpu.max");
  return json;
}

} // namespace

std::string inspect(Context& context, const std::string& id)
{
  return inspect_document(context.root, settle(context, id));
}

std::string inspect_document(const Root& root, const Container& container)
{
  Json json = Json::parse(summary_json(container), nullptr, false);
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
