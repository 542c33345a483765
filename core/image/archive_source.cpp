#include "core/image/archive_source.h"

#include "core/base/error.h"
#include "core/container/spec.h"
#include "core/image/decompress.h"
#include "core/image/tar.h"
#include "core/kernel/files.h"
#include "core/kernel/inroot.h"
#include "core/kernel/layer_tree.h"

#include <cerrno>
#include <map>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace conductor::image {
namespace {

constexpr size_t most_members = 20'000;
constexpr int most_links = 10;

// The regular files of an archive as numbered files of the workshop. What an archive calls them is a key in a map.
class SpooledArchive : public ArchiveSource, private TarHandler {
public:
  SpooledArchive(const Root& root, const Workshop& shop, int input)
      : root_(root), path_(shop.path() + "/in"), tree_(root.trace(), root.dir(), path_)
  {
    TarReader reader{*this};
    // The disk is the limit: it is asked for room before each piece is written.
    feed_plain(root.trace(), input, UINT64_MAX, [&](std::string_view bytes) { reader.feed(bytes); });
    reader.finish(TarReader::EndMark::needed);
  }

  std::optional<Fd> open(const std::string& name) override
  {
    const auto path = own_path(name);
    if (!path) return std::nullopt;
    return kernel::find_file(root_.dir(), *path);
  }

  std::optional<std::string> own_path(const std::string& name) override
  {
    std::string at = name;
    for (int hops = 0; hops < most_links; ++hops) {
      const auto link = links_.find(at);
      if (link == links_.end()) break;
      at = link->second;
    }
    const auto found = files_.find(at);
    if (found == files_.end()) return std::nullopt;
    return path_ + "/" + found->second;
  }

private:
  void begin(const TarEntry& entry) override
  {
    if (files_.size() + links_.size() > most_members)
      throw Error{"the archive has more than 20,000 files, so it is no image"};
    writing_ = entry.type == EntryType::file;
    if (entry.type == EntryType::hard_link) links_[entry.name] = entry.link;
    // docker saved a layer that occurs again as a link to the first one: ../ID/layer.tar
    if (entry.type == EntryType::symlink) links_[entry.name] = target_of(entry.name, entry.link);
    if (!writing_) return;
    std::string number = std::to_string(files_.size());
    if (files_.contains(entry.name)) throw Error{"the archive has two files called '" + visible(entry.name, 200) + "'"};
    tree_.begin_file(number, entry.size);
    files_[entry.name] = std::move(number);
  }
  void data(std::string_view bytes) override { tree_.write(bytes); }
  void end() override
  {
    if (writing_) tree_.end_file({.mode = 0600});
    writing_ = false;
  }

  // Where a link in the archive leads, by its words alone; out of the archive is nowhere.
  static std::string target_of(const std::string& name, const std::string& link)
  {
    std::string at = name.substr(0, name.rfind('/') == std::string::npos ? 0 : name.rfind('/'));
    std::string_view rest = link;
    if (rest.starts_with('/')) return {};
    while (!rest.empty()) {
      const size_t slash = std::min(rest.find('/'), rest.size());
      const std::string_view part = rest.substr(0, slash);
      rest.remove_prefix(std::min(slash + 1, rest.size()));
      if (part.empty() || part == ".") continue;
      if (part != "..") {
        at += (at.empty() ? "" : "/") + std::string{part};
        continue;
      }
      if (at.empty()) return {};
      at.resize(at.rfind('/') == std::string::npos ? 0 : at.rfind('/'));
    }
    return at;
  }

  const Root& root_;
  std::string path_;
  kernel::LayerTree tree_;
  std::map<std::string, std::string> files_, links_;
  bool writing_ = false;
};

class DirectorySource : public ArchiveSource {
public:
  explicit DirectorySource(const std::string& path) : top_(kernel::open_directory(AT_FDCWD, path + "/.")) {}

  std::optional<Fd> open(const std::string& name) override
  {
    // Looked at before it is opened: what the directory's maker put there may be a FIFO or a device.
    const auto looked = kernel::find_in_root(top_.get(), name, O_PATH);
    if (!looked) return std::nullopt;
    struct stat status {};
    if (fstat(looked->get(), &status) < 0 || !S_ISREG(status.st_mode))
      throw Error{"'" + visible(name, 200) + "' of the layout is no regular file"};
    return kernel::find_in_root(top_.get(), name, O_RDONLY | O_NONBLOCK);
  }
  std::optional<std::string> own_path(const std::string&) override { return std::nullopt; }

private:
  Fd top_;
};

} // namespace

void feed_plain(Trace& trace, int fd, uint64_t most, const std::function<void(std::string_view)>& sink,
                const std::function<void(std::string_view)>& packed)
{
  Decompressor decompressor{sink, most};
  std::string buffer(256 << 10, '\0');
  for (;;) {
    trace.throw_if_interrupted();
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error{"read the archive", errno};
    if (got == 0) break;
    const std::string_view bytes{buffer.data(), static_cast<size_t>(got)};
    if (packed) packed(bytes);
    decompressor.feed(bytes);
  }
  decompressor.finish();
}

Fd open_input(const std::string& path)
{
  if (path.empty() || path == "-") {
    if (isatty(STDIN_FILENO) == 1)
      throw usage_error("an archive is expected on stdin, and that is a terminal", "name a file");
    return Fd{fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)};
  }
  Fd file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!file) throw Error{"read '" + visible(path, 200) + "'", errno};
  return file;
}

std::unique_ptr<ArchiveSource> open_source(const Root& root, const Workshop& shop, const std::string& path)
{
  const Fd input = open_input(path);
  struct stat status {};
  if (fstat(input.get(), &status) == 0 && S_ISDIR(status.st_mode)) return std::make_unique<DirectorySource>(path);
  return std::make_unique<SpooledArchive>(root, shop, input.get());
}

} // namespace conductor::image
