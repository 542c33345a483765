// How many columns a code point takes: 0, 1 or 2 (Unicode 15.0, as wcwidth(3) of glibc sees it), and the reading and
// writing of UTF-8 outside the parser.
#pragma once

#include <string>
#include <string_view>

namespace conductor::terminal {

/// Columns of a code point: 0 for what combines with the character before it, 2 for wide ones, else 1.
int width(char32_t code_point);

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
