// Unpacking layers: every packing, cut into pieces anywhere, damage and bombs.
#include "core/base/error.h"
#include "core/image/decompress.h"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

namespace conductor::image {
namespace {

// printf 'a layer' | gzip -n9, and the same by ZSTD_compress().
constexpr std::string_view gzip_bytes{"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x4b\x54\xc8\x49\xac\x4c"
                                      "\x2d\x02\x00\x1e\x4b\xf8\x95\x07\x00\x00\x00",
                                      27};
constexpr std::string_view zstd_bytes{"\x28\xb5\x2f\xfd\x20\x07\x39\x00\x00"
                                      "a layer",
                                      16};

std::string unpacked(std::string_view packed, size_t piece, uint64_t most = 1 << 20)
{
  std::string plain;
  Decompressor unpack{[&](std::string_view bytes) { plain += bytes; }, most};
  for (; !packed.empty(); packed.remove_prefix(std::min(piece, packed.size()))) unpack.feed(packed.substr(0, piece));
  unpack.finish();
  return plain;
}

TEST(Decompress, EachPackingInPiecesOfEachLength)
{
  for (size_t piece = 1; piece < 30; ++piece) {
    EXPECT_EQ(unpacked(gzip_bytes, piece), "a layer") << piece;
    EXPECT_EQ(unpacked(zstd_bytes, piece), "a layer") << piece;
    EXPECT_EQ(unpacked("a layer", piece), "a layer") << piece;
  }
  EXPECT_EQ(unpacked("ab", 1), "ab");
  EXPECT_EQ(unpacked("", 1), "");
}

TEST(Decompress, MembersAndFramesFollowEachOther)
{
  for (const std::string_view packed : {gzip_bytes, zstd_bytes}) {
    const std::string three = std::string{packed} + std::string{packed} + std::string{packed};
    for (size_t piece = 1; piece < 90; ++piece) EXPECT_EQ(unpacked(three, piece), "a layera layera layer") << piece;
  }
}

TEST(Decompress, WhatStopsInTheMiddleIsRefused)
{
  for (const std::string_view packed : {gzip_bytes, zstd_bytes})
    for (size_t length = 4; length < packed.size(); ++length)
      EXPECT_THROW(unpacked(packed.substr(0, length), 5), Error) << length;
}

TEST(Decompress, DamageIsRefused)
{
  for (size_t at = 10; at < gzip_bytes.size(); ++at) {
    std::string broken{gzip_bytes};
    broken[at] = static_cast<char>(broken[at] ^ 0x15);
    EXPECT_THROW(unpacked(broken, 7), Error) << at;
  }
  EXPECT_THROW(unpacked(std::string{gzip_bytes} + "more", 100), Error);
  EXPECT_THROW(unpacked(std::string{zstd_bytes} + "more", 100), Error);
}

TEST(Decompress, MoreThanAllowedIsABomb)
{
  EXPECT_EQ(unpacked(gzip_bytes, 100, 7), "a layer");
  for (const std::string_view packed : {gzip_bytes, zstd_bytes, std::string_view{"a layer"}})
    EXPECT_THROW(unpacked(packed, 100, 6), Error);
}

TEST(Decompress, TheLimitGrowsWithThePackedSize)
{
  EXPECT_EQ(bomb_limit(0), 4ULL << 30);
  EXPECT_EQ(bomb_limit(1ULL << 30), 100ULL << 30);
}

} // namespace
} // namespace conductor::image
