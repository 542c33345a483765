// Resizing. The alternate screen is cut or widened: its program redraws it. The primary screen is reflowed: rows that
// were wrapped are put together with the scrollback's into lines and cut anew, and the cursor stays on its character.
//
// All rows, those of the screen too, pass through a new scrollback, from whose end the screen is then taken back. So
// nothing ever holds a whole line, which a child can make as long as the scrollback.
#include "tui/terminal/interpreter.h"

#include <algorithm>
#include <array>

namespace conductor::terminal {

namespace {

/// A position on the screen that follows its character through a reflow.
struct Point {
  int x = 0, y = 0;
  bool wrap_pending = false;
  bool placed = false;    ///< the two below are known
  std::uint64_t line = 0; ///< the row that it came to, counted from the first of all
  int column = 0;
};

/// Cuts a stream of rows anew at another width.
class Rewrapper {
public:
  Rewrapper(Scrollback& to, int columns) : to_(to), columns_(static_cast<std::size_t>(columns)) {}

  /// One old row. `points` on it get their new line and column.
  void append(std::span<const Cell> cells, RowInfo info, std::span<Point*> points)
  {
    if (row_.empty() && !continued_) mark_ = info.mark;
    // Trailing blanks, as they come from an erased background, never make a row of their own.
    std::size_t text_end = cells.size();
    if (!info.wrapped)
      while (text_end > 0 && cells[text_end - 1].text == 0 && !cells[text_end - 1].tail()) --text_end;
    std::size_t i = points.empty() && columns_ > 1 ? put_pieces(cells.first(text_end)) : 0;
    while (i < cells.size()) {
      std::size_t step = cells[i].wide() ? 2 : 1;
      if (i < text_end || row_.size() + step <= columns_) {
        put(cells.subspan(i, step), points, i);
      } else {
        place(points, i, i + 1, columns_ - 1);
      }
      i += step;
    }
    for (Point* point : points) {
      if (point->placed) continue;
      std::size_t beyond = static_cast<std::size_t>(point->x) - cells.size();
      settle(*point, std::min(row_.size() + beyond, columns_ - 1));
    }
    if (!info.wrapped) emit(false);
  }
  void finish()
  {
    if (!row_.empty() || continued_) emit(false);
  }
  /// A line that is a single row before and after, as it is packed.
  bool append_packed(std::span<const std::uint8_t> line)
  {
    if (!row_.empty() || continued_ || packed_info(line).wrapped) return false;
    if (packed_cells(line) > static_cast<int>(columns_)) return false;
    to_.push_packed(line);
    ++emitted_;
    return true;
  }
  std::uint64_t emitted() const { return emitted_; } ///< the number of the row that is being filled

private:
  Scrollback& to_;
  std::size_t columns_;
  std::vector<Cell> row_;
  std::uint64_t emitted_ = 0;
  bool continued_ = false; ///< the row being filled goes on from the one before
  Mark mark_ = Mark::none;

  void emit(bool wrapped)
  {
    to_.push(row_, {wrapped, continued_ ? Mark::none : mark_});
    ++emitted_;
    row_.clear();
    continued_ = wrapped;
  }

  /// Rows without a point on them, nearly all, go by the piece. Only a left half must not end one. Returns how many
  /// cells went.
  std::size_t put_pieces(std::span<const Cell> cells)
  {
    for (std::size_t i = 0; i < cells.size();) {
      if (row_.size() >= columns_) emit(true);
      std::size_t count = std::min(columns_ - row_.size(), cells.size() - i);
      if (cells[i + count - 1].wide()) --count;
      if (count == 0) emit(true);
      auto from = cells.begin() + static_cast<std::ptrdiff_t>(i);
      row_.insert(row_.end(), from, from + static_cast<std::ptrdiff_t>(count));
      i += count;
    }
    return cells.size();
  }

  void put(std::span<const Cell> character, std::span<Point*> points, std::size_t index)
  {
    std::array<Cell, 2> single{character[0]};
    if (character.size() > columns_) { // a wide character in one column
      single[0] = {0xFFFD, character[0].style};
      single[0].style.flags &= static_cast<std::uint16_t>(~flag::shape_mask);
    }
    std::size_t step = std::min(character.size(), columns_);
    if (row_.size() + step > columns_) emit(true);
    place(points, index, index + character.size(), row_.size());
    if (step == 1) {
      row_.push_back(single[0]);
    } else {
      row_.insert(row_.end(), character.begin(), character.end());
    }
  }

  /// The points on old columns [first, last) are now in column `column` of the row being filled.
  void place(std::span<Point*> points, std::size_t first, std::size_t last, std::size_t column)
  {
    for (Point* point : points) {
      auto x = static_cast<std::size_t>(point->x);
      if (x >= first && x < last) settle(*point, std::min(column + (x - first), columns_ - 1));
    }
  }

  void settle(Point& point, std::size_t column)
  {
    point.placed = true;
    point.line = emitted_;
    point.column = static_cast<int>(column);
  }
};

/// Puts a point that went through the rewrapper onto the new screen, whose first row is line `first`.
void land(Point& point, std::uint64_t first, int rows, int columns)
{
  if (point.wrap_pending && point.column < columns - 1) {
    ++point.column; // it stood behind its character, and there is room for that now
    point.wrap_pending = false;
  }
  point.x = point.column;
  point.y = point.line < first
                ? 0
                : static_cast<int>(std::min<std::uint64_t>(point.line - first, static_cast<std::uint64_t>(rows - 1)));
}

/// Rows of the screen down to the last that holds something, or the cursor.
int content_rows(const Grid& grid, int cursor_y)
{
  int rows = grid.rows();
  while (rows > cursor_y + 1 && grid.row(rows - 1).used == 0) --rows;
  return rows;
}

/// Only the height changes: rows leave to the scrollback or come back from it.
void change_height(Interpreter& t, Grid& next, int content, std::span<Point*> points)
{
  Grid& old = t.primary;
  int blanks = old.rows() - content;
  int gone = std::max(0, old.rows() - next.rows() - blanks); // blank rows at the end go first
  int back = static_cast<int>(
      std::min<std::size_t>(t.scrollback.size(), static_cast<std::size_t>(std::max(0, next.rows() - old.rows()))));
  for (int y = 0; y < gone; ++y) t.scrollback.push(old.cells(y), old.row(y).info);
  for (int y = back - 1; y >= 0; --y) {
    RowInfo info = t.scrollback.pop(t.line_buffer);
    next.assign(y, t.line_buffer, info);
  }
  for (int y = gone; y < content; ++y) next.assign(y - gone + back, old.cells(y), old.row(y).info);
  for (Point* point : points) point->y = std::clamp(point->y - gone + back, 0, next.rows() - 1);
}

void reflow(Interpreter& t, Grid& next, int content, std::span<Point*> points)
{
  Grid& old = t.primary;
  Scrollback all(t.scrollback.limit());
  all.keep(static_cast<std::size_t>(next.rows()));
  Rewrapper wrapper(all, next.columns());
  for (std::size_t i = 0; i < t.scrollback.size(); ++i) {
    auto line = t.scrollback.line(i);
    if (wrapper.append_packed(line)) continue;
    RowInfo info = unpack_line(line, t.line_buffer);
    wrapper.append(t.line_buffer, info, {});
  }
  std::uint64_t screen_start = wrapper.emitted();
  for (int y = 0; y < content; ++y) {
    std::vector<Point*> here;
    for (Point* point : points)
      if (point->y == y) here.push_back(point);
    RowInfo info = old.row(y).info;
    if (y == content - 1) info.wrapped = false;
    wrapper.append(old.cells(y), info, here);
  }
  wrapper.finish();

  // Blank rows below are kept as far as the screen still has room for what came of the rows above them. So a screen
  // that was cleared stays clear, and a full one keeps its last row at the bottom.
  auto filled = static_cast<int>(
      std::min<std::uint64_t>(wrapper.emitted() - screen_start, static_cast<std::uint64_t>(next.rows())));
  int blanks = std::min(old.rows() - content, next.rows() - filled);
  int taken = static_cast<int>(std::min<std::size_t>(all.size(), static_cast<std::size_t>(next.rows() - blanks)));
  for (int y = taken - 1; y >= 0; --y) {
    RowInfo info = all.pop(t.line_buffer);
    next.assign(y, t.line_buffer, info);
  }
  all.keep(0);
  for (Point* point : points)
    land(*point, wrapper.emitted() - static_cast<std::uint64_t>(taken), next.rows(), next.columns());
  t.scrollback = std::move(all);
}

void resize_primary(Interpreter& t, Grid& next)
{
  SavedCursor& saved = t.saved[0];
  Point cursor{t.x, t.y, t.wrap_pending}, stored{saved.x, saved.y, saved.wrap_pending};
  // While the alternate screen is shown, what matters on the primary one is where its program left the cursor.
  bool shown = !t.alternate_shown();
  int content = content_rows(t.primary, shown ? cursor.y : stored.y);
  stored.y = std::min(stored.y, content - 1);
  std::vector<Point*> points{&stored};
  if (shown) points.push_back(&cursor);
  if (t.primary.columns() == next.columns()) {
    change_height(t, next, content, points);
  } else {
    reflow(t, next, content, points);
  }
  auto pending = [&next](const Point& point) { return point.wrap_pending && point.x == next.columns() - 1; };
  saved.x = stored.x;
  saved.y = stored.y;
  saved.wrap_pending = pending(stored);
  if (shown) {
    t.x = cursor.x;
    t.y = cursor.y;
    t.wrap_pending = pending(cursor);
  }
}

void resize_alternate(Interpreter& t, Grid& next)
{
  const Grid& old = t.alternate;
  int cursor_y = t.alternate_shown() ? t.y : 0;
  int gone = std::max(0, cursor_y - next.rows() + 1); // the row of the cursor stays on the screen
  for (int y = gone; y < std::min(old.rows(), next.rows() + gone); ++y) {
    RowInfo info = old.row(y).info;
    info.wrapped = info.wrapped && old.columns() == next.columns();
    next.assign(y - gone, old.cells(y), info);
  }
  SavedCursor& saved = t.saved[1];
  saved.x = std::min(saved.x, next.columns() - 1);
  saved.y = std::clamp(saved.y - gone, 0, next.rows() - 1);
  saved.wrap_pending = saved.wrap_pending && saved.x == next.columns() - 1;
  if (t.alternate_shown()) {
    t.y -= gone;
    t.x = std::min(t.x, next.columns() - 1);
    t.wrap_pending = t.wrap_pending && old.columns() == next.columns();
  }
}

} // namespace

void Interpreter::resize(int row_count, int column_count)
{
  row_count = std::clamp(row_count, 1, maximum_rows);
  column_count = std::clamp(column_count, 1, maximum_columns);
  if (row_count == rows && column_count == columns) return;
  Grid next_primary(row_count, column_count), next_alternate(row_count, column_count);
  resize_alternate(*this, next_alternate);
  resize_primary(*this, next_primary);
  primary = std::move(next_primary);
  alternate = std::move(next_alternate);

  // Margins that spanned the screen still do; others are cut to it, and go where too little is left of them.
  bool whole = top == 0 && bottom == rows;
  bottom = whole ? row_count : std::min(bottom, row_count);
  if (bottom - top < std::min(2, row_count)) {
    top = 0;
    bottom = row_count;
  }
  int old_columns = columns;
  rows = row_count;
  columns = column_count;
  default_tabs(std::min(old_columns, columns));
  grid->damage_all();
}

} // namespace conductor::terminal
