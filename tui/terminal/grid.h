// The cells of one screen. Rows live in one block and are shown through a list of row numbers, so that a scroll moves
// numbers, not cells. A row knows how many of its cells are in use: all beyond are blank and were perhaps never
// written. Two invariants hold between calls: both halves of a wide character are there, side by side, and inside the
// used part.
#pragma once

#include "tui/terminal/cell.h"
#include "tui/terminal/terminal.h"

#include <cstdint>
#include <span>
#include <vector>

namespace conductor::terminal {

class Grid {
public:
  Grid(int rows, int columns);

  struct Row {
    Cell* cells = nullptr;
    int used = 0;
    int dirty_first = 0; ///< changed columns [dirty_first, dirty_last)
    int dirty_last = 0;
    RowInfo info;

    void touch(int first, int last)
    {
      if (first < dirty_first) dirty_first = first;
      if (last > dirty_last) dirty_last = last;
    }
  };

  int rows() const { return static_cast<int>(order_.size()); }
  int columns() const { return columns_; }
  Row& row(int y) { return rows_[order_[static_cast<std::size_t>(y)]]; }
  const Row& row(int y) const { return rows_[order_[static_cast<std::size_t>(y)]]; }
  std::span<const Cell> cells(int y) const { return {row(y).cells, static_cast<std::size_t>(row(y).used)}; }

  /// Makes [first, last) of the row ready to be overwritten by the caller, who stores every cell of it: fills the gap
  /// before it, mends wide characters that are cut at its ends, counts it as used and changed.
  void open(Row& row, int first, int last)
  {
    if (first > row.used) fill_gap(row, first);
    if (first < row.used) mend(row, first, last);
    if (last > row.used) row.used = last;
    row.touch(first, last);
  }

  /// Fills the row with blanks up to column `until`.
  static void fill_gap(Row& row, int until);
  /// Erases [first, last) to blanks of the background in `blank`.
  void erase(int y, int first, int last, const Style& blank);
  /// The same, but cells that are guarded (DECSCA) stay.
  void erase_unguarded(int y, int first, int last, const Style& blank);
  /// Inserts blanks at `x`; what leaves the row at its right end is lost (ICH).
  void insert(int y, int x, int count, const Style& blank);
  /// Deletes cells at `x`; blanks come in at the right end (DCH).
  void remove(int y, int x, int count, const Style& blank);
  /// Rows [top, bottom) move up or down by `count` (at most their number); blank ones come in.
  void scroll_up(int top, int bottom, int count, const Style& blank);
  void scroll_down(int top, int bottom, int count, const Style& blank);
  void clear(const Style& blank);
  /// Puts these cells into the row, cut to its width.
  void assign(int y, std::span<const Cell> cells, RowInfo info);

  void damage_all() { damage_rows(0, rows()); }
  /// Appends the changed rows to `out` and forgets them.
  void take_damage(std::vector<Damage>& out);

private:
  int columns_;
  std::vector<Cell> storage_;
  std::vector<Row> rows_;
  std::vector<std::uint32_t> order_;
  int dirty_top_, dirty_bottom_; ///< rows that changed as a whole, which costs a scroll two comparisons

  void damage_rows(int top, int bottom)
  {
    if (top < dirty_top_) dirty_top_ = top;
    if (bottom > dirty_bottom_) dirty_bottom_ = bottom;
  }
  static void mend(Row& row, int first, int last);
  void blank_row(Row& row, const Style& blank);
};

} // namespace conductor::terminal
