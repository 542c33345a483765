#include "core/image/archive_target.h"

#include "core/base/error.h"
#include "core/container/spec.h"
#include "core/image/tar.h"
#include "core/kernel/call.h"
#include "core/kernel/files.h"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace conductor::image {
namespace {

constexpr size_t piece = 256 << 10;

// Hands a file over in pieces.
template <class Take>
void read_pieces(Trace& trace, int fd, uint64_t size, Take&& take)
{
  std::string buffer(piece, '\0');
  while (size > 0) {
    trace.throw_if_interrupted();
    const ssize_t got = ::read(fd, buffer.data(), static_cast<size_t>(std::min<uint64_t>(size, buffer.size())));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error{"read what is to be saved", errno};
    if (got == 0) throw Error{"a file became shorter while it was saved"};
    take(std::string_view{buffer.data(), static_cast<size_t>(got)});
    size -= static_cast<uint64_t>(got);
  }
}

class TarTarget : public ArchiveTarget {
public:
  TarTarget(Trace& trace, const std::string& path) : trace_(trace), out_(trace, path) {}

  std::optional<std::string> present(const std::string&) const override { return std::nullopt; }
  void put(const std::string& name, std::string_view content) override
  {
    out_.write(tar_header({.type = EntryType::file, .name = name, .mode = 0644, .size = content.size()}));
    out_.write(content);
    out_.write(tar_padding(content.size()));
  }
  void put_file(const std::string& name, int fd, uint64_t size) override
  {
    out_.write(tar_header({.type = EntryType::file, .name = name, .mode = 0644, .size = size}));
    read_pieces(trace_, fd, size, [&](std::string_view bytes) { out_.write(bytes); });
    out_.write(tar_padding(size));
  }
  void finish() override
  {
    out_.write(tar_end());
    out_.finish();
  }
  uint64_t bytes() const override { return out_.bytes(); }

private:
  Trace& trace_;
  OutputFile out_;
};

// A layout that is there already gets further blobs; its index is written last.
class DirectoryTarget : public ArchiveTarget {
public:
  DirectoryTarget(Trace& trace, const std::string& path) : trace_(trace), path_(path)
  {
    kernel::make_directories(trace, AT_FDCWD, path, 0755);
    top_ = kernel::open_directory(AT_FDCWD, path + "/.");
  }
  std::optional<std::string> present(const std::string& name) const override
  {
    return kernel::find_content(top_.get(), name, 4 << 20);
  }
  void put(const std::string& name, std::string_view content) override
  {
    make_parents(name);
    kernel::write_file(trace_, top_.get(), name, content, 0644);
    bytes_ += content.size();
  }
  void put_file(const std::string& name, int fd, uint64_t size) override
  {
    make_parents(name);
    OutputFile out{trace_, path_ + "/" + name};
    read_pieces(trace_, fd, size, [&](std::string_view bytes) { out.write(bytes); });
    out.finish();
    bytes_ += size;
  }
  void finish() override {}
  uint64_t bytes() const override { return bytes_; }

private:
  void make_parents(const std::string& name)
  {
    if (const size_t slash = name.rfind('/'); slash != std::string::npos)
      kernel::make_directories(trace_, top_.get(), name.substr(0, slash), 0755);
  }
  Trace& trace_;
  std::string path_;
  Fd top_;
  uint64_t bytes_ = 0;
};

bool is_directory(const std::string& path)
{
  struct stat status {};
  return path.ends_with('/') || (stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode));
}

} // namespace

OutputFile::OutputFile(Trace& trace, std::string path) : trace_(trace), path_(std::move(path))
{
  if (path_.empty()) {
    if (isatty(STDOUT_FILENO) == 1)
      throw usage_error("an archive is nothing for a terminal", "write it to a file (-o FILE) or a pipe");
    return;
  }
  if (!open_nameless()) open_named();
}

// False where the file system has no such files, or when what is there is no file that another one could replace.
bool OutputFile::open_nameless()
{
  struct stat status {};
  if (stat(path_.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) return false;
  const size_t slash = path_.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
  const auto result = kernel::perform(
      trace_, "open",
      [&] {
        return kernel::CallText{fmt::format("open(\"{}\", O_WRONLY | O_TMPFILE)", directory),
                                fmt::format("cat > {}", path_)};
      },
      [&]() -> long {
        file_ = Fd{::open(directory.c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, 0644)};
        return file_ ? 0 : -1;
      });
  nameless_ = !result.failed() && !result.skipped;
  return nameless_;
}

void OutputFile::open_named()
{
  struct stat status {};
  // /dev/null, a FIFO, /dev/stdout: nothing can be renamed over these.
  const bool in_place = stat(path_.c_str(), &status) == 0 && !S_ISREG(status.st_mode);
  if (!in_place) temporary_ = fmt::format("{}.{}.tmp", path_, random_hex(8));
  const std::string& target = in_place ? path_ : temporary_;
  const auto result = kernel::perform(
      trace_, "open",
      [&] {
        return kernel::CallText{fmt::format("open(\"{}\", O_WRONLY | O_CREAT)", target),
                                fmt::format("cat > {}", target)};
      },
      [&]() -> long {
        file_ = Fd{::open(target.c_str(), (in_place ? O_WRONLY : O_WRONLY | O_CREAT | O_EXCL) | O_CLOEXEC, 0644)};
        return file_ ? 0 : -1;
      });
  if (!result.failed() && !result.skipped) return;
  temporary_.clear();
  if (result.skipped) throw Error{"write '" + visible(path_, 200) + "': skipped at the gate", ECANCELED};
  throw Error{"write '" + visible(path_, 200) + "'", result.error};
}

OutputFile::~OutputFile()
{
  if (temporary_.empty()) return;
  try {
    kernel::remove_file(trace_, AT_FDCWD, temporary_);
  } catch (const Error& error) {
    trace_.notice(error.sentence());
  }
}

void OutputFile::write(std::string_view bytes)
{
  bytes_ += bytes.size();
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_ ? file_.get() : STDOUT_FILENO, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) {
      trace_.throw_if_interrupted();
      continue;
    }
    if (written < 0) throw Error{"write " + (path_.empty() ? "to stdout" : "'" + visible(path_, 200) + "'"), errno};
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

void OutputFile::give_name(const std::string& name)
{
  const std::string unnamed = fmt::format("/proc/self/fd/{}", file_.get());
  const auto result = kernel::perform(
      trace_, "linkat",
      [&] {
        return kernel::CallText{fmt::format("linkat(\"{}\", \"{}\", AT_SYMLINK_FOLLOW)", unnamed, name),
                                fmt::format("ln -L {} {}", unnamed, name)};
      },
      [&] { return ::linkat(AT_FDCWD, unnamed.c_str(), AT_FDCWD, name.c_str(), AT_SYMLINK_FOLLOW); });
  if (result.failed()) throw Error{"name the file '" + visible(name, 200) + "'", result.error};
}

void OutputFile::finish()
{
  struct stat status {};
  if (nameless_) {
    nameless_ = false;
    if (lstat(path_.c_str(), &status) < 0) return give_name(path_);
    // linkat(2) never replaces, so for the moment of a rename it needs a name beside.
    temporary_ = fmt::format("{}.{}.tmp", path_, random_hex(8));
    give_name(temporary_);
  }
  if (temporary_.empty()) return;
  kernel::rename_entry(trace_, AT_FDCWD, temporary_, AT_FDCWD, path_);
  temporary_.clear();
}

std::unique_ptr<ArchiveTarget> open_target(Trace& trace, const std::string& path)
{
  if (!path.empty() && is_directory(path)) return std::make_unique<DirectoryTarget>(trace, path);
  return std::make_unique<TarTarget>(trace, path);
}

} // namespace conductor::image
