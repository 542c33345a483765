#include "core/image/copy_place.h"

#include "core/base/error.h"
#include "core/container/spec.h"
#include "core/kernel/files.h"
#include "core/kernel/inroot.h"

#include <cerrno>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>

namespace conductor::image {

CopyPath CopyPath::of(const std::string& text)
{
  CopyPath found{.path = text.starts_with('/') ? text : "/" + text};
  std::string& path = found.path;
  for (;;) {
    if (path.ends_with("/.")) {
      found.directory = found.contents = true;
      path.pop_back();
    }
    if (path.size() == 1 || path.back() != '/') break;
    found.directory = true;
    path.pop_back();
  }
  // These have no name that a copy of theirs could have.
  if (path == "/" || path.ends_with("/..")) found.contents = found.directory = true;
  return found;
}

std::string CopyPath::parent() const
{
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

std::string CopyPath::base() const { return path.substr(path.rfind('/') + 1); }

Place::Place(Side side, std::string name)
    : side_(side), name_(std::move(name)), root_(kernel::open_directory(AT_FDCWD, "/", O_PATH))
{}

std::optional<Fd> Place::find(const std::string& path, int flags) const
{
  try {
    if (side_ == Side::container) return kernel::find_in_root(root_.get(), path, flags);
  } catch (const Error& error) {
    // Opened by a descriptor whose path nobody here can tell.
    throw Error{"open " + shown(path), error.number()};
  }
  Fd fd{::open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY)};
  if (fd) return fd;
  if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  throw Error{"open " + shown(path), errno};
}

std::string Place::shown(const std::string& path) const
{
  return "'" + (name_.empty() ? "" : name_ + ":") + visible(path, 200) + "'";
}

std::string Place::by_hand(const std::string& command) const
{
  return (name_.empty() ? "" : "conductor exec " + name_ + " -- ") + command;
}

namespace {

const char* unfit(const struct stat& status)
{
  switch (status.st_mode & S_IFMT) {
  case S_IFDIR:
  case S_IFREG:
  case S_IFLNK:
  case S_IFIFO: return nullptr;
  case S_IFSOCK: return "is a socket, and nothing without its process";
  default: return "is a device, and those are not copied";
  }
}

// What the kernel only shows has no size, and reading it may do something.
bool is_only_shown(int fd)
{
  struct statfs found {};
  return ::fstatfs(fd, &found) == 0 && (found.f_type == PROC_SUPER_MAGIC || found.f_type == SYSFS_MAGIC);
}

} // namespace

Fd open_copy_source(const Place& place, const CopyPath& path, bool follow)
{
  const int last = follow || path.directory ? 0 : O_NOFOLLOW;
  const std::string shown = place.shown(path.path);
  std::optional<Fd> looked = place.find(path.path, O_PATH | last);
  if (!looked) throw Error{"there is no " + shown};
  struct stat status {};
  if (::fstat(looked->get(), &status) < 0) throw Error{"look at " + shown, errno};
  if (const char* reason = unfit(status)) throw Error{shown + " " + reason};
  if (path.directory && !S_ISDIR(status.st_mode)) throw Error{shown + " is no directory"};
  if (is_only_shown(looked->get()))
    throw Error{shown + " is shown by the kernel and no file of its own", 0,
                "read it: " + place.by_hand("cat " + visible(path.path))};
  if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode)) return std::move(*looked);
  // What was looked at may be another thing by now, so it is looked at again, open.
  const bool directory = S_ISDIR(status.st_mode);
  std::optional<Fd> opened = place.find(path.path, O_RDONLY | last | (directory ? O_DIRECTORY : O_NONBLOCK));
  if (!opened || ::fstat(opened->get(), &status) < 0 || (!directory && !S_ISREG(status.st_mode)))
    throw Error{shown + " changed while it was opened"};
  return std::move(*opened);
}

} // namespace conductor::image
