// A conductor that was started in a chroot (a rescue system, a tree that debootstrap made). The kernel makes no user
// namespace there and lets nobody pivot_root: a process whose root is not that of its mount namespace could get out by
// either (user_namespaces(7), EPERM). So before anything else such a conductor makes a mount namespace of its own, in
// which the tree it was put in is the root. It sees what it saw before.
#pragma once

#include "core/base/trace.h"

namespace conductor::kernel {

// Whether this process is in a chroot. One that leads to a mount point is only known as such where pid 1 is in the same
// mount namespace. Four system calls, none changes anything.
bool in_chroot();

// Makes a new mount namespace with the present root, and everything mounted below, on top. Only for a process with one
// thread. What was open keeps pointing into the old namespace, so the caller should execute itself anew. Throws Error.
void leave_chroot(Trace& trace);

} // namespace conductor::kernel
