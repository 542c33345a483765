// The primitives: cursor, scrolling, tabs, the two screens, resets, and the collection of unused clusters.
#include "tui/terminal/interpreter.h"

#include "tui/terminal/width.h"

#include <algorithm>

namespace conductor::terminal {

Interpreter::Interpreter(int row_count, int column_count, Limits wanted)
    : limits(wanted), rows(std::clamp(row_count, 1, maximum_rows)),
      columns(std::clamp(column_count, 1, maximum_columns)), primary(rows, columns), alternate(rows, columns),
      scrollback(wanted.scrollback_bytes), parser(wanted.string_bytes), bottom(rows)
{
  default_tabs(0);
}

void Interpreter::move_to(int new_x, int new_y)
{
  x = std::clamp(new_x, 0, columns - 1);
  y = std::clamp(new_y, 0, rows - 1);
  wrap_pending = false;
}

void Interpreter::move_in_origin(int new_x, int new_y)
{
  if (inner.origin) {
    move_to(new_x, std::clamp(new_y + top, top, bottom - 1));
  } else {
    move_to(new_x, new_y);
  }
}

void Interpreter::line_feed()
{
  wrap_pending = false;
  if (y == bottom - 1) {
    scroll_up(1);
  } else if (y < rows - 1) {
    ++y;
  }
}

void Interpreter::reverse_line_feed()
{
  wrap_pending = false;
  if (y == top) {
    scroll_down(1);
  } else if (y > 0) {
    --y;
  }
}

void Interpreter::scroll_up(int count)
{
  count = std::min(count, bottom - top);
  if (top == 0 && grid == &primary)
    for (int line = 0; line < count; ++line) scrollback.push(grid->cells(line), grid->row(line).info);
  grid->scroll_up(top, bottom, count, blank());
}

void Interpreter::scroll_down(int count) { grid->scroll_down(top, bottom, std::min(count, bottom - top), blank()); }

void Interpreter::next_tab(int count)
{
  for (; count > 0 && x < columns - 1; --count) {
    ++x;
    while (x < columns - 1 && !tabs[static_cast<std::size_t>(x)]) ++x;
    wrap_pending = false;
  }
}

void Interpreter::previous_tab(int count)
{
  wrap_pending = false;
  for (; count > 0 && x > 0; --count) {
    --x;
    while (x > 0 && !tabs[static_cast<std::size_t>(x)]) --x;
  }
}

/// BS and CUB. With reverse wrap they go on at the end of the row above, if that row was wrapped into this one.
void Interpreter::back(int count)
{
  bool reverse = inner.reverse_wrap && inner.autowrap;
  if (reverse && wrap_pending) --count; // the cursor stands beyond the last column, as it were
  wrap_pending = false;
  while (count > x && reverse && y > 0 && grid->row(y - 1).info.wrapped) {
    count -= x + 1;
    x = columns - 1;
    --y;
  }
  x = std::max(0, x - std::max(0, count));
}

void Interpreter::save_cursor()
{
  saved[alternate_shown() ? 1 : 0] = {x, y, wrap_pending, inner.origin, pen, charsets};
}

void Interpreter::restore_cursor()
{
  const SavedCursor& from = saved[alternate_shown() ? 1 : 0];
  move_to(from.x, from.y);
  inner.origin = from.origin;
  if (inner.origin) y = std::clamp(y, top, bottom - 1);
  wrap_pending = from.wrap_pending && x == columns - 1 && inner.autowrap;
  pen = from.pen;
  charsets = from.charsets;
}

void Interpreter::show_alternate(bool on)
{
  if (on == alternate_shown()) return;
  grid = on ? &alternate : &primary;
  modes.alternate_screen = on;
  grid->damage_all();
}

void Interpreter::default_tabs(int from)
{
  tabs.resize(static_cast<std::size_t>(columns));
  for (int column = from; column < columns; ++column) tabs[static_cast<std::size_t>(column)] = column % 8 == 0;
}

void Interpreter::soft_reset()
{
  inner.origin = inner.insert = inner.reverse_wrap = false;
  inner.autowrap = inner.cursor_visible = true;
  modes.application_cursor = modes.application_keypad = false;
  top = 0;
  bottom = rows;
  wrap_pending = false;
  pen = {};
  charsets = {};
  saved[alternate_shown() ? 1 : 0] = {};
  shape = CursorShape::standard;
  inner.cursor_blinks = false;
  events.modes_changed = true;
}

void Interpreter::reset()
{
  show_alternate(false);
  soft_reset();
  inner = {};
  modes = {};
  saved = {};
  saved_modes = {};
  last_printed = 0;
  default_tabs(0);
  move_to(0, 0);
  primary.clear({});
  alternate.clear({});
  colours.clear();
  title_stack.clear();
  if (!title.empty()) set_title("");
  parser.reset();
}

void Interpreter::reply(std::string_view bytes)
{
  if (replies.size() + bytes.size() <= limits.reply_bytes) replies.append(bytes);
}

void Interpreter::update_extra()
{
  auto number = extras.intern({pen.underline, pen.link});
  if (!number && collect()) number = extras.intern({pen.underline, pen.link});
  pen.style.extra = number.value_or(0);
}

namespace {

struct MarkAll {
  ClusterTable& clusters;
  ExtraTable& extras;
  bool style(const Style& style)
  {
    extras.mark(style.extra);
    return true;
  }
  bool text(std::uint32_t text)
  {
    clusters.mark(text);
    return true;
  }
};

} // namespace

bool Interpreter::collect()
{
  // Where most is in use, looking again at each new cluster would cost a walk over the whole scrollback each.
  if (collect_patience_ > 0) {
    --collect_patience_;
    return false;
  }
  MarkAll mark{clusters, extras};
  for (const Grid* which : {&primary, &alternate}) {
    for (int row = 0; row < rows; ++row) {
      for (const Cell& cell : which->cells(row)) {
        mark.style(cell.style);
        mark.text(cell.text);
      }
    }
  }
  for (std::size_t line = 0; line < scrollback.size(); ++line) visit_line(scrollback.line(line), mark);
  for (const Pen* which : {&pen, &saved[0].pen, &saved[1].pen}) {
    extras.mark(which->style.extra);
    extras.mark_link(which->link);
  }
  clusters.sweep();
  extras.sweep();
  bool roomy = clusters.size() * 2 <= ClusterTable::maximum_nodes && extras.roomy();
  collect_patience_ = roomy ? 0 : 16'384;
  return true;
}

std::string_view Interpreter::broken_grid(const Grid& which) const
{
  if (which.rows() != rows || which.columns() != columns) return "a screen has another size than the terminal";
  for (int row = 0; row < rows; ++row) {
    auto cells = which.cells(row);
    if (cells.size() > static_cast<std::size_t>(columns)) return "a row is wider than the screen";
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const Cell& cell = cells[i];
      if (cell.wide() && (i + 1 == cells.size() || !cells[i + 1].tail())) return "a wide character lost its right half";
      if (cell.tail() && (i == 0 || !cells[i - 1].wide())) return "a wide character lost its left half";
      if (cell.tail() && (cell.wide() || cell.text != 0)) return "a right half with a text";
      if (!clusters.valid(cell.text)) return "a cell shows what does not exist";
      if (!extras.valid(cell.style.extra)) return "a cell has extras that do not exist";
    }
  }
  return {};
}

std::string_view Interpreter::broken_invariant() const
{
  if (x < 0 || x >= columns || y < 0 || y >= rows) return "the cursor is outside the screen";
  if (wrap_pending && x != columns - 1) return "a wrap is pending before the last column";
  if (top < 0 || bottom > rows || bottom - top < 1) return "the margins are outside the screen";
  for (const SavedCursor& cursor : saved)
    if (cursor.x < 0 || cursor.x >= columns || cursor.y < 0 || cursor.y >= rows) return "a saved cursor is outside";
  if (tabs.size() != static_cast<std::size_t>(columns)) return "there are tabs outside the screen";
  if (replies.size() > limits.reply_bytes) return "the replies are too long";
  if (parser.text.size() > limits.string_bytes) return "a string is too long";
  if (title.size() > limits.title_bytes) return "the title is too long";
  if (scrollback.bytes() > std::max<std::size_t>(limits.scrollback_bytes, 65'536)) return "too much scrollback";
  if (modes.alternate_screen != alternate_shown()) return "another screen is shown than the modes say";
  std::string_view broken = broken_grid(primary);
  return broken.empty() ? broken_grid(alternate) : broken;
}

} // namespace conductor::terminal
