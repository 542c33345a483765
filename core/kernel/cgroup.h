// Control groups: one interface over cgroup v2, v1 and the hybrid of both.
//
// A container has one group, conductor/<root-id>/<container-id>, of the same name in every hierarchy that is used. On a
// hybrid host the v2 tree has no controllers: membership, kill, freeze, the notice of the end, CPU time and pressure
// come from it, limits and the rest from the v1 groups (cgroups(7), Documentation/admin-guide/cgroup-v2.rst).
#pragma once

#include "core/base/handle.h"
#include "core/base/trace.h"
#include "core/base/undo.h"
#include "core/kernel/group_limits.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace conductor::kernel {

// Where this host has its hierarchies; found once per process.
struct CgroupHost {
  std::string v2; // "/sys/fs/cgroup", "/sys/fs/cgroup/unified", or empty: none
  bool v2_has_controllers = false;
  // v1 mount point of a controller ("memory" -> "/sys/fs/cgroup/memory"), empty where v1 has none.
  std::string v1(std::string_view controller) const;
  std::vector<std::pair<std::string, std::string>> v1_controllers;
  // Whether v2 has this controller, switched on for our groups or not.
  bool v2_offers(std::string_view controller) const;
};
const CgroupHost& cgroup_host();

// The group's path below a hierarchy: "conductor/<root-id>/<leaf>".
std::string cgroup_path(std::string_view root_id, std::string_view leaf);

// The leaf in which the keepers of a root live.
inline constexpr std::string_view keepers_leaf = "keepers";

// A group that is there, open for joining.
class Cgroup {
public:
  // Makes the group in every hierarchy that is needed (gone already is no error, there already neither).
  // Throws Error when the host lacks a controller that a limit asks for.
  static Cgroup make(Trace& trace, std::string_view root_id, std::string_view leaf, const Limits& limits);
  // The same in two halves, for a start that makes the v1 groups while the child is born: first the v2 group alone,
  // where the host has v2; complete() does the rest.
  static Cgroup make_birthplace(Trace& trace, std::string_view root_id, std::string_view leaf);
  void complete(Trace& trace, const Limits& limits);
  // Leads a group that runs from one set of limits to another; each write's undo follows it. A limit that needs a v1
  // group of its own makes it and moves all members there. Throws Error when the kernel refuses, as it does a memory
  // limit below what cannot be given back.
  void change(Trace& trace, Undo& undo, const Limits& before, const Limits& wanted);
  // What the kernel keeps, whoever wrote it; nothing where there is no such group.
  static Limits effective(std::string_view root_id, std::string_view leaf);
  // What there is of a group, to change it. Throws Error.
  static Cgroup find(std::string_view root_id, std::string_view leaf);
  // The group of something that runs, to join it. Throws Error when it is not there.
  static Cgroup open(std::string_view root_id, std::string_view leaf);

  // Directory of the v2 group, for CLONE_INTO_CGROUP; -1 where the host has no v2.
  int v2() const { return v2_.get(); }
  // Directory of the v1 group of `controller`, -1 when it is not used.
  int v1(std::string_view controller) const;
  // What join_groups() takes: a file of each v1 group. The v2 group is joined at birth (CLONE_INTO_CGROUP).
  std::vector<int> tasks() const;

private:
  struct Kept {
    const LimitRow* row;
    Hierarchy hierarchy;
    int directory;
    std::string_view file; // empty: the kernel has none
  };
  void add_v1(Trace& trace, std::string_view controller, const std::string& hierarchy);
  Kept find_place(const LimitRow& row) const;
  Kept make_place(Trace& trace, const LimitRow& row) const;
  void write_limits(Trace& trace, Undo* undo, const Limits& before, const Limits& wanted);
  void move_members_to(Trace& trace, std::string_view controller) const;
  void open_tasks();
  struct Joined {
    std::string controller;
    Fd directory;
    Fd tasks; // opened by the maker, whose rights count at the write, not the child's (cgroups(7), 5.16)
  };
  std::string path_; // below each hierarchy
  Fd v2_;
  std::vector<Joined> v1_;
};

// Called in the child: joins the groups of these tasks files. One write of "0" each: the thread-wise files do not take
// the lock that makes cgroup.procs wait for an RCU grace period. Throws Error.
void join_groups(Trace& trace, const std::vector<int>& tasks);

// SIGKILL to everything in the group (cgroup.kill; by pids where the kernel has none). Gone already is success.
void kill_cgroup(Trace& trace, std::string_view root_id, std::string_view leaf);
// Stops everything in it, and returns when nothing runs any more; or lets it go on. By cgroup.freeze of v2, where there
// is no v2 by v1's freezer. Throws Error: ENOENT when it is gone, ETIMEDOUT when a process hangs in the kernel (then
// all go on).
void freeze_cgroup(Trace& trace, std::string_view root_id, std::string_view leaf, bool frozen);
// Does all of it stand still now?
bool is_frozen(std::string_view root_id, std::string_view leaf);
// The file in which the kernel tells that, which poll(2) says to have changed (POLLPRI); none where there is no v2.
Fd open_group_events(std::string_view root_id, std::string_view leaf);
// A v2 group below that of something that runs, for processes that must be ended together whatever they fork: its
// directory, for CLONE_INTO_CGROUP; none where the host has no v2. Its leaf is "<leaf>/<name>"; it is removed with the
// group above. Limits and all else hold as above it. Throws Error: ENOENT when the group above is gone.
Fd make_subgroup(Trace& trace, std::string_view root_id, std::string_view leaf, std::string_view name);
// Pids in the group, as the host numbers them; empty when it is gone.
std::vector<pid_t> cgroup_members(std::string_view root_id, std::string_view leaf);
// Removes the group everywhere. Gone already is success. A group that is still busy is waited for (at most 2 s), since
// the kernel lets its last process go a moment after it was reaped.
void remove_cgroup(Trace& trace, std::string_view root_id, std::string_view leaf);
// How often the kernel killed something in it for lack of memory.
uint64_t oom_kills(std::string_view root_id, std::string_view leaf);
// The processes that it killed, oldest first: from the kernel's log (/dev/kmsg), which may not be readable and may have
// forgotten them. Never fails.
struct OomVictim {
  std::string name; // as the process called itself
  pid_t pid = 0;    // as the host numbered it; 0: not known
};
std::vector<OomVictim> oom_victims(std::string_view root_id, std::string_view leaf);
// What poll(2) says when memory has run out in the group, and the events to wait for. v2: memory.events, which is read
// anew after each time. v1: an eventfd(2), which the kernel signals before it has chosen whom to kill. None where
// memory is not controlled. Throws Error.
struct OomNotice {
  Fd fd;
  short events = 0;
  void read_anew() const;
};
OomNotice open_oom_notice(Trace& trace, std::string_view root_id, std::string_view leaf);
// The leaves of this root that exist, from every hierarchy: what a crash may have left.
std::vector<std::string> cgroup_leaves(std::string_view root_id);
// The roots that have groups on this host, from every hierarchy: conductor/<root-id>.
std::vector<std::string> cgroup_roots();
// Whether this process lives in a group of this root: a keeper and its children do, a verb does not.
bool is_in_cgroup_of(std::string_view root_id);
// This process leaves whatever groups it is in for the top ones, as somebody who outlives a container's end must.
void leave_cgroups(Trace& trace);
// Removes conductor/<root-id> (and conductor) where it is empty.
void remove_empty_parents(Trace& trace, std::string_view root_id);

} // namespace conductor::kernel
