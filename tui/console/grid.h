// A screen of cells in memory. Panels and panes draw into it; Screen compares it with what the terminal shows and
// paints the difference. Nothing here knows ncurses or escape sequences.
#pragma once

#include "tui/terminal/cell.h"

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace conductor::console {

using terminal::Colour;
using terminal::Style;
namespace flag = terminal::flag;

/// A rectangle of cells; empty when it has no rows or no columns.
struct Rect {
  int row = 0, column = 0, rows = 0, columns = 0;

  constexpr bool empty() const { return rows <= 0 || columns <= 0; }
  constexpr int bottom() const { return row + rows; }      ///< first row below it
  constexpr int right() const { return column + columns; } ///< first column right of it
  constexpr bool contains(int y, int x) const { return y >= row && y < bottom() && x >= column && x < right(); }
  constexpr Rect inset(int by) const { return {row + by, column + by, rows - 2 * by, columns - 2 * by}; }
  constexpr bool operator==(const Rect&) const = default;
};

/// What one column of one row shows: a base character with up to four combining ones. text[0] == 0 is a blank. The
/// right half of a wide character carries flag::wide_tail and no text.
struct GridCell {
  std::array<char32_t, 5> text{};
  Style style;
  bool operator==(const GridCell&) const = default;
};

class Grid {
public:
  Grid() = default;
  Grid(int rows, int columns) { resize(rows, columns); }
  /// Everything becomes blank.
  void resize(int rows, int columns);
  int rows() const { return rows_; }
  int columns() const { return columns_; }
  std::span<GridCell> row(int y);
  std::span<const GridCell> row(int y) const;

private:
  int rows_ = 0, columns_ = 0;
  std::vector<GridCell> cells_;
};

/// A part of a grid to draw into: positions are relative to it, and nothing reaches outside.
class Canvas {
public:
  Canvas(Grid& grid, Rect area);
  int rows() const { return area_.rows; }
  int columns() const { return area_.columns; }
  Rect area() const { return area_; }
  Canvas part(Rect inner) const; ///< inner is relative to this canvas; what reaches outside is cut

  void fill(Style style) { fill({0, 0, area_.rows, area_.columns}, style); }
  void fill(Rect inner, Style style);
  /// Prints UTF-8 from (row, column), at most `most` columns; returns the column behind it. Control characters and
  /// broken UTF-8 are printed as \xNN: what comes from containers and files never reaches the terminal as it is.
  int print(int row, int column, std::string_view text, Style style, int most = 100000);
  /// The same, right-aligned to end before column `end`.
  void print_right(int row, int end, std::string_view text, Style style);
  /// One character with its combining marks; wide ones take two columns or become '?' where only one is left.
  int put(int row, int column, std::span<const char32_t> cluster, Style style);
  /// Changes only how a stretch looks.
  void restyle(int row, int column, int columns, Style style);

private:
  Grid* grid_;
  Rect area_;
};

/// Columns that Canvas::print would take.
int text_width(std::string_view text);
/// How Canvas::print spells a character that it does not print as it is ("\x1b", "\u202e"); empty for all others.
std::string spelling(std::string_view character);
/// The text cut to `columns`, ending in ".." where something was cut off and there is room for saying so.
std::string cut_text(std::string_view text, int columns);

/// The text in rows of at most `columns`, broken at blanks where there are any; an empty text is one empty row.
std::vector<std::string> wrap_text(std::string_view text, int columns);

/// Takes one code point off the front of `text`; none when the first byte is no valid UTF-8 (then one byte is taken and
/// stored in `code_point`).
bool take_code_point(std::string_view& text, char32_t& code_point);

} // namespace conductor::console
