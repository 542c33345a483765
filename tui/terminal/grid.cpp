// Erasing, inserting, deleting and scrolling, always leaving whole characters behind.
#include "tui/terminal/grid.h"

#include <algorithm>
#include <cstring>

namespace conductor::terminal {

namespace {

/// A blank keeps the background only: attributes of erased cells never show (xterm's BCE).
Cell blank_cell(const Style& style) { return {0, {{}, style.background, 0, 0}}; }

bool plain(const Style& blank) { return blank.background == Colour::standard(); }

} // namespace

Grid::Grid(int rows, int columns)
    : columns_(columns), storage_(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns)),
      rows_(static_cast<std::size_t>(rows)), order_(static_cast<std::size_t>(rows)), dirty_top_(0), dirty_bottom_(rows)
{
  for (std::uint32_t i = 0; i < order_.size(); ++i) {
    order_[i] = i;
    rows_[i].cells = storage_.data() + std::size_t{i} * static_cast<std::size_t>(columns);
    rows_[i].dirty_first = columns;
  }
}

void Grid::fill_gap(Row& row, int until)
{
  std::fill(row.cells + row.used, row.cells + until, Cell{});
  row.touch(row.used, until);
  row.used = until;
}

void Grid::mend(Row& row, int first, int last)
{
  if (row.cells[first].tail()) {
    row.cells[first - 1] = blank_cell(row.cells[first - 1].style);
    row.touch(first - 1, first);
  }
  if (last < row.used && row.cells[last].tail()) {
    row.cells[last] = blank_cell(row.cells[last].style);
    row.touch(last, last + 1);
  }
}

void Grid::erase(int y, int first, int last, const Style& blank)
{
  Row& line = row(y);
  last = std::min(last, columns_);
  if (first >= last) return;
  if (last == columns_) line.info.wrapped = false;
  if (plain(blank) && last >= line.used) {
    if (first >= line.used) return;
    mend(line, first, last);
    line.touch(first, line.used);
    line.used = first;
    return;
  }
  open(line, first, last);
  std::fill(line.cells + first, line.cells + last, blank_cell(blank));
}

void Grid::erase_unguarded(int y, int first, int last, const Style& blank)
{
  Row& line = row(y);
  last = std::min(last, columns_);
  int x = first;
  while (x < last) {
    auto guarded = [&](int at) { return at < line.used && line.cells[at].style.has(flag::guarded); };
    if (guarded(x)) {
      ++x;
      continue;
    }
    int from = x;
    while (x < last && !guarded(x)) ++x;
    // A wide character is guarded as a whole, so a range that ends at its tail can only have started inside it.
    erase(y, from, x, blank);
  }
}

void Grid::insert(int y, int x, int count, const Style& blank)
{
  Row& line = row(y);
  count = std::min(count, columns_ - x);
  if (x < line.used) {
    int kept = std::min(line.used, columns_ - count); // cells [x, kept) survive the move
    if (kept < line.used && line.cells[kept].tail()) line.cells[kept - 1] = blank_cell(line.cells[kept - 1].style);
    if (line.cells[x].tail()) {
      line.cells[x - 1] = blank_cell(line.cells[x - 1].style);
      line.cells[x] = blank_cell(line.cells[x].style);
      line.touch(x - 1, x);
    }
    if (kept > x)
      std::memmove(line.cells + x + count, line.cells + x, static_cast<std::size_t>(kept - x) * sizeof(Cell));
    line.used = std::max(std::min(line.used + count, columns_), x + count);
    std::fill(line.cells + x, line.cells + x + count, blank_cell(blank));
    line.touch(x, columns_);
  } else if (!plain(blank)) {
    erase(y, x, x + count, blank);
  }
  line.info.wrapped = false;
}

void Grid::remove(int y, int x, int count, const Style& blank)
{
  Row& line = row(y);
  count = std::min(count, columns_ - x);
  if (x < line.used) {
    mend(line, x, x + count);
    int moved = std::max(0, line.used - x - count);
    if (moved > 0) std::memmove(line.cells + x, line.cells + x + count, static_cast<std::size_t>(moved) * sizeof(Cell));
    line.used = x + moved;
    line.touch(x, columns_);
  }
  line.info.wrapped = false;
  if (!plain(blank)) erase(y, columns_ - count, columns_, blank);
}

void Grid::blank_row(Row& line, const Style& blank)
{
  line.used = 0;
  line.info = {};
  if (!plain(blank)) {
    std::fill(line.cells, line.cells + columns_, blank_cell(blank));
    line.used = columns_;
  }
}

void Grid::scroll_up(int top, int bottom, int count, const Style& blank)
{
  auto first = order_.begin() + top, last = order_.begin() + bottom;
  if (count == 1) {
    // By far the most common case: a line feed at the bottom.
    std::uint32_t number = *first;
    std::memmove(&*first, &*first + 1, static_cast<std::size_t>(bottom - top - 1) * sizeof(number));
    *(last - 1) = number;
  } else {
    std::rotate(first, first + count, last);
  }
  for (int y = bottom - count; y < bottom; ++y) blank_row(row(y), blank);
  if (top > 0) row(top - 1).info.wrapped = false;
  if (bottom - count > top && bottom < rows()) row(bottom - count - 1).info.wrapped = false;
  damage_rows(top, bottom);
}

void Grid::scroll_down(int top, int bottom, int count, const Style& blank)
{
  auto first = order_.begin() + top, last = order_.begin() + bottom;
  std::rotate(first, last - count, last);
  for (int y = top; y < top + count; ++y) blank_row(row(y), blank);
  if (top > 0) row(top - 1).info.wrapped = false;
  row(bottom - 1).info.wrapped = false;
  damage_rows(top, bottom);
}

void Grid::clear(const Style& blank)
{
  for (Row& line : rows_) blank_row(line, blank);
  damage_all();
}

void Grid::assign(int y, std::span<const Cell> cells, RowInfo info)
{
  Row& line = row(y);
  int count = static_cast<int>(std::min(cells.size(), static_cast<std::size_t>(columns_)));
  std::copy(cells.begin(), cells.begin() + count, line.cells);
  if (count > 0 && line.cells[count - 1].wide()) line.cells[count - 1] = blank_cell(line.cells[count - 1].style);
  line.used = count;
  line.info = info;
  line.touch(0, columns_);
}

void Grid::take_damage(std::vector<Damage>& out)
{
  for (int y = 0; y < rows(); ++y) {
    Row& line = row(y);
    if (y >= dirty_top_ && y < dirty_bottom_) {
      out.push_back({y, 0, columns_});
    } else if (line.dirty_first < line.dirty_last) {
      out.push_back({y, line.dirty_first, line.dirty_last});
    }
    line.dirty_first = columns_;
    line.dirty_last = 0;
  }
  dirty_top_ = rows();
  dirty_bottom_ = 0;
}

} // namespace conductor::terminal
