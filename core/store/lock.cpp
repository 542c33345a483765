// Locks between processes, flock(2). They end with their holder, so a kill -9 never leaves one behind.
//
// The file's text only says who holds it. It does not pass the waist: it changes nothing that outlives the process.
#include "core/base/error.h"
#include "core/container/spec.h"
#include "core/kernel/files.h"
#include "core/store/root.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace conductor {
namespace {

using std::chrono::microseconds;

Fd open_lock(int at, const std::string& path, std::string_view what)
{
  Fd fd{::openat(at, path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (!fd) {
    const int number = errno;
    throw Error{"lock " + std::string{what} + ": open '" + path + "'", number, kernel::cure_of(number)};
  }
  return fd;
}

// "stop 4711" -> "stop (pid 4711)"
std::string holder(int fd)
{
  std::array<char, 128> buffer{};
  const ssize_t got = ::pread(fd, buffer.data(), buffer.size(), 0);
  std::string_view text{buffer.data(), got > 0 ? static_cast<size_t>(got) : 0};
  text = text.substr(0, text.find('\n'));
  const size_t space = text.rfind(' ');
  if (space == std::string_view::npos) return "another process";
  return "'" + visible(text.substr(0, space)) + "' (pid " + visible(text.substr(space + 1)) + ")";
}

void sign(int fd, std::string_view verb)
{
  const std::string text = std::string{verb.substr(0, 100)} + " " + std::to_string(::getpid()) + "\n";
  // A full disk must not forbid the lock: then only its holder's name is unknown.
  if (::pwrite(fd, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()) &&
      ::ftruncate(fd, static_cast<off_t>(text.size())) < 0) {
  }
}

// Did the file vanish, or get replaced, while we waited for it?
bool is_current(int fd, int at, const std::string& path)
{
  struct stat ours {};
  struct stat there {};
  return ::fstat(fd, &ours) == 0 && ::fstatat(at, path.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
         ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

void nap(microseconds pause)
{
  const timespec time{.tv_sec = 0, .tv_nsec = pause.count() * 1000};
  ::nanosleep(&time, nullptr);
}

} // namespace

Lock::Lock(int at, const std::string& path, std::string_view verb, std::chrono::milliseconds patience,
           std::string_view what)
{
  const uint64_t deadline = monotonic_us() + static_cast<uint64_t>(std::max<int64_t>(0, patience.count())) * 1000;
  // flock(2) has no time limit of its own, and an alarm would belong to the whole process: so look again, at most 200
  // times a second.
  microseconds pause{250};
  while (true) {
    if (!fd_) fd_ = open_lock(at, path, what);
    if (::flock(fd_.get(), LOCK_EX | LOCK_NB) == 0) {
      if (is_current(fd_.get(), at, path)) break;
      fd_.reset();
      continue;
    }
    if (errno != EWOULDBLOCK && errno != EINTR) throw Error{"lock " + std::string{what}, errno};
    if (monotonic_us() >= deadline)
      throw Error{std::string{what} + " is in use by " + holder(fd_.get()), 0, "try again, or give --wait SECONDS"};
    nap(pause);
    pause = std::min(pause * 2, microseconds{5000});
  }
  sign(fd_.get(), verb);
}

} // namespace conductor
