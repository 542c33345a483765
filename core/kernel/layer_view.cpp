#include "core/kernel/layer_view.h"

#include "core/base/error.h"
#include "core/kernel/abi.h"
#include "core/kernel/files.h"
#include "core/kernel/layer_tree.h"

#include <algorithm>
#include <cerrno>
#include <numeric>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

namespace conductor::kernel {
namespace {

Fd open_beneath(int top, const std::string& path)
{
  constexpr unsigned flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  constexpr uint64_t resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  for (;;) {
    Fd fd{sys_openat2(top, path.empty() ? "." : path.c_str(), flags, 0, resolve)};
    if (fd) return fd;
    if (errno != EAGAIN && errno != EINTR) throw Error{"open /" + path + " of a layer", errno};
  }
}

bool is_opaque(int directory)
{
  char mark = 0;
  return ::fgetxattr(directory, opaque_attribute, &mark, 1) == 1 && mark == 'y';
}

bool is_whiteout(const struct stat& status) { return S_ISCHR(status.st_mode) && status.st_rdev == makedev(0, 0); }

} // namespace

LayerView::LayerView(int at, const std::vector<std::string>& layers)
{
  for (const std::string& layer : layers) tops_.push_back(kernel::open_directory(at, layer));
  std::reverse(tops_.begin(), tops_.end());
  // An opaque mark on a top hides nothing: overlayfs does not look for it there.
  Shares& all = directories_[""];
  all.resize(tops_.size());
  std::iota(all.begin(), all.end(), size_t{0});
  enter("");
}

void LayerView::enter(const std::string& directory)
{
  if (directory == entered_ && !here_.empty()) return;
  here_.clear();
  for (const size_t layer : directories_.at(directory)) here_.push_back(open_beneath(tops_[layer].get(), directory));
  entered_ = directory;
}

LayerView::Kind LayerView::look(const std::string& directory, const std::string& name, Shares& shares)
{
  enter(directory);
  const Shares& above = directories_.at(directory);
  for (size_t at = 0; at < here_.size(); ++at) {
    struct stat status {};
    if (::fstatat(here_[at].get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) {
      if (errno == ENOENT) continue;
      throw Error{"look at /" + directory + "/" + name + " of a layer", errno};
    }
    if (!S_ISDIR(status.st_mode)) {
      if (!shares.empty()) break;
      if (is_whiteout(status)) return Kind::nothing;
      return S_ISLNK(status.st_mode) ? Kind::link : Kind::other;
    }
    shares.push_back(above[at]);
    if (is_opaque(open_beneath(here_[at].get(), name).get())) break;
  }
  return shares.empty() ? Kind::nothing : Kind::directory;
}

LayerView::Kind LayerView::find(const std::string& path)
{
  if (directories_.contains(path)) return Kind::directory;
  if (!missing_.empty() && path.starts_with(missing_) && path[missing_.size()] == '/') return Kind::nothing;
  const size_t slash = path.rfind('/');
  const std::string above = slash == std::string::npos ? "" : path.substr(0, slash);
  switch (find(above)) {
  case Kind::directory: break;
  case Kind::link:
  case Kind::beyond_link: return Kind::beyond_link;
  default: return Kind::nothing;
  }
  Shares shares;
  const Kind kind = look(above, path.substr(slash == std::string::npos ? 0 : slash + 1), shares);
  if (kind == Kind::directory) directories_.emplace(path, std::move(shares));
  if (kind == Kind::nothing) missing_ = path;
  return kind;
}

Fd LayerView::open_directory(const std::string& path)
{
  if (find(path) != Kind::directory) throw Error{"open the directory /" + path + " of the layers", ENOTDIR};
  const Shares& shares = directories_.at(path);
  if (shares.empty()) throw Error{"open the directory /" + path + " of no layers", ENOENT};
  return open_beneath(tops_[shares.front()].get(), path);
}

std::optional<Fd> LayerView::open(const std::string& path, int flags)
{
  const Kind kind = find(path);
  if (kind == Kind::nothing || kind == Kind::beyond_link) return std::nullopt;
  if (kind == Kind::directory) return open_directory(path);
  const size_t slash = path.rfind('/');
  enter(slash == std::string::npos ? "" : path.substr(0, slash));
  const std::string name = path.substr(slash == std::string::npos ? 0 : slash + 1);
  for (const Fd& layer : here_) {
    Fd found{::openat(layer.get(), name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC)};
    if (found) return found;
    if (errno != ENOENT) break;
  }
  throw Error{"open /" + path + " of a layer", errno};
}

std::set<std::string> LayerView::list(const std::string& path)
{
  enter(path);
  std::set<std::string> names, gone;
  for (const Fd& layer : here_)
    for (const std::string& name : kernel::list_directory(layer.get(), ".")) {
      if (names.contains(name) || gone.contains(name)) continue;
      struct stat status {};
      if (::fstatat(layer.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) continue;
      (is_whiteout(status) ? gone : names).insert(name);
    }
  return names;
}

} // namespace conductor::kernel
