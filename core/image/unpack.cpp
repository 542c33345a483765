#include "core/image/unpack.h"

#include "core/base/error.h"
#include "core/container/spec.h"
#include "core/image/decompress.h"
#include "core/image/tree_writer.h"
#include "core/image/whiteout.h"
#include "core/kernel/layer_tree.h"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>

#include <bzlib.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <lzma.h>
#include <sys/stat.h>
#include <unistd.h>

namespace conductor::image {
namespace {

using Sink = std::function<void(std::string_view)>;

// These two libraries are loaded when an archive needs them, so that no other build pays for them.
template <class Function>
Function* function_of(void* library, const char* name)
{
  void* found = library == nullptr ? nullptr : ::dlsym(library, name);
  if (found == nullptr) throw Error{std::string{"the library for this archive cannot be loaded: "} + name};
  return reinterpret_cast<Function*>(found);
}

// Counts what comes out, for all packings alike.
class Bounded {
public:
  Bounded(Sink sink, uint64_t most) : sink_(std::move(sink)), most_(most) {}
  void operator()(std::string_view plain)
  {
    sum_ += plain.size();
    if (sum_ > most_) throw Error{fmt::format("it unpacks to more than {} bytes", most_)};
    sink_(plain);
  }

private:
  Sink sink_;
  uint64_t most_, sum_ = 0;
};

constexpr size_t buffer_size = 256 << 10;

size_t read_some(int fd, char* buffer)
{
  for (;;) {
    const ssize_t got = ::read(fd, buffer, buffer_size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error{"read the archive", errno};
    return static_cast<size_t>(got);
  }
}

void pour_bzip2(int fd, const Sink& sink)
{
  static void* const library = ::dlopen("libbz2.so.1.0", RTLD_NOW | RTLD_LOCAL);
  auto* const init = function_of<decltype(::BZ2_bzDecompressInit)>(library, "BZ2_bzDecompressInit");
  auto* const step = function_of<decltype(::BZ2_bzDecompress)>(library, "BZ2_bzDecompress");
  auto* const end = function_of<decltype(::BZ2_bzDecompressEnd)>(library, "BZ2_bzDecompressEnd");
  std::string in(buffer_size, '\0'), out(buffer_size, '\0');
  size_t have = 0;
  const auto fill = [&](bz_stream& stream) {
    have = read_some(fd, in.data());
    stream.next_in = in.data();
    stream.avail_in = static_cast<unsigned>(have);
    return have > 0;
  };
  bz_stream stream{};
  if (!fill(stream)) throw Error{"the archive is empty"};
  // Several streams one behind the other are one file, as bzip2(1) has it.
  do {
    const auto rest = std::pair{stream.next_in, stream.avail_in};
    stream = {};
    std::tie(stream.next_in, stream.avail_in) = rest;
    if (init(&stream, 0, 0) != BZ_OK) throw Error{"unpack bzip2", ENOMEM};
    const struct End {
      decltype(end) close;
      bz_stream& of;
      ~End() { close(&of); }
    } closing{end, stream};
    for (int status = BZ_OK; status != BZ_STREAM_END;) {
      if (stream.avail_in == 0 && !fill(stream)) throw Error{"the archive stops in the middle"};
      stream.next_out = out.data();
      stream.avail_out = static_cast<unsigned>(out.size());
      status = step(&stream);
      if (status != BZ_OK && status != BZ_STREAM_END) throw Error{"the archive is damaged (bzip2)"};
      sink({out.data(), out.size() - stream.avail_out});
    }
  } while (stream.avail_in > 0 || fill(stream));
}

void pour_xz(int fd, const Sink& sink)
{
  static void* const library = ::dlopen("liblzma.so.5", RTLD_NOW | RTLD_LOCAL);
  auto* const init = function_of<decltype(::lzma_stream_decoder)>(library, "lzma_stream_decoder");
  auto* const step = function_of<decltype(::lzma_code)>(library, "lzma_code");
  auto* const end = function_of<decltype(::lzma_end)>(library, "lzma_end");
  constexpr uint64_t most_memory = 512 << 20;
  lzma_stream stream = LZMA_STREAM_INIT;
  if (init(&stream, most_memory, LZMA_CONCATENATED) != LZMA_OK) throw Error{"unpack xz", ENOMEM};
  const struct End {
    decltype(end) close;
    lzma_stream& of;
    ~End() { close(&of); }
  } closing{end, stream};
  std::string in(buffer_size, '\0'), out(buffer_size, '\0');
  lzma_action action = LZMA_RUN;
  for (lzma_ret status = LZMA_OK; status != LZMA_STREAM_END;) {
    if (stream.avail_in == 0 && action == LZMA_RUN) {
      stream.avail_in = read_some(fd, in.data());
      stream.next_in = reinterpret_cast<const uint8_t*>(in.data());
      if (stream.avail_in == 0) action = LZMA_FINISH;
    }
    stream.next_out = reinterpret_cast<uint8_t*>(out.data());
    stream.avail_out = out.size();
    status = step(&stream, action);
    if (status == LZMA_MEMLIMIT_ERROR) throw Error{"the archive needs more than 512 MiB to unpack (xz)"};
    if (status != LZMA_OK && status != LZMA_STREAM_END) throw Error{"the archive is damaged (xz)"};
    sink({out.data(), out.size() - stream.avail_out});
  }
}

void pour_others(int fd, const Sink& sink, uint64_t most)
{
  Decompressor decompressor{sink, most};
  std::string in(buffer_size, '\0');
  while (const size_t got = read_some(fd, in.data())) decompressor.feed({in.data(), got});
  decompressor.finish();
}

// The plain bytes of the file to the sink. Throws Error, and what the sink throws.
void pour(int fd, const Sink& sink)
{
  struct stat status {};
  if (fstat(fd, &status) < 0 || lseek(fd, 0, SEEK_SET) < 0) throw Error{"look at the archive", errno};
  std::array<char, 6> head{};
  const ssize_t got = pread(fd, head.data(), head.size(), 0);
  const std::string_view first{head.data(), got < 0 ? 0 : static_cast<size_t>(got)};
  const uint64_t most = bomb_limit(static_cast<uint64_t>(status.st_size));
  const Sink bounded = Bounded{sink, most};
  if (first.starts_with("BZh")) return pour_bzip2(fd, bounded);
  if (first == std::string_view{"\xfd"
                                "7zXZ\0",
                                6})
    return pour_xz(fd, bounded);
  pour_others(fd, sink, most);
}

// The sum of the header's bytes, its own field taken as blanks (POSIX.1, pax, ustar).
bool is_tar_header(std::string_view block)
{
  if (block.size() < 512 || block.front() == '\0') return false;
  unsigned long sum = 0;
  for (size_t at = 0; at < 512; ++at) sum += at >= 148 && at < 156 ? ' ' : static_cast<unsigned char>(block[at]);
  const std::string field{block.substr(148, 8)};
  return std::strtoul(field.c_str(), nullptr, 8) == sum;
}

class ArchiveUnpacker : private TreeWriter {
public:
  ArchiveUnpacker(Trace& trace, kernel::LayerTree& tree) : TreeWriter(trace, tree), reader_(*this) {}

  void feed(std::string_view bytes) { reader_.feed(bytes); }
  void finish()
  {
    // Some programs leave the end mark out, and people have such archives.
    reader_.finish(TarReader::EndMark::may_be_missing);
    tree().finish();
  }
  using TreeWriter::devices;

private:
  void begin(const TarEntry& entry) override
  {
    if (names_whiteout(entry.name) || names_whiteout(entry.link))
      throw Error{"'" + visible(entry.name, 200) + "': a name that begins with .wh. means something else in layers"};
    TreeWriter::begin(entry);
  }

  TarReader reader_;
};

} // namespace

bool is_archive(int fd)
{
  struct Enough {};
  std::string head;
  try {
    pour(fd, [&](std::string_view plain) {
      head += plain.substr(0, 512 - head.size());
      if (head.size() == 512) throw Enough{};
    });
  } catch (const Enough&) {
  } catch (const Error&) {
    return false; // damaged, or something else that begins alike: a file like any other
  }
  lseek(fd, 0, SEEK_SET);
  return is_tar_header(head);
}

void unpack_archive(Trace& trace, int fd, int at, const std::string& path, const std::string& name)
{
  Step step{trace, "unpack " + visible(name)};
  try {
    kernel::LayerTree tree{trace, at, path};
    ArchiveUnpacker unpacker{trace, tree};
    pour(fd, [&](std::string_view plain) {
      trace.throw_if_interrupted();
      unpacker.feed(plain);
    });
    unpacker.finish();
    if (unpacker.devices() > 0)
      trace.notice(fmt::format("{}: {} device nodes are left out; containers have a /dev of their own", visible(name),
                               unpacker.devices()));
  } catch (const Error& error) {
    throw error.within("ADD: unpack " + visible(name));
  }
  step.done();
}

} // namespace conductor::image
