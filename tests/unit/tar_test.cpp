// Tar archives, in memory: what is written comes back, in pieces of any length; what is wrong is refused.
#include "core/base/error.h"
#include "core/image/tar.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace conductor::image {
namespace {

struct Seen {
  TarEntry entry;
  std::string content;
  bool ended = false;
};

class Collector : public TarHandler {
public:
  void begin(const TarEntry& entry) override { seen.push_back({entry, "", false}); }
  void data(std::string_view bytes) override { seen.back().content += bytes; }
  void end() override { seen.back().ended = true; }
  std::vector<Seen> seen;
};

std::vector<Seen> read(std::string_view archive, size_t piece = std::string_view::npos,
                       TarReader::EndMark mark = TarReader::EndMark::needed)
{
  Collector collector;
  TarReader reader{collector};
  for (std::string_view rest = archive; !rest.empty(); rest.remove_prefix(std::min(piece, rest.size())))
    reader.feed(rest.substr(0, piece));
  reader.finish(mark);
  return collector.seen;
}

std::string archive_of(const std::vector<std::pair<TarEntry, std::string>>& entries)
{
  std::string archive;
  for (const auto& [entry, content] : entries) {
    archive += tar_header(entry);
    archive += content;
    archive += tar_padding(content.size());
  }
  return archive + std::string{tar_end()};
}

TarEntry file(const std::string& name, uint64_t size)
{
  return {.type = EntryType::file, .name = name, .mode = 0644, .size = size};
}

TEST(Tar, WhatIsWrittenComesBackInPiecesOfAnyLength)
{
  TarEntry odd = file(std::string(120, 'a') + "/" + std::string(120, 'b'), 5);
  odd.uid = 4'000'000;
  odd.gid = 3'000'000'000;
  odd.mode = 04755;
  odd.modified = {.tv_sec = -5};
  odd.xattrs = {{"user.x", std::string{"\0\n=", 3}}};
  TarEntry link{.type = EntryType::symlink, .name = "l", .link = std::string(300, 'x')};
  TarEntry top{.type = EntryType::directory, .mode = 0755};
  const std::string archive = archive_of({{top, ""}, {odd, "hello"}, {link, ""}, {file("e", 0), ""}});
  for (const size_t piece : {size_t{1}, size_t{7}, size_t{511}, size_t{512}, size_t{4096}, archive.size()}) {
    const auto seen = read(archive, piece);
    ASSERT_EQ(seen.size(), 4U);
    EXPECT_EQ(seen[0].entry.name, "");
    EXPECT_EQ(seen[1].entry.name, odd.name);
    EXPECT_EQ(seen[1].entry.uid, odd.uid);
    EXPECT_EQ(seen[1].entry.gid, odd.gid);
    EXPECT_EQ(seen[1].entry.mode, odd.mode);
    EXPECT_EQ(seen[1].entry.modified.tv_sec, -5);
    EXPECT_EQ(seen[1].entry.xattrs, odd.xattrs);
    EXPECT_EQ(seen[1].content, "hello");
    EXPECT_EQ(seen[2].entry.link, link.link);
    EXPECT_TRUE(seen[3].ended);
  }
}

TEST(Tar, NamesAreCleaned)
{
  EXPECT_EQ(clean_entry_name("./a//b/./c/"), "a/b/c");
  EXPECT_EQ(clean_entry_name("./"), "");
  EXPECT_EQ(clean_entry_name("...a/..b"), "...a/..b");
  for (const std::string& name : {std::string{"/etc"}, std::string{".."}, std::string{"a/../b"}, std::string{"a/.."},
                                  std::string{"a\0b", 3}, std::string(256, 'a'), [] {
                                    std::string deep;
                                    for (int i = 0; i < 300; ++i) deep += "d/";
                                    return deep;
                                  }()})
    EXPECT_THROW(clean_entry_name(name), Error) << name.substr(0, 40);
}

TEST(Tar, SizesAboveEightGigabytesAreUnderstood)
{
  Collector collector;
  TarReader reader{collector};
  reader.feed(tar_header(file("big", uint64_t{9} << 30)));
  ASSERT_EQ(collector.seen.size(), 1U);
  EXPECT_EQ(collector.seen[0].entry.size, uint64_t{9} << 30);
}

TEST(Tar, AnArchiveThatStopsInTheMiddleIsDamaged)
{
  const std::string archive = archive_of({{file("a", 700), std::string(700, 'x')}});
  for (const size_t length : {size_t{1}, size_t{511}, size_t{513}, size_t{1300}, size_t{1530}})
    EXPECT_THROW(read(archive.substr(0, length)), Error) << length;
  EXPECT_THROW(read(archive.substr(0, 1536)), Error) << "no end mark";
  EXPECT_NO_THROW(read(archive.substr(0, 1536), 512, TarReader::EndMark::may_be_missing));
}

TEST(Tar, NothingMayStandBehindTheEnd)
{
  const std::string archive = archive_of({{file("a", 0), ""}});
  EXPECT_NO_THROW(read(archive + std::string(10'240, '\0')));
  EXPECT_THROW(read(archive + tar_header(file("b", 0))), Error);
  EXPECT_THROW(read(archive + std::string(2 << 20, '\0')), Error) << "zeros without end";
}

TEST(Tar, AWrongChecksumIsDamage)
{
  std::string archive = archive_of({{file("a", 0), ""}});
  archive[0] = 'b';
  EXPECT_THROW(read(archive), Error);
}

} // namespace
} // namespace conductor::image
