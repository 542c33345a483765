// How many columns a code point takes: 0, 1 or 2 (Unicode 15.0, as wcwidth(3) of glibc sees it), and the reading and
// writing of UTF-8 outside the parser.
#pragma once

#include "tui/terminal/width_table.h"

#include <string>
#include <string_view>

namespace conductor::terminal {

/// Columns of a code point: 0 for what combines with the character before it, 2 for wide ones, else 1. By a table of
/// two stages (8 KB): the page of the code point, then its two bits.
inline int width(char32_t code_point)
{
  if (code_point > 0x10FFFF) return 1;
  const auto& page = width_bits[width_page[code_point >> 8]];
  return static_cast<int>(page[(code_point >> 5) & 7] >> (2 * (code_point & 31)) & 3);
}

/// Appends the UTF-8 of a code point; U+FFFD for a surrogate or a value beyond U+10FFFF.
void append_utf8(std::string& text, char32_t code_point);

/// The code point at `at`, which moves behind it; U+FFFD and one byte on where the text is not well-formed there.
char32_t read_utf8(std::string_view text, std::size_t& at);

/// A Unicode scalar value: neither a surrogate nor beyond U+10FFFF.
constexpr bool is_scalar(char32_t code_point)
{
  return code_point < 0xD800 || (code_point > 0xDFFF && code_point <= 0x10FFFF);
}

} // namespace conductor::terminal
