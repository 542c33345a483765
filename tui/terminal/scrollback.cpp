// Packing of lines, and the blocks that hold them.
#include "tui/terminal/scrollback.h"

#include <algorithm>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace conductor::terminal {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "packed lines and saved screens are little-endian");
static_assert(sizeof(Style) == 12);

namespace {

constexpr std::uint8_t wrapped_bit = 1;

bool same_style(const Cell& a, const Cell& b) { return std::memcmp(&a.style, &b.style, sizeof(Style)) == 0; }

/// Texts of a run of narrow cells as bytes; the caller knows that they fit.
void pack_bytes(const Cell* cells, std::size_t count, std::uint8_t* out)
{
  std::size_t i = 0;
#ifdef __SSE2__
  for (; i + 4 <= count; i += 4) {
    const auto* in = reinterpret_cast<const __m128i*>(cells + i);
    __m128i low = _mm_unpacklo_epi32(_mm_load_si128(in), _mm_load_si128(in + 1));
    __m128i high = _mm_unpacklo_epi32(_mm_load_si128(in + 2), _mm_load_si128(in + 3));
    __m128i texts = _mm_packs_epi32(_mm_unpacklo_epi64(low, high), _mm_setzero_si128());
    int four = _mm_cvtsi128_si32(_mm_packus_epi16(texts, texts));
    std::memcpy(out + i, &four, sizeof four);
  }
#endif
  for (; i < count; ++i) out[i] = static_cast<std::uint8_t>(cells[i].text);
}

template <class Text>
void pack_texts(const Cell* cell, const Cell* end, std::size_t step, std::uint8_t* out)
{
  for (; cell < end; cell += step, out += sizeof(Text)) {
    auto text = static_cast<Text>(cell->text);
    std::memcpy(out, &text, sizeof text);
  }
}

} // namespace

// The worst case: a run for each cell.
PackBuffer::PackBuffer()
    : bytes(std::make_unique_for_overwrite<std::uint8_t[]>(line_header + maximum_columns * (run_header + 4)))
{}

std::span<const std::uint8_t> pack_line(std::span<const Cell> cells, RowInfo info, PackBuffer& buffer)
{
  std::uint8_t* to = buffer.bytes.get();
  to[0] = static_cast<std::uint8_t>(cells.size());
  to[1] = static_cast<std::uint8_t>(cells.size() >> 8);
  to[2] = static_cast<std::uint8_t>((info.wrapped ? wrapped_bit : 0) | static_cast<int>(info.mark) << 1);
  to[3] = 0;
  to += line_header;
  const Cell* cell = cells.data();
  const Cell* end = cell + cells.size();
  while (cell < end) {
    const Cell& head = *cell;
    const Cell* run = cell;
    std::uint32_t bits = 0;
    std::size_t step = head.wide() ? 2 : 1; // the tail of a wide character is implied
    while (run < end && same_style(*run, head)) {
      bits |= run->text;
      run += step;
    }
    std::size_t count = static_cast<std::size_t>(run - cell) / step;
    std::size_t size = bits < 0x100 ? 1 : bits < 0x10000 ? 2 : 4;
    std::memcpy(to, &head.style, sizeof(Style));
    to[12] = static_cast<std::uint8_t>(count);
    to[13] = static_cast<std::uint8_t>(count >> 8);
    to[14] = static_cast<std::uint8_t>(size);
    to[15] = 0;
    to += run_header;
    if (size == 1 && step == 1) {
      pack_bytes(cell, count, to);
    } else if (size == 1) {
      pack_texts<std::uint8_t>(cell, run, step, to);
    } else if (size == 2) {
      pack_texts<std::uint16_t>(cell, run, step, to);
    } else {
      pack_texts<std::uint32_t>(cell, run, step, to);
    }
    to += count * size;
    cell = run;
  }
  return {buffer.bytes.get(), static_cast<std::size_t>(to - buffer.bytes.get())};
}

int packed_cells(std::span<const std::uint8_t> bytes) { return bytes[0] | bytes[1] << 8; }

RowInfo packed_info(std::span<const std::uint8_t> bytes)
{
  return {(bytes[2] & wrapped_bit) != 0, static_cast<Mark>(bytes[2] >> 1)};
}

RowInfo unpack_line(std::span<const std::uint8_t> bytes, std::vector<Cell>& cells)
{
  struct Unpack {
    std::vector<Cell>& cells;
    Cell cell{};
    bool style(const Style& style)
    {
      cell.style = style;
      return true;
    }
    bool text(std::uint32_t text)
    {
      cell.text = text;
      cells.push_back(cell);
      if (cell.wide()) {
        Cell tail = cell;
        tail.text = 0;
        tail.style.flags = static_cast<std::uint16_t>(tail.style.flags ^ flag::shape_mask);
        cells.push_back(tail);
      }
      return true;
    }
  };
  cells.clear();
  cells.reserve(static_cast<std::size_t>(packed_cells(bytes)));
  visit_line(bytes, Unpack{cells});
  return packed_info(bytes);
}

Scrollback::Scrollback(std::size_t limit_bytes)
    : limit_(limit_bytes), block_bytes_(std::clamp<std::size_t>(limit_bytes / 16, 1024, 65'536))
{}

void Scrollback::push(std::span<const Cell> cells, RowInfo info)
{
  if (limit_ == 0 && keep_ == 0) {
    ++total_;
    return;
  }
  push_packed(pack_line(cells, info, scratch_));
}

std::uint32_t Scrollback::Block::end(std::uint32_t line) const
{
  if (line == UINT32_MAX) return 0;
  std::uint32_t offset;
  std::memcpy(&offset, bytes.get() + capacity - (line + 1) * sizeof offset, sizeof offset);
  return offset;
}

void Scrollback::Block::append(std::span<const std::uint8_t> line)
{
  std::uint32_t from = used(), offset = from + static_cast<std::uint32_t>(line.size());
  std::memcpy(bytes.get() + from, line.data(), line.size());
  ++lines;
  std::memcpy(bytes.get() + capacity - lines * sizeof offset, &offset, sizeof offset);
}

Scrollback::Block& Scrollback::room(std::size_t size)
{
  size += sizeof(std::uint32_t);
  if (!blocks_.empty() && blocks_.back().left() >= size) return blocks_.back();
  std::size_t capacity = std::max(block_bytes_, size);
  Block fresh;
  bool full = bytes_ + capacity > limit_;
  if (full && blocks_.size() > 1 && lines_ - blocks_.front().lines >= keep_ && blocks_.front().capacity >= size) {
    // The oldest block's memory takes the newest lines: a flood allocates nothing.
    fresh = std::move(blocks_.front());
    blocks_.pop_front();
    lines_ -= fresh.lines;
    fresh.lines = 0;
  } else {
    fresh.capacity = static_cast<std::uint32_t>(capacity);
    fresh.bytes = std::make_unique_for_overwrite<std::uint8_t[]>(capacity);
    bytes_ += capacity;
  }
  blocks_.push_back(std::move(fresh));
  return blocks_.back();
}

void Scrollback::push_packed(std::span<const std::uint8_t> line)
{
  room(line.size()).append(line);
  ++lines_;
  ++total_;
  evict();
}

void Scrollback::evict()
{
  while (bytes_ > limit_ && !blocks_.empty() && (blocks_.size() > 1 || limit_ == 0)) {
    const Block& oldest = blocks_.front();
    if (lines_ - oldest.lines < keep_) return;
    lines_ -= oldest.lines;
    bytes_ -= oldest.capacity;
    blocks_.pop_front();
  }
}

RowInfo Scrollback::pop(std::vector<Cell>& cells)
{
  Block& block = blocks_.back();
  RowInfo info = unpack_line(line(lines_ - 1), cells);
  --block.lines;
  --lines_;
  --total_;
  if (block.lines == 0) {
    bytes_ -= block.capacity;
    blocks_.pop_back();
  }
  return info;
}

void Scrollback::clear()
{
  blocks_.clear();
  lines_ = bytes_ = 0;
}

void Scrollback::keep(std::size_t lines)
{
  keep_ = lines;
  evict();
}

std::span<const std::uint8_t> Scrollback::line(std::size_t index) const
{
  // From the newest block backwards: the view is nearly always close to the end, and there are at most some 70 blocks.
  std::size_t end = lines_;
  for (auto block = blocks_.rbegin(); block != blocks_.rend(); ++block) {
    std::size_t begin = end - block->lines;
    if (index >= begin) {
      auto i = static_cast<std::uint32_t>(index - begin);
      std::uint32_t from = block->end(i - 1);
      return {block->bytes.get() + from, block->end(i) - from};
    }
    end = begin;
  }
  return {};
}

} // namespace conductor::terminal
