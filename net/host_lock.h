// One at a time may change table, subnet and forwarding of a network namespace, whatever its root directory is.
//
// The lock is flock(2) on the namespace's own file in /proc: all that have it open share one inode, so it is a lock per
// namespace that leaves no file behind and ends with its holder.
#pragma once

#include "core/base/handle.h"
#include "core/base/trace.h"

namespace conductor::net {

class HostLock {
public:
  explicit HostLock(Trace& trace); // waits for it; throws Error
private:
  Fd namespace_;
};

} // namespace conductor::net
