// What the files of a context held when they were last read: (device, inode, size, times) -> sha256 of the content, as
// git's index has it. So a look at a context that did not change reads no file: one statx(2) each.
//
// It is a help, never the truth: one that is damaged or gone costs time only. Lies in root/build/index-<device>-<inode>
// of the context's directory; who has digests of another kind gives them another name than "index".
#pragma once

#include "core/kernel/copy.h"
#include "core/store/root.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace conductor::image {

using RawDigest = std::array<unsigned char, 32>;

struct KnownContent {
  RawDigest digest{};      // of a file's content; zero for a directory
  bool has_xattrs = false; // then they are to be read
};

class ContentIndex {
public:
  // directory: the context's, open.
  ContentIndex(const Root& root, int directory, std::string_view name = "index");
  ContentIndex(const ContentIndex&) = delete;
  ContentIndex& operator=(const ContentIndex&) = delete;

  // What is known of exactly these facts (times and all); null when they are new.
  const KnownContent* find(const kernel::FileFacts& facts);
  // facts: those of the open file, taken before it was read.
  void note(const kernel::FileFacts& facts, const KnownContent& content);
  // Writes it down when something was new. A failure is told as a notice.
  void save();

  // On disk as it is in memory; ordered by device and inode.
  struct Entry {
    uint64_t device, inode, size;
    int64_t modified_s, modified_ns, changed_s, changed_ns;
    uint64_t flags; // 1: has attributes
    RawDigest digest;
  };

private:
  const Root& root_;
  std::string path_;
  std::vector<Entry> entries_; // as read
  std::vector<Entry> fresh_;
  std::vector<char> seen_; // of entries_
  KnownContent answer_;
};

} // namespace conductor::image
