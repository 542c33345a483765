#include "core/base/handle.h"

#include "core/base/error.h"

#include <cerrno>
#include <csignal>

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace conductor {

void Fd::reset()
{
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Child& Child::operator=(Child&& other) noexcept
{
  if (this != &other) {
    kill_and_reap();
    pid_ = std::exchange(other.pid_, 0);
    pidfd_ = std::move(other.pidfd_);
  }
  return *this;
}

Child::~Child() { kill_and_reap(); }

ExitStatus Child::wait()
{
  siginfo_t info{};
  int result = 0;
  do result = ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED);
  while (result < 0 && errno == EINTR);
  if (result < 0) throw Error{"wait for process " + std::to_string(pid_), errno};
  release();
  if (info.si_code == CLD_EXITED) return {.code = info.si_status};
  return {.signal = info.si_status};
}

void Child::kill_and_reap()
{
  if (pid_ <= 0) return;
  // The pid cannot have been reused: it is our child and nobody else reaps it.
  ::kill(pid_, SIGKILL);
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED) < 0 && errno == EINTR) {
  }
  release();
}

} // namespace conductor
