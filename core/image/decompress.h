// Unpacking what layers are packed with (gzip, zstd, nothing), as the bytes arrive. The only place that knows the
// libraries behind it (ISA-L, which takes a quarter of zlib's time, and zstd).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

namespace conductor::image {

enum class Packing : char { plain, gzip, zstd };
const char* name_of(Packing packing);

class Decompressor {
public:
  using Sink = std::function<void(std::string_view plain)>;

  // Which packing it is, the first bytes tell: what is declared is often wrong, and the digest vouches for all of it.
  // most: bytes that may come out; more is an Error (a bomb).
  Decompressor(Sink sink, uint64_t most);
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;
  ~Decompressor();

  // Pieces of any length. Throws Error: damaged (checksums included), more than `most` bytes; and what the sink throws.
  void feed(std::string_view packed);
  // Behind the last byte. Throws Error when it stops in the middle.
  void finish();
  // How much more may come out: grows with what has come in (see bomb_limit).
  void allow(uint64_t most) { most_ = most; }
  uint64_t plain_bytes() const { return plain_bytes_; }
  Packing packing() const { return packing_; }

private:
  struct Engine;
  struct Gzip;
  struct Zstd;
  void begin(std::string_view first);
  void emit(std::string_view plain);

  Sink sink_;
  uint64_t most_;
  uint64_t plain_bytes_ = 0;
  Packing packing_ = Packing::plain;
  bool begun_ = false;
  char head_[4]; // until enough has come to tell the packing
  size_t head_size_ = 0;
  std::unique_ptr<Engine> engine_;
};

// What a layer of `packed` bytes may unpack to. Honest layers grow to 2 to 10 times; files that are mostly holes to
// more, so small ones may grow to 4 GiB, and all to a hundred times.
uint64_t bomb_limit(uint64_t packed);

} // namespace conductor::image
