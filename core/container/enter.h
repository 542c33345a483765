// Entering a running container: what exec does, the counterpart of start.h.
#pragma once

#include "core/base/handle.h"
#include "core/container/channel.h"
#include "core/container/spec.h"
#include "core/container/streams.h"
#include "core/store/containers.h"

#include <functional>
#include <optional>

namespace conductor {

struct EnterRequest {
  const Root& root;
  const Container& container; // running
  const ProcessSpec& process;
  ChildStreams streams;
  int birthplace = -1; // the directory of a v2 group below the container's; -1: the container's own
};

// A process in all namespaces, groups and the confinement of the container. Returns when its execve(2) has succeeded.
// The child gets SIGKILL when this process ends. Throws Error (status 126, 127 where the command is the reason).
Child enter_container(EnterRequest request);

// Runs `act` as the container's root in its user and mount namespaces, in a process of its own; `root` is a descriptor
// of its root directory. Nothing of the container is executed. Throws the Error that act throws.
void act_inside(const Root& root, const Container& container, const std::function<void(int root)>& act);

// Somebody of ours in the tree of a container, who works there while we work outside.
//
// Of a running container it is its root in its user and mount namespaces, so that volumes and what was mounted since
// are seen, and nothing is possible that the container could not do itself. Of another one it is root in a mount
// namespace that has only the layers and the volumes. Either way "/" is the container's: whatever links lead to, lies
// in it. Nothing of the container is executed (CVE-2019-14271).
class Visitor {
public:
  // act: what it does there, with its end of a stream that it shares with us; what it throws we throw. Throws Error.
  Visitor(const Root& root, const Container& container, const std::function<void(int stream)>& act);
  Visitor(const Visitor&) = delete;
  Visitor& operator=(const Visitor&) = delete;
  // Closes the stream, which ends what it was doing, and waits for its end.
  ~Visitor();
  // Our end of the stream; it never blocks.
  int stream() const { return stream_.get(); }
  // Until the stream is ready for `events` (poll(2)); what it tells meanwhile is passed on. Throws what it failed of,
  // and EINTR where we are to end.
  void await(short events);
  // Until it has ended. Throws what it failed of.
  void finish();

private:
  Trace& trace_;
  Channel channel_;
  Fd stream_;
  std::optional<Child> child_;
};

// The container's /dev/pts, in which an exec opens its terminal. Throws Error.
Fd devpts_of(const Container& container);

} // namespace conductor
