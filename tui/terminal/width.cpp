// UTF-8 outside the parser: of cells for the painter, of titles.
#include "tui/terminal/width.h"

namespace conductor::terminal {

void append_utf8(std::string& text, char32_t code_point)
{
  if (!is_scalar(code_point)) code_point = 0xFFFD;
  auto put = [&text](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3F));
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

char32_t read_utf8(std::string_view text, std::size_t& at)
{
  auto byte = [&text](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  char32_t lead = byte(at);
  std::size_t more = lead < 0x80 ? 0 : lead >= 0xC2 && lead < 0xE0 ? 1 : lead >= 0xE0 && lead < 0xF0 ? 2 : 3;
  if ((lead >= 0x80 && lead < 0xC2) || lead > 0xF4) {
    ++at;
    return 0xFFFD;
  }
  constexpr char32_t lead_bits[] = {0x7F, 0x1F, 0x0F, 0x07}, lowest[] = {0, 0x80, 0x800, 0x10000};
  char32_t value = lead & lead_bits[more];
  for (std::size_t i = 1; i <= more; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) {
      ++at;
      return 0xFFFD;
    }
    value = value << 6 | (byte(at + i) & 0x3F);
  }
  if (value < lowest[more] || !is_scalar(value)) {
    ++at;
    return 0xFFFD;
  }
  at += more + 1;
  return value;
}

} // namespace conductor::terminal
