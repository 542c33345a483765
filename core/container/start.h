// Starting PID 1: two recipes, the parent's here and the child's in init.h, that run side by side.
#pragma once

#include "core/base/handle.h"
#include "core/container/id_range.h"
#include "core/container/pty.h"
#include "core/container/rootfs.h"
#include "core/container/spec.h"
#include "core/container/streams.h"
#include "core/store/root.h"

#include <cstdint>
#include <functional>
#include <string>

namespace conductor {

struct StartRequest {
  const Root& root;
  const Spec& spec;
  std::string rw;           // directory of upper/ and work/, relative to the root directory
  bool is_volatile = false; // no sync at the end: for what is thrown away or committed by rename
  uint32_t first_id = 0;    // of its range of ids (take_id_range()), 0 without a user namespace
  ChildStreams streams;     // not with a terminal
  std::vector<StepMount> step_mounts;
  WindowSize window; // with one
  // Gives the network namespace its link, while the child does its own part; empty: it gets none. Its name files are
  // there (name_files.h). The descriptor is closed behind it. Whoever gives one takes it away if the start fails.
  std::function<void(int namespace_fd)> link;
};

struct Started {
  Child child;
  Fd terminal; // the PTY's master, with a terminal
  // Its mount namespace and the mount that its overlay was made on. Letting go of them waits for an RCU grace period or
  // three: the end of PID 1 when the namespace is not held here, our own way to the command when the mount is not.
  // Whoever closes them last waits.
  Fd mount_namespace;
  Fd mapped;
  int64_t started_ns = 0; // CLOCK_REALTIME
};

// Makes groups, namespaces and root, and returns when execve(2) of the command has succeeded. The child gets SIGKILL
// when this process ends. Throws Error (status 126, 127 where the command is the reason); nothing is left then.
Started start_container(StartRequest request);

// Takes away what start_container() made in the kernel, once the child is reaped or to end it: group, range of ids.
// Idempotent; everything may be gone already. first_id 0: not known, it is looked for.
void tear_down(const Root& root, const std::string& id, uint32_t first_id);

} // namespace conductor
