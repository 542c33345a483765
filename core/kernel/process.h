// Processes: clone3 into namespaces and cgroups, entering the namespaces of others, helper programs.
#pragma once

#include "core/base/handle.h"
#include "core/base/trace.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace conductor::kernel {

struct CloneRequest {
  uint64_t flags = 0; // CLONE_NEW*
  int cgroup_fd = -1; // directory of the v2 group the child is born in, or -1
};

// clone3(2) with CLONE_PIDFD and SIGCHLD, address space copied. In the child: returns nothing. Throws Error.
std::optional<Child> clone_process(Trace& trace, const CloneRequest& request, const char* what);

// unshare(2): fresh namespaces of these kinds for the caller. `flags`: CLONE_NEW*. Throws Error.
void unshare_namespaces(Trace& trace, uint64_t flags);
// setns(2) on a pidfd or a namespace descriptor. `nstype`: CLONE_NEW* flags. Throws Error.
void enter_namespaces(Trace& trace, int fd, int nstype, const std::string& by_hand);

// pidfd_send_signal(2). False when the process is gone (ESRCH).
bool send_signal(Trace& trace, int pidfd, int signal, pid_t pid_for_text);
// pidfd_open(2), none when the process is gone.
std::optional<Fd> open_pidfd(pid_t pid);
// Start time of a process in clock ticks since boot (/proc/PID/stat field 22): with the pid it names a process for
// good.
std::optional<uint64_t> start_time(pid_t pid);
// Is that very process alive (not a zombie)?
bool is_alive(pid_t pid, uint64_t start_time);
// Random id of this boot (/proc/sys/kernel/random/boot_id).
const std::string& boot_id();

// What ps shows of this process from now on: its name (at most 15 bytes), and in place of its arguments the same.
void show_process_as(const char* name);

// Makes this process a session leader, its stdio /dev/null; used by keepers.
void leave_session(Trace& trace);

// Closes every descriptor above 2 that is not in `keep` (-1 is passed over): a process that stays behind holds nothing
// of whoever started it. close_range(2).
void close_descriptors_except(std::vector<int> keep);

struct ProgramResult {
  ExitStatus status;
  std::string tail; // the last 8 KiB of what it printed (stdout and stderr together)
};
// told: goes to the trace as it comes; kept: only into the tail (a program that is asked for a list).
enum class Output : char { told, kept };
// Runs a helper program of the host (mmdebstrap ...) to its end: argv[0] is looked up in PATH, stdin empty, environment
// as given. The whole run is one call of the waist. Throws Error when it cannot be started; a non-zero end is the
// caller's to judge.
ProgramResult run_program(Trace& trace, const std::vector<std::string>& argv, const std::vector<std::string>& env,
                          const std::string& directory = "/", Output output = Output::told);

} // namespace conductor::kernel
