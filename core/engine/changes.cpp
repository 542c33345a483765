#include "core/engine/changes.h"

#include "core/base/error.h"
#include "core/kernel/copy.h"
#include "core/kernel/files.h"
#include "core/kernel/layer_tree.h"
#include "core/kernel/layer_view.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace conductor {
namespace {

using Kind = kernel::LayerView::Kind;

// Places that a start makes where the image has none, to mount something on them.
constexpr const char* own_places[] = {"proc", "sys", "dev", "etc/hosts", "etc/resolv.conf"};

bool same_time(const timespec& a, const timespec& b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

bool same_owner_and_mode(const struct stat& a, const struct stat& b)
{
  return a.st_mode == b.st_mode && a.st_uid == b.st_uid && a.st_gid == b.st_gid;
}

bool same_content(int a, int b)
{
  std::array<char, 65536> first, second; // NOLINT: filled by read(2)
  for (;;) {
    const ssize_t got = ::read(a, first.data(), first.size());
    const ssize_t other = ::read(b, second.data(), second.size());
    if (got < 0 || other < 0) throw Error{"compare two files", errno};
    if (got != other || !std::equal(first.data(), first.data() + got, second.data())) return false;
    if (got == 0) return true;
  }
}

bool is_whiteout(const struct stat& status) { return S_ISCHR(status.st_mode) && status.st_rdev == makedev(0, 0); }

bool is_opaque(int directory)
{
  char mark = 0;
  return ::fgetxattr(directory, kernel::opaque_attribute, &mark, 1) == 1 && mark == 'y';
}

class Comparison {
public:
  Comparison(const Root& root, const Spec& spec) : below_(root.dir(), Images::stack(spec.layers))
  {
    for (const char* place : own_places) places_.insert(place);
    for (const Volume& volume : spec.volumes) places_.insert(volume.target.substr(1));
    for (const std::string& target : spec.tmpfs) places_.insert(memory_mount(target).target.substr(1));
  }

  std::vector<Change> run(int upper)
  {
    directory(upper, "", true);
    std::sort(found_.begin(), found_.end(), [](const Change& a, const Change& b) { return a.path < b.path; });
    return std::move(found_);
  }

private:
  // What there was to tell of a directory's content.
  struct Content {
    bool told = false;   // something
    bool silent = false; // a place of ours was passed over
  };

  void tell(const std::string& path, ChangeKind kind) { found_.push_back({"/" + path, kind}); }

  // was: there is a directory of that name below.
  Content directory(int upper, const std::string& path, bool was)
  {
    Content content;
    const std::vector<std::string> names = kernel::list_directory(upper, ".");
    for (const std::string& name : names) {
      const Content one = entry(upper, name, path.empty() ? name : path + "/" + name, was);
      content.told = content.told || one.told;
      content.silent = content.silent || one.silent;
    }
    // It was deleted and made anew: what it had before and has no more.
    if (was && !path.empty() && is_opaque(upper))
      for (const std::string& name : below_.list(path))
        if (!std::binary_search(names.begin(), names.end(), name)) {
          tell(path + "/" + name, ChangeKind::deleted);
          content.told = true;
        }
    return content;
  }

  Content entry(int parent, const std::string& name, const std::string& path, bool was)
  {
    struct stat status {};
    if (::fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) {
      if (errno == ENOENT) return {}; // the container runs on
      throw Error{"look at /" + visible(path, 200), errno};
    }
    const Kind before = was ? below_.find(path) : Kind::nothing;
    if (is_whiteout(status)) {
      if (before == Kind::nothing) return {};
      tell(path, ChangeKind::deleted);
      return {.told = true};
    }
    if (S_ISDIR(status.st_mode)) return subdirectory(parent, name, path, before, status);
    if (before == Kind::nothing) {
      if (status.st_size == 0 && places_.contains(path)) return {.silent = true};
      tell(path, ChangeKind::added);
      return {.told = true};
    }
    if (before != Kind::directory && is_same(parent, name, path, status)) return {};
    tell(path, ChangeKind::changed);
    return {.told = true};
  }

  Content subdirectory(int parent, const std::string& name, const std::string& path, Kind before,
                       const struct stat& status)
  {
    const Fd upper{::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    if (!upper && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)) return {};
    if (!upper) throw Error{"open /" + visible(path, 200), errno};
    const bool was = before == Kind::directory;
    const Content content = directory(upper.get(), path, was);
    if (before == Kind::nothing) {
      if (!content.told && leads_to_place(path)) return {.silent = true};
      tell(path, ChangeKind::added);
    } else if (was && !content.told && is_same_directory(upper.get(), path, status, content)) {
      return {.silent = content.silent};
    } else {
      tell(path, ChangeKind::changed);
    }
    return {.told = true};
  }

  // Is it a place of ours, or on the way to one?
  bool leads_to_place(const std::string& path) const
  {
    const auto next = places_.lower_bound(path);
    if (next != places_.end() && *next == path) return true;
    const auto inside = places_.lower_bound(path + "/");
    return inside != places_.end() && inside->starts_with(path + "/");
  }

  bool is_same_directory(int upper, const std::string& path, const struct stat& now, const Content& content)
  {
    const Fd lower = below_.open_directory(path);
    struct stat then {};
    if (::fstat(lower.get(), &then) < 0) throw Error{"look at /" + visible(path, 200) + " of a layer", errno};
    if (!same_owner_and_mode(now, then)) return false;
    // Its time says that a name came or went, which we may have done.
    if (!content.silent && !same_time(now.st_mtim, then.st_mtim)) return false;
    return kernel::read_xattrs(upper, "/" + visible(path)) == kernel::read_xattrs(lower.get(), "/" + visible(path));
  }

  // A file that was only opened for writing lies in the layer as well.
  bool is_same(int parent, const std::string& name, const std::string& path, const struct stat& now)
  {
    const int flags = S_ISREG(now.st_mode) ? O_RDONLY | O_NONBLOCK : O_PATH;
    const auto lower = below_.open(path, O_PATH);
    struct stat then {};
    if (!lower || ::fstat(lower->get(), &then) < 0)
      throw Error{"look at /" + visible(path, 200) + " of a layer", errno};
    if (!same_owner_and_mode(now, then) || now.st_size != then.st_size || !same_time(now.st_mtim, then.st_mtim))
      return false;
    if (S_ISLNK(now.st_mode)) return kernel::read_link(parent, name) == kernel::read_link(lower->get(), "");
    if (!S_ISREG(now.st_mode)) return true;
    const Fd here{::openat(parent, name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC)};
    const auto there = below_.open(path, flags);
    if (!here || !there) return false; // gone meanwhile
    return kernel::read_xattrs(here.get(), "/" + visible(path)) ==
               kernel::read_xattrs(there->get(), "/" + visible(path)) &&
           same_content(here.get(), there->get());
  }

  kernel::LayerView below_;
  std::set<std::string> places_;
  std::vector<Change> found_;
};

std::string_view word(ChangeKind kind)
{
  switch (kind) {
  case ChangeKind::added: return "added";
  case ChangeKind::deleted: return "deleted";
  default: return "changed";
  }
}

} // namespace

std::vector<Change> changes(Context& context, const std::string& id)
{
  const Images images{context.root};
  const Fd hold = images.hold_layers();
  const Spec spec = settle(context, id).spec;
  // A container that never ran has no layer yet.
  const auto upper = kernel::find_directory(context.root.dir(), Containers{context.root}.path(id) + "/rw/upper");
  return upper ? Comparison{context.root, spec}.run(upper->get()) : std::vector<Change>{};
}

std::string changes_json(const std::vector<Change>& changes)
{
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Change& change : changes) list.push_back({{"path", change.path}, {"change", word(change.kind)}});
  return list.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

} // namespace conductor
