#include "core/kernel/cgroup.h"

#include "core/base/error.h"
#include "core/kernel/call.h"
#include "core/kernel/files.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <set>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace conductor::kernel {
namespace {

// The v1 controllers that every container joins: limits that may be set later, statistics, the device rule.
constexpr std::array<std::string_view, 3> always{"memory", "pids", "devices"};
// All that we may have to clean up.
constexpr std::array<std::string_view, 4> known{"memory", "pids", "devices", "cpu"};
// What stops and continues processes where there is no v2 to do it.
constexpr std::string_view freezer = "freezer";
// What v2 needs switched on for the groups below.
constexpr std::array<std::string_view, 4> v2_controllers{"memory", "pids", "cpu", "io"};

bool has_magic(const std::string& path, long magic)
{
  struct statfs status {};
  return ::statfs(path.c_str(), &status) == 0 && status.f_type == magic;
}

CgroupHost look()
{
  CgroupHost host;
  if (has_magic("/sys/fs/cgroup", CGROUP2_SUPER_MAGIC))
    host.v2 = "/sys/fs/cgroup";
  else if (has_magic("/sys/fs/cgroup/unified", CGROUP2_SUPER_MAGIC))
    host.v2 = "/sys/fs/cgroup/unified";
  for (const auto controller : known) {
    const std::string path = fmt::format("/sys/fs/cgroup/{}", controller);
    if (has_magic(path, CGROUP_SUPER_MAGIC)) host.v1_controllers.emplace_back(controller, path);
  }
  if (const std::string path = fmt::format("/sys/fs/cgroup/{}", freezer);
      host.v2.empty() && has_magic(path, CGROUP_SUPER_MAGIC))
    host.v1_controllers.emplace_back(freezer, path);
  host.v2_has_controllers = !host.v2.empty() && host.v1_controllers.empty();
  return host;
}

// The groups above a container's; on pure v2 their children must be given the controllers.
void make_parents(Trace& trace, const std::string& hierarchy, const std::string& path, bool switch_controllers)
{
  const std::string top = hierarchy + "/" + path.substr(0, path.find('/'));
  const std::string parent = hierarchy + "/" + path.substr(0, path.rfind('/'));
  for (const auto& directory : {top, parent}) make_directory(trace, AT_FDCWD, directory, 0755);
  if (!switch_controllers) return;
  std::string value;
  const std::string available = read_file(AT_FDCWD, hierarchy + "/cgroup.controllers");
  for (const auto controller : v2_controllers)
    if ((" " + available).find(" " + std::string{controller}) != std::string::npos)
      value += fmt::format("{}+{}", value.empty() ? "" : " ", controller);
  for (const auto& directory : {hierarchy, top, parent})
    write_value(trace, AT_FDCWD, directory + "/cgroup.subtree_control", value);
}

// Usually the parents are there; somebody who removes the last container takes them away at any moment.
void make_group(Trace& trace, const std::string& hierarchy, const std::string& path, bool switch_controllers)
{
  for (int attempt = 0;; ++attempt) {
    try {
      make_directory(trace, AT_FDCWD, hierarchy + "/" + path, 0755);
      return;
    } catch (const Error& error) {
      if (error.number() != ENOENT || attempt == 8) throw;
    }
    try {
      make_parents(trace, hierarchy, path, switch_controllers);
    } catch (const Error& error) {
      if (error.number() != ENOENT) throw;
    }
  }
}

std::string missing_controller(std::string_view controller, std::string_view option)
{
  return fmt::format("this host has no {} controller, so {} cannot be kept", controller, option);
}

} // namespace

std::string CgroupHost::v1(std::string_view controller) const
{
  for (const auto& [name, path] : v1_controllers)
    if (name == controller) return path;
  return {};
}

const CgroupHost& cgroup_host()
{
  static const CgroupHost host = look();
  return host;
}

std::string cgroup_path(std::string_view root_id, std::string_view leaf)
{
  return fmt::format("conductor/{}/{}", root_id, leaf);
}

Cgroup Cgroup::make(Trace& trace, std::string_view root_id, std::string_view leaf, const CgroupLimits& limits)
{
  Cgroup group = make_birthplace(trace, root_id, leaf);
  group.complete(trace, limits);
  return group;
}

Cgroup Cgroup::make_birthplace(Trace& trace, std::string_view root_id, std::string_view leaf)
{
  const CgroupHost& host = cgroup_host();
  if (host.v2.empty() && host.v1_controllers.empty())
    throw Error{"find the control groups of this host below /sys/fs/cgroup", ENOENT,
                "mount -t cgroup2 cgroup2 /sys/fs/cgroup"};
  Cgroup group;
  group.path_ = cgroup_path(root_id, leaf);
  if (!host.v2.empty()) {
    make_group(trace, host.v2, group.path_, host.v2_has_controllers);
    group.v2_ = open_directory(AT_FDCWD, host.v2 + "/" + group.path_);
  }
  return group;
}

void Cgroup::complete(Trace& trace, const CgroupLimits& limits)
{
  const CgroupHost& host = cgroup_host();
  for (const auto& [controller, hierarchy] : host.v1_controllers) {
    const bool wanted = std::find(always.begin(), always.end(), controller) != always.end() || controller == freezer ||
                        (controller == "cpu" && limits.cpus.has_value());
    if (!wanted) continue;
    make_group(trace, hierarchy, path_, false);
    Fd directory = open_directory(AT_FDCWD, hierarchy + "/" + path_);
    v1_.push_back({controller, std::move(directory), Fd{}});
  }
  const auto set = [&](const char* controller, const char* option, const char* v1_file, const char* v2_file,
                       const std::string& v1_value, const std::string& v2_value) {
    if (const int directory = v1(controller); directory >= 0)
      write_value(trace, directory, v1_file, v1_value);
    else if (host.v2_has_controllers && exists(v2(), v2_file))
      write_value(trace, v2(), v2_file, v2_value);
    else
      throw Error{missing_controller(controller, option), ENOENT};
  };
  open_tasks();
  if (limits.memory_bytes) {
    const std::string bytes = std::to_string(*limits.memory_bytes);
    set("memory", "--memory", "memory.limit_in_bytes", "memory.max", bytes, bytes);
  }
  if (limits.pids) {
    const std::string count = std::to_string(*limits.pids);
    set("pids", "--pids", "pids.max", "pids.max", count, count);
  }
  if (limits.cpus) {
    // The kernel refuses a quota below 1 ms; the period is the one everybody uses.
    const long quota = std::max(1000L, static_cast<long>(*limits.cpus * 100'000 + 0.5));
    set("cpu", "--cpus", "cpu.cfs_quota_us", "cpu.max", std::to_string(quota), fmt::format("{} 100000", quota));
  }
}

Cgroup Cgroup::open(std::string_view root_id, std::string_view leaf)
{
  const CgroupHost& host = cgroup_host();
  Cgroup group;
  const std::string& path = group.path_ = cgroup_path(root_id, leaf);
  if (!host.v2.empty()) group.v2_ = open_directory(AT_FDCWD, host.v2 + "/" + path);
  for (const auto& [controller, hierarchy] : host.v1_controllers)
    if (auto directory = find_directory(AT_FDCWD, hierarchy + "/" + path))
      group.v1_.push_back({controller, std::move(*directory), Fd{}});
  group.open_tasks();
  return group;
}

int Cgroup::v1(std::string_view controller) const
{
  for (const auto& each : v1_)
    if (each.controller == controller) return each.directory.get();
  return -1;
}

void Cgroup::open_tasks()
{
  for (auto& each : v1_) {
    each.tasks = Fd{::openat(each.directory.get(), "tasks", O_WRONLY | O_NOFOLLOW | O_CLOEXEC)};
    if (!each.tasks) throw Error{fmt::format("open the tasks of {}", path_of(each.directory.get())), errno};
  }
}

std::vector<int> Cgroup::tasks() const
{
  std::vector<int> files;
  for (const auto& each : v1_) files.push_back(each.tasks.get());
  return files;
}

void join_groups(Trace& trace, const std::vector<int>& tasks)
{
  for (const int file : tasks) {
    const auto shown = [&] { return path_of(file); };
    const auto result = perform(
        trace, "write",
        [&] {
          return CallText{fmt::format("write(\"{}\", \"0\")", shown()), fmt::format("echo 0 > {}", shown())};
        },
        [&] { return ::write(file, "0", 1); });
    if (result.failed()) throw Error{fmt::format("join the group {}", shown()), result.error};
  }
}

namespace {

// The file of v1's freezer; of no host that has v2.
std::string freezer_state(std::string_view root_id, std::string_view leaf)
{
  return fmt::format("{}/{}/freezer.state", cgroup_host().v1(freezer), cgroup_path(root_id, leaf));
}

} // namespace

void kill_cgroup(Trace& trace, std::string_view root_id, std::string_view leaf)
{
  const CgroupHost& host = cgroup_host();
  if (!host.v2.empty()) {
    const std::string path = host.v2 + "/" + cgroup_path(root_id, leaf);
    if (!exists(AT_FDCWD, path)) return;
    if (exists(AT_FDCWD, path + "/cgroup.kill")) {
      write_value(trace, AT_FDCWD, path + "/cgroup.kill", "1");
      return;
    }
  }
  // What v1 has frozen dies only when it thaws.
  if (const std::string state = freezer_state(root_id, leaf); exists(AT_FDCWD, state))
    write_value(trace, AT_FDCWD, state, "THAWED");
  // Without cgroup.kill (v1 alone): again and again, since a fork may slip through between the list and the kill.
  for (int round = 0; round < 1000; ++round) {
    const auto members = cgroup_members(root_id, leaf);
    if (members.empty()) return;
    for (const pid_t pid : members)
      perform(
          trace, "kill",
          [&] {
            return CallText{fmt::format("kill({}, SIGKILL)", pid), fmt::format("kill -9 {}", pid)};
          },
          [&] { return ::kill(pid, SIGKILL); });
    ::poll(nullptr, 0, 1);
  }
}

namespace {

constexpr uint64_t freeze_patience_us = 10'000'000;

// What is written to stop and to continue a group, and where the kernel says that all of it has stopped
// (Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/freezer-subsystem.rst).
struct FreezerFiles {
  std::string wish;
  const char *freeze, *thaw;
  std::string fact;
  const char* is_frozen;
};

FreezerFiles freezer_files(const CgroupHost& host, std::string_view root_id, std::string_view leaf)
{
  if (!host.v2.empty()) {
    const std::string group = host.v2 + "/" + cgroup_path(root_id, leaf);
    return {group + "/cgroup.freeze", "1", "0", group + "/cgroup.events", "frozen 1"};
  }
  if (host.v1(freezer).empty())
    throw Error{"freeze: this host has neither cgroup v2 nor v1's freezer", ENOTSUP,
                "mount -t cgroup -o freezer freezer /sys/fs/cgroup/freezer"};
  const std::string state = freezer_state(root_id, leaf);
  return {state, "FROZEN", "THAWED", state, "FROZEN"};
}

} // namespace

void freeze_cgroup(Trace& trace, std::string_view root_id, std::string_view leaf, bool frozen)
{
  const CgroupHost& host = cgroup_host();
  const FreezerFiles files = freezer_files(host, root_id, leaf);
  write_value(trace, AT_FDCWD, files.wish, frozen ? files.freeze : files.thaw);
  if (!frozen) return;
  for (const uint64_t deadline = monotonic_us() + freeze_patience_us; monotonic_us() < deadline;) {
    const auto text = find_content(AT_FDCWD, files.fact);
    if (!text || text->find(files.is_frozen) != std::string::npos) return; // gone: nothing of it runs
    ::poll(nullptr, 0, 1);
  }
  write_value(trace, AT_FDCWD, files.wish, files.thaw);
  throw Error{"wait until every process stands still", ETIMEDOUT, "one of them may hang in the kernel; try it again"};
}

std::vector<pid_t> cgroup_members(std::string_view root_id, std::string_view leaf)
{
  const CgroupHost& host = cgroup_host();
  const std::string hierarchy = !host.v2.empty() ? host.v2 : host.v1("pids");
  const auto text = find_content(AT_FDCWD, hierarchy + "/" + cgroup_path(root_id, leaf) + "/cgroup.procs");
  std::vector<pid_t> pids;
  if (!text) return pids;
  const char* at = text->data();
  const char* end = at + text->size();
  while (at < end) {
    pid_t pid = 0;
    const auto [next, error] = std::from_chars(at, end, pid);
    if (error != std::errc{}) break;
    if (pid > 0) pids.push_back(pid);
    at = next + 1;
  }
  return pids;
}

namespace {

std::vector<std::string> subdirectories(const std::string& path)
{
  std::vector<std::string> names;
  DIR* directory = ::opendir(path.c_str());
  if (directory == nullptr) return names;
  while (const dirent* entry = ::readdir(directory))
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  ::closedir(directory);
  return names;
}

void remove_group(Trace& trace, const std::string& path)
{
  const uint64_t deadline = monotonic_us() + 2'000'000;
  for (;;) {
    const auto result = perform(
        trace, "rmdir",
        [&] {
          return CallText{fmt::format("rmdir(\"{}\")", path), "rmdir " + path};
        },
        [&] { return ::rmdir(path.c_str()); });
    if (!result.failed() || result.error == ENOENT) return;
    if (result.error != EBUSY || monotonic_us() > deadline) throw Error{"remove the group " + path, result.error};
    // Groups that the container's own processes made below keep it busy, and so does its last process for a moment.
    for (const auto& name : subdirectories(path)) remove_group(trace, fmt::format("{}/{}", path, name));
    ::poll(nullptr, 0, 1);
  }
}

template <class Each>
void each_hierarchy(Each each)
{
  const CgroupHost& host = cgroup_host();
  if (!host.v2.empty()) each(host.v2);
  for (const auto& [controller, hierarchy] : host.v1_controllers) each(hierarchy);
}

} // namespace

void remove_cgroup(Trace& trace, std::string_view root_id, std::string_view leaf)
{
  const std::string path = cgroup_path(root_id, leaf);
  each_hierarchy([&](const std::string& hierarchy) {
    const std::string whole = hierarchy + "/" + path;
    if (exists(AT_FDCWD, whole)) remove_group(trace, whole);
  });
}

uint64_t oom_kills(std::string_view root_id, std::string_view leaf)
{
  const CgroupHost& host = cgroup_host();
  const bool v1 = !host.v1("memory").empty();
  const std::string file = v1 ? "memory.oom_control" : "memory.events";
  const auto text =
      find_content(AT_FDCWD, (v1 ? host.v1("memory") : host.v2) + "/" + cgroup_path(root_id, leaf) + "/" + file);
  if (!text) return 0;
  const size_t at = text->find("oom_kill ");
  if (at == std::string::npos) return 0;
  uint64_t count = 0;
  std::from_chars(text->data() + at + 9, text->data() + text->size(), count);
  return count;
}

namespace {

// "...;oom-kill:constraint=CONSTRAINT_MEMCG,...,task_memcg=/conductor/R/C,task=dd,pid=1,uid=0": the name of the
// process, where it was in this group (dump_oom_victim() in Linux).
std::string victim_in(std::string_view record, std::string_view group)
{
  constexpr std::string_view group_key = ",task_memcg=", name_key = ",task=", next_key = ",pid=";
  const size_t at = record.find(group_key);
  if (record.find(";oom-kill:") == std::string_view::npos || at == std::string_view::npos) return {};
  record.remove_prefix(at + group_key.size());
  const size_t name = record.find(name_key);
  const size_t end = record.rfind(next_key);
  if (name == std::string_view::npos || end == std::string_view::npos || end < name + name_key.size()) return {};
  if (!record.substr(0, name).ends_with(group)) return {};
  return std::string{record.substr(name + name_key.size(), end - name - name_key.size())};
}

} // namespace

std::vector<std::string> oom_victims(std::string_view root_id, std::string_view leaf)
{
  const uint64_t kills = oom_kills(root_id, leaf);
  const Fd log{::open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
  const std::string group = "/" + cgroup_path(root_id, leaf);
  std::vector<std::string> victims;
  std::array<char, 8192> record; // NOLINT: filled by read(2)
  while (log) {
    // A record at a time; EPIPE when some were overwritten before we came to them.
    const ssize_t got = ::read(log.get(), record.data(), record.size());
    if (got < 0 && (errno == EPIPE || errno == EINTR)) continue;
    if (got <= 0) break;
    if (auto name = victim_in({record.data(), static_cast<size_t>(got)}, group); !name.empty())
      victims.push_back(std::move(name));
  }
  // Those of its earlier lives had a group of the same name.
  if (victims.size() > kills) victims.erase(victims.begin(), victims.end() - static_cast<ptrdiff_t>(kills));
  std::vector<std::string> once;
  for (auto& name : victims)
    if (std::find(once.begin(), once.end(), name) == once.end()) once.push_back(std::move(name));
  return once;
}

std::vector<std::string> cgroup_leaves(std::string_view root_id)
{
  std::set<std::string> leaves;
  each_hierarchy([&](const std::string& hierarchy) {
    for (auto& name : subdirectories(fmt::format("{}/conductor/{}", hierarchy, root_id)))
      leaves.insert(std::move(name));
  });
  return {leaves.begin(), leaves.end()};
}

bool is_in_cgroup_of(std::string_view root_id)
{
  const auto groups = find_content(AT_FDCWD, "/proc/self/cgroup", 64 << 10); // proc_pid_cgroup(5)
  return groups && groups->find("/conductor/" + std::string{root_id}) != std::string::npos;
}

void leave_cgroups(Trace& trace)
{
  const CgroupHost& host = cgroup_host();
  if (!host.v2.empty()) write_value(trace, AT_FDCWD, host.v2 + "/cgroup.procs", "0");
  for (const auto& [controller, hierarchy] : host.v1_controllers)
    write_value(trace, AT_FDCWD, hierarchy + "/tasks", "0");
}

void remove_empty_parents(Trace& trace, std::string_view root_id)
{
  each_hierarchy([&](const std::string& hierarchy) {
    // From the leaf of the keepers upwards, as far as there is nothing in the way.
    for (const auto& path : {fmt::format("{}/{}", hierarchy, cgroup_path(root_id, keepers_leaf)),
                             fmt::format("{}/conductor/{}", hierarchy, root_id), hierarchy + "/conductor"}) {
      if (!exists(AT_FDCWD, path)) continue;
      const auto result = perform(
          trace, "rmdir",
          [&] {
            return CallText{fmt::format("rmdir(\"{}\")", path), "rmdir " + path};
          },
          [&] { return ::rmdir(path.c_str()); });
      if (result.failed()) return;
    }
  });
}

} // namespace conductor::kernel
