#include "core/kernel/files.h"

#include "core/base/error.h"
#include "core/kernel/call.h"
#include "core/kernel/own_descriptors.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <dirent.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace conductor::kernel {
namespace {

// For messages only: where (at, path) lies.
std::string shown(int at, const std::string& path)
{
  if (!path.empty() && path.front() == '/') return path;
  if (at == AT_FDCWD) return path;
  const std::string above = path_of(at);
  return above + (path.empty() || path == "." ? "" : above.ends_with('/') ? path : "/" + path);
}

[[noreturn]] void fail(const char* operation, int at, const std::string& path, int number)
{
  throw Error{fmt::format("{} {}", operation, shown(at, path)), number, cure_of(number)};
}

// A name beside `path` that nobody else uses, and that no object of ours can have.
std::string temporary_name(const std::string& path)
{
  uint64_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != sizeof random) random = monotonic_us();
  return fmt::format("{}.{:016x}.tmp", path.substr(0, path.rfind('/') + 1), random);
}

// Shell quoting for the by-hand texts, where a value is shown as it would be typed.
std::string quoted(std::string_view text)
{
  if (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  std::string out{"'"};
  for (const char c : text.substr(0, 200)) {
    if (c == '\'')
      out += "'\\''";
    else
      out += c;
  }
  return out + (text.size() > 200 ? "...'" : "'");
}

} // namespace

std::string cure_of(int number)
{
  if (number == EROFS) return "the file system is mounted read-only; choose another directory with --root or --run";
  if (number == ENOSPC || number == EDQUOT) return "free some space, or choose another directory with --root";
  return {};
}

namespace {

// -1: /proc is our own.
Fd& own_descriptors()
{
  static Fd kept;
  return kept;
}

} // namespace

void keep_own_descriptors() { own_descriptors() = Fd{::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC)}; }

std::string path_of(int fd)
{
  std::array<char, 4096> buffer{};
  const std::string link = fmt::format("/proc/self/fd/{}", fd);
  const Fd& own = own_descriptors();
  const ssize_t length = own ? ::readlinkat(own.get(), std::to_string(fd).c_str(), buffer.data(), buffer.size())
                             : ::readlink(link.c_str(), buffer.data(), buffer.size());
  return length < 0 ? link : std::string{buffer.data(), static_cast<size_t>(length)};
}

Fd open_directory(int at, const std::string& path, int extra_flags)
{
  Fd fd{::openat(at, path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | extra_flags)};
  if (!fd) fail("open directory", at, path, errno);
  return fd;
}

std::optional<Fd> find_directory(int at, const std::string& path)
{
  Fd fd{::openat(at, path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  if (fd) return fd;
  if (errno == ENOENT) return std::nullopt;
  fail("open directory", at, path, errno);
}

Fd open_file(int at, const std::string& path)
{
  Fd fd{::openat(at, path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)};
  if (!fd) fail("open", at, path, errno);
  return fd;
}

std::optional<Fd> find_file(int at, const std::string& path)
{
  Fd fd{::openat(at, path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)};
  if (fd) return fd;
  if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return std::nullopt;
  fail("open", at, path, errno);
}

std::string read_all(int fd, const std::string& what, size_t limit)
{
  std::string content;
  std::array<char, 16384> buffer; // NOLINT: filled by read(2)
  for (;;) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error{"read " + what, errno};
    if (got == 0) return content;
    if (content.size() + static_cast<size_t>(got) > limit) throw Error{"read " + what, EFBIG};
    content.append(buffer.data(), static_cast<size_t>(got));
  }
}

std::string read_file(int at, const std::string& path, size_t limit)
{
  const Fd fd = open_file(at, path);
  return read_all(fd.get(), path, limit);
}

std::optional<std::string> find_content(int at, const std::string& path, size_t limit)
{
  const auto fd = find_file(at, path);
  if (!fd) return std::nullopt;
  return read_all(fd->get(), path, limit);
}

std::vector<std::string> list_directory(int at, const std::string& path)
{
  const int fd = ::openat(at, path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) fail("open directory", at, path, errno);
  DIR* directory = ::fdopendir(fd);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string_view name{entry->d_name};
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(directory);
  std::sort(names.begin(), names.end());
  return names;
}

bool exists(int at, const std::string& path)
{
  struct stat status {};
  return ::fstatat(at, path.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
}

bool make_directory(Trace& trace, int at, const std::string& path, mode_t mode)
{
  const auto result = perform(
      trace, "mkdirat",
      [&] {
        return CallText{fmt::format("mkdir(\"{}\", 0{:o})", shown(at, path), mode),
                        fmt::format("mkdir -m {:o} {}", mode, shown(at, path))};
      },
      [&] { return ::mkdirat(at, path.c_str(), mode); });
  if (result.error == EEXIST) return false;
  if (result.failed()) fail("make directory", at, path, result.error);
  return true;
}

void make_directories(Trace& trace, int at, const std::string& path, mode_t mode)
{
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (!exists(at, part)) make_directory(trace, at, part, mode);
    if (slash == std::string::npos) return;
  }
}

void write_file(Trace& trace, int at, const std::string& path, std::string_view content, mode_t mode)
{
  const std::string temporary = temporary_name(path);
  const auto result = perform(
      trace, "write",
      [&] {
        return CallText{fmt::format("write(\"{}\", {} bytes) and rename", shown(at, path), content.size()),
                        fmt::format("cat > {0}.tmp && mv {0}.tmp {0}", shown(at, path))};
      },
      [&]() -> long {
        const Fd fd{::openat(at, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)};
        if (!fd) return -1;
        std::string_view rest = content;
        while (!rest.empty()) {
          const ssize_t written = ::write(fd.get(), rest.data(), rest.size());
          if (written < 0 && errno == EINTR) continue;
          if (written < 0) {
            const int number = errno;
            ::unlinkat(at, temporary.c_str(), 0);
            errno = number;
            return -1;
          }
          rest.remove_prefix(static_cast<size_t>(written));
        }
        if (::renameat(at, temporary.c_str(), at, path.c_str()) == 0) return 0;
        const int number = errno;
        ::unlinkat(at, temporary.c_str(), 0);
        errno = number;
        return -1;
      });
  if (result.failed()) fail("write", at, path, result.error);
}

void rewrite_file(Trace& trace, int at, const std::string& path, std::string_view content, mode_t mode)
{
  const auto result = perform(
      trace, "write",
      [&] {
        return CallText{fmt::format("write(\"{}\", {} bytes)", shown(at, path), content.size()),
                        fmt::format("cat > {}", shown(at, path))};
      },
      [&]() -> long {
        const Fd fd{::openat(at, path.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, mode)};
        if (!fd || ::fchmod(fd.get(), mode) < 0) return -1;
        // Written first and cut then: whoever reads meanwhile finds something, not an empty file.
        const ssize_t written = ::write(fd.get(), content.data(), content.size());
        if (written < 0) return -1;
        if (static_cast<size_t>(written) < content.size()) {
          errno = ENOSPC;
          return -1;
        }
        return ::ftruncate(fd.get(), written);
      });
  if (result.failed()) fail("write", at, path, result.error);
}

void write_value(Trace& trace, int at, const std::string& path, std::string_view value)
{
  const auto result = perform(
      trace, "write",
      [&] {
        return CallText{fmt::format("write(\"{}\", {})", shown(at, path), quoted(value)),
                        fmt::format("echo {} > {}", quoted(value), shown(at, path))};
      },
      [&]() -> long {
        const Fd fd{::openat(at, path.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC)};
        if (!fd) return -1;
        return ::write(fd.get(), value.data(), value.size());
      });
  if (result.failed()) throw Error{fmt::format("write {} to {}", quoted(value), shown(at, path)), result.error};
}

Fd make_file(Trace& trace, int at, const std::string& path, mode_t mode)
{
  const auto result = perform(
      trace, "openat",
      [&] {
        return CallText{fmt::format("openat(\"{}\", O_CREAT | O_EXCL, {:#o})", shown(at, path), mode),
                        fmt::format("install -m {:o} /dev/null {}", mode, shown(at, path))};
      },
      [&] { return ::openat(at, path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode); });
  if (result.failed()) fail("make the file", at, path, result.error);
  if (result.skipped) throw Error{fmt::format("make the file {}: skipped at the gate", shown(at, path)), ECANCELED};
  return Fd{static_cast<int>(result.value)};
}

void append_line(Trace& trace, int at, const std::string& path, std::string_view line, mode_t mode)
{
  const std::string whole = std::string{line} + "\n";
  const auto result = perform(
      trace, "write",
      [&] {
        return CallText{fmt::format("write(\"{}\", {} bytes, O_APPEND)", shown(at, path), whole.size()),
                        fmt::format("echo {} >> {}", quoted(line), shown(at, path))};
      },
      [&]() -> long {
        const Fd fd{::openat(at, path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, mode)};
        if (!fd) return -1;
        return ::write(fd.get(), whole.data(), whole.size());
      });
  if (result.failed()) fail("append to", at, path, result.error);
}

bool make_symlink(Trace& trace, const std::string& target, int at, const std::string& path)
{
  const auto result = perform(
      trace, "symlinkat",
      [&] {
        return CallText{fmt::format("symlink(\"{}\", \"{}\")", target, shown(at, path)),
                        fmt::format("ln -s '{}' {}", target, shown(at, path))};
      },
      [&] { return ::symlinkat(target.c_str(), at, path.c_str()); });
  if (result.error == EEXIST) return false;
  if (result.failed()) fail("make link", at, path, result.error);
  return true;
}

void replace_symlink(Trace& trace, const std::string& target, int at, const std::string& path)
{
  const std::string temporary = temporary_name(path);
  make_symlink(trace, target, at, temporary);
  rename_entry(trace, at, temporary, at, path);
}

std::optional<std::string> read_link(int at, const std::string& path)
{
  std::array<char, 4096> buffer{};
  const ssize_t length = ::readlinkat(at, path.c_str(), buffer.data(), buffer.size());
  if (length < 0) return std::nullopt;
  return std::string{buffer.data(), static_cast<size_t>(length)};
}

void rename_entry(Trace& trace, int from_at, const std::string& from, int to_at, const std::string& to, unsigned flags)
{
  const auto result = perform(
      trace, "renameat2",
      [&] {
        return CallText{fmt::format("rename(\"{}\", \"{}\")", shown(from_at, from), shown(to_at, to)),
                        fmt::format("mv -T {} {}", shown(from_at, from), shown(to_at, to))};
      },
      [&] { return ::renameat2(from_at, from.c_str(), to_at, to.c_str(), flags); });
  if (result.failed())
    throw Error{fmt::format("rename {} to {}", shown(from_at, from), shown(to_at, to)), result.error};
}

void change_mode(Trace& trace, int fd, mode_t mode)
{
  const auto result = perform(
      trace, "fchmod",
      [&] {
        return CallText{fmt::format("fchmod(\"{}\", 0{:o})", path_of(fd), mode),
                        fmt::format("chmod {:o} {}", mode, path_of(fd))};
      },
      [&] { return ::fchmod(fd, mode); });
  if (result.failed()) throw Error{fmt::format("change the mode of {}", path_of(fd)), result.error};
}

void remove_attribute(Trace& trace, int fd, const std::string& name)
{
  const auto result = perform(
      trace, "fremovexattr",
      [&] {
        return CallText{fmt::format("fremovexattr(\"{}\", \"{}\")", path_of(fd), name),
                        fmt::format("setfattr -x {} {}", name, path_of(fd))};
      },
      [&] { return ::fremovexattr(fd, name.c_str()); });
  if (result.failed() && result.error != ENODATA)
    throw Error{fmt::format("remove the attribute {} of {}", name, path_of(fd)), result.error};
}

void remove_file(Trace& trace, int at, const std::string& path)
{
  const auto result = perform(
      trace, "unlinkat",
      [&] {
        return CallText{fmt::format("unlink(\"{}\")", shown(at, path)), fmt::format("rm -f {}", shown(at, path))};
      },
      [&] { return ::unlinkat(at, path.c_str(), 0); });
  if (result.failed() && result.error != ENOENT) fail("remove", at, path, result.error);
}

void remove_directory(Trace& trace, int at, const std::string& path)
{
  const auto result = perform(
      trace, "rmdir",
      [&] {
        return CallText{fmt::format("rmdir(\"{}\")", shown(at, path)), fmt::format("rmdir {}", shown(at, path))};
      },
      [&] { return ::unlinkat(at, path.c_str(), AT_REMOVEDIR); });
  if (result.failed() && result.error != ENOENT) fail("remove directory", at, path, result.error);
}

namespace {

// One directory of remove_tree. Returns 0, or -1 with errno set. A descriptor a level; depth is what a container may
// make, so a too deep tree is first flattened: its subdirectory is moved up and taken in turn. Two may take the same
// tree apart at once (what removes a container behind its verb, and the next verb that finds the leftover), so whatever
// is not there any more is well.
constexpr int deepest = 64;

int remove_content(int directory_fd, int top_fd, dev_t device, int depth)
{
  DIR* directory = ::fdopendir(directory_fd);
  if (directory == nullptr) return -1;
  int result = 0;
  while (const dirent* entry = ::readdir(directory)) {
    const char* name = entry->d_name;
    if (std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0) continue;
    if (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN) {
      if (::unlinkat(::dirfd(directory), name, 0) < 0 && errno != ENOENT) result = -1;
      if (result < 0) break;
      continue;
    }
    if (entry->d_type == DT_UNKNOWN && ::unlinkat(::dirfd(directory), name, 0) == 0) continue;
    if (::unlinkat(::dirfd(directory), name, AT_REMOVEDIR) == 0) continue;
    if (errno == ENOENT) continue;
    if (depth >= deepest) {
      const std::string moved = fmt::format(".deep.{}.{:x}", ::getpid(), monotonic_us());
      if (::renameat(::dirfd(directory), name, top_fd, moved.c_str()) == 0) {
        // The stream of the top directory may or may not show it now; the outer loop runs until nothing is left.
        continue;
      }
    }
    const int child = ::openat(::dirfd(directory), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (child < 0 && errno == ENOENT) continue;
    struct stat status {};
    if (child < 0 || ::fstat(child, &status) < 0) {
      result = -1;
      if (child >= 0) ::close(child);
      break;
    }
    if (status.st_dev != device) { // something is mounted there: not ours to empty
      ::close(child);
      errno = EBUSY;
      result = -1;
      break;
    }
    if (remove_content(child, top_fd, device, depth + 1) < 0) {
      result = -1;
      break;
    }
    if (::unlinkat(::dirfd(directory), name, AT_REMOVEDIR) < 0 && errno != ENOENT && errno != ENOTEMPTY) {
      result = -1;
      break;
    }
  }
  const int number = errno;
  ::closedir(directory);
  errno = number;
  return result;
}

} // namespace

void remove_tree(Trace& trace, int at, const std::string& path)
{
  const auto result = perform(
      trace, "remove_tree",
      [&] {
        return CallText{fmt::format("unlink everything below \"{}\"", shown(at, path)),
                        fmt::format("rm -rf --one-file-system {}", shown(at, path))};
      },
      [&]() -> long {
        for (int round = 0; round < 10'000; ++round) {
          if (::unlinkat(at, path.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return 0;
          if (errno == ENOTDIR) return ::unlinkat(at, path.c_str(), 0) == 0 || errno == ENOENT ? 0 : -1;
          if (errno != ENOTEMPTY && errno != EEXIST) return -1;
          const int top = ::openat(at, path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
          struct stat status {};
          if (top < 0 && errno == ENOENT) return 0;
          if (top < 0) return -1;
          const Fd keep{::dup(top)};
          if (::fstat(top, &status) < 0 || remove_content(top, keep.get(), status.st_dev, 0) < 0) return -1;
        }
        errno = ENOTEMPTY;
        return -1;
      });
  if (result.failed()) fail("remove", at, path, result.error);
}

} // namespace conductor::kernel
