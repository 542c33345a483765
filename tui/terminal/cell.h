// One cell of a terminal screen: what it shows and how. A cell is 16 bytes, so that the printing loop stores it at
// once, and everything rare (clusters of combining marks, coloured underlines, hyperlinks) is a number into a table of
// the terminal it belongs to. Ask that terminal for the meaning: Terminal::cluster, underline_colour, link.
#pragma once

#include <cstdint>

namespace conductor::terminal {

/// A colour as the child named it. Palette colours keep their index: what index 4 looks like is the painter's business.
struct Colour {
  enum class Kind : std::uint8_t { standard, index, rgb };

  std::uint32_t packed = 0; ///< kind in bits 24..31, palette index or 0xRRGGBB below

  static constexpr Colour standard() { return {}; }
  static constexpr Colour index(std::uint8_t number) { return {0x0100'0000U | number}; }
  static constexpr Colour rgb(std::uint32_t red_green_blue) { return {0x0200'0000U | (red_green_blue & 0xFF'FFFFU)}; }

  constexpr Kind kind() const { return static_cast<Kind>(packed >> 24); }
  constexpr std::uint32_t value() const { return packed & 0xFF'FFFFU; } ///< palette index, or 0xRRGGBB
  constexpr bool operator==(const Colour&) const = default;
};

/// Bits of Style::flags. Underline is a number of three bits (see Underline), the others are switches.
namespace flag {
inline constexpr std::uint16_t bold = 1 << 0, dim = 1 << 1, italic = 1 << 2, blink = 1 << 3, reverse = 1 << 4,
                               conceal = 1 << 5, strike = 1 << 6, overline = 1 << 7, underline_shift = 8,
                               underline_mask = 7 << 8,
                               guarded = 1 << 11, ///< DECSCA: selective erase leaves it alone
    wide_lead = 1 << 12,                          ///< left half of a character of two columns
    wide_tail = 1 << 13,                          ///< right half; its text is 0
    shape_mask = wide_lead | wide_tail;
} // namespace flag

enum class Underline : std::uint8_t { none, single, twofold, curly, dotted, dashed };

/// How a cell looks: colours, attributes, and the number of its rare extras (0 = none).
struct Style {
  Colour foreground;
  Colour background;
  std::uint16_t flags = 0;
  std::uint16_t extra = 0; ///< coloured underline or hyperlink: a number of the terminal's table

  constexpr bool has(std::uint16_t bits) const { return (flags & bits) != 0; }
  constexpr Underline underline() const
  {
    return static_cast<Underline>((flags & flag::underline_mask) >> flag::underline_shift);
  }
  constexpr bool operator==(const Style&) const = default;
};

/// text is 0 for a blank (never printed, or erased: only its background counts), a Unicode scalar value, or, with bit
/// 31 set, a cluster of the terminal's table.
struct alignas(16) Cell {
  std::uint32_t text = 0;
  Style style;

  constexpr bool wide() const { return style.has(flag::wide_lead); }
  constexpr bool tail() const { return style.has(flag::wide_tail); }
  constexpr bool is_cluster() const { return (text & 0x8000'0000U) != 0; }
  constexpr bool operator==(const Cell&) const = default;
};
static_assert(sizeof(Cell) == 16);

} // namespace conductor::terminal
