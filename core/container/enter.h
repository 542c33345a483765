// Entering a running container: what exec does, the counterpart of start.h.
#pragma once

#include "core/base/handle.h"
#include "core/container/spec.h"
#include "core/container/streams.h"
#include "core/store/containers.h"

#include <functional>

namespace conductor {

struct EnterRequest {
  const Root& root;
  const Container& container; // running
  const ProcessSpec& process;
  ChildStreams streams;
};

// A process in all namespaces, groups and the confinement of the container. Returns when its execve(2) has succeeded.
// The child gets SIGKILL when this process ends. Throws Error (status 126, 127 where the command is the reason).
Child enter_container(EnterRequest request);

// Runs `act` as the container's root in its user and mount namespaces, in a process of its own; `root` is a descriptor
// of its root directory. Nothing of the container is executed. Throws the Error that act throws.
void act_inside(const Root& root, const Container& container, const std::function<void(int root)>& act);

// The container's /dev/pts, in which an exec opens its terminal. Throws Error.
Fd devpts_of(const Container& container);

} // namespace conductor
