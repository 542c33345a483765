#include "core/image/decompress.h"

#include "core/base/error.h"
#include "core/base/guard.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include <isa-l/igzip_lib.h>
#include <zstd.h>

namespace conductor::image {
namespace {

constexpr size_t output_bytes = 256 << 10;
// The window that a zstd stream may ask memory for: 128 MiB, what `zstd -d` allows without --long.
constexpr int longest_window = 27;

[[noreturn]] void damaged(const char* packing, const std::string& why)
{
  throw Error{std::string{"unpack a layer: its "} + packing + " stream is damaged (" + why + ")", EBADMSG};
}

} // namespace

const char* name_of(Packing packing)
{
  switch (packing) {
  case Packing::plain: return "plain";
  case Packing::gzip: return "gzip";
  case Packing::zstd: return "zstd";
  }
  return "";
}

uint64_t bomb_limit(uint64_t packed) { return std::max<uint64_t>(4ULL << 30, packed * 100); }

struct Decompressor::Engine {
  virtual ~Engine() = default;
  virtual void feed(Decompressor& owner, std::string_view packed) = 0;
  virtual bool complete() const = 0; // may it end here?
};

// RFC 1952: members, one behind the other.
struct Decompressor::Gzip : Engine {
  inflate_state state;
  std::vector<char> out = std::vector<char>(output_bytes);
  bool in_member = false;

  Gzip() { restart(); }

  void restart()
  {
    isal_inflate_init(&state);
    state.crc_flag = ISAL_GZIP; // header and checksum are the library's
  }

  void feed(Decompressor& owner, std::string_view packed) override
  {
    state.next_in = reinterpret_cast<uint8_t*>(const_cast<char*>(packed.data()));
    state.avail_in = static_cast<uint32_t>(packed.size());
    for (;;) {
      if (!in_member) {
        if (state.avail_in == 0) return;
        if (*state.next_in != 0x1f) damaged("gzip", "something stands behind its end");
        uint8_t* const next = state.next_in;
        const uint32_t available = state.avail_in;
        restart();
        state.next_in = next;
        state.avail_in = available;
        in_member = true;
      }
      state.next_out = reinterpret_cast<uint8_t*>(out.data());
      state.avail_out = static_cast<uint32_t>(out.size());
      const int code = isal_inflate(&state);
      if (code != ISAL_DECOMP_OK && code != ISAL_END_INPUT) damaged("gzip", explain(code));
      const size_t made = out.size() - state.avail_out;
      if (made > 0) owner.emit({out.data(), made});
      if (state.block_state == ISAL_BLOCK_FINISH)
        in_member = false;
      else if (state.avail_in == 0 && made < out.size())
        return;
    }
  }

  static std::string explain(int code)
  {
    switch (code) {
    case ISAL_INVALID_BLOCK: return "invalid block";
    case ISAL_INVALID_SYMBOL: return "invalid symbol";
    case ISAL_INVALID_LOOKBACK: return "it refers to what is not there";
    case ISAL_INVALID_WRAPPER: return "invalid header";
    case ISAL_UNSUPPORTED_METHOD: return "unknown method";
    case ISAL_INCORRECT_CHECKSUM: return "wrong checksum";
    default: return "error " + std::to_string(code);
    }
  }

  bool complete() const override { return !in_member; }
};

// RFC 8878: frames, one behind the other; skippable ones are the library's.
struct Decompressor::Zstd : Engine {
  ZSTD_DStream* stream = ZSTD_createDStream();
  std::vector<char> out = std::vector<char>(ZSTD_DStreamOutSize());
  size_t wanted = 0; // 0: between two frames

  Zstd()
  {
    if (stream == nullptr) throw Error{"unpack a layer", ENOMEM};
    ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, longest_window);
  }
  Zstd(const Zstd&) = delete;
  Zstd& operator=(const Zstd&) = delete;
  ~Zstd() override { ZSTD_freeDStream(stream); }

  void feed(Decompressor& owner, std::string_view packed) override
  {
    ZSTD_inBuffer in{packed.data(), packed.size(), 0};
    for (bool more = true; more || in.pos < in.size;) {
      ZSTD_outBuffer made{out.data(), out.size(), 0};
      wanted = ZSTD_decompressStream(stream, &made, &in);
      if (ZSTD_isError(wanted) != 0) damaged("zstd", ZSTD_getErrorName(wanted));
      if (made.pos > 0) owner.emit({out.data(), made.pos});
      more = made.pos == made.size; // a full buffer may hide more of the same input
    }
  }

  bool complete() const override { return wanted == 0; }
};

Decompressor::Decompressor(Sink sink, uint64_t most) : sink_(std::move(sink)), most_(most), head_{} {}
Decompressor::~Decompressor() = default;

void Decompressor::begin(std::string_view first)
{
  begun_ = true;
  if (first.starts_with("\x1f\x8b")) {
    packing_ = Packing::gzip;
    engine_ = std::make_unique<Gzip>();
  } else if (first.starts_with("\x28\xb5\x2f\xfd") ||
             (first.size() == 4 && first.ends_with("\x2a\x4d\x18") && (first[0] & '\xf0') == '\x50')) {
    packing_ = Packing::zstd;
    engine_ = std::make_unique<Zstd>();
  }
}

void Decompressor::emit(std::string_view plain)
{
  plain_bytes_ += plain.size();
  if (plain_bytes_ > most_ && holds(guard::bomb_limit))
    throw Error{"unpack a layer: it grows to more than " + std::to_string(most_) + " bytes, as a bomb does", EFBIG};
  sink_(plain);
}

void Decompressor::feed(std::string_view packed)
{
  if (!begun_) {
    const size_t taken = std::min(sizeof head_ - head_size_, packed.size());
    std::memcpy(head_ + head_size_, packed.data(), taken);
    head_size_ += taken;
    packed.remove_prefix(taken);
    if (head_size_ < sizeof head_) return;
    begin({head_, head_size_});
    feed({head_, head_size_});
  }
  if (packed.empty()) return;
  if (engine_)
    engine_->feed(*this, packed);
  else
    emit(packed);
}

void Decompressor::finish()
{
  if (!begun_ && head_size_ > 0) {
    begin({head_, head_size_});
    feed({head_, head_size_});
  }
  if (engine_ && !engine_->complete()) damaged(name_of(packing_), "it stops in the middle");
}

} // namespace conductor::image
