// Signals as something to poll: blocked while the object lives and read from a signalfd(2); SIGPIPE ignored, so that a
// reader that went away is an EPIPE. Children made meanwhile inherit both (signal(7)), so make them before or reset
// them.
#pragma once

#include "core/base/handle.h"

#include <csignal>
#include <initializer_list>

namespace conductor {

class SignalWatch {
public:
  // Throws Error.
  explicit SignalWatch(std::initializer_list<int> signals);
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;
  // Forgets signals that came and were not read, puts mask and SIGPIPE back as they were.
  ~SignalWatch();

  int fd() const { return fd_.get(); }
  // The next signal that came, 0 for none.
  int next() const;

private:
  Fd fd_;
  sigset_t mask_before_{};
  struct sigaction pipe_before_ {};
};

// In a child: every signal as in a fresh program, none blocked.
void forget_signals();

} // namespace conductor
