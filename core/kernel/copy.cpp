#include "core/kernel/copy.h"

#include "core/base/error.h"
#include "core/kernel/call.h"
#include "core/kernel/files.h"
#include "core/kernel/inroot.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <optional>
#include <set>

#include <ctime>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace conductor::kernel {
namespace {

bool same_time(const timespec& a, const timespec& b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

// Bytes are told at most every so many of them.
constexpr uint64_t told_every = 4 << 20;

// The names of the attributes, each with a 0 behind it.
std::string list_xattrs(int fd, const std::string& what)
{
  std::array<char, 256> most; // NOLINT: filled by the kernel. Nearly all files have fewer, and none at all.
  ssize_t length = ::flistxattr(fd, most.data(), most.size());
  if (length >= 0) return {most.data(), static_cast<size_t>(length)};
  if (errno == EOPNOTSUPP || errno == ENOSYS) return {};
  std::string names(65536, '\0'); // XATTR_LIST_MAX
  if (errno == ERANGE) length = ::flistxattr(fd, names.data(), names.size());
  if (length < 0) throw Error{"list the attributes of " + what, errno};
  names.resize(static_cast<size_t>(length));
  return names;
}

// The attributes whose name is wanted, sorted.
template <class Wanted>
Xattrs xattrs_that(int fd, const std::string& what, Wanted&& wanted)
{
  Xattrs found;
  const std::string names = list_xattrs(fd, what);
  for (size_t at = 0; at < names.size();) {
    const std::string name{names.c_str() + at};
    at += name.size() + 1;
    if (!wanted(name)) continue;
    std::string value(65536, '\0'); // XATTR_SIZE_MAX
    const ssize_t size = ::fgetxattr(fd, name.c_str(), value.data(), value.size());
    if (size < 0 && errno == ENODATA) continue;
    if (size < 0) throw Error{"read the attribute " + name + " of " + what, errno};
    value.resize(static_cast<size_t>(size));
    found.emplace_back(name, std::move(value));
  }
  std::sort(found.begin(), found.end());
  return found;
}

// Do the items come in the order of an archive, each once? A directory comes right before its content, so the '/'
// counts as less than any other byte of a name.
bool is_in_order(const std::vector<CopyItem>& items)
{
  const auto before = [](char a, char b) {
    const auto rank = [](char c) { return c == '/' ? 0 : static_cast<unsigned char>(c); };
    return rank(a) < rank(b);
  };
  return std::adjacent_find(items.begin(), items.end(), [&](const CopyItem& a, const CopyItem& b) {
           return !std::lexicographical_compare(a.target.begin(), a.target.end(), b.target.begin(), b.target.end(),
                                                before);
         }) == items.end();
}

std::string directory_of(const std::string& path)
{
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

// Files are made with the modes that they are to have.
class Unmasked {
public:
  Unmasked() : mask_(::umask(0)) {}
  Unmasked(const Unmasked&) = delete;
  Unmasked& operator=(const Unmasked&) = delete;
  ~Unmasked() { ::umask(mask_); }

private:
  mode_t mask_;
};

class Copier {
public:
  Copier(Trace& trace, const CopyPlan& plan, Step& step) : trace_(trace), plan_(plan), step_(step)
  {
    for (const CopyItem& item : plan.items)
      if (S_ISREG(item.facts.mode)) total_ += item.facts.size;
    if (plan.watcher != nullptr && plan.below != nullptr && is_in_order(plan.items)) watcher_ = plan.watcher;
  }

  bool run()
  {
    const Unmasked unmasked;
    if (watcher_ != nullptr) {
      find_touched();
      watch_directory("", nullptr);
    }
    for (const CopyItem& item : plan_.items) {
      trace_.throw_if_interrupted();
      if (plan_.below != nullptr && S_ISDIR(item.facts.mode)) {
        const bool there = plan_.below->find(item.target) == LayerView::Kind::directory;
        if (there && !item.dress) continue;
        if (there) bring_up(item.target, &item);
      }
      const size_t slash = item.target.rfind('/');
      const int parent = parent_of(item.target);
      const std::string name = slash == std::string::npos ? item.target : item.target.substr(slash + 1);
      if (S_ISDIR(item.facts.mode))
        directory(item, parent, name);
      else
        replace(item, parent, name);
    }
    // Last, since making an entry changes the time of its directory.
    for (auto& [fd, time] : directories_) set_times(fd.get(), time);
    if (watcher_ != nullptr) keep_promises();
    return watcher_ != nullptr;
  }

private:
  // The files of one directory come one behind the other: it is looked up once.
  class Directory {
  public:
    int open(int root, const std::string& path)
    {
      if (!fd_ || path != path_) fd_ = open_in_root(root, path, O_PATH | O_DIRECTORY);
      path_ = path;
      return fd_.get();
    }

  private:
    std::string path_;
    Fd fd_;
  };

  int parent_of(const std::string& target)
  {
    const std::string parent = directory_of(target);
    if (plan_.below != nullptr) bring_up(parent);
    return targets_.open(plan_.root, parent.empty() ? "." : parent);
  }

  // A directory of the layers below that gets something new, or new facts, becomes one of this layer too: with the
  // mode, owner, times and attributes that it has there, as overlayfs copies it up. So do those on the way to it, and
  // they keep their times.
  // dressed: by which item, which then tells the watcher of it.
  void bring_up(const std::string& path, const CopyItem* dressed = nullptr)
  {
    if (path.empty() || path == brought_) return;
    const size_t slash = path.rfind('/');
    const std::string above = directory_of(path);
    struct stat status {};
    if (!is_in_layer(path, status)) {
      bring_up(above);
      const Fd parent = open_in_root(plan_.root, above.empty() ? "." : above, O_RDONLY | O_DIRECTORY);
      if (::fstat(parent.get(), &status) < 0) throw Error{"look at /" + above, errno};
      copy_directory(path, parent.get(), path.substr(slash == std::string::npos ? 0 : slash + 1));
      const std::array<timespec, 2> times{status.st_atim, status.st_mtim};
      ::futimens(parent.get(), times.data());
      if (dressed == nullptr) watch_directory(path, nullptr);
    }
    brought_ = path;
  }

  bool is_in_layer(const std::string& path, struct stat& status) const
  {
    // Nothing in this layer is a link on the way to a directory of the plan (fits_onto).
    if (::fstatat(plan_.root, path.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) return true;
    if (errno == ENOENT) return false;
    throw Error{"look at /" + path, errno};
  }

  void copy_directory(const std::string& path, int parent, const std::string& name) const
  {
    const Fd from = plan_.below->open_directory(path);
    struct stat status {};
    if (::fstat(from.get(), &status) < 0) throw Error{"look at /" + path, errno};
    if (::mkdirat(parent, name.c_str(), 0700) < 0) throw Error{"make the directory /" + path, errno, cure_of(errno)};
    const Fd to = kernel::open_directory(parent, name);
    if (::fchown(to.get(), status.st_uid, status.st_gid) < 0 || ::fchmod(to.get(), status.st_mode & 07777) < 0)
      throw Error{"change the owner and mode of /" + path, errno};
    const auto attributes = xattrs_that(from.get(), "/" + path,
                                        [](std::string_view each) { return !each.starts_with("trusted.overlay."); });
    for (const auto& [key, value] : attributes)
      if (::fsetxattr(to.get(), key.c_str(), value.data(), value.size(), 0) < 0)
        throw Error{"set the attribute " + key + " of /" + path, errno};
    const std::array<timespec, 2> times{status.st_atim, status.st_mtim};
    ::futimens(to.get(), times.data());
  }

  [[noreturn]] static void fail(const char* what, const CopyItem& item, int number)
  {
    throw Error{fmt::format("{} /{}", what, item.target), number,
                number == ENOSPC || number == EDQUOT ? "free some space, or choose another directory with --root" : ""};
  }

  static void set_times(int fd, const timespec& modified)
  {
    const std::array<timespec, 2> times{modified, modified};
    ::futimens(fd, times.data()); // a time that the file system cannot hold is no reason to fail
  }

  // Owner first: chown(2) takes set-id bits and capabilities away.
  void set_attributes(int fd, const CopyItem& item)
  {
    // What is made is root's and has the mode that was asked for, mostly: then a look is all, and costs a tenth.
    struct stat now {};
    if (::fstat(fd, &now) < 0) fail("look at", item, errno);
    const bool owned = now.st_uid == item.uid && now.st_gid == item.gid;
    if (!owned && ::fchown(fd, item.uid, item.gid) < 0) fail("change the owner of", item, errno);
    const mode_t mode = item.facts.mode & 07777;
    if ((!owned || (now.st_mode & 07777) != mode) && ::fchmod(fd, mode) < 0) fail("change the mode of", item, errno);
    for (const auto& [name, value] : item.facts.xattrs)
      if (::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) < 0) {
        if (errno != EOPNOTSUPP) fail(("set the attribute " + name + " of").c_str(), item, errno);
        watcher_ = nullptr;
      }
  }

  void directory(const CopyItem& item, int parent, const std::string& name)
  {
    if (::mkdirat(parent, name.c_str(), 0700) < 0) {
      if (errno != EEXIST) fail("make directory", item, errno);
      // There already: a directory, or a link to one, stays as it is. Where the link leads nowhere, its target is made:
      // below the root, wherever it points.
      if (!find_in_root(plan_.root, item.target, O_PATH | O_DIRECTORY))
        make_directories_in_root(trace_, plan_.root, item.target, 0755);
      if (!item.dress) return;
    }
    Fd fd{::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    if (!fd && item.dress && (errno == ELOOP || errno == ENOTDIR)) return; // a link to a directory
    if (!fd) fail("open", item, errno);
    set_attributes(fd.get(), item);
    if (watcher_ != nullptr) return watch_directory(item.target, &item.facts.modified);
    if (directories_.size() < most_open)
      directories_.emplace_back(std::move(fd), item.facts.modified);
    else
      set_times(fd.get(), item.facts.modified);
  }

  static void clear(const CopyItem& item, int parent, const std::string& name)
  {
    if (::unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT) return;
    if (errno == EISDIR) throw Error{"copy to /" + item.target, EISDIR, "a directory is there already"};
    fail("replace", item, errno);
  }

  void replace(const CopyItem& item, int parent, const std::string& name)
  {
    if (S_ISREG(item.facts.mode) && item.twin.empty()) return file(item, parent, name);
    clear(item, parent, name);
    if (!item.twin.empty()) return twin(item, parent, name);
    if (S_ISLNK(item.facts.mode)) {
      if (::symlinkat(item.facts.link.c_str(), parent, name.c_str()) < 0) fail("make link", item, errno);
    } else if (::mknodat(parent, name.c_str(), S_IFIFO | (item.facts.mode & 07777), 0) < 0) {
      fail("make fifo", item, errno);
    }
    if (::fchownat(parent, name.c_str(), item.uid, item.gid, AT_SYMLINK_NOFOLLOW) < 0)
      fail("change the owner of", item, errno);
    const std::array<timespec, 2> times{item.facts.modified, item.facts.modified};
    ::utimensat(parent, name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW);
    watch_name(item, parent, name);
  }

  void twin(const CopyItem& item, int parent, const std::string& name)
  {
    const Fd other = open_in_root(plan_.root, item.twin, O_PATH | O_NOFOLLOW);
    const std::string path = "/proc/self/fd/" + std::to_string(other.get());
    if (::linkat(AT_FDCWD, path.c_str(), parent, name.c_str(), AT_SYMLINK_FOLLOW) < 0)
      fail("make hard link", item, errno);
    watch_name(item, parent, name);
  }

  static void write_all(const CopyItem& item, int to, const char* bytes, size_t length)
  {
    for (size_t written = 0; written < length;) {
      const ssize_t now = ::write(to, bytes + written, length - written);
      if (now < 0 && errno != EINTR) fail("write", item, errno);
      if (now > 0) written += static_cast<size_t>(now);
    }
  }

  void check_unchanged(const CopyItem& item, int fd)
  {
    struct stat now {};
    if (::fstat(fd, &now) < 0) fail("look at the source of", item, errno);
    const FileFacts& then = item.facts;
    const bool same = S_ISREG(now.st_mode) && now.st_ino == then.inode &&
                      static_cast<uint64_t>(now.st_size) == then.size && same_time(now.st_ctim, then.changed);
    if (!same) throw Error{"'" + item.source + "' changed while it was being copied", 0, "build again"};
  }

  // Most are new: only what is in the way is taken away first.
  static Fd fresh_file(const CopyItem& item, int parent, const std::string& name)
  {
    for (int attempt = 0;; ++attempt) {
      Fd made{
          ::openat(parent, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, item.facts.mode & 0777)};
      if (made) return made;
      if (errno != EEXIST || attempt > 0) fail("make", item, errno);
      clear(item, parent, name);
    }
  }

  Fd open_source(const CopyItem& item)
  {
    const size_t slash = item.source.rfind('/');
    const int parent =
        sources_.open(plan_.source_root, slash == std::string::npos ? "." : item.source.substr(0, slash));
    const std::string name = item.source.substr(slash == std::string::npos ? 0 : slash + 1);
    Fd from{::openat(parent, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
    if (!from) throw Error{"open '" + item.source + "'", errno};
    return from;
  }

  void file(const CopyItem& item, int parent, const std::string& name)
  {
    const Fd to = fresh_file(item, parent, name);
    watch_file(item);
    if (item.source.empty()) {
      write_all(item, to.get(), item.content.data(), item.content.size());
      if (watcher_ != nullptr) watcher_->content(item.content);
    } else {
      const Fd from = open_source(item);
      check_unchanged(item, from.get());
      content(item, from.get(), to.get());
      check_unchanged(item, from.get());
    }
    set_attributes(to.get(), item);
    set_times(to.get(), item.facts.modified);
    check_promise(to.get(), status_of(item));
  }

  // ---- what the watcher hears
  //
  // The header of an entry stands in front of what decides its time, so times are promised and kept afterwards: "now"
  // is the beginning of the copy. What the file system made of a promise is looked at; where it is not what was told,
  // the watcher has heard nothing.

  // The directories that get a new entry.
  void find_touched()
  {
    ::clock_gettime(CLOCK_REALTIME, &now_);
    for (const CopyItem& item : plan_.items)
      if (!S_ISDIR(item.facts.mode) || plan_.below->find(item.target) != LayerView::Kind::directory)
        touched_.insert(directory_of(item.target));
  }

  // modified: of a directory that has one by the plan.
  void watch_directory(const std::string& name, const timespec* modified)
  {
    if (watcher_ == nullptr) return;
    const Fd fd = open_in_root(plan_.root, name.empty() ? "." : name, O_RDONLY | O_DIRECTORY);
    struct stat status {};
    if (::fstat(fd.get(), &status) < 0) throw Error{"look at /" + name, errno};
    if (modified != nullptr)
      status.st_mtim = *modified;
    else if (touched_.contains(name))
      status.st_mtim = now_;
    promises_.emplace_back(name, status);
    watcher_->node(name, status, read_xattrs(fd.get(), "/" + name), "");
  }

  static struct stat status_of(const CopyItem& item)
  {
    struct stat status {};
    status.st_mode = item.facts.mode;
    status.st_uid = item.uid;
    status.st_gid = item.gid;
    status.st_size = static_cast<off_t>(item.source.empty() ? item.content.size() : item.facts.size);
    status.st_mtim = item.facts.modified;
    return status;
  }

  void watch_file(const CopyItem& item)
  {
    if (watcher_ != nullptr) watcher_->node(item.target, status_of(item), item.facts.xattrs, "");
  }

  void watch_name(const CopyItem& item, int parent, const std::string& name)
  {
    if (watcher_ == nullptr) return;
    struct stat status {};
    if (::fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) fail("look at", item, errno);
    watcher_->node(item.target, status, {}, item.twin.empty() ? item.facts.link : item.twin);
  }

  void check_promise(int fd, const struct stat& told)
  {
    struct stat now {};
    if (watcher_ == nullptr) return;
    const bool kept = ::fstat(fd, &now) == 0 && now.st_mode == told.st_mode && now.st_uid == told.st_uid &&
                      now.st_gid == told.st_gid && now.st_mtim.tv_sec == told.st_mtim.tv_sec &&
                      (S_ISDIR(told.st_mode) || now.st_size == told.st_size);
    if (!kept) watcher_ = nullptr;
  }

  void keep_promises()
  {
    for (const auto& [name, status] : promises_) {
      const Fd fd = open_in_root(plan_.root, name.empty() ? "." : name, O_RDONLY | O_DIRECTORY);
      set_times(fd.get(), status.st_mtim);
      check_promise(fd.get(), status);
    }
  }

  // Blocks are shared where the file system can (ioctl_ficlone(2)). Where it cannot, copy_file_range(2) would copy too,
  // but by way of a pipe, which for small files takes longer than read(2) and write(2).
  void content(const CopyItem& item, int from, int to)
  {
    if (shares_ && item.facts.size > 0) {
      if (::ioctl(to, FICLONE, from) == 0) return cloned(item, from);
      // Some do not share this one file (another block size, other flags); the rest never share any.
      if (errno != EINVAL && errno != EPERM && errno != ETXTBSY) shares_ = false;
    }
    content_by_hand(item, from, to);
  }

  void cloned(const CopyItem& item, int from)
  {
    if (watcher_ == nullptr) return told(item.facts.size);
    content_by_hand(item, from, -1);
  }

  // to: -1 where the watcher alone wants it.
  void content_by_hand(const CopyItem& item, int from, int to)
  {
    std::array<char, 262144> buffer; // NOLINT: filled by read(2)
    for (;;) {
      const ssize_t got = ::read(from, buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw Error{"read '" + item.source + "'", errno};
      if (got == 0) return;
      trace_.throw_if_interrupted();
      if (to >= 0) write_all(item, to, buffer.data(), static_cast<size_t>(got));
      if (watcher_ != nullptr) watcher_->content({buffer.data(), static_cast<size_t>(got)});
      told(static_cast<uint64_t>(got));
    }
  }

  void told(uint64_t bytes)
  {
    done_ += bytes;
    if (done_ - last_told_ < told_every) return;
    last_told_ = done_;
    step_.progress(done_, total_, "bytes");
  }

  static constexpr size_t most_open = 200; // directories waiting for their time; the rest get it at once
  Trace& trace_;
  const CopyPlan& plan_;
  Step& step_;
  uint64_t total_ = 0, done_ = 0, last_told_ = 0;
  std::vector<std::pair<Fd, timespec>> directories_;
  Directory targets_, sources_;
  std::string brought_;            // the directory that bring_up() took last
  CopyWatcher* watcher_ = nullptr; // none: nobody listens, or not any more
  timespec now_{};
  std::set<std::string> touched_;
  std::vector<std::pair<std::string, struct stat>> promises_; // of directories
  bool shares_ = true; // FICLONE works between the two file systems, as far as we know
};

} // namespace

bool fits_onto(const CopyPlan& plan, LayerView& layers)
{
  using Kind = LayerView::Kind;
  std::map<std::string_view, bool> directories;
  for (const CopyItem& item : plan.items) {
    const bool is_directory = S_ISDIR(item.facts.mode);
    // One thing in the way of another of the same plan.
    if (const auto [other, fresh] = directories.emplace(item.target, is_directory);
        !fresh && other->second != is_directory)
      return false;
    const Kind there = layers.find(item.target);
    if (there == Kind::beyond_link) return false;
    if (is_directory ? there == Kind::link || there == Kind::other : there == Kind::directory) return false;
  }
  return true;
}

bool is_carried(std::string_view attribute)
{
  if (attribute.starts_with("user.overlay.")) return false;
  return attribute.starts_with("user.") || attribute == "security.capability";
}

Xattrs read_xattrs(int fd, const std::string& what) { return xattrs_that(fd, what, is_carried); }

FileFacts facts_of(int fd, const std::string& what)
{
  struct stat status {};
  if (::fstat(fd, &status) < 0) throw Error{"look at " + what, errno};
  FileFacts facts{.mode = status.st_mode,
                  .size = static_cast<uint64_t>(status.st_size),
                  .modified = status.st_mtim,
                  .changed = status.st_ctim,
                  .device = status.st_dev,
                  .inode = status.st_ino,
                  .links = status.st_nlink,
                  .uid = status.st_uid,
                  .gid = status.st_gid};
  if (S_ISLNK(status.st_mode)) {
    std::array<char, 4096> buffer{};
    const ssize_t length = ::readlinkat(fd, "", buffer.data(), buffer.size()); // an O_PATH descriptor of the link
    if (length < 0) throw Error{"read the link " + what, errno};
    facts.link.assign(buffer.data(), static_cast<size_t>(length));
  }
  const bool opened = (::fcntl(fd, F_GETFL) & O_PATH) == 0;
  if (opened && (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode))) facts.xattrs = read_xattrs(fd, what);
  return facts;
}

bool copy_into_root(Trace& trace, const CopyPlan& plan, Step& step)
{
  std::optional<Error> error;
  bool watched = false;
  const auto result = perform(
      trace, "copy",
      [&] {
        const std::string place = plan.below != nullptr ? path_of(plan.root) : "";
        return CallText{fmt::format("read, write and friends: {} entries ({}){}", plan.items.size(), plan.text,
                                    place.empty() ? "" : " below \"" + place + "\""),
                        plan.text + (place.empty() ? "" : "   # below " + place)};
      },
      [&]() -> long {
        try {
          watched = Copier{trace, plan, step}.run();
          return 0;
        } catch (const Error& failed) {
          error = failed;
          errno = failed.number() != 0 ? failed.number() : EIO;
          return -1;
        }
      });
  if (error) throw Error{*error};
  if (result.failed()) throw Error{plan.text, result.error};
  return watched;
}

namespace {

void clamp_below(int directory, int64_t newest)
{
  const std::array<timespec, 2> times{timespec{.tv_sec = newest}, timespec{.tv_sec = newest}};
  for (const std::string& name : list_directory(directory, ".")) {
    struct stat status {};
    if (::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) throw Error{"look at " + name, errno};
    if (S_ISDIR(status.st_mode)) {
      const Fd below = open_directory(directory, name);
      clamp_below(below.get(), newest);
    }
    const bool newer =
        status.st_mtim.tv_sec > newest || (status.st_mtim.tv_sec == newest && status.st_mtim.tv_nsec > 0);
    if (newer && ::utimensat(directory, name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) < 0)
      throw Error{"set the time of " + name, errno};
  }
}

} // namespace

void clamp_times(Trace& trace, int at, const std::string& path, int64_t newest)
{
  std::optional<Error> error;
  const auto result = perform(
      trace, "utimensat",
      [&] {
        return CallText{fmt::format("utimensat of all that is newer than {} in {}", newest, path),
                        fmt::format("find {} -newermt @{} -exec touch -hd @{} {{}} +", path, newest, newest)};
      },
      [&]() -> long {
        try {
          const Fd top = open_directory(at, path);
          clamp_below(top.get(), newest);
          const std::array<timespec, 2> times{timespec{.tv_sec = newest}, timespec{.tv_sec = newest}};
          struct stat status {};
          if (::fstat(top.get(), &status) == 0 && status.st_mtim.tv_sec >= newest) ::futimens(top.get(), times.data());
          return 0;
        } catch (const Error& failed) {
          error = failed;
          errno = failed.number() != 0 ? failed.number() : EIO;
          return -1;
        }
      });
  if (error) throw Error{*error};
  if (result.failed()) throw Error{"clamp the times in " + path, result.error};
}

} // namespace conductor::kernel
