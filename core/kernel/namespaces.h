// What a process does in fresh namespaces before it gives its rights away.
#pragma once

#include "core/base/handle.h"
#include "core/base/trace.h"

#include <cstdint>
#include <string>

#include <sys/types.h>

namespace conductor::kernel {

// Parent: ids 0..count-1 of the user namespace of `pid` become first..first+count-1 of the host.
// user_namespaces(7). Throws Error.
void write_id_maps(Trace& trace, pid_t pid, uint32_t first, uint32_t count);
// A descriptor of one of the namespaces of a process ("user", "mnt", "net" ...). Throws Error.
Fd open_namespace(pid_t pid, const char* name);
// The same of the caller, who may be in a PID namespace that /proc does not belong to.
Fd open_own_namespace(const char* name);

// setgroups([]), setresgid(0), setresuid(0): the mapped root.
void become_root(Trace& trace);
void set_hostname(Trace& trace, const std::string& name);
// The link "lo" up: ioctl(SIOCSIFFLAGS), netdevice(7).
void raise_loopback(Trace& trace);
// setsid(2).
void new_session(Trace& trace);

} // namespace conductor::kernel
