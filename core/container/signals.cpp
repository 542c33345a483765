#include "core/container/signals.h"

#include "core/base/error.h"

#include <cerrno>

#include <sys/signalfd.h>
#include <unistd.h>

namespace conductor {

SignalWatch::SignalWatch(std::initializer_list<int> signals)
{
  sigset_t watched;
  ::sigemptyset(&watched);
  for (const int signal : signals) ::sigaddset(&watched, signal);
  fd_ = Fd{::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK)};
  if (!fd_) throw Error{"watch for signals", errno};
  ::sigprocmask(SIG_BLOCK, &watched, &mask_before_);
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &pipe_before_);
}

SignalWatch::~SignalWatch()
{
  while (next() != 0) { // what came too late to matter must not end us now
  }
  ::sigaction(SIGPIPE, &pipe_before_, nullptr);
  ::sigprocmask(SIG_SETMASK, &mask_before_, nullptr);
}

void forget_signals()
{
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

int SignalWatch::next() const
{
  signalfd_siginfo info{};
  return ::read(fd_.get(), &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
}

} // namespace conductor
