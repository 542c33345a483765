// Interactive shells that outlive their console: one holder process per `exec -t --session`.
//
// The holder keeps a duplicate of the PTY's master. Who attaches gets another one (SCM_RIGHTS) and reads and writes it
// itself, so nothing is relayed while somebody looks; the open connection says "I read", and the holder does not. A
// client that leaves hands over its screen as an opaque blob. While alone the holder drains the PTY into a bounded
// ring, so that the shell never stands still; the next client gets the blob, then the ring. A client that was killed
// leaves no blob; its successor resizes, and the programs redraw.
#pragma once

#include "core/base/handle.h"
#include "core/base/trace.h"
#include "core/container/pty.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace conductor {

inline constexpr const char* session_directory = "sessions"; // in run/c/<id>/: <session id>.sock
inline constexpr size_t session_screen_limit = 4 << 20;      // bytes of a handed-over screen
inline constexpr size_t session_ring_size = 512 << 10;       // bytes kept of what was printed while alone

struct SessionRequest {
  Trace& trace;
  Child child;        // the shell
  Fd master;          // of its PTY, non-blocking
  Fd listener;        // wire::listen_in(trace, sessions directory, id + ".sock"), made before the child
  int directory = -1; // of the socket, to remove it
  std::string name;   // the socket's name in it
};

// Holds the session until the shell ends; returns its status. The caller has left its session. Nobody attached:
// drained.
ExitStatus hold_session(SessionRequest request);

// The sessions of a container: the ids of those whose holder answers. run_directory: run/c/<id>.
struct SessionInfo {
  std::string id;
  pid_t holder = 0;
  bool attached = false; // somebody reads it now
};
std::vector<SessionInfo> list_sessions(int run_directory);

// An attached client of a session. Between connect() and detach() it is the only reader of the master.
class SessionClient {
public:
  // run_directory: run/c/<id>; size: of the pane; take: away from another client that holds it. Throws Error: no such
  // session (ENOENT, ECONNREFUSED), held by another (EBUSY).
  static SessionClient connect(int run_directory, const std::string& id, const WindowSize& size, bool take = false);

  int master() const { return master_.get(); } // non-blocking; read and write it
  pid_t shell() const { return shell_; }
  const std::string& screen_blob() const { return screen_; } // of the last client, or empty
  const std::string& replay() const { return replay_; }      // what was printed since; feed it after the screen
  uint64_t lost_bytes() const { return lost_; }              // fell out of the ring: redraw
  void forget_replay();                                      // frees both

  // Readable when poll_events() has something to say.
  int poll_fd() const { return socket_.get(); }
  enum class News : char { nothing, exited, taken, holder_gone };
  News poll_events();
  const std::optional<ExitStatus>& exit_status() const { return exit_; }

  // Hands the screen over (at most session_screen_limit, opaque, versioned by its maker) and leaves the shell running.
  // The master must not be read after it. Throws Error.
  void detach(const std::string& screen);

private:
  Fd socket_, master_;
  pid_t shell_ = 0;
  uint64_t lost_ = 0;
  std::string screen_, replay_;
  std::optional<ExitStatus> exit_;
};

} // namespace conductor
