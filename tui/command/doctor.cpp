// doctor: can this host run containers, what is weaker here than elsewhere, and what did crashes leave behind? One row
// a check; each says how to cure it.
#include "core/base/error.h"
#include "core/container/orphans.h"
#include "core/engine/images.h"
#include "core/engine/networks.h"
#include "core/kernel/cgroup.h"
#include "core/kernel/files.h"
#include "core/kernel/group_limits.h"
#include "core/kernel/masks.h"
#include "core/kernel/process.h"
#include "core/store/workshop.h"
#include "tui/command/invocation.h"
#include "tui/command/runs.h"
#include "tui/command/text.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>

#include <sys/prctl.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fmt/format.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <nlohmann/json.hpp>

namespace conductor::command {
namespace {

enum class Health : char { good, weak, missing };

struct Finding {
  Health health = Health::good;
  std::string text; // what was found
  std::string cure; // empty when there is nothing to do
};

std::string content(const char* path) { return kernel::find_content(AT_FDCWD, path).value_or(""); }

bool has_word(const std::string& text, std::string_view word)
{
  for (size_t at = 0; (at = text.find(word, at)) != std::string::npos; ++at) {
    const auto border = [&](size_t i) { return i >= text.size() || std::strchr(" \t\n,", text[i]) != nullptr; };
    if ((at == 0 || border(at - 1)) && border(at + word.size())) return true;
  }
  return false;
}

bool in_path(std::string_view program)
{
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/usr/sbin:/usr/bin:/sbin:/bin";
  while (!rest.empty()) {
    const size_t colon = rest.find(':');
    if (::access(fmt::format("{}/{}", rest.substr(0, colon), program).c_str(), X_OK) == 0) return true;
    rest.remove_prefix(colon == std::string_view::npos ? rest.size() : colon + 1);
  }
  return false;
}

Finding check_root(Invocation&)
{
  if (::geteuid() == 0) return {Health::good, "you are root", ""};
  return {Health::missing, "you are not root", "sudo conductor doctor looks at more"};
}

Finding check_kernel(Invocation&)
{
  utsname name{};
  ::uname(&name);
  int major = 0, minor = 0;
  const bool known = std::sscanf(name.release, "%d.%d", &major, &minor) == 2;
  if (!known || major < 6 || (major == 6 && minor < 1))
    return {Health::missing, fmt::format("Linux {}", name.release), "conductor needs 6.1 or newer"};
  return {Health::good, fmt::format("Linux {}", name.release), ""};
}

Finding check_overlay(Invocation&)
{
  if (has_word(content("/proc/filesystems"), "overlay")) return {Health::good, "overlay file system", ""};
  return {Health::missing, "no overlay file system", "modprobe overlay"};
}

Finding check_user_namespaces(Invocation&)
{
  const std::string most = content("/proc/sys/user/max_user_namespaces");
  if (!most.empty() && std::atoll(most.c_str()) > 0) return {Health::good, "user namespaces", ""};
  return {Health::missing, "no user namespaces",
          "sysctl user.max_user_namespaces=15000, or run containers with --userns host"};
}

Finding check_cgroups(Invocation&)
{
  const kernel::CgroupHost& host = kernel::cgroup_host();
  std::string missing, kind = host.v1_controllers.empty() ? "v2" : host.v2.empty() ? "v1" : "hybrid of v1 and v2";
  for (const kernel::LimitRow& row : kernel::limit_rows()) {
    const std::string controller{row.v2.controller};
    if (host.v2_offers(controller) || !host.v1(row.v1.controller).empty() || has_word(missing, controller)) continue;
    missing += (missing.empty() ? "" : ", ") + controller;
  }
  if (host.v2.empty() && host.v1_controllers.empty())
    return {Health::missing, "no control groups", "mount -t cgroup2 cgroup2 /sys/fs/cgroup"};
  if (missing.empty()) return {Health::good, "control groups: " + kind, ""};
  return {Health::weak, "control groups: " + kind + ", without " + missing, "limits on these will be refused"};
}

Finding check_seccomp(Invocation&)
{
  if (has_word(content("/proc/sys/kernel/seccomp/actions_avail"), "errno"))
    return {Health::good, "system-call filter (seccomp)", ""};
  return {Health::missing, "no system-call filter (seccomp)",
          "a kernel with CONFIG_SECCOMP_FILTER, or --seccomp unconfined"};
}

Finding check_apparmor(Invocation&)
{
  if (has_word(content("/sys/kernel/security/lsm"), "apparmor")) return {Health::good, "AppArmor in the kernel", ""};
  return {Health::weak, "no AppArmor in this kernel",
          "containers are confined by namespaces, capabilities and seccomp only"};
}

Finding check_devices(Invocation&)
{
  if (!kernel::cgroup_host().v1("devices").empty()) return {Health::good, "device rules (cgroup v1)", ""};
  // Only a kernel with bpf(2) has the setting.
  if (!kernel::cgroup_host().v2.empty() && kernel::exists(AT_FDCWD, "/proc/sys/kernel/unprivileged_bpf_disabled"))
    return {Health::good, "device rules (BPF)", ""};
  return {Health::missing, "no device rules", "cgroup v2 and a kernel with CONFIG_CGROUP_BPF, or v1's devices"};
}

// What a container could learn of others by the heat of the CPUs (kernel::hidden_paths()).
Finding check_heat(Invocation&)
{
  const bool told = kernel::exists(AT_FDCWD, "/sys/devices/system/cpu/cpu0/thermal_throttle");
  if (!told || ::sysconf(_SC_NPROCESSORS_CONF) <= kernel::most_masked_cpus)
    return {Health::good, "how hot CPUs are is hidden from containers", ""};
  return {Health::weak,
          fmt::format("how hot CPUs behind the first {} are is seen in containers", kernel::most_masked_cpus),
          "--cpuset does not change that; --mask hides single ones"};
}

Finding check_kernel_log(Invocation&)
{
  const Fd log{::open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
  if (log) return {Health::good, "who is killed for lack of memory is told by name", ""};
  return {Health::weak, fmt::format("/dev/kmsg: {}", std::strerror(errno)),
          "that somebody is killed for lack of memory is told, not who: CAP_SYSLOG would do"};
}

Finding check_resource(Invocation&)
{
  if (::prctl(PR_CAPBSET_READ, CAP_SYS_RESOURCE, 0, 0, 0) == 1)
    return {Health::good, "limits can be raised (CAP_SYS_RESOURCE)", ""};
  return {Health::weak, "no CAP_SYS_RESOURCE", "limits of containers cannot be above those of this shell"};
}

// A kernel may be told at boot not to count swap; v1 then lacks the file.
Finding check_swap(Invocation&)
{
  const std::string v1 = kernel::cgroup_host().v1("memory");
  const std::string told = content("/proc/cmdline");
  const bool counted = v1.empty() ? !has_word(told, "swapaccount=0") && !has_word(told, "cgroup.memory=noswap")
                                  : kernel::exists(AT_FDCWD, v1 + "/memory.memsw.limit_in_bytes");
  if (counted) return {Health::good, "swap is counted", ""};
  return {Health::weak, "swap is not counted", "boot with swapaccount=1; --memory-swap is refused until then"};
}

Finding check_weights(Invocation&)
{
  const auto remarks = kernel::limit_remarks({.io_weight = 1});
  if (remarks.empty()) return {Health::good, "disks whose scheduler looks at weights", ""};
  return {Health::weak, "no disk has the scheduler bfq",
          "--io-weight has no effect until: echo bfq > /sys/block/DISK/queue/scheduler"};
}

Finding check_bootstrap(Invocation&)
{
  for (const char* program : {"mmdebstrap", "debootstrap"})
    if (in_path(program)) return {Health::good, fmt::format("{} for debian and ubuntu bases", program), ""};
  return {Health::weak, "neither mmdebstrap nor debootstrap", "apt install mmdebstrap, for FROM debian:bookworm"};
}

Finding check_state(Invocation& invocation)
{
  if (::geteuid() != 0) return {Health::weak, "state directory not looked at", "needs root"};
  struct statfs found {};
  if (::fstatfs(invocation.root().dir(), &found) != 0)
    return {Health::missing, fmt::format("{}: {}", invocation.root().path(), std::strerror(errno)), ""};
  const uint64_t free_bytes = static_cast<uint64_t>(found.f_bavail) * static_cast<uint64_t>(found.f_bsize);
  const std::string text = fmt::format("{}: {} free", invocation.root().path(), short_size(free_bytes));
  if (found.f_type == OVERLAYFS_SUPER_MAGIC)
    return {Health::weak, text + ", on an overlay",
            "layers on an overlay may be refused: --root on ext4, xfs, btrfs or tmpfs"};
  if (free_bytes < (1ULL << 30)) return {Health::weak, text, "conductor rmcache frees build cache"};
  return {Health::good, text, ""};
}

// The stored containers that are said to run, and whose process is gone.
std::vector<std::string> crashed_containers(const Root& root)
{
  std::vector<std::string> names;
  const Containers containers{root};
  for (const Container& stored : containers.list()) {
    const State before = stored.status.state;
    if (before != State::running && before != State::paused) continue;
    if (stored.status.boot_id == kernel::boot_id() && kernel::is_alive(stored.status.pid, stored.status.pid_start))
      continue;
    names.push_back(stored.spec.name);
  }
  return names;
}

// What crashed operations of this root left, by kind.
std::map<std::string, std::vector<std::string>> leftovers_by_kind(const Root& root, const Links& links)
{
  std::map<std::string, std::vector<std::string>> kinds;
  for (std::string& name : crashed_containers(root)) kinds["container without a process"].push_back(std::move(name));
  for (Leftover& each : find_leftovers(root, links)) kinds[each.kind].push_back(std::move(each.what));
  if (kernel::find_directory(root.dir(), "tmp"))
    for (std::string& name : kernel::list_directory(root.dir(), "tmp"))
      kinds["unfinished directory"].push_back("tmp/" + std::move(name));
  return kinds;
}

void sweep_leftovers(Context& context)
{
  const Root& root = context.root;
  settle_all(context);
  sweep_orphans(root, links_of(context));
  remove_overlays(root);
  {
    Links links = links_of(context);
    const Lock lock = links.lock();
    links.remove_unnoted();
  }
  sweep_workshops(root);
}

std::string listed(const std::vector<std::string>& names)
{
  constexpr size_t most = 5;
  std::string text = fmt::format(
      "{}", fmt::join(names.begin(), names.begin() + static_cast<ptrdiff_t>(std::min(most, names.size())), ", "));
  return names.size() > most ? text + fmt::format(" and {} more", names.size() - most) : text;
}

std::vector<Finding> check_leftovers(Invocation& invocation)
{
  if (::geteuid() != 0) return {{Health::weak, "leftovers not looked for", "needs root"}};
  const Root& root = invocation.root();
  const bool fix = invocation.has("fix");
  std::vector<Finding> findings;
  const auto before = leftovers_by_kind(root, links_of(invocation.context()));
  if (fix) sweep_leftovers(invocation.context());
  const auto after = fix ? leftovers_by_kind(root, links_of(invocation.context())) : before;
  for (const auto& [kind, names] : before) {
    const auto still = after.find(kind);
    if (still == after.end())
      findings.push_back({Health::good, fmt::format("removed: {} {}", kind, listed(names)), ""});
    else
      findings.push_back({Health::weak,
                          fmt::format("left over, or of what runs now: {} {}", kind, listed(still->second)),
                          fix ? "it may belong to a build that runs now" : "conductor doctor --fix"});
  }
  std::vector<std::string> others = kernel::cgroup_roots();
  std::erase(others, root.id());
  if (!others.empty())
    findings.push_back(
        {Health::good,
         fmt::format("other state directories have control groups here, which stay: {}", fmt::join(others, ", ")), ""});
  if (before.empty()) findings.push_back({Health::good, "nothing is left of crashed operations", ""});
  return findings;
}

std::string names_of(const std::vector<image::DamagedLayer>& damaged)
{
  std::set<std::string> names;
  for (const image::DamagedLayer& layer : damaged) {
    for (const std::string& name : layer.images) names.insert(name);
    for (const std::string& name : layer.containers) names.insert(name);
    if (layer.images.empty() && layer.containers.empty()) names.insert("build cache");
  }
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
  return all;
}

Finding check_layers(Invocation& invocation)
{
  if (::geteuid() != 0) return {Health::weak, "layers not looked at", "needs root"};
  if (invocation.has("fix")) {
    const auto removed = image::remove_damaged_layers(invocation.context());
    if (!removed.empty())
      return {Health::weak, fmt::format("removed {} damaged layers of {}", removed.size(), names_of(removed)),
              "build or pull these images again"};
  }
  const auto damaged = image::damaged_layers(invocation.context());
  if (damaged.empty()) return {Health::good, "every layer has the bytes it was made with", ""};
  const bool held = std::any_of(damaged.begin(), damaged.end(), [](auto& layer) { return !layer.containers.empty(); });
  return {Health::missing,
          fmt::format("{} layers have lost bytes, perhaps in a power failure: {}", damaged.size(), names_of(damaged)),
          held ? "remove the containers, then: conductor doctor --fix" : "conductor doctor --fix"};
}

Finding check_nft(Invocation&)
{
  if (in_path("nft")) return {Health::good, "nft for the rules of containers' networks", ""};
  return {Health::weak, "no nft", "apt install nftables, for addnetwork, peer and the RUN steps of builds"};
}

// What was changed on this host for its containers, what of others stands in their way, and which addresses clash.
std::vector<Finding> check_network(Invocation& invocation)
{
  if (::geteuid() != 0) return {{Health::weak, "network not looked at", "needs root"}};
  Context& context = invocation.context();
  std::vector<Finding> findings;
  if (invocation.has("fix")) {
    Links links = links_of(context);
    const Lock lock = links.lock();
    for (const std::string& mended : links.repair()) findings.push_back({Health::good, "mended: " + mended, ""});
  }
  const NetworkState state = context.network.state();
  for (const NetworkRemark& remark : state.remarks) {
    const bool fine = remark.kind == NetworkRemark::Kind::changed || remark.cured;
    findings.push_back(
        {fine ? Health::good : Health::weak, fmt::format("{}: {}", remark.place, remark.sentence), remark.hint});
  }
  if (state.subnet)
    findings.push_back({Health::good, fmt::format("containers have addresses of {}/16", state.subnet->address(0)), ""});
  if (findings.empty()) findings.push_back({Health::good, "nothing of this host's network was changed", ""});
  return findings;
}

// One row makes one finding, or several.
struct Check {
  const char* name;
  Finding (*look)(Invocation&) = nullptr;
  std::vector<Finding> (*look_at_all)(Invocation&) = nullptr;
};
constexpr Check checks[] = {
    {"root", check_root},
    {"kernel", check_kernel},
    {"overlay", check_overlay},
    {"user-namespaces", check_user_namespaces},
    {"cgroups", check_cgroups},
    {"seccomp", check_seccomp},
    {"apparmor", check_apparmor},
    {"devices", check_devices},
    {"heat", check_heat},
    {"kernel-log", check_kernel_log},
    {"limits", check_resource},
    {"swap", check_swap},
    {"weights", check_weights},
    {"bases", check_bootstrap},
    {"state", check_state},
    {"nft", check_nft},
    {"leftovers", nullptr, check_leftovers},
    {"layers", check_layers},
    {"network", nullptr, check_network},
};

constexpr const char* word(Health health)
{
  return health == Health::good ? "ok" : health == Health::weak ? "weak" : "MISSING";
}

} // namespace

int run_doctor(Invocation& invocation)
{
  if (invocation.has("fix") && ::geteuid() != 0)
    throw Error{"conductor doctor --fix needs root", EPERM, "sudo conductor doctor --fix"};
  bool sound = true;
  nlohmann::ordered_json document = nlohmann::ordered_json::array();
  for (const Check& check : checks) {
    const auto findings =
        check.look != nullptr ? std::vector<Finding>{check.look(invocation)} : check.look_at_all(invocation);
    for (const Finding& finding : findings) {
      sound = sound && finding.health != Health::missing;
      invocation.print(fmt::format("{:<8}  {}\n", word(finding.health), shown(finding.text)));
      if (!finding.cure.empty()) invocation.print(fmt::format("          {}\n", shown(finding.cure)));
      document.push_back({{"check", check.name},
                          {"health", finding.health == Health::missing ? "missing" : word(finding.health)},
                          {"found", finding.text},
                          {"cure", finding.cure}});
    }
  }
  invocation.result(document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  return sound ? 0 : 1;
}

} // namespace conductor::command
