#include "core/container/terminal_mode.h"

#include "core/base/error.h"

#include <array>
#include <cerrno>
#include <csignal>

#include <unistd.h>

namespace conductor {
namespace {

// What a crash handler needs, where it can reach it. -1: nothing to restore.
volatile sig_atomic_t raw_terminal = -1;
termios before_raw{};

constexpr std::array crashes{SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

// tcsetattr(3) is async-signal-safe (signal-safety(7)). SA_RESETHAND has put the default action back.
void restore_and_die(int signal)
{
  if (raw_terminal >= 0) ::tcsetattr(raw_terminal, TCSANOW, &before_raw);
  ::raise(signal);
}

} // namespace

TerminalModeGuard::TerminalModeGuard(int terminal) : terminal_(terminal)
{
  if (::tcgetattr(terminal, &cooked_) < 0) throw Error{"read the mode of the terminal", errno};
  before_raw = cooked_;
  struct sigaction action {};
  action.sa_handler = restore_and_die;
  action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_NODEFER;
  for (const int signal : crashes) ::sigaction(signal, &action, nullptr);
  enter();
}

TerminalModeGuard::~TerminalModeGuard() { leave(); }

void TerminalModeGuard::enter()
{
  termios raw = cooked_;
  ::cfmakeraw(&raw);
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  raw_terminal = terminal_;
  ::tcsetattr(terminal_, TCSANOW, &raw);
}

void TerminalModeGuard::leave()
{
  if (raw_terminal < 0) return;
  // What was printed in raw mode has its line ends already, so nothing need be waited for (TCSADRAIN could block).
  ::tcsetattr(terminal_, TCSANOW, &cooked_);
  raw_terminal = -1;
}

void TerminalModeGuard::stop_here()
{
  leave();
  ::raise(SIGSTOP);
  enter();
}

} // namespace conductor
