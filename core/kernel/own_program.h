// Our own program as a container could reach it. Where root inside is root of the host (--userns host), a process of
// ours that lives in or enters the container shows it the program's file: by "#!/proc/self/exe" or /proc/PID/exe, and a
// descriptor of that, kept until no process runs the file any more, could be opened again for writing (CVE-2019-5736).
// The kernel's ETXTBSY ends with the last process, and Linux 6.11 had none. So there we run from a read-only mount that
// is attached nowhere: what is opened through it gets EROFS for good, and nobody can make it writable again.
#pragma once

#include "core/base/handle.h"
#include "core/base/trace.h"

#include <string>
#include <vector>

namespace conductor::kernel {

// Where this program lies, also while it runs from the read-only mount. Throws Error without /proc.
std::string own_program();

// Whether this process runs from a mount of its own file alone that is read-only. Two system calls.
bool program_is_protected();
// For whoever is about to show a process of ours to a container's root of the host. Throws Error when it is not.
void require_protected_program();

// A detached read-only clone of the mount that our program lies on, of this file alone: open_tree(2), mount_setattr(2).
// Throws Error.
Fd read_only_program(Trace& trace);
// Executes that in place of this program: execveat(2). words: the arguments behind argv[0], which says own_program().
// Throws Error.
[[noreturn]] void execute_again(int program, const std::vector<std::string>& words);
// To be called by the program that was begun so: the kernel names a process that was executed by descriptor after its
// number (before Linux 6.14).
void take_own_name();

} // namespace conductor::kernel
