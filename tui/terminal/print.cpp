// Printing: from characters to cells. The run of plain ASCII is the loop that everything else was built around.
#include "tui/terminal/interpreter.h"
#include "tui/terminal/width.h"

#include <algorithm>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace conductor::terminal {

namespace {

/// DEC Special Graphics for 0x5F..0x7E (VT100 user guide, table 3-9).
constexpr char16_t graphics_characters[] = u" ◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·";

char32_t translate(char32_t c, Charset charset)
{
  if (charset == Charset::graphics && c >= 0x5F && c <= 0x7E) return graphics_characters[c - 0x5F];
  if (charset == Charset::british && c == '#') return U'£';
  return c;
}

void store(Cell* to, const char* text, std::size_t count, const Style& style)
{
#ifdef __SSE2__
  // The style in the upper three lanes, the character or-ed into the lowest: one store a cell.
  const __m128i pen = _mm_set_epi32(style.flags | style.extra << 16, static_cast<int>(style.background.packed),
                                    static_cast<int>(style.foreground.packed), 0);
  for (std::size_t i = 0; i < count; ++i)
    _mm_store_si128(reinterpret_cast<__m128i*>(to + i), _mm_or_si128(pen, _mm_cvtsi32_si128(text[i])));
#else
  for (std::size_t i = 0; i < count; ++i) to[i] = {static_cast<unsigned char>(text[i]), style};
#endif
}

} // namespace

void Interpreter::wrap()
{
  cursor_row().info.wrapped = true;
  x = 0;
  line_feed();
}

void Interpreter::print_ascii(std::string_view text)
{
  last_printed = static_cast<unsigned char>(text.back());
  if (inner.insert || !charsets.plain()) {
    for (char c : text) print(static_cast<unsigned char>(c));
    return;
  }
  while (!text.empty()) {
    if (wrap_pending) wrap();
    auto room = static_cast<std::size_t>(columns - x);
    std::size_t count = std::min(text.size(), room);
    if (!inner.autowrap && text.size() > room) {
      // All that does not fit falls on the last column, where the last character stays.
      count = room - 1;
      if (count == 0) text = text.substr(text.size() - 1), count = 1;
    }
    Grid::Row& row = cursor_row();
    grid->open(row, x, x + static_cast<int>(count));
    store(row.cells + x, text.data(), count, pen.style);
    text.remove_prefix(count);
    x += static_cast<int>(count);
    if (x == columns) {
      x = columns - 1;
      row.info.wrapped = false;
      wrap_pending = inner.autowrap;
    }
  }
}

void Interpreter::print(char32_t code_point)
{
  if (!charsets.plain()) {
    code_point = translate(code_point, charsets.g[charsets.single != 0 ? charsets.single : charsets.current]);
    charsets.single = 0;
  }
  int wide = width(code_point);
  if (wide == 0) return combine(code_point);
  if (wide > columns) { // a wide character has no place in a single column
    code_point = 0xFFFD;
    wide = 1;
  }
  last_printed = code_point;
  put(code_point, wide);
}

void Interpreter::put(char32_t code_point, int wide)
{
  if (wrap_pending) wrap();
  if (x + wide > columns) {
    if (!inner.autowrap) return;
    // The wide character goes to the next row; the column that it leaves belongs to neither.
    grid->erase(y, x, columns, {});
    wrap();
  }
  if (inner.insert) grid->insert(y, x, wide, blank());
  Grid::Row& row = cursor_row();
  grid->open(row, x, x + wide);
  Cell cell{code_point, pen.style};
  if (wide == 2) {
    cell.style.flags |= flag::wide_lead;
    row.cells[x] = cell;
    cell.text = 0;
    cell.style.flags = static_cast<std::uint16_t>(cell.style.flags ^ flag::shape_mask);
    row.cells[x + 1] = cell;
  } else {
    row.cells[x] = cell;
  }
  x += wide;
  if (x == columns) {
    x = columns - 1;
    row.info.wrapped = false;
    wrap_pending = inner.autowrap;
  }
}

void Interpreter::repeat(int count)
{
  if (last_printed == 0) return;
  count = std::min(count, rows * columns);
  if (last_printed < 0x80 && charsets.plain() && !inner.insert) {
    // Eight bytes of a child can ask for the whole screen: that must not cost a step for each character.
    std::string run(static_cast<std::size_t>(count), static_cast<char>(last_printed));
    return print_ascii(run);
  }
  for (; count > 0; --count) put(last_printed, std::min(width(last_printed), columns));
}

/// Adds a mark to the character before the cursor. There is none at the start of a row: the mark is dropped.
void Interpreter::combine(char32_t mark)
{
  int at = wrap_pending ? x : x - 1;
  Grid::Row& row = cursor_row();
  if (at < 0) return;
  if (at >= row.used) Grid::fill_gap(row, at + 1);
  if (row.cells[at].tail()) --at;
  Cell& cell = row.cells[at];
  auto text = clusters.append(cell.text, mark);
  if (!text && collect()) text = clusters.append(cell.text, mark);
  if (!text || *text == cell.text) return;
  cell.text = *text;
  row.touch(at, at + (cell.wide() ? 2 : 1));
}

} // namespace conductor::terminal
