#include "core/kernel/layer_tree.h"

#include "core/base/error.h"
#include "core/base/guard.h"
#include "core/kernel/abi.h"
#include "core/kernel/call.h"
#include "core/kernel/files.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace conductor::kernel {
namespace {

constexpr uint64_t beneath = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
// The file system is asked how much room it has after so many bytes, and after so many entries.
constexpr uint64_t guarded_bytes = 16 << 20;
constexpr uint64_t guarded_entries = 2048;
// So much of it stays free whatever an image holds: a full disk would take everything else down with it.
constexpr uint64_t most_reserve = uint64_t{1} << 30;
constexpr uint64_t reserve_share = 20; // or a twentieth of the disk, where that is less

constexpr size_t most_implied = 10'000;

std::string parent_name(const std::string& name)
{
  const size_t slash = name.rfind('/');
  return slash == std::string::npos ? std::string{} : name.substr(0, slash);
}
std::string base_name(const std::string& name) { return name.substr(name.rfind('/') + 1); }

int open_guarded(int top, const std::string& name, int flags)
{
  for (;;) {
    const int fd = sys_openat2(top, name.empty() ? "." : name.c_str(), static_cast<unsigned>(flags | O_CLOEXEC), 0,
                               holds(guard::beneath_layer) ? beneath : 0);
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) return fd;
  }
}

bool is_whiteout(const struct stat& status) { return S_ISCHR(status.st_mode) && status.st_rdev == makedev(0, 0); }
bool later(const timespec& a, const timespec& b)
{
  return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

} // namespace

LayerTree::LayerTree(Trace& trace, int at, const std::string& path, TreeUse use) : at_(at), path_(path), use_(use)
{
  const auto result = perform(
      trace, "unpack",
      [&] {
        return CallText{fmt::format("mkdir(\"{0}/{1}\") and write the layer's files below it", path_of(at), path),
                        fmt::format("mkdir {0}/{1} && tar -x -C {0}/{1}", path_of(at), path)};
      },
      [&] { return ::mkdirat(at, path.c_str(), 0755); });
  if (result.failed()) throw Error{"make the directory of a layer", result.error, cure_of(result.error)};
  top_ = open_directory(at, path);
  // The umask is the caller's, the mode of a layer is not.
  if (::fchmod(top_.get(), 0755) < 0) throw Error{"change the mode of a layer", errno};
  implied_.insert("");
}

void LayerTree::fail(const char* what, const std::string& name, int number) const
{
  // The name is the archive's: whatever is no text in it is shown as such.
  std::string shown;
  for (const char c : name.substr(0, 200)) {
    const auto byte = static_cast<unsigned char>(c);
    shown += byte < ' ' || byte >= 0x7f ? fmt::format("\\x{:02x}", byte) : std::string{c};
  }
  throw Error{fmt::format("{} '{}'", what, shown), number, cure_of(number)};
}

// ---- looking up

Fd LayerTree::open_beneath(const std::string& name, int flags) const
{
  return Fd{open_guarded(top_.get(), name, flags)};
}

int LayerTree::parent_of(const std::string& name)
{
  const std::string parent = parent_name(name);
  if (parent.empty()) return top_.get();
  if (parent_ && parent == parent_name_) return parent_.get();
  Fd found = open_beneath(parent, O_PATH | O_DIRECTORY);
  if (!found && errno == ENOENT) found = make_parents(parent);
  if (!found && (errno == ELOOP || errno == ENOTDIR))
    fail("the archive has something that is no directory above", name, 0);
  if (!found) fail("find the directory of", name, errno);
  parent_ = std::move(found);
  parent_name_ = parent;
  return parent_.get();
}

Fd LayerTree::make_parents(const std::string& parent)
{
  for (size_t slash = parent.find('/');; slash = parent.find('/', slash + 1)) {
    const std::string part = parent.substr(0, slash);
    const Fd above = open_beneath(parent_name(part), O_PATH | O_DIRECTORY);
    if (!above) return Fd{};
    make_implied(above.get(), base_name(part), part);
    if (slash == std::string::npos) break;
  }
  return open_beneath(parent, O_PATH | O_DIRECTORY);
}

void LayerTree::make_implied(int parent, const std::string& base, const std::string& name)
{
  const Found found = look(parent, base, name);
  if (found == Found::directory) return;
  if (found == Found::other) fail("the archive has something that is no directory above what it puts into", name, 0);
  if (found == Found::whiteout) make_way(parent, base, name);
  if (::mkdirat(parent, base.c_str(), 0755) < 0 || ::fchmodat(parent, base.c_str(), 0755, 0) < 0)
    fail("make the directory", name, errno);
  implied_.insert(name);
  if (implied_.size() > most_implied)
    throw Error{"the archive leaves out more than 10,000 directories that it has something in"};
  if (found == Found::whiteout) mark_opaque(name);
}

LayerTree::Found LayerTree::look(int parent, const std::string& base, const std::string& name) const
{
  struct stat status {};
  if (::fstatat(parent, base.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) {
    if (errno != ENOENT) fail("look at", name, errno);
    return Found::nothing;
  }
  if (S_ISDIR(status.st_mode)) return Found::directory;
  return is_whiteout(status) ? Found::whiteout : Found::other;
}

// An entry takes the place of what was there, but a directory with all that is in it.
void LayerTree::make_way(int parent, const std::string& base, const std::string& name)
{
  struct stat before {};
  const bool was_file = ::fstatat(parent, base.c_str(), &before, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(before.st_mode) &&
                        before.st_nlink == 1;
  if (::unlinkat(parent, base.c_str(), 0) == 0) {
    if (was_file) content_bytes_ -= static_cast<uint64_t>(before.st_size);
    return;
  }
  if (errno == ENOENT) return;
  if (errno == EISDIR) fail("the archive has two things, one of them a directory, called", name, 0);
  fail("replace", name, errno);
}

// ---- writing

void LayerTree::guard_bytes(uint64_t bytes)
{
  if (bytes >= bytes_to_go_) ask_for_room(bytes);
  bytes_to_go_ -= std::min(bytes, bytes_to_go_);
}

// size: of the content that was announced. It is counted when it is written; here it only must fit.
void LayerTree::guard_entry(uint64_t size)
{
  if (entries_to_go_ > 0) --entries_to_go_;
  if (entries_to_go_ == 0 || size >= bytes_to_go_) ask_for_room(size);
}

// Then not again for some while: long where there is much room, short where there is little.
void LayerTree::ask_for_room(uint64_t bytes)
{
  if (use_ == TreeUse::files || !holds(guard::disk_reserve)) return;
  struct statvfs disk {};
  if (::fstatvfs(top_.get(), &disk) < 0) return;
  const uint64_t total = disk.f_blocks * disk.f_frsize;
  const uint64_t free = disk.f_bavail * disk.f_frsize;
  const uint64_t reserve = std::min(most_reserve, total / reserve_share);
  if (free < reserve || free - reserve < bytes)
    throw Error{fmt::format("the layer does not fit: it wants {} MiB more, {} MiB are free, and {} MiB stay free",
                            (bytes >> 20) + 1, free >> 20, reserve >> 20),
                ENOSPC, "free some space, or choose another directory with --root"};
  bytes_to_go_ = std::min(guarded_bytes, (free - reserve - bytes) / 4);
  entries_to_go_ = guarded_entries;
  if (disk.f_files == 0) return; // a file system without a table of inodes
  const uint64_t kept = disk.f_files / reserve_share;
  if (disk.f_favail <= kept)
    throw Error{"the layer does not fit: it has more files than this file system can hold", ENOSPC,
                "choose another directory with --root"};
  entries_to_go_ = std::min(guarded_entries, (disk.f_favail - kept) / 4 + 1);
}

// Owner first: chown(2) takes set-id bits and capabilities away.
void LayerTree::set_facts(int fd, const std::string& name, const NodeFacts& facts, bool is_directory) const
{
  if ((is_directory || facts.uid != 0 || facts.gid != 0) && ::fchown(fd, facts.uid, facts.gid) < 0)
    fail("change the owner of", name, errno);
  if (::fchmod(fd, facts.mode & 07777) < 0) fail("change the mode of", name, errno);
  for (const auto& [key, value] : facts.xattrs)
    if (::fsetxattr(fd, key.c_str(), value.data(), value.size(), 0) < 0) {
      if (use_ != TreeUse::files || errno != EOPNOTSUPP)
        fail(("set the attribute " + key + " of").c_str(), name, errno);
      ++left_out_;
    }
}

void LayerTree::directory(const std::string& name, const NodeFacts& facts)
{
  guard_entry(0);
  if (!name.empty()) {
    const std::string base = base_name(name);
    const int parent = parent_of(name);
    if (::mkdirat(parent, base.c_str(), 0700) < 0) {
      if (errno != EEXIST) fail("make the directory", name, errno);
      const Found found = look(parent, base, name);
      if (found != Found::directory) {
        make_way(parent, base, name);
        if (::mkdirat(parent, base.c_str(), 0700) < 0) fail("make the directory", name, errno);
      }
      if (found == Found::whiteout) mark_opaque(name);
    }
  }
  const Fd fd = open_beneath(name, O_RDONLY | O_DIRECTORY);
  if (!fd) fail("open", name, errno);
  set_facts(fd.get(), name, facts, true);
  implied_.erase(name);
  times_[name] = facts.modified;
  if (later(facts.modified, newest_)) newest_ = facts.modified;
}

void LayerTree::begin_file(const std::string& name, uint64_t size)
{
  guard_entry(size);
  const std::string base = base_name(name);
  const int parent = parent_of(name);
  const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (holds(guard::fresh_files) ? O_EXCL | O_NOFOLLOW : 0);
  file_ = Fd{::openat(parent, base.c_str(), flags, 0600)};
  if (!file_ && errno == EEXIST) {
    make_way(parent, base, name);
    file_ = Fd{::openat(parent, base.c_str(), flags, 0600)};
  }
  if (!file_) fail("make the file", name, errno);
  file_name_ = name;
  ends_in_hole_ = false;
}

namespace {

constexpr size_t hole_unit = 4096;

bool is_zeros(std::string_view bytes)
{
  return bytes.front() == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

} // namespace

void LayerTree::write(std::string_view bytes)
{
  guard_bytes(bytes.size());
  content_bytes_ += bytes.size();
  if (use_ != TreeUse::files) return write_out(bytes);
  // Runs of whole pieces of zeros are passed over, the rest is written in one go each.
  while (!bytes.empty()) {
    size_t zeros = 0;
    while (bytes.size() - zeros >= hole_unit && is_zeros(bytes.substr(zeros, hole_unit))) zeros += hole_unit;
    if (zeros > 0 && ::lseek(file_.get(), static_cast<off_t>(zeros), SEEK_CUR) < 0)
      fail("leave a hole in", file_name_, errno);
    bytes.remove_prefix(zeros);
    ends_in_hole_ = zeros > 0;
    size_t solid = std::min(hole_unit, bytes.size());
    while (bytes.size() - solid >= hole_unit && !is_zeros(bytes.substr(solid, hole_unit))) solid += hole_unit;
    if (bytes.size() - solid < hole_unit) solid = bytes.size();
    if (solid == 0) return;
    ends_in_hole_ = false;
    write_out(bytes.substr(0, solid));
    bytes.remove_prefix(solid);
  }
}

void LayerTree::write_out(std::string_view bytes) const
{
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write", file_name_, errno);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

void LayerTree::end_file(const NodeFacts& facts)
{
  if (ends_in_hole_ && ::ftruncate(file_.get(), ::lseek(file_.get(), 0, SEEK_CUR)) < 0)
    fail("leave a hole at the end of", file_name_, errno);
  set_facts(file_.get(), file_name_, facts, false);
  const std::array<timespec, 2> times{facts.modified, facts.modified};
  ::futimens(file_.get(), times.data()); // a time that the file system cannot hold is no reason to fail
  if (later(facts.modified, newest_)) newest_ = facts.modified;
  file_.reset();
}

void LayerTree::hard_link(const std::string& name, const std::string& target)
{
  guard_entry(0);
  const Fd from = open_beneath(parent_name(target), O_PATH | O_DIRECTORY);
  const std::string target_base = base_name(target);
  struct stat status {};
  if (!from || ::fstatat(from.get(), target_base.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0)
    fail("find, in the same layer, what is linked to by", name, errno);
  if (S_ISDIR(status.st_mode) || is_whiteout(status))
    fail("the archive links to something that is no file by", name, 0);
  if (name == target) return;
  const std::string base = base_name(name);
  const int parent = parent_of(name);
  if (::linkat(from.get(), target_base.c_str(), parent, base.c_str(), 0) == 0) return;
  if (errno != EEXIST) fail("make the link", name, errno);
  make_way(parent, base, name);
  if (::linkat(from.get(), target_base.c_str(), parent, base.c_str(), 0) < 0) fail("make the link", name, errno);
}

void LayerTree::symlink(const std::string& name, const std::string& target, const NodeFacts& facts)
{
  guard_entry(0);
  const std::string base = base_name(name);
  const int parent = parent_of(name);
  if (::symlinkat(target.c_str(), parent, base.c_str()) < 0) {
    if (errno != EEXIST) fail("make the link", name, errno);
    make_way(parent, base, name);
    if (::symlinkat(target.c_str(), parent, base.c_str()) < 0) fail("make the link", name, errno);
  }
  if (::fchownat(parent, base.c_str(), facts.uid, facts.gid, AT_SYMLINK_NOFOLLOW) < 0)
    fail("change the owner of", name, errno);
  const std::array<timespec, 2> times{facts.modified, facts.modified};
  ::utimensat(parent, base.c_str(), times.data(), AT_SYMLINK_NOFOLLOW);
  if (later(facts.modified, newest_)) newest_ = facts.modified;
}

void LayerTree::fifo(const std::string& name, const NodeFacts& facts)
{
  guard_entry(0);
  const std::string base = base_name(name);
  const int parent = parent_of(name);
  if (::mknodat(parent, base.c_str(), S_IFIFO | 0600, 0) < 0) {
    if (errno != EEXIST) fail("make the fifo", name, errno);
    make_way(parent, base, name);
    if (::mknodat(parent, base.c_str(), S_IFIFO | 0600, 0) < 0) fail("make the fifo", name, errno);
  }
  // It was made a moment ago and is no link, in a directory that nobody else can reach.
  if (::fchownat(parent, base.c_str(), facts.uid, facts.gid, AT_SYMLINK_NOFOLLOW) < 0 ||
      ::fchmodat(parent, base.c_str(), facts.mode & 07777, 0) < 0)
    fail("change the owner and mode of", name, errno);
  const std::array<timespec, 2> times{facts.modified, facts.modified};
  ::utimensat(parent, base.c_str(), times.data(), AT_SYMLINK_NOFOLLOW);
}

void LayerTree::whiteout(const std::string& name)
{
  guard_entry(0);
  const std::string base = base_name(name);
  const int parent = parent_of(name);
  const Found found = look(parent, base, name);
  if (found == Found::directory) return mark_opaque(name);
  if (found != Found::nothing) return;
  if (::mknodat(parent, base.c_str(), S_IFCHR, makedev(0, 0)) < 0) fail("make a whiteout for", name, errno);
}

void LayerTree::opaque(const std::string& name)
{
  guard_entry(0);
  if (!name.empty()) parent_of(name + "/x"); // the mark may come before its directory
  mark_opaque(name);
}

void LayerTree::mark_opaque(const std::string& name) const
{
  const Fd fd = open_beneath(name, O_RDONLY | O_DIRECTORY);
  if (!fd || ::fsetxattr(fd.get(), opaque_attribute, "y", 1, 0) < 0) fail("mark as opaque", name, errno);
}

void LayerTree::finish()
{
  parent_.reset();
  parent_name_.clear();
  // Nobody said when these were made; the newest of what the layer holds is the same wherever it is unpacked.
  for (const std::string& name : implied_) times_[name] = newest_;
  for (const auto& [name, modified] : times_) {
    const Fd fd = open_beneath(name, O_RDONLY | O_DIRECTORY);
    if (!fd) fail("open", name, errno);
    const std::array<timespec, 2> times{modified, modified};
    ::futimens(fd.get(), times.data());
  }
  times_.clear();
  top_.reset();
}

void LayerTree::describe(const std::string& name, const NodeFacts& facts)
{
  if (!top_) top_ = open_directory(at_, path_);
  const Fd fd = open_beneath(name, O_RDONLY | O_DIRECTORY);
  if (!fd) fail("open", name, errno);
  set_facts(fd.get(), name, facts, true);
  const std::array<timespec, 2> times{facts.modified, facts.modified};
  ::futimens(fd.get(), times.data());
}

BelowFacts directory_facts(int layer, const std::string& name)
{
  BelowFacts below;
  // From the top downwards: a mark above hides everything below it.
  for (size_t length = 0;;) {
    const Fd fd{open_guarded(layer, name.substr(0, length), O_RDONLY | O_DIRECTORY)};
    if (!fd) {
      // Something that is no directory lets nothing through; nothing at all does.
      below.hides = below.hides || errno != ENOENT;
      return below;
    }
    char mark = 0;
    if (::fgetxattr(fd.get(), opaque_attribute, &mark, 1) == 1 && mark == 'y') below.hides = true;
    if (length < name.size()) {
      length = std::min(name.find('/', length + 1), name.size());
      continue;
    }
    struct stat status {};
    if (::fstat(fd.get(), &status) < 0) throw Error{"look at a directory of a layer", errno};
    below.found = true;
    below.facts = {.mode = status.st_mode & 07777,
                   .uid = status.st_uid,
                   .gid = status.st_gid,
                   .modified = status.st_mtim,
                   .xattrs = read_xattrs(fd.get(), "a directory of a layer")};
    return below;
  }
}

} // namespace conductor::kernel
