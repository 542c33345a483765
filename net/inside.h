// Work in the network namespace of a container.
//
// A netlink socket stays in the namespace it was opened in, and so does what /proc/sys/net shows. So this thread enters
// the container's namespace, works and comes back; no other thread is ever in the wrong place, and nothing keeps the
// namespace alive after its container (it takes its links with it when it dies). A thread made for it would cost more
// than the work. Not to come back is the end of the program: what it did next to the host it would do to the container.
#pragma once

#include "core/base/trace.h"

#include <functional>
#include <string>

#include <sys/types.h>

namespace conductor::net {

// Identity of a network namespace: the inode of its file. 0 when there is none.
ino_t namespace_of(const std::string& process); // "4711", "thread-self"
ino_t namespace_of(int fd);                     // an open /proc/PID/ns/net

// A file that stands for it, for people: "/proc/4711/ns/net" of one of its processes. Looks through all processes.
std::string namespace_path(ino_t identity);

// Runs `work` in the namespace that `fd` (a pidfd, or an open /proc/PID/ns/net) stands for, whose inode is `identity`;
// in the caller's own one when that is the same. Throws Error, and whatever `work` throws.
void run_inside(Trace& trace, int fd, ino_t identity, const std::function<void()>& work);

} // namespace conductor::net
