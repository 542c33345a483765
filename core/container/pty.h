// Pseudo-terminals out of a container's own devpts, and window sizes (pty(7), ioctl_tty(2)).
//
// The master is opened inside a devpts that an image's files could have been mounted over, so it is checked before it
// is trusted: the file system must be devpts and the device 5:2. The slave is taken from the master (TIOCGPTPEER),
// never from a path.
#pragma once

#include "core/base/handle.h"
#include "core/base/trace.h"

#include <cstdint>
#include <optional>

#include <sys/types.h>

namespace conductor {

struct WindowSize {
  uint16_t rows = 24, columns = 80;
  bool operator==(const WindowSize&) const = default;
};

struct Pty {
  Fd master; // non-blocking
  Fd slave;
};

// devpts: descriptor of the directory of a devpts mount ("/dev/pts" of the container, opened in-root).
// owner: host uid that shall own the slave, when it is not the one that opens it. Throws Error.
Pty open_pty(Trace& trace, int devpts, const WindowSize& size, std::optional<uid_t> owner = {});

// TIOCGWINSZ; none when fd is no terminal or has no size (0 x 0).
std::optional<WindowSize> window_size(int fd);
// TIOCSWINSZ; the programs on it get SIGWINCH if it changed. A terminal that is gone already is no error.
void set_window_size(int fd, const WindowSize& size);
// Makes the programs on it redraw even though the size is what it was: changes it and changes it back.
void kick_window_size(int fd, const WindowSize& size);

// Makes the calling process the leader of a new session with `slave` as its controlling terminal (setsid, TIOCSCTTY).
// For the child, before execve. Throws Error.
void take_controlling_terminal(Trace& trace, int slave);

} // namespace conductor
