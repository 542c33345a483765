// Tar archives, read and written (POSIX.1-2017 pax, ustar and the GNU forms that are around): only the format; what an
// entry means to a layer is layer_unpacker.h's and layer_packer.h's.
//
// Reader and writer are our own. An archive comes from whoever made the image: the one reader needs to be strict, to
// take bytes as they arrive, and to do nothing by itself. libarchive pulls its input, guesses formats, goes on behind
// damage, converts names and has its own way of writing to disk.
#pragma once

#include "core/kernel/copy.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace conductor::image {

enum class EntryType : char {
  file = '0',
  hard_link = '1',
  symlink = '2',
  character = '3',
  block = '4',
  directory = '5',
  fifo = '6'
};

struct TarEntry {
  EntryType type = EntryType::file;
  std::string name; // relative, no leading "./", no trailing '/', no ".."; empty: the root itself. Any bytes but 0
  std::string link; // symlink: as it is; hard link: cleaned like a name
  mode_t mode = 0;  // without the type
  uint32_t uid = 0, gid = 0;
  timespec modified{};
  uint64_t size = 0; // of a file, bytes
  uint32_t major = 0, minor = 0;
  kernel::Xattrs xattrs; // all that the archive names (SCHILY.xattr.*)
};

// ---- reading

class TarHandler {
public:
  virtual ~TarHandler() = default;
  virtual void begin(const TarEntry& entry) = 0;
  virtual void data(std::string_view bytes) = 0; // of the file that began last
  virtual void end() = 0;                        // of the entry, when its content is complete
};

// Fed with the bytes of a plain tar archive in pieces of any length. Throws Error for everything that is no archive we
// would make ourselves: damaged headers, ".." and absolute names, sparse files, content behind links, sizes below 0,
// names longer than the kernel takes, unknown types, anything but zeros behind the end.
class TarReader {
public:
  explicit TarReader(TarHandler& handler) : handler_(handler) {}
  void feed(std::string_view bytes);
  // Behind the last byte. Throws Error when the archive stops in the middle. Strict: the end mark must be there; where
  // a digest vouches for the bytes it may be missing, since some programs leave it out.
  enum class EndMark : char { needed, may_be_missing };
  void finish(EndMark mark);
  uint64_t entries() const { return entries_; }

private:
  enum class State : char { header, extension, content, padding, ended };
  // What pax and GNU headers say about the entry behind them.
  struct Extension {
    std::string path, link;
    bool has_path = false, has_link = false, has_size = false, has_uid = false, has_gid = false, has_time = false;
    uint64_t size = 0;
    uint32_t uid = 0, gid = 0;
    timespec modified{};
    kernel::Xattrs xattrs;
  };

  void header(const char* block);
  void begin_entry(const char* block, char type, uint64_t size);
  void end_extension();
  void read_pax(std::string_view records, bool global);
  void pax_record(std::string_view key, std::string_view value, bool global);
  void after_content();

  TarHandler& handler_;
  State state_ = State::header;
  std::string block_;     // a header that has not come whole yet
  std::string payload_;   // of an extension
  char extension_type_{}; // 'x', 'g', 'L', 'K'
  uint64_t left_ = 0;     // of content or of an extension
  uint64_t padding_ = 0;
  bool in_entry_ = false;
  bool have_extension_ = false;
  Extension next_;
  uint64_t zero_blocks_ = 0;
  uint64_t trailing_ = 0;
  uint64_t entries_ = 0;
};

// ---- writing

// The header of an entry: one block of 512 bytes, and in front of it a pax header where names, numbers or attributes do
// not fit. The same entry gives the same bytes, always. Behind a file come its bytes and padding() of its size.
std::string tar_header(const TarEntry& entry);
std::string_view tar_padding(uint64_t size);
// Two blocks of zeros.
std::string_view tar_end();

// The name without "./", "//" and a '/' at its end. Throws Error: "..", absolute, a component or the whole too long, a
// zero byte. Empty for the root.
std::string clean_entry_name(std::string_view name);

inline constexpr size_t deepest_entry = 256; // components of a name

} // namespace conductor::image
