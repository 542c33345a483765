#include "core/container/pid_one.h"

#include "core/base/error.h"
#include "core/container/command.h"
#include "core/kernel/process.h"

#include <array>
#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace conductor {
namespace {

// Takes leave of all that have ended; ends with the command. options: of waitpid(2).
void reap(pid_t command, int options)
{
  int status = 0;
  pid_t ended = 0;
  while ((ended = ::waitpid(-1, &status, options)) > 0) {
    if (ended != command) continue;
    // Who is PID 1 cannot die of a signal as the command did, so it says it as a shell does.
    ::_exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
  }
}

// The rest of its life. Nothing here allocates or throws.
[[noreturn]] void tend(pid_t command)
{
  sigset_t all;
  ::sigfillset(&all);
  reap(command, WNOHANG);
  for (;;) {
    const int signal = ::sigwaitinfo(&all, nullptr);
    if (signal == SIGCHLD)
      reap(command, WNOHANG);
    else if (signal > 0)
      ::kill(command, signal);
    else if (errno != EINTR)
      reap(command, 0); // a filter of the user's own may forbid the wait for signals
  }
}

// Nothing of the caller's stays open; 0, 1 and 2 lead nowhere, or a pipe would not end with the command.
void let_go_of_descriptors()
{
  const int nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd <= 2; ++fd) nowhere >= 0 ? ::dup2(nowhere, fd) : ::close(fd);
  ::close_range(3, ~0U, 0);
}

void block_signals()
{
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
}

} // namespace

void leave_pid_one_behind(Trace& trace, const Spec& spec, kernel::Confinement& confinement)
{
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) throw Error{"make a pipe to PID 1", errno};
  Fd ready{ends[0]}, hold{ends[1]};
  kernel::hide_from_container(trace);
  const auto command = kernel::clone_process(trace, {}, "the command");
  if (!command) {
    // Until the other one lets go of all its descriptors: then it is confined and hears signals.
    hold.reset();
    char nothing = 0;
    while (::read(ready.get(), &nothing, 1) < 0 && errno == EINTR) {
    }
    confinement.death_signal = 0;
    confinement.parent = -1;
    return;
  }
  kernel::Confinement own = confinement;
  own.workdir = "/";
  confine_as(trace, spec.process, own);
  kernel::show_process_as("init"); // the command line that made it is the host's affair
  block_signals();
  const pid_t pid = command->pid();
  let_go_of_descriptors();
  tend(pid);
}

} // namespace conductor
