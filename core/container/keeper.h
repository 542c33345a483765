// The keeper: parent of a container's PID 1. It holds the PTY or the pipes, writes the log, serves attach, and sees the
// end. In the background it is a process of its own; `run` in the foreground is its own keeper.
//
// A container dies with its keeper (PDEATHSIG), so there is nothing to guard here beyond the loop. What a keeper costs
// while nothing happens is what its loop needs: see trim_memory().
#pragma once

#include "core/base/handle.h"
#include "core/base/trace.h"
#include "core/container/log.h"
#include "core/container/relay_loop.h"
#include "core/container/streams.h"
#include "core/container/wire.h"

#include <array>
#include <functional>
#include <memory>
#include <optional>

namespace conductor {

inline constexpr const char* keeper_socket = "keeper.sock"; // in run/c/<id>/

struct KeeperRequest {
  Trace& trace;
  Child child;     // PID 1 (or the process of an exec)
  Streams streams; // our side
  LogWriter log;   // default: no log
  Fd listener;     // wire::listen_in(trace, run_directory, keeper_socket), made before the child; none: no attach
  std::array<Fd, 2> held; // kept open until all is over (see Started)
  int run_directory = -1; // where the listener's socket lies, to remove it
  Local local = Local::nobody;
  bool interactive = false;
  std::array<std::unique_ptr<LoopGuest>, 2> guests; // live as long as the child; some or none
  std::optional<Farewell> farewell;                 // of PID 1, by the container's own stop signal and grace
  // Records the exit, tears down. Called once, when all output is in the log and the socket is gone; attached clients
  // are told after it, so they find the container exited.
  std::function<void(const ExitStatus&)> on_exit;
};

// Both return when all is over. An Error of on_exit comes through.
// serve: in the background. The caller has left its session (kernel::leave_session) before it made the child. True when
// SIGTERM told the keeper to end: then nothing is to be started again.
bool serve(KeeperRequest request);
// In the foreground, with our own standard streams or terminal (see Local).
ExitStatus run_in_foreground(KeeperRequest request);

// Gives memory that an operation used and the loop does not need back to the kernel.
void trim_memory();

// `run -t` in the foreground, so that Ctrl-P Ctrl-Q can leave the container running: splits this process before the
// container is made. The caller (the "front") waits for the keeper and never returns: it exits with the status that the
// keeper ends with, or with 0 when the user detached. The keeper returns from this function and goes on; it dies with
// the front until then.
class Front {
public:
  static Front split(Trace& trace);
  Front(Front&&) noexcept = default;
  // Lets the front go: the terminal is the shell's again, this process leaves its session.
  void detach(Trace& trace);
  // Ends this process if the front is gone: between two calls of the start that told the kernel nothing of it.
  void check() const;

private:
  Front(Fd channel, pid_t front) : channel_(std::move(channel)), front_(front) {}
  Fd channel_;
  pid_t front_;
};
// As run_in_foreground, on a terminal; after a detach it goes on as serve() does and returns when the container ends.
ExitStatus run_in_foreground(KeeperRequest request, Front front);

} // namespace conductor
