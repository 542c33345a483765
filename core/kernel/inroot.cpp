// The guarded way to paths of a container: openat2(2) for what is there, a walk by descriptors for what is to be made.

#include "core/kernel/inroot.h"

#include "core/base/guard.h"
#include "core/kernel/abi.h"
#include "core/kernel/call.h"
#include "core/kernel/files.h"

#include <cerrno>
#include <climits>
#include <deque>
#include <limits>
#include <vector>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace conductor::kernel {
namespace {

constexpr uint64_t inside = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
// A ".." that races with a rename gives EAGAIN (openat2(2)). A container that renames all day may keep us from a path,
// but not for ever.
constexpr int rename_races = 128;
constexpr int most_symlinks = 40; // as the kernel's own MAXSYMLINKS

int open_guarded(int root, const std::string& path, int flags, mode_t mode = 0, uint64_t resolve = inside)
{
  if (!holds(guard::inside_root)) resolve = 0;
  const char* shown = path.empty() ? "." : path.c_str();
  // openat2(2) is strict: with O_PATH it takes no other flag that would mean nothing.
  if ((flags & O_PATH) == 0) flags |= O_NOCTTY;
  for (int attempt = 0;; ++attempt) {
    const int fd = sys_openat2(root, shown, static_cast<unsigned>(flags | O_CLOEXEC), mode, resolve);
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR) || attempt == rename_races) return fd;
  }
}

std::string shown_in(int root, std::string_view path)
{
  while (!path.empty() && path.front() == '/') path.remove_prefix(1);
  const std::string base = path_of(root);
  return fmt::format("{}/{}", base == "/" ? "" : base, path);
}

// The names of a path, front first. Empty names and "." say nothing.
void push_front_names(std::deque<std::string>& names, std::string_view path)
{
  std::vector<std::string> found;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view name = path.substr(0, slash);
    if (!name.empty() && name != ".") found.emplace_back(name);
    path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
  }
  names.insert(names.begin(), found.begin(), found.end());
}

std::string read_link_of(int link)
{
  char buffer[PATH_MAX];
  const ssize_t length = ::readlinkat(link, "", buffer, sizeof buffer);
  return length < 0 ? std::string{} : std::string{buffer, static_cast<size_t>(length)};
}

Error not_plain(int root, const std::string& path, int number)
{
  const char* hint = number == ELOOP ? "/proc, /sys and /dev of an image must be directories, no symlinks" : "";
  return Error{"make the directory " + shown_in(root, path), number, hint};
}

enum class Last : char { directory, file };
enum class Links : char { followed, refused };

// One walk from the root downwards, one name at a time, each opened without following: a symlink is read and its names
// are walked in its place, ".." goes back along our own descriptors, so there is no string that could lead outside.
class Walk {
public:
  Walk(Trace& trace, int root, const std::string& path, mode_t mode, Links links = Links::followed)
      : trace_(trace), root_(root), path_(path), mode_(mode), links_(links)
  {
    push_front_names(names_, path);
  }

  Fd make(Last last)
  {
    while (!names_.empty()) {
      const std::string name = std::move(names_.front());
      names_.pop_front();
      if (name == "..") {
        if (!stack_.empty()) stack_.pop_back();
        continue;
      }
      Fd entry = open_or_make(name, names_.empty() ? last : Last::directory);
      struct stat about {};
      if (::fstat(entry.get(), &about) < 0) throw Error{"look at " + shown_in(root_, path_), errno};
      if (S_ISLNK(about.st_mode)) {
        follow(entry.get());
        continue;
      }
      if (names_.empty() && last == Last::file) {
        if (S_ISDIR(about.st_mode)) throw Error{"use " + shown_in(root_, path_) + " as a file", EISDIR};
        return entry;
      }
      if (!S_ISDIR(about.st_mode)) throw Error{"make the directory " + shown_in(root_, path_), ENOTDIR};
      stack_.push_back(std::move(entry));
    }
    if (last == Last::file) throw Error{"use " + shown_in(root_, path_) + " as a file", EISDIR};
    if (stack_.empty()) return open_in_root(root_, ".", O_PATH | O_DIRECTORY);
    return std::move(stack_.back());
  }

private:
  int here() const { return stack_.empty() ? root_ : stack_.back().get(); }

  Fd open_or_make(const std::string& name, Last what)
  {
    // Twice, for a name that somebody removes between our two looks.
    for (int attempt = 0; attempt < 2; ++attempt) {
      Fd entry{::openat(here(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC)};
      if (entry) return entry;
      if (errno != ENOENT) break;
      const CallResult made = what == Last::directory ? make_directory(name) : make_file(name);
      if (made.failed() && made.error != EEXIST)
        throw Error{fmt::format("make {} for {}", name, shown_in(root_, path_)), made.error};
    }
    Fd entry{::openat(here(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC)};
    if (!entry) throw Error{"make " + shown_in(root_, path_), errno};
    return entry;
  }

  CallResult make_directory(const std::string& name)
  {
    return perform(
        trace_, "mkdirat",
        [&] {
          return CallText{fmt::format("mkdirat(\"{}\", \"{}\", {:#o})", path_of(here()), name, mode_),
                          fmt::format("mkdir -m {:o} {}", mode_, shown_in(here(), name))};
        },
        [&] { return ::mkdirat(here(), name.c_str(), mode_); });
  }

  CallResult make_file(const std::string& name)
  {
    return perform(
        trace_, "openat",
        [&] {
          return CallText{fmt::format("openat(\"{}\", \"{}\", O_CREAT | O_EXCL, {:#o})", path_of(here()), name, mode_),
                          fmt::format("touch {}", shown_in(here(), name))};
        },
        [&] {
          const int fd = ::openat(here(), name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, mode_);
          if (fd >= 0) ::close(fd);
          return fd < 0 ? -1 : 0;
        });
  }

  void follow(int link)
  {
    if (links_ == Links::refused) throw not_plain(root_, path_, ELOOP);
    if (++followed_ > most_symlinks) throw Error{"make " + shown_in(root_, path_), ELOOP};
    const std::string target = read_link_of(link);
    if (target.starts_with('/')) stack_.clear();
    if (target.starts_with('/') && !holds(guard::inside_root)) stack_.emplace_back(::open("/", O_PATH | O_CLOEXEC));
    push_front_names(names_, target);
  }

  Trace& trace_;
  int root_;
  const std::string& path_;
  mode_t mode_;
  Links links_;
  std::deque<std::string> names_;
  std::vector<Fd> stack_;
  int followed_ = 0;
};

} // namespace

Fd open_in_root(int root, const std::string& path, int flags)
{
  Fd fd{open_guarded(root, path, flags)};
  if (!fd) throw Error{"open " + shown_in(root, path), errno};
  return fd;
}

std::optional<Fd> find_in_root(int root, const std::string& path, int flags)
{
  Fd fd{open_guarded(root, path, flags)};
  if (fd) return fd;
  if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  throw Error{"open " + shown_in(root, path), errno};
}

Fd make_directories_in_root(Trace& trace, int root, const std::string& path, mode_t mode)
{
  // Usually it is there, and one call finds it.
  Fd found{open_guarded(root, path, O_PATH | O_DIRECTORY)};
  if (found) return found;
  return Walk{trace, root, path, mode}.make(Last::directory);
}

Fd make_plain_directories_in_root(Trace& trace, int root, const std::string& path, mode_t mode)
{
  if (!holds(guard::plain_places)) return make_directories_in_root(trace, root, path, mode);
  Fd found{open_guarded(root, path, O_PATH | O_DIRECTORY, 0, inside | RESOLVE_NO_SYMLINKS)};
  if (found) return found;
  if (errno == ENOENT) return Walk{trace, root, path, mode, Links::refused}.make(Last::directory);
  throw not_plain(root, path, errno);
}

Fd make_file_in_root(Trace& trace, int root, const std::string& path, mode_t mode)
{
  const size_t slash = path.find_last_of('/');
  if (slash != std::string::npos && slash > 0) make_directories_in_root(trace, root, path.substr(0, slash), 0755);
  return Walk{trace, root, path, mode}.make(Last::file);
}

Fd create_in_root(Trace& trace, int root, const std::string& path, int flags, mode_t mode)
{
  int fd = -1;
  const CallResult made = perform(
      trace, "openat2",
      [&] {
        return CallText{fmt::format("openat2(\"{}\", \"{}\", O_CREAT, {:#o}, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)",
                                    path_of(root), path, mode),
                        fmt::format("touch {}", shown_in(root, path))};
      },
      [&] { return fd = open_guarded(root, path, flags | O_CREAT | O_NONBLOCK, mode); });
  if (made.failed()) throw Error{"create " + shown_in(root, path), made.error};
  Fd file{fd};
  struct stat about {};
  if (file && ::fstat(file.get(), &about) == 0 && !S_ISREG(about.st_mode))
    throw Error{"write " + shown_in(root, path) + ", which is no regular file", EINVAL};
  return file;
}

std::optional<std::string> read_in_root(int root, const std::string& path, size_t limit)
{
  // Looked at before it is opened: opening a device or a FIFO may itself do something.
  std::optional<Fd> looked = find_in_root(root, path, O_PATH);
  if (!looked) return std::nullopt;
  struct stat before {};
  if (::fstat(looked->get(), &before) < 0) throw Error{"look at " + shown_in(root, path), errno};
  const bool is_trusted = S_ISREG(before.st_mode) || !holds(guard::regular_files);
  if (!is_trusted) throw Error{"read " + shown_in(root, path) + ", which is no regular file", EINVAL};
  std::optional<Fd> file = find_in_root(root, path, O_RDONLY | (holds(guard::regular_files) ? O_NONBLOCK : 0));
  if (!file) return std::nullopt;
  struct stat about {};
  if (::fstat(file->get(), &about) < 0) throw Error{"look at " + shown_in(root, path), errno};
  if (!S_ISREG(about.st_mode) && holds(guard::regular_files))
    throw Error{"read " + shown_in(root, path) + ", which is no regular file", EINVAL};

  if (!holds(guard::bounded_files)) limit = std::numeric_limits<size_t>::max() / 4;
  std::string content;
  content.resize(std::min(limit, static_cast<size_t>(about.st_size)) + 1);
  size_t got = 0;
  while (true) {
    if (got == content.size()) content.resize(std::min(limit + 1, content.size() * 2));
    if (got > limit)
      throw Error{fmt::format("read {}, which is larger than {} bytes", shown_in(root, path), limit), EFBIG};
    const ssize_t n = ::read(file->get(), content.data() + got, content.size() - got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw Error{"read " + shown_in(root, path), errno};
    if (n == 0) break;
    got += static_cast<size_t>(n);
  }
  content.resize(got);
  return content;
}

} // namespace conductor::kernel
