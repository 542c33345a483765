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
constexpr std::array<std::string_view, 6> known{"memory", "pids", "devices", "cpu", "cpuset", "blkio"};
// What stops and continues processes where there is no v2 to do it.
constexpr std::string_view freezer = "freezer";
// What v2 needs switched on for the groups below; others when a limit asks for them.
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

std::array<std::string, 2> parents_of(const std::string& hierarchy, const std::string& path)
{
  return {hierarchy + "/" + path.substr(0, path.find('/')), hierarchy + "/" + path.substr(0, path.rfind('/'))};
}

// On v2 a group has the controllers that its parents give to their children.
void switch_on(Trace& trace, const std::string& hierarchy, const std::string& path, const std::string& controllers)
{
  const auto [top, parent] = parents_of(hierarchy, path);
  for (const auto& directory : {hierarchy, top, parent})
    write_value(trace, AT_FDCWD, directory + "/cgroup.subtree_control", controllers);
}

// The groups above a container's; on pure v2 their children must be given the controllers.
void make_parents(Trace& trace, const std::string& hierarchy, const std::string& path, bool switch_controllers)
{
  for (const auto& directory : parents_of(hierarchy, path)) make_directory(trace, AT_FDCWD, directory, 0755);
  if (!switch_controllers) return;
  std::string value;
  for (const auto controller : v2_controllers)
    if (cgroup_host().v2_offers(controller)) value += fmt::format("{}+{}", value.empty() ? "" : " ", controller);
  switch_on(trace, hierarchy, path, value);
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

// A list in a control group's file that is empty is one line without anything.
size_t number_of_bytes(const std::string& path) { return read_file(AT_FDCWD, path).size(); }

// In v1 a group begins without CPUs and memory nodes, and nothing may run in it until it has some.
void inherit_cpuset(Trace& trace, const std::string& hierarchy, const std::string& path)
{
  const auto [top, parent] = parents_of(hierarchy, path);
  std::string above = hierarchy;
  for (const auto& directory : {top, parent, hierarchy + "/" + path}) {
    for (const char* file : {"/cpuset.cpus", "/cpuset.mems"})
      if (number_of_bytes(directory + file) <= 1)
        write_value(trace, AT_FDCWD, directory + file, read_file(AT_FDCWD, above + file));
    above = directory;
  }
}

// None when the group is gone.
std::vector<pid_t> pids_in(const std::string& file)
{
  const auto text = find_content(AT_FDCWD, file);
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

// v1 refuses a limit below what is used and cannot be given back (EBUSY); v2 would end processes until it fits
// (cgroup-v2.rst, memory.max). So what can be given back is asked for first, and what stays is refused alike.
void give_room(Trace& trace, Hierarchy hierarchy, int group, const std::string& file, const std::string& value)
{
  if (hierarchy == Hierarchy::v1 || file != "memory.max") return;
  uint64_t limit = 0;
  if (std::from_chars(value.data(), value.data() + value.size(), limit).ec != std::errc{}) return; // "max"
  const auto used = [&] { return std::stoull(read_file(group, "memory.current")); };
  uint64_t present = used();
  if (present <= limit) return;
  try {
    write_value(trace, group, "memory.reclaim", std::to_string(present - limit));
  } catch (const Error& error) {
    if (error.number() != EAGAIN && error.number() != ENOENT) throw; // less was given back; Linux before 5.19
  }
  present = used();
  if (present > limit) throw Error{fmt::format("{} bytes are in use and cannot be given back", present), EBUSY};
}

} // namespace

std::string CgroupHost::v1(std::string_view controller) const
{
  for (const auto& [name, path] : v1_controllers)
    if (name == controller) return path;
  return {};
}

bool CgroupHost::v2_offers(std::string_view controller) const
{
  return !v2.empty() && names_controller(find_content(AT_FDCWD, v2 + "/cgroup.controllers").value_or(""), controller);
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

Cgroup Cgroup::make(Trace& trace, std::string_view root_id, std::string_view leaf, const Limits& limits)
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

void Cgroup::add_v1(Trace& trace, std::string_view controller, const std::string& hierarchy)
{
  make_group(trace, hierarchy, path_, false);
  if (controller == "cpuset") inherit_cpuset(trace, hierarchy, path_);
  v1_.push_back({std::string{controller}, open_directory(AT_FDCWD, hierarchy + "/" + path_), Fd{}});
}

void Cgroup::complete(Trace& trace, const Limits& limits)
{
  for (const auto& [controller, hierarchy] : cgroup_host().v1_controllers) {
    // clang 14 captures no structured binding.
    const auto keeps_one = [&, &name = controller](const LimitRow& row) {
      return row.v1.controller == name && row.asks(limits);
    };
    if (std::ranges::find(always, controller) != always.end() || controller == freezer ||
        std::ranges::any_of(limit_rows(), keeps_one))
      add_v1(trace, controller, hierarchy);
  }
  open_tasks();
  write_limits(trace, nullptr, {}, limits);
}

// A v1 group where there is one for the controller, else v2's.
Cgroup::Kept Cgroup::find_place(const LimitRow& row) const
{
  const int group = v1(row.v1.controller);
  Kept kept{&row, group >= 0 ? Hierarchy::v1 : Hierarchy::v2, group >= 0 ? group : v2(), {}};
  for (const auto file : row.place(kept.hierarchy).files)
    if (kept.file.empty() && !file.empty() && kept.directory >= 0 && exists(kept.directory, std::string{file}))
      kept.file = file;
  return kept;
}

Cgroup::Kept Cgroup::make_place(Trace& trace, const LimitRow& row) const
{
  const Kept kept = find_place(row);
  const CgroupHost& host = cgroup_host();
  if (!kept.file.empty() || kept.hierarchy == Hierarchy::v1 || !host.v2_offers(row.v2.controller)) return kept;
  switch_on(trace, host.v2, path_, fmt::format("+{}", row.v2.controller));
  return find_place(row);
}

void Cgroup::write_limits(Trace& trace, Undo* undo, const Limits& before, const Limits& wanted)
{
  struct Write {
    Kept kept;
    LimitChange change;
  };
  std::vector<Write> writes;
  for (const LimitRow& row : limit_rows()) {
    if (!row.follows(before) && !row.follows(wanted)) continue;
    const Kept kept = make_place(trace, row);
    if (kept.file.empty()) {
      const bool has_controller = kept.hierarchy == Hierarchy::v1 || cgroup_host().v2_offers(row.v2.controller);
      if (row.asks(wanted)) throw cannot_keep(row, has_controller);
      continue;
    }
    for (LimitChange& change : limit_changes(row, kept.hierarchy, kept.file, before, wanted))
      writes.insert(goes_first(row, kept.hierarchy, before, wanted) ? writes.begin() : writes.end(),
                    {kept, std::move(change)});
  }
  for (Write& write : writes) {
    const std::string file{write.kept.file};
    // No limit is what the parent has (cpuset): a group with processes cannot be left without.
    const auto or_parents = [&](const std::string& value) {
      if (!value.empty()) return value;
      return read_file(write.kept.directory,
                       "../" + file + (write.kept.hierarchy == Hierarchy::v1 ? "" : ".effective"));
    };
    try {
      give_room(trace, write.kept.hierarchy, write.kept.directory, file, write.change.value);
      write_value(trace, write.kept.directory, file, or_parents(write.change.value));
    } catch (const Error& error) {
      throw error.within(fmt::format("set --{}", write.kept.row->option));
    }
    if (undo != nullptr)
      undo->push(fmt::format("set --{} back", write.kept.row->option),
                 [&trace, directory = write.kept.directory, file, back = or_parents(write.change.back)] {
                   write_value(trace, directory, file, back);
                 });
  }
}

void Cgroup::change(Trace& trace, Undo& undo, const Limits& before, const Limits& wanted)
{
  std::vector<std::string> added;
  for (const auto& [controller, hierarchy] : cgroup_host().v1_controllers) {
    const auto keeps_one = [&, &name = controller](const LimitRow& row) {
      return row.v1.controller == name && row.asks(wanted);
    };
    if (v1(controller) >= 0 || !std::ranges::any_of(limit_rows(), keeps_one)) continue;
    add_v1(trace, controller, hierarchy);
    added.push_back(controller);
  }
  write_limits(trace, &undo, before, wanted);
  for (const auto& controller : added) move_members_to(trace, controller);
}

// Whoever is born meanwhile is born beside its parent, so the list is read again until all are in.
void Cgroup::move_members_to(Trace& trace, std::string_view controller) const
{
  const std::string procs = cgroup_host().v1(controller) + "/" + path_ + "/cgroup.procs";
  const std::string all = path_of(v2() >= 0 ? v2() : v1("pids")) + "/cgroup.procs";
  for (;;) {
    const auto inside = pids_in(procs);
    bool moved = false;
    for (const pid_t pid : pids_in(all)) {
      if (std::ranges::find(inside, pid) != inside.end()) continue;
      try {
        write_value(trace, AT_FDCWD, procs, std::to_string(pid));
        moved = true;
      } catch (const Error& error) {
        if (error.number() != ESRCH) throw; // it has just ended
      }
    }
    if (!moved) return;
  }
}

Limits Cgroup::effective(std::string_view root_id, std::string_view leaf)
{
  const Cgroup group = find(root_id, leaf);
  Limits limits;
  for (const LimitRow& row : limit_rows()) {
    const Kept kept = group.find_place(row);
    if (kept.file.empty()) continue;
    const auto text = find_content(kept.directory, std::string{kept.file});
    read_limit(row, kept.hierarchy, kept.file, text.value_or(""), limits);
  }
  return limits;
}

Cgroup Cgroup::find(std::string_view root_id, std::string_view leaf)
{
  const CgroupHost& host = cgroup_host();
  Cgroup group;
  group.path_ = cgroup_path(root_id, leaf);
  if (!host.v2.empty())
    if (auto directory = find_directory(AT_FDCWD, host.v2 + "/" + group.path_)) group.v2_ = std::move(*directory);
  for (const auto& [controller, hierarchy] : host.v1_controllers)
    if (auto directory = find_directory(AT_FDCWD, hierarchy + "/" + group.path_))
      group.v1_.push_back({controller, std::move(*directory), Fd{}});
  return group;
}

Cgroup Cgroup::open(std::string_view root_id, std::string_view leaf)
{
  Cgroup group = find(root_id, leaf);
  if (const CgroupHost& host = cgroup_host(); !host.v2.empty() && !group.v2_)
    throw Error{fmt::format("open the group {}/{}", host.v2, group.path_), ENOENT};
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
    if (each.tasks) continue;
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

// A group that goes between the open and the write answers ENODEV (kernel/cgroup/cgroup.c, cgroup_kn_lock_live).
void wish_frozen(Trace& trace, const std::string& file, const char* value)
{
  try {
    write_value(trace, AT_FDCWD, file, value);
  } catch (const Error& error) {
    if (error.number() != ENODEV) throw;
    throw Error{"write '" + std::string{value} + "' to " + file, ENOENT};
  }
}

} // namespace

void freeze_cgroup(Trace& trace, std::string_view root_id, std::string_view leaf, bool frozen)
{
  const CgroupHost& host = cgroup_host();
  const FreezerFiles files = freezer_files(host, root_id, leaf);
  wish_frozen(trace, files.wish, frozen ? files.freeze : files.thaw);
  if (!frozen) return;
  for (const uint64_t deadline = monotonic_us() + freeze_patience_us; monotonic_us() < deadline;) {
    const auto text = find_content(AT_FDCWD, files.fact);
    if (!text || text->find(files.is_frozen) != std::string::npos) return; // gone: nothing of it runs
    ::poll(nullptr, 0, 1);
  }
  wish_frozen(trace, files.wish, files.thaw);
  throw Error{"wait until every process stands still", ETIMEDOUT, "one of them may hang in the kernel; try it again"};
}

bool is_frozen(std::string_view root_id, std::string_view leaf)
{
  const CgroupHost& host = cgroup_host();
  if (host.v2.empty() && host.v1(freezer).empty()) return false;
  const FreezerFiles files = freezer_files(host, root_id, leaf);
  const auto text = find_content(AT_FDCWD, files.fact);
  return text && text->find(files.is_frozen) != std::string::npos;
}

Fd open_group_events(std::string_view root_id, std::string_view leaf)
{
  const CgroupHost& host = cgroup_host();
  if (host.v2.empty()) return {};
  const std::string path = host.v2 + "/" + cgroup_path(root_id, leaf) + "/cgroup.events";
  return Fd{::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)};
}

Fd make_subgroup(Trace& trace, std::string_view root_id, std::string_view leaf, std::string_view name)
{
  const CgroupHost& host = cgroup_host();
  if (host.v2.empty()) return {};
  const std::string path = fmt::format("{}/{}/{}", host.v2, cgroup_path(root_id, leaf), name);
  make_directory(trace, AT_FDCWD, path, 0755);
  return open_directory(AT_FDCWD, path);
}

std::vector<pid_t> cgroup_members(std::string_view root_id, std::string_view leaf)
{
  const CgroupHost& host = cgroup_host();
  const std::string hierarchy = !host.v2.empty() ? host.v2 : host.v1("pids");
  return pids_in(hierarchy + "/" + cgroup_path(root_id, leaf) + "/cgroup.procs");
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

namespace {

std::vector<std::string> groups_below(const std::string& path)
{
  std::set<std::string> names;
  each_hierarchy([&](const std::string& hierarchy) {
    for (auto& name : subdirectories(hierarchy + path)) names.insert(std::move(name));
  });
  return {names.begin(), names.end()};
}

} // namespace

std::vector<std::string> cgroup_leaves(std::string_view root_id)
{
  return groups_below(fmt::format("/conductor/{}", root_id));
}

std::vector<std::string> cgroup_roots() { return groups_below("/conductor"); }

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
