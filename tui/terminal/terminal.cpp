// The face of the emulator: each call is handed to the interpreter behind it.
#include "tui/terminal/terminal.h"

#include "tui/terminal/interpreter.h"
#include "tui/terminal/width.h"

#include <utility>

namespace conductor::terminal {

Terminal::Terminal(int rows, int columns, Limits limits)
    : interpreter_(std::make_unique<Interpreter>(rows, columns, limits))
{}
Terminal::Terminal(std::unique_ptr<Interpreter> interpreter) : interpreter_(std::move(interpreter)) {}
Terminal::~Terminal() = default;
Terminal::Terminal(Terminal&&) noexcept = default;
Terminal& Terminal::operator=(Terminal&&) noexcept = default;

void Terminal::feed(std::string_view bytes) { interpreter_->parser.feed(*interpreter_, bytes); }
void Terminal::resize(int rows, int columns) { interpreter_->resize(rows, columns); }
void Terminal::reset() { interpreter_->reset(); }

int Terminal::rows() const { return interpreter_->rows; }
int Terminal::columns() const { return interpreter_->columns; }
std::span<const Cell> Terminal::row(int y) const { return interpreter_->grid->cells(y); }
RowInfo Terminal::row_info(int y) const { return std::as_const(*interpreter_->grid).row(y).info; }

std::size_t Terminal::scrollback_rows() const { return interpreter_->scrollback.size(); }
std::span<const Cell> Terminal::scrollback_row(std::size_t index) const
{
  unpack_line(interpreter_->scrollback.line(index), interpreter_->line_buffer);
  return interpreter_->line_buffer;
}
RowInfo Terminal::scrollback_info(std::size_t index) const { return packed_info(interpreter_->scrollback.line(index)); }
std::uint64_t Terminal::scrollback_total() const { return interpreter_->scrollback.total(); }
void Terminal::clear_scrollback() { interpreter_->scrollback.clear(); }
std::size_t Terminal::scrollback_bytes() const { return interpreter_->scrollback.bytes(); }

std::span<const Damage> Terminal::take_damage()
{
  interpreter_->damage.clear();
  interpreter_->grid->take_damage(interpreter_->damage);
  return interpreter_->damage;
}
void Terminal::damage_all() { interpreter_->grid->damage_all(); }

Cursor Terminal::cursor() const
{
  const Interpreter& t = *interpreter_;
  return {t.y, t.x, t.inner.cursor_visible, t.inner.cursor_blinks, t.shape};
}
const Modes& Terminal::modes() const { return interpreter_->modes; }
void Terminal::end_synchronised() { interpreter_->modes.synchronised = false; }
const std::string& Terminal::title() const { return interpreter_->title; }
std::string Terminal::take_replies() { return std::exchange(interpreter_->replies, {}); }
bool Terminal::has_replies() const { return !interpreter_->replies.empty(); }
Events Terminal::take_events() { return std::exchange(interpreter_->events, {}); }

std::size_t Terminal::code_points(const Cell& cell, std::span<char32_t, 9> out) const
{
  if (cell.tail()) return 0;
  if (cell.text != 0) return interpreter_->clusters.code_points(cell.text, out);
  out[0] = ' ';
  return 1;
}

void Terminal::append_cluster(const Cell& cell, std::string& text) const
{
  char32_t code_points_of[9];
  std::size_t count = code_points(cell, code_points_of);
  for (std::size_t i = 0; i < count; ++i) append_utf8(text, code_points_of[i]);
}

std::string Terminal::cluster(const Cell& cell) const
{
  std::string text;
  append_cluster(cell, text);
  return text;
}

Colour Terminal::underline_colour(const Style& style) const
{
  return interpreter_->extras.extra(style.extra).underline;
}
std::string_view Terminal::link(const Style& style) const
{
  return interpreter_->extras.link(interpreter_->extras.extra(style.extra).link);
}

void Terminal::set_palette(const Palette& palette) { interpreter_->palette = palette; }
std::optional<std::uint32_t> Terminal::colour_override(int index) const
{
  const auto& colours = interpreter_->colours;
  if (index < 0 || static_cast<std::size_t>(index) >= colours.size()) return std::nullopt;
  return colours[static_cast<std::size_t>(index)];
}

std::string_view Terminal::broken_invariant() const { return interpreter_->broken_invariant(); }

} // namespace conductor::terminal
