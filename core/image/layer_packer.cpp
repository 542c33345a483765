#include "core/image/layer_packer.h"

#include "core/base/error.h"
#include "core/container/spec.h"
#include "core/image/side_digest.h"
#include "core/image/tar.h"
#include "core/image/whiteout.h"
#include "core/kernel/files.h"
#include "core/kernel/layer_tree.h"
#include "core/store/blobs.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <zlib.h>

namespace conductor::image {
namespace {

constexpr size_t buffer_size = 256 << 10;

constexpr long shown_only[] = {PROC_SUPER_MAGIC,   SYSFS_MAGIC,   CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
                               DEVPTS_SUPER_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC};

// Gathers the archive: into the digest, and to whoever wants it.
class Output {
public:
  enum class Digest : char { none, made };
  explicit Output(const ByteSink& sink, Digest digest = Digest::made) : sink_(sink), buffer_(buffer_size, '\0')
  {
    if (digest == Digest::made) digest_.emplace();
  }

  void put(std::string_view bytes)
  {
    while (!bytes.empty()) {
      const size_t take = std::min(bytes.size(), buffer_.size() - used_);
      bytes.copy(buffer_.data() + used_, take);
      bytes.remove_prefix(take);
      use(take);
    }
  }
  // Room for a read(2) that needs no copy.
  char* room() { return buffer_.data() + used_; }
  size_t room_size() const { return buffer_.size() - used_; }
  void use(size_t bytes)
  {
    used_ += bytes;
    total_ += bytes;
    if (used_ == buffer_.size()) flush();
  }
  std::string finish()
  {
    const std::string_view rest{buffer_.data(), used_};
    if (sink_) sink_(rest);
    used_ = 0;
    return digest_ ? digest_->hex(rest) : std::string{};
  }
  uint64_t total() const { return total_; }

private:
  void flush()
  {
    if (sink_) sink_({buffer_.data(), used_});
    if (digest_) digest_->block(buffer_);
    used_ = 0;
  }
  const ByteSink& sink_;
  std::string buffer_;
  size_t used_ = 0;
  uint64_t total_ = 0;
  std::optional<SideDigest> digest_;
};

// Whole seconds, rounded down: what most programs write, and what then comes back the same.
TarEntry entry_of(const std::string& name, const struct stat& status, EntryType type)
{
  return {.type = type,
          .name = name,
          .mode = status.st_mode & 07777,
          .uid = status.st_uid,
          .gid = status.st_gid,
          .modified = {.tv_sec = status.st_mtim.tv_sec}};
}

class Packer {
public:
  Packer(Trace& trace, TreeKind kind, const ByteSink& sink)
      : trace_(trace), kind_(kind), out_(sink, kind == TreeKind::files ? Output::Digest::none : Output::Digest::made)
  {}

  PackedTree run(int top)
  {
    struct stat status {};
    if (fstat(top, &status) < 0) throw Error{"look at the tree", errno};
    directory(top, "", status);
    out_.put(tar_end());
    const uint64_t bytes = out_.total();
    return {.diff_id = out_.finish(), .tar_bytes = bytes, .content_bytes = content_bytes_};
  }

  // One thing; how many there were in it that no copy can hold.
  uint64_t run_entry(int fd, const std::string& name)
  {
    struct stat status {};
    if (fstat(fd, &status) < 0) fail("look at", name, errno);
    switch (status.st_mode & S_IFMT) {
    case S_IFDIR: directory(fd, name, status); break;
    case S_IFREG: file(fd, name); break;
    case S_IFLNK: symlink(fd, "", name, status); break;
    case S_IFIFO: out_.put(tar_header(entry_at(name, status, EntryType::fifo))); break;
    default: ++left_out_;
    }
    out_.finish();
    return left_out_;
  }

private:
  [[noreturn]] static void fail(const char* what, const std::string& name, int number)
  {
    throw Error{std::string{what} + " '" + visible(name, 200) + "'", number};
  }

  TarEntry entry_at(const std::string& name, const struct stat& status, EntryType type) const
  {
    TarEntry entry = entry_of(name, status, type);
    if (kind_ == TreeKind::files) entry.modified = status.st_mtim;
    return entry;
  }

  // What a program removes while its files are copied is no failure.
  bool has_gone(int number) const { return kind_ == TreeKind::files && number == ENOENT; }

  // File systems that only show what the kernel knows: their files have no sizes, and reading some does something.
  bool is_only_shown(int fd, const std::string& name)
  {
    if (kind_ != TreeKind::files || name.empty()) return false;
    struct statfs found {};
    if (fstatfs(fd, &found) < 0) return false;
    return std::find(std::begin(shown_only), std::end(shown_only), static_cast<long>(found.f_type)) !=
           std::end(shown_only);
  }

  void directory(int fd, const std::string& name, const struct stat& status)
  {
    // An archive that names something deeper would not be taken by ourselves.
    if (depth_ > deepest_entry) fail("the tree is too deep for an archive at", name, 0);
    TarEntry entry = entry_at(name, status, EntryType::directory);
    entry.xattrs = kernel::read_xattrs(fd, "'" + visible(name, 200) + "'");
    out_.put(tar_header(entry));
    if (is_only_shown(fd, name)) return;
    if (kind_ == TreeKind::layer) check_overlay(fd, name);
    const std::string front = name.empty() ? "" : name + "/";
    if (kind_ == TreeKind::layer && is_opaque(fd)) gone(front + std::string{opaque_name});
    ++depth_;
    for (const std::string& each : kernel::list_directory(fd, ".")) {
      trace_.throw_if_interrupted();
      node(fd, each, front + each);
    }
    --depth_;
  }

  static bool is_opaque(int fd)
  {
    char mark = 0;
    return fgetxattr(fd, kernel::opaque_attribute, &mark, 1) == 1 && mark == 'y';
  }

  // Names that point elsewhere in lower layers, and files without their content: only overlayfs can follow those. Our
  // mounts never make them.
  static void check_overlay(int fd, const std::string& name)
  {
    for (const char* attribute : {"trusted.overlay.redirect", "trusted.overlay.metacopy"})
      if (fgetxattr(fd, attribute, nullptr, 0) >= 0)
        fail("the layer cannot be packed: overlayfs has redirected", name, 0);
  }

  void gone(const std::string& name) { out_.put(tar_header({.type = EntryType::file, .name = name, .mode = 0600})); }

  void node(int parent, const std::string& base, const std::string& name)
  {
    struct stat status {};
    if (fstatat(parent, base.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) {
      if (has_gone(errno)) return;
      fail("look at", name, errno);
    }
    if (kind_ == TreeKind::layer && S_ISCHR(status.st_mode) && status.st_rdev == makedev(0, 0)) {
      const size_t slash = name.rfind('/') + 1; // 0 where there is none
      return gone(name.substr(0, slash) + std::string{whiteout_prefix} + base);
    }
    // What begins like a whiteout would come back as one.
    if (kind_ != TreeKind::files && base.starts_with(whiteout_prefix))
      fail("no archive of a layer can hold the name", name, 0);
    if (!S_ISDIR(status.st_mode) && status.st_nlink > 1 && linked(name, status)) return;
    switch (status.st_mode & S_IFMT) {
    case S_IFDIR: {
      const auto fd = open(parent, base, name, O_DIRECTORY);
      if (fd) directory(fd->get(), name, status);
      return;
    }
    case S_IFREG: {
      const auto fd = open(parent, base, name, 0);
      if (fd) file(fd->get(), name);
      return;
    }
    case S_IFLNK: return symlink(parent, base, name, status);
    case S_IFIFO: return out_.put(tar_header(entry_at(name, status, EntryType::fifo)));
    case S_IFCHR:
    case S_IFBLK: {
      if (kind_ == TreeKind::files) {
        ++left_out_;
        return;
      }
      TarEntry entry = entry_of(name, status, S_ISCHR(status.st_mode) ? EntryType::character : EntryType::block);
      entry.major = ::major(status.st_rdev);
      entry.minor = ::minor(status.st_rdev);
      return out_.put(tar_header(entry));
    }
    default: ++left_out_; // a socket is nothing without its process
    }
  }

  bool linked(const std::string& name, const struct stat& status)
  {
    const auto [found, first] = links_.try_emplace({status.st_dev, status.st_ino}, name);
    if (first) return false;
    TarEntry entry = entry_at(name, status, EntryType::hard_link);
    entry.link = found->second;
    out_.put(tar_header(entry));
    return true;
  }

  void symlink(int parent, const std::string& base, const std::string& name, const struct stat& status)
  {
    TarEntry entry = entry_at(name, status, EntryType::symlink);
    const auto target = kernel::read_link(parent, base);
    if (!target && has_gone(errno)) return;
    if (!target) fail("read the link", name, errno);
    entry.link = *target;
    out_.put(tar_header(entry));
  }

  // None for what has gone.
  std::optional<Fd> open(int parent, const std::string& base, const std::string& name, int flags) const
  {
    Fd fd{openat(parent, base.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags)};
    if (fd) return fd;
    if (has_gone(errno)) return std::nullopt;
    fail("open", name, errno);
  }

  void file(int fd, const std::string& name)
  {
    struct stat status {};
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) fail("look at", name, errno);
    TarEntry entry = entry_at(name, status, EntryType::file);
    entry.size = static_cast<uint64_t>(status.st_size);
    entry.xattrs = kernel::read_xattrs(fd, "'" + visible(name, 200) + "'");
    if (kind_ == TreeKind::layer) check_overlay(fd, name);
    out_.put(tar_header(entry));
    content(fd, name, entry.size);
    out_.put(tar_padding(entry.size));
    content_bytes_ += entry.size;
  }

  void content(int fd, const std::string& name, uint64_t left)
  {
    while (left > 0) {
      const size_t most = static_cast<size_t>(std::min<uint64_t>(left, out_.room_size()));
      const ssize_t got = read(fd, out_.room(), most);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail("read", name, errno);
      if (got == 0) fail("a file became shorter while it was read:", name, 0);
      out_.use(static_cast<size_t>(got));
      left -= static_cast<uint64_t>(got);
      if (out_.room_size() == buffer_size) trace_.throw_if_interrupted();
    }
  }

  Trace& trace_;
  TreeKind kind_;
  Output out_;
  size_t depth_ = 0;
  uint64_t content_bytes_ = 0, left_out_ = 0;
  std::map<std::pair<dev_t, ino_t>, std::string> links_;
};

} // namespace

PackedTree pack_tree(Trace& trace, int directory, TreeKind kind, const ByteSink& sink)
{
  return Packer{trace, kind, sink}.run(directory);
}

void pack_entry(Trace& trace, int fd, const std::string& name, const ByteSink& sink, uint64_t& left_out)
{
  left_out += Packer{trace, TreeKind::files, sink}.run_entry(fd, name);
}

// ---- while it is written

struct LayerStream::State {
  ByteSink nobody;
  Output out{nobody};
  uint64_t padding_of = 0; // the file that was told last
  uint64_t content_bytes = 0;
  bool spoiled = false;
};

LayerStream::LayerStream() : state_(std::make_unique<State>()) {}
LayerStream::~LayerStream() = default;

void LayerStream::node(const std::string& name, const struct stat& status, const kernel::Xattrs& xattrs,
                       const std::string& link)
{
  State& state = *state_;
  const auto depth = static_cast<size_t>(std::count(name.begin(), name.end(), '/')) + (name.empty() ? 0 : 1);
  const bool is_file = S_ISREG(status.st_mode) && link.empty();
  const std::string_view base = std::string_view{name}.substr(name.rfind('/') + 1);
  state.spoiled = state.spoiled || base.starts_with(whiteout_prefix) || depth > deepest_entry;
  if (state.spoiled) return;
  EntryType type = EntryType::file;
  if (S_ISDIR(status.st_mode)) type = EntryType::directory;
  if (S_ISLNK(status.st_mode)) type = EntryType::symlink;
  if (S_ISFIFO(status.st_mode)) type = EntryType::fifo;
  if (S_ISREG(status.st_mode) && !is_file) type = EntryType::hard_link;
  TarEntry entry = entry_of(name, status, type);
  entry.link = link;
  entry.xattrs = xattrs;
  if (is_file) entry.size = static_cast<uint64_t>(status.st_size);
  try {
    const std::string header = tar_header(entry);
    state.out.put(tar_padding(std::exchange(state.padding_of, entry.size)));
    state.out.put(header);
  } catch (const Error&) {
    state.spoiled = true;
  }
  state.content_bytes += entry.size;
}

void LayerStream::content(std::string_view bytes)
{
  if (!state_->spoiled) state_->out.put(bytes);
}

std::optional<PackedTree> LayerStream::finish()
{
  State& state = *state_;
  if (state.spoiled) return std::nullopt;
  state.out.put(tar_padding(state.padding_of));
  state.out.put(tar_end());
  const uint64_t bytes = state.out.total();
  return PackedTree{.diff_id = state.out.finish(), .tar_bytes = bytes, .content_bytes = state.content_bytes};
}

void pack_layer(const Root& root, const Layer& layer, const ByteSink& sink)
{
  const Fd directory = kernel::open_directory(root.dir(), Images::diff_path(layer.id));
  const PackedTree packed = pack_tree(root.trace(), directory.get(), TreeKind::layer, sink);
  if (packed.diff_id != layer.diff_id)
    throw Error{"the layer " + layer.id.substr(0, 12) + " is not what it was when it was made", 0,
                "its files below " + root.path() + "/layers were changed; build or load the image again"};
}

// ---- gzip

struct GzipWriter::State {
  ByteSink sink;
  z_stream stream{};
  std::string buffer = std::string(buffer_size, '\0');
};

// Level 4: a third faster than the usual 6 at 2 % more bytes. Never change it: digests hang on it.
GzipWriter::GzipWriter(ByteSink sink) : state_(std::make_unique<State>())
{
  state_->sink = std::move(sink);
  constexpr int level = 4;
  constexpr int gzip_window = 15 + 16;
  if (deflateInit2(&state_->stream, level, Z_DEFLATED, gzip_window, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    throw Error{"start to compress", ENOMEM};
  // RFC 1952: no time, no name; "unknown" as the system that made it.
  static gz_header header{};
  header.os = 255;
  deflateSetHeader(&state_->stream, &header);
}

GzipWriter::~GzipWriter() { deflateEnd(&state_->stream); }

void GzipWriter::write(std::string_view bytes)
{
  z_stream& stream = state_->stream;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data())); // zlib only reads it
  stream.avail_in = static_cast<uInt>(bytes.size());
  while (stream.avail_in != 0) {
    stream.next_out = reinterpret_cast<Bytef*>(state_->buffer.data());
    stream.avail_out = static_cast<uInt>(state_->buffer.size());
    if (deflate(&stream, Z_NO_FLUSH) != Z_OK) throw Error{"compress", EIO};
    state_->sink({state_->buffer.data(), state_->buffer.size() - stream.avail_out});
  }
}

void GzipWriter::finish()
{
  z_stream& stream = state_->stream;
  for (int status = Z_OK; status != Z_STREAM_END;) {
    stream.next_out = reinterpret_cast<Bytef*>(state_->buffer.data());
    stream.avail_out = static_cast<uInt>(state_->buffer.size());
    status = deflate(&stream, Z_FINISH);
    if (status != Z_OK && status != Z_STREAM_END) throw Error{"compress", EIO};
    state_->sink({state_->buffer.data(), state_->buffer.size() - stream.avail_out});
  }
}

// ---- what leaves

void write_whole(int fd, std::string_view bytes, const char* what)
{
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw Error{what, errno, kernel::cure_of(errno)};
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

bool has_kept_form(const Root& root, const Layer& layer)
{
  const Blobs blobs{root};
  return std::any_of(layer.packed.begin(), layer.packed.end(),
                     [&](const PackedForm& form) { return blobs.has(form.digest); });
}

bool is_packed_alike(const Root& root, const Layer& layer)
{
  const Fd directory = kernel::open_directory(root.dir(), Images::diff_path(layer.id));
  try {
    return pack_tree(root.trace(), directory.get(), TreeKind::layer, {}).diff_id == layer.diff_id;
  } catch (const Error&) {
    root.trace().throw_if_interrupted();
    return false; // what cannot be packed is kept as it came
  }
}

LayerBlob packed_layer(const Root& root, const Workshop& shop, const Layer& layer)
{
  const Blobs blobs{root};
  for (const PackedForm& form : layer.packed)
    if (auto kept = blobs.find(form.digest)) return {form, std::move(*kept)};

  Fd file = kernel::make_file(root.trace(), root.dir(), shop.path() + "/" + layer.id + ".tar.gz", 0600);
  PackedForm form{.media_type = gzip_layer_type};
  Digest digest;
  GzipWriter gzip{[&](std::string_view bytes) {
    digest.bytes(bytes);
    form.size += bytes.size();
    write_whole(file.get(), bytes, "write a packed layer");
  }};
  pack_layer(root, layer, [&](std::string_view bytes) { gzip.write(bytes); });
  gzip.finish();
  form.digest = digest.hex();
  if (lseek(file.get(), 0, SEEK_SET) < 0) throw Error{"go back to the beginning of a packed layer", errno};
  Images{root}.add_packed(layer.id, form);
  return {std::move(form), std::move(file)};
}

} // namespace conductor::image
