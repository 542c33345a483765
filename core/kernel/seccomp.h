// The system-call filter of a container (seccomp(2)).
//
// The policy is one table (seccomp_policy.cpp). A compiler of our own makes a binary search out of it, since the kernel
// runs a new filter once for every system call when it is loaded (seccomp_cache_prepare). The filter of the default
// capabilities is made when conductor is built; others are made at start, in some tens of microseconds.
#pragma once

#include "core/base/trace.h"
#include "core/kernel/capabilities.h"

#include <span>
#include <string>
#include <vector>

#include <linux/filter.h>

namespace conductor::kernel {

// A BPF program as the kernel takes it. Empty: unconfined.
using SeccompFilter = std::vector<sock_filter>;

// The filter for a container with these capabilities: calls whose only guard is a capability it has are let through.
SeccompFilter seccomp_filter(CapabilitySet capabilities);

// The filter of a profile file in the JSON of the OCI runtime specification and of docker's profiles. where: the path
// for messages. Throws Error naming what is not understood.
SeccompFilter seccomp_profile(std::string_view json, const std::string& where, CapabilitySet capabilities);

// Loads it for this process. Needs no_new_privs or CAP_SYS_ADMIN in the user namespace; it holds until the process
// ends, over execve too. An empty filter does nothing. Throws Error.
void load_seccomp(Trace& trace, std::span<const sock_filter> filter);

// Number of a system call of this architecture, -1 for a name that is none; and back, "" for a number without a name.
int syscall_number(std::string_view name);
std::string_view syscall_name(int number);

} // namespace conductor::kernel
