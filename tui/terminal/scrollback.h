// The lines that scrolled off the primary screen, packed. A line is a header and runs of one style: a line of a shell
// takes some 100 bytes instead of 16 a cell, so that 10,000 of them fit in few MiB. Lines lie in blocks; when the bound
// is reached the oldest block goes, and its memory takes the newest lines.
#pragma once

#include "tui/terminal/cell.h"
#include "tui/terminal/terminal.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

namespace conductor::terminal {

/// A place to pack lines in, large enough for the longest; its bytes are written before they are read.
struct PackBuffer {
  std::unique_ptr<std::uint8_t[]> bytes;
  PackBuffer();
};
/// Packs cells (whole characters, at most maximum_columns) and the row's info. Valid until the buffer's next use.
std::span<const std::uint8_t> pack_line(std::span<const Cell> cells, RowInfo info, PackBuffer& buffer);
/// Unpacks a well-formed line into `cells`, replacing what they hold.
RowInfo unpack_line(std::span<const std::uint8_t> bytes, std::vector<Cell>& cells);
/// Cells that the line takes, from its header.
int packed_cells(std::span<const std::uint8_t> bytes);
RowInfo packed_info(std::span<const std::uint8_t> bytes);
/// Calls visit.text(text) and visit.style(style) for everything in the line; false if it is not well-formed, or if a
/// visitor says false. Nothing is trusted here.
template <class Visitor>
bool visit_line(std::span<const std::uint8_t> bytes, Visitor&& visit);

class Scrollback {
public:
  explicit Scrollback(std::size_t limit_bytes);

  void push(std::span<const Cell> cells, RowInfo info);
  void push_packed(std::span<const std::uint8_t> line); ///< must be well-formed
  /// Takes the newest line back.
  RowInfo pop(std::vector<Cell>& cells);
  void clear();
  /// While reflowing: never drop the newest `lines`, whatever the bound says. 0 goes back to the bound alone.
  void keep(std::size_t lines);

  std::size_t size() const { return lines_; }
  std::uint64_t total() const { return total_; }
  std::size_t bytes() const { return bytes_; }
  std::size_t limit() const { return limit_; }
  std::span<const std::uint8_t> line(std::size_t index) const; ///< 0 is the oldest

private:
  /// Lines fill a block from its start, the offsets of their ends from its back, so that the bound counts both.
  struct Block {
    std::unique_ptr<std::uint8_t[]> bytes;
    std::uint32_t capacity = 0;
    std::uint32_t lines = 0;

    std::uint32_t end(std::uint32_t line) const; ///< where line number `line` of this block ends; -1 is the start
    std::uint32_t used() const { return end(lines - 1); }
    std::size_t left() const { return capacity - used() - lines * sizeof(std::uint32_t); }
    void append(std::span<const std::uint8_t> line);
  };
  std::size_t limit_, block_bytes_;
  std::deque<Block> blocks_;
  std::size_t lines_ = 0, bytes_ = 0, keep_ = 0;
  std::uint64_t total_ = 0;
  PackBuffer scratch_;

  void evict();
  Block& room(std::size_t size);
};

// ---- the packed form: {u16 cells, u8 flags, u8 zero}, then runs {Style, u16 count, u8 size, u8 zero, texts}

inline constexpr std::size_t line_header = 4, run_header = 16;

template <class Text, class Visitor>
bool visit_texts(const std::uint8_t* bytes, std::size_t count, Visitor& visit)
{
  for (std::size_t i = 0; i < count; ++i) {
    Text text;
    __builtin_memcpy(&text, bytes + i * sizeof text, sizeof text); // little-endian, as every host of ours
    if (!visit.text(std::uint32_t{text})) return false;
  }
  return true;
}

template <class Visitor>
bool visit_line(std::span<const std::uint8_t> bytes, Visitor&& visit)
{
  if (bytes.size() < line_header) return false;
  int cells = bytes[0] | bytes[1] << 8, seen = 0;
  if (cells > maximum_columns || bytes[2] > 5 || bytes[3] != 0) return false;
  std::size_t at = line_header;
  while (at < bytes.size()) {
    if (bytes.size() - at < run_header) return false;
    Style style;
    __builtin_memcpy(&style, bytes.data() + at, sizeof style);
    int count = bytes[at + 12] | bytes[at + 13] << 8;
    std::size_t size = bytes[at + 14];
    if (bytes[at + 15] != 0 || count == 0 || (size != 1 && size != 2 && size != 4)) return false;
    at += run_header;
    std::size_t payload = static_cast<std::size_t>(count) * size;
    if (bytes.size() - at < payload || !visit.style(style)) return false;
    seen += style.has(flag::wide_lead) ? 2 * count : count;
    if (seen > cells) return false;
    const std::uint8_t* texts = bytes.data() + at;
    auto count_of = static_cast<std::size_t>(count);
    bool good = size == 1   ? visit_texts<std::uint8_t>(texts, count_of, visit)
                : size == 2 ? visit_texts<std::uint16_t>(texts, count_of, visit)
                            : visit_texts<std::uint32_t>(texts, count_of, visit);
    if (!good) return false;
    at += payload;
  }
  return seen == cells;
}

} // namespace conductor::terminal
