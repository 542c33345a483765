// Children, terminals and patient reading for the tests of keepers and sessions. No root needed.
#pragma once

#include "core/base/handle.h"
#include "core/base/trace.h"
#include "core/container/streams.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace conductor::testing {

inline constexpr int patience_ms = 20'000;

// A directory of its own for one test.
class ScratchDirectory {
public:
  ScratchDirectory()
  {
    std::string pattern = (std::filesystem::temp_directory_path() / "conductor-test-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
    fd_ = Fd{::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  }
  ~ScratchDirectory() { std::filesystem::remove_all(path_); }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  int fd() const { return fd_.get(); }
  Fd again() const { return Fd{::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)}; }
  const std::string& path() const { return path_; }

private:
  std::string path_;
  Fd fd_;
};

// A process that runs `body` and exits with what it returns.
template <class Body>
Child fork_child(Body&& body)
{
  const pid_t pid = ::fork();
  if (pid == 0) {
    int status = 125;
    try {
      status = body();
    } catch (const std::exception& error) {
      ::dprintf(2, "%s\n", error.what());
    }
    ::_exit(status);
  }
  return Child{pid, Fd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))}};
}

// /bin/sh -c script on the other side of a stream pair.
inline Child shell_on(StreamPair& pair, const char* script)
{
  Child child = fork_child([&] {
    Trace trace;
    adopt_streams(trace, std::move(pair.theirs));
    ::close_range(3, ~0U, 0);
    ::execl("/bin/sh", "sh", "-c", script, nullptr);
    return 127;
  });
  pair.theirs = ChildStreams{};
  return child;
}

// A PTY of the host.
inline Pty host_pty(const WindowSize& size = {})
{
  Pty pty;
  pty.master = Fd{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK)};
  const int locked = 0;
  ::ioctl(pty.master.get(), TIOCSPTLCK, &locked);
  pty.slave = Fd{::ioctl(pty.master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)};
  set_window_size(pty.master.get(), size);
  return pty;
}

// Reads until `text` has come (or the end, with an empty text); what came so far. Fails the test when it takes too
// long.
inline std::string read_until(int fd, const std::string& text)
{
  std::string got;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds{patience_ms};
  while (text.empty() || got.find(text) == std::string::npos) {
    pollfd news{fd, POLLIN, 0};
    if (std::chrono::steady_clock::now() > deadline || ::poll(&news, 1, patience_ms) <= 0)
      throw std::runtime_error{"waited in vain for '" + text + "', got '" + got + "'"};
    char bytes[4096];
    const ssize_t size = ::read(fd, bytes, sizeof bytes);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (size <= 0) break;
    got.append(bytes, static_cast<size_t>(size));
  }
  return got;
}

inline void type(int fd, const std::string& text)
{
  if (::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    throw std::runtime_error{"cannot type '" + text + "'"};
}

// Waits for the end of a child. Throws when it takes too long.
inline ExitStatus end_of(Child& child)
{
  pollfd news{child.pidfd(), POLLIN, 0};
  if (::poll(&news, 1, patience_ms) <= 0) throw std::runtime_error{"the child does not end"};
  return child.wait();
}

} // namespace conductor::testing
