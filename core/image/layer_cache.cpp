#include "core/image/layer_cache.h"

#include "core/base/error.h"
#include "core/kernel/files.h"
#include "core/store/images.h"

#include <cerrno>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>

namespace conductor::image {
namespace {

constexpr const char* nothing = "none"; // what the link of a step says that changed nothing

// Is the locked file still the one that lies there? A sweeper removes lock files that nobody holds.
bool is_current(int fd, int at, const std::string& path)
{
  struct stat ours {};
  struct stat there {};
  return fstat(fd, &ours) == 0 && fstatat(at, path.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
         ours.st_ino == there.st_ino;
}

} // namespace

std::optional<std::string> find_cached(const Root& root, const std::string& key)
{
  auto layer = kernel::read_link(root.dir(), "cache/" + key);
  if (!layer) return std::nullopt;
  if (*layer == nothing) return std::string{};
  if (!Images{root}.has_layer(*layer)) return std::nullopt;
  return layer;
}

void remember(const Root& root, const std::string& key, const std::string& layer)
{
  kernel::replace_symlink(root.trace(), layer.empty() ? nothing : layer, root.dir(), "cache/" + key);
}

StepLock::StepLock(const Root& root, const std::string& key) : root_(root), path_("tmp/lock-" + key)
{
  for (bool told = false;;) {
    if (!fd_) fd_ = Fd{openat(root.dir(), path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (!fd_) throw Error{"lock a build step: open " + root.path() + "/" + path_, errno, kernel::cure_of(errno)};
    if (flock(fd_.get(), LOCK_EX | LOCK_NB) == 0) {
      if (is_current(fd_.get(), root.dir(), path_)) return;
      fd_.reset();
      continue;
    }
    if (errno != EWOULDBLOCK && errno != EINTR) throw Error{"lock a build step", errno};
    if (!told) root.trace().notice("another build is making this step; waiting for its layer");
    told = true;
    root.trace().throw_if_interrupted();
    poll(nullptr, 0, 20); // flock(2) knows no time limit, and cannot be interrupted without losing our place
  }
}

// The file goes while it is still locked: who opened it meanwhile finds that it is not the current one.
StepLock::~StepLock()
{
  try {
    kernel::remove_file(root_.trace(), root_.dir(), path_);
  } catch (const Error& error) {
    root_.trace().notice(error.sentence());
  }
}

} // namespace conductor::image
