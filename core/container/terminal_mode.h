// Raw mode of our own terminal, taken back on every way out.
//
// In raw mode each key goes to the container, Ctrl-C and Ctrl-Z too, so no signal of the terminal reaches us. The old
// mode comes back when the guard leaves its scope, when the program crashes (SEGV, BUS, ILL, FPE, ABRT), and around a
// stop that somebody else ordered (SIGTSTP). One guard at a time.
#pragma once

#include <termios.h>

namespace conductor {

class TerminalModeGuard {
public:
  // terminal: descriptor of a terminal. Throws Error when it is none.
  explicit TerminalModeGuard(int terminal);
  TerminalModeGuard(const TerminalModeGuard&) = delete;
  TerminalModeGuard& operator=(const TerminalModeGuard&) = delete;
  ~TerminalModeGuard();

  // Gives the terminal back, stops this process as SIGTSTP would, and takes raw mode again when it goes on.
  void stop_here();
  // Raw again: after a SIGCONT the shell has put its own mode in place.
  void enter();
  void leave();

private:
  int terminal_;
  termios cooked_{};
};

} // namespace conductor
