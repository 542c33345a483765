// The child's half of a start: from the clone to execve, in the new namespaces.
#pragma once

#include "core/container/channel.h"
#include "core/container/pty.h"
#include "core/container/rootfs.h"
#include "core/container/spec.h"
#include "core/container/streams.h"
#include "core/kernel/confine.h"

namespace conductor {

struct InitRequest {
  Trace& trace;
  Channel& channel;
  const Spec& spec;
  const RootfsPlan& plan;
  kernel::Confinement confinement;
  ChildStreams streams;
  WindowSize window;
  bool linked = false; // its parent gives it a link
};

// Never returns: the command is executed, or the error goes up the channel and the process exits.
[[noreturn]] void run_init(InitRequest request);

} // namespace conductor
