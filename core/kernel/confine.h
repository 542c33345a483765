// What a process gives up before it becomes a program of the container: a flat recipe of system calls, run in the child
// after its root is in place and just before execve(2).
#pragma once

#include "core/base/trace.h"
#include "core/kernel/capabilities.h"
#include "core/kernel/seccomp.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace conductor::kernel {

struct ResourceLimit {
  int resource = 0;            // RLIMIT_*, getrlimit(2)
  uint64_t soft = 0, hard = 0; // RLIM_INFINITY for none
};

// Number of "nofile", "core", ... as --ulimit takes them. Throws a usage Error that names the nearest.
int limit_number(std::string_view name);
// NOFILE 1024:524288 and CORE 0.
std::vector<ResourceLimit> default_limits();
// `more` over the default: a resource named there replaces the default's row.
std::vector<ResourceLimit> merge_limits(const std::vector<ResourceLimit>& more);

// Gives a process of ours, still with the host's rights, hard limits that it could not take itself once it is in its
// user namespace (setrlimit(2)). pid 0: this one. Returns what may not be had, a sentence each; the process then gets
// what it can.
std::vector<std::string> raise_limits(Trace& trace, pid_t pid, const std::vector<ResourceLimit>& limits);
// /proc/PID/oom_score_adj of a process of ours (proc_pid_oom_score_adj(5)); pid 0: this one. Throws Error.
void set_oom_score_adj(Trace& trace, pid_t pid, int value);
// What a process has, by the names that limit_number() takes; none where it is gone.
std::vector<std::pair<std::string, ResourceLimit>> limits_of(pid_t pid);

struct Confinement {
  uid_t uid = 0; // inside the user namespace
  gid_t gid = 0;
  std::vector<gid_t> groups; // supplementary
  CapabilitySet capabilities = default_capabilities;
  bool no_new_privileges = true;
  SeccompFilter seccomp = {}; // seccomp_filter(capabilities) unless unconfined
  std::vector<ResourceLimit> limits = default_limits();
  std::string workdir = "/"; // inside; must be there, must lie in the root
  std::vector<int> keep;     // descriptors above 2 whose close-on-exec flag is left as it is
  int death_signal = 0;      // sent to us when our parent ends (PR_SET_PDEATHSIG); 0 for none
  int parent = -1;           // pidfd of that parent, looked at once death_signal is set; -1 when it is not needed
};

// Runs the recipe. Afterwards every descriptor above 2 that is not in keep closes at execve, ids, capabilities, limits
// and filter are as asked, signals are at their defaults with an empty mask, the umask is 022, the session keyring is a
// new one, and the working directory lies in the root. A limit that may not be raised is lowered to what may be set.
// Throws Error (ECANCELED when the parent is gone; status 126 for the working directory).
void confine(Trace& trace, const Confinement& wanted);

// To be called before a process enters the namespaces of a container (exec): nobody inside may look into it, at its
// descriptors in /proc/PID/fd least of all (CVE-2016-9962). PR_SET_DUMPABLE; execve(2) sets it again.
void hide_from_container(Trace& trace);

// Makes this process one that can look at everything and change nothing: a user of its own, to whom nothing belongs and
// as whom nothing else runs, without groups, whose only capability is CAP_DAC_READ_SEARCH (to open any file for
// reading), and no way back. Before any thread is started: capabilities and ids are each thread's own (capset(2)).
// Afterwards files of root can be read, listed and watched, not written, its processes seen, not signalled, and no
// namespace entered. Throws Error.
void only_look(Trace& trace);

// execve(2). path: absolute, as lookup_executable_in_root() found it; args and env as given. Returns only by throwing
// Error: why it cannot be run, with status 126 or 127 (executable_error()).
[[noreturn]] void execute(Trace& trace, const std::string& path, const std::vector<std::string>& args,
                          const std::vector<std::string>& env);

} // namespace conductor::kernel
