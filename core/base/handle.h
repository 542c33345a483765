// Owners of kernel handles: a descriptor that closes itself, a child process that is killed and reaped.
#pragma once

#include <utility>

#include <sys/types.h>

namespace conductor {

// A file descriptor, closed when it goes out of scope. -1 is "none".
class Fd {
public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept
  {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Fd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset();

private:
  int fd_ = -1;
};

// How a process ended, as wait(2) tells it.
struct ExitStatus {
  int code = 0;   // exit code, when signal is 0
  int signal = 0; // the signal that ended it, or 0
  // What a shell would show: the code, or 128 + the signal.
  int shell() const { return signal != 0 ? 128 + signal : code; }
};

// A child process with its pidfd. Leaving the scope kills (SIGKILL) and reaps it, unless it was waited for or released.
class Child {
public:
  Child() = default;
  Child(pid_t pid, Fd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, 0)), pidfd_(std::move(other.pidfd_)) {}
  Child& operator=(Child&& other) noexcept;
  ~Child();

  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }
  explicit operator bool() const { return pid_ > 0; }

  // Blocks until it ended, reaps it. Throws Error when it is no child of ours.
  ExitStatus wait();
  // Kills it if it still runs and reaps it.
  void kill_and_reap();
  // Gives it up: neither killed nor reaped by us.
  void release()
  {
    pid_ = 0;
    pidfd_.reset();
  }

private:
  pid_t pid_ = 0;
  Fd pidfd_;
};

} // namespace conductor
