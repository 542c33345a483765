#include "core/container/pty.h"

#include "core/base/error.h"
#include "core/kernel/call.h"

#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace conductor {

Pty open_pty(Trace& trace, int devpts, const WindowSize& size, std::optional<uid_t> owner)
{
  Pty pty;
  const auto opened = kernel::perform(
      trace, "openat",
      [] {
        return kernel::CallText{R"(openat("/dev/pts", "ptmx"))", "exec 3<>/dev/pts/ptmx"};
      },
      [&] { return ::openat(devpts, "ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK); });
  if (opened.failed()) throw Error{"open /dev/pts/ptmx of the container", opened.error};
  if (opened.skipped) throw Error{"open /dev/pts/ptmx of the container", ECANCELED};
  pty.master = Fd{static_cast<int>(opened.value)};

  // An image may have put anything there. Only devpts' own 5:2 makes pairs (devpts in the kernel's documentation).
  struct stat status {};
  struct statfs system {};
  if (::fstat(pty.master.get(), &status) < 0 || ::fstatfs(pty.master.get(), &system) < 0)
    throw Error{"look at /dev/pts/ptmx of the container", errno};
  if (system.f_type != DEVPTS_SUPER_MAGIC || !S_ISCHR(status.st_mode) || status.st_rdev != makedev(5, 2))
    throw Error{"/dev/pts/ptmx of the container is no multiplexer of devpts", ENOTTY};

  const int locked = 0;
  if (::ioctl(pty.master.get(), TIOCSPTLCK, &locked) < 0) throw Error{"unlock the terminal", errno};
  pty.slave = Fd{::ioctl(pty.master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)};
  if (!pty.slave) throw Error{"open the terminal's other side", errno};
  set_window_size(pty.master.get(), size);
  if (owner) {
    const auto given = kernel::perform(
        trace, "fchown",
        [&] {
          return kernel::CallText{fmt::format("fchown(terminal, {}, -1)", *owner),
                                  fmt::format("chown {} /dev/pts/0", *owner)};
        },
        [&] { return ::fchown(pty.slave.get(), *owner, static_cast<gid_t>(-1)); });
    if (given.failed()) throw Error{"give the terminal to its user", given.error};
  }
  return pty;
}

std::optional<WindowSize> window_size(int fd)
{
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 || size.ws_col == 0) return std::nullopt;
  return WindowSize{size.ws_row, size.ws_col};
}

void set_window_size(int fd, const WindowSize& size)
{
  const winsize kernel_size{size.rows, size.columns, 0, 0};
  ::ioctl(fd, TIOCSWINSZ, &kernel_size);
}

void kick_window_size(int fd, const WindowSize& size)
{
  // A row more, not fewer: a screen that shrinks for a moment loses its first line.
  set_window_size(fd, {static_cast<uint16_t>(size.rows + 1), size.columns});
  set_window_size(fd, size);
}

void take_controlling_terminal(Trace& trace, int slave)
{
  const auto led = kernel::perform(
      trace, "setsid",
      [] {
        return kernel::CallText{"setsid()", "setsid"};
      },
      [] { return ::setsid(); });
  if (led.failed()) throw Error{"begin a session", led.error};
  const auto taken = kernel::perform(
      trace, "ioctl",
      [] {
        return kernel::CallText{"ioctl(0, TIOCSCTTY)", "setsid --ctty"};
      },
      [&] { return ::ioctl(slave, TIOCSCTTY, 0); });
  if (taken.failed()) throw Error{"make the terminal the controlling one", taken.error};
}

} // namespace conductor
