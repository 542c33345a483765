// The standard streams of a process in a container: a PTY, or three pipes kept apart. Each has two sides: ours goes
// into the relay, theirs becomes the descriptors 0, 1, 2 of the child.
#pragma once

#include "core/base/handle.h"
#include "core/base/trace.h"
#include "core/container/pty.h"

#include <optional>
#include <string>

#include <sys/types.h>

namespace conductor {

// Our side; all non-blocking. Either `master`, or the pipes (input only where stdin is open).
struct Streams {
  Fd master;
  Fd input;         // write end of the child's stdin
  Fd output, error; // read ends of its stdout and stderr
  bool terminal() const { return static_cast<bool>(master); }
};

// Their side. With a terminal only `input` is set: it is all three.
struct ChildStreams {
  Fd input, output, error;
  bool terminal = false;
};

struct StreamPair {
  Streams ours;
  ChildStreams theirs;
};

enum class Stdin : bool {
  empty, // /dev/null
  open
};

// owner: host uid of the child's user, so that it may open /dev/stdout anew, which programs do. Throws Error.
StreamPair make_pipes(Stdin input, std::optional<uid_t> owner = {});
// From a PTY that open_pty() made.
StreamPair make_terminal(Pty pty);

// In the child, shortly before execve: puts the streams on 0, 1, 2 (and takes the terminal as the controlling one).
// Throws Error.
void adopt_streams(Trace& trace, ChildStreams streams);

// A descriptor for the same file as `fd` that never blocks, without touching the flags that we share with whoever
// started us: pipes and terminals are opened anew. The copy is marked close-on-exec. None when fd is closed.
Fd non_blocking_copy(int fd, int access_mode);

} // namespace conductor
