// The loop between a child's streams and everybody who wants them: the log, our own terminal, attached clients.
//
// One thread, one poll(2), nothing that blocks and nothing that grows. Each stream has one chunk in flight; it is read
// on only when everybody has taken it, so a slow reader in the foreground slows the child as a pipe would. A slow
// attached client may not do that: after a second of patience output is left out for it, and it is told how much.
//
// What ends it is the child's exit. Whatever is then in the streams is still passed on; a background process that keeps
// them open is not waited for, and a reader of ours that does not read only for a second: what is left for it is kept
// (no more than the streams held), so that the end can be recorded, and passed on after that.
#pragma once

#include "core/base/handle.h"
#include "core/base/trace.h"
#include "core/container/log.h"
#include "core/container/streams.h"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include <poll.h>

namespace conductor {

// Who is at our end, besides the log and attached clients.
enum class Local : char {
  nobody,  // a keeper in the background
  streams, // our stdin, stdout, stderr, kept apart; signals are forwarded
  terminal // our terminal, raw, joined to the PTY
};

// Something else that the loop's thread looks after while the child lives. Nothing of it may block.
class LoopGuest {
public:
  LoopGuest() = default;
  LoopGuest(const LoopGuest&) = delete;
  LoopGuest& operator=(const LoopGuest&) = delete;
  virtual ~LoopGuest() = default;
  virtual int fd() const = 0; // -1: none
  virtual short events() const { return POLLIN; }
  virtual int patience_ms() const = 0; // until when act() is due whatever the descriptor says; -1: never
  virtual void act() = 0;              // one of the events has come, or patience has ended
};

// How a child is asked to end.
struct Farewell {
  int signal = 0;
  uint64_t grace_us = 0;  // before SIGKILL
  bool to_pid_one = true; // of a namespace of its own: the kernel spares it what it does not catch
};

struct RelayRequest {
  Trace& trace;
  const Child& child; // not reaped by the loop
  Streams streams;
  LogWriter* log = nullptr; // may be none (exec)
  int listener = -1;        // attach is served there; -1: not at all
  Local local = Local::nobody;
  bool interactive = false;           // Local::streams: our stdin goes to the child
  bool detach_keys = false;           // Local::terminal: Ctrl-P Ctrl-Q ends the loop with `detached`
  std::array<LoopGuest*, 2> guests{}; // some or none
  // What SIGTERM means to a keeper in the background: the host goes down, so the child is to end. None: it is passed
  // on.
  std::optional<Farewell> farewell;
};

enum class RelayEnd : char {
  exited,  // the child ended, its output is in the log
  detached // the user pressed the detach keys
};

// The attached clients stay connected behind a loop's end, so that they can be told once the exit is recorded.
class RelayLoop {
public:
  explicit RelayLoop(RelayRequest request);
  RelayLoop(const RelayLoop&) = delete;
  RelayLoop& operator=(const RelayLoop&) = delete;
  ~RelayLoop();

  // Throws Error only for what cannot be set up; afterwards every failure has its answer inside.
  RelayEnd run();
  // After `detached`: goes on for nobody (a keeper in the background now).
  void forget_local();
  // Whether SIGTERM said farewell, by now.
  bool told_to_end();
  // The last word to attached clients.
  void tell_exit(const ExitStatus& status);
  // What our own reader had not taken when run() returned. Blocks until it has, is gone, or a signal ends the wait.
  void pass_on_rest();

private:
  class State;
  std::unique_ptr<State> state_;
};

} // namespace conductor
