#include "tui/console/grid.h"

#include "tui/terminal/width.h"

#include <algorithm>
#include <string>

namespace conductor::console {

using terminal::width;

void Grid::resize(int rows, int columns)
{
  rows_ = std::max(rows, 1);
  columns_ = std::max(columns, 1);
  cells_.assign(static_cast<std::size_t>(rows_) * static_cast<std::size_t>(columns_), GridCell{});
}

std::span<GridCell> Grid::row(int y)
{
  return std::span{cells_}.subspan(static_cast<std::size_t>(y) * static_cast<std::size_t>(columns_),
                                   static_cast<std::size_t>(columns_));
}

std::span<const GridCell> Grid::row(int y) const
{
  return std::span{cells_}.subspan(static_cast<std::size_t>(y) * static_cast<std::size_t>(columns_),
                                   static_cast<std::size_t>(columns_));
}

bool take_code_point(std::string_view& text, char32_t& code_point)
{
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  code_point = first;
  std::size_t length = first < 0x80 ? 1 : first >= 0xC2 && first < 0xE0 ? 2 : first >= 0xE0 && first < 0xF0 ? 3 : 4;
  if (length == 1) {
    text.remove_prefix(1);
    return true;
  }
  char32_t value = length == 2 ? first & 0x1FU : length == 3 ? first & 0x0FU : first & 0x07U;
  bool valid = first >= 0xC2 && first < 0xF5 && text.size() >= length;
  for (std::size_t i = 1; valid && i < length; ++i) {
    valid = (byte(i) & 0xC0U) == 0x80;
    value = value << 6 | (byte(i) & 0x3FU);
  }
  constexpr std::array<char32_t, 5> smallest{0, 0, 0x80, 0x800, 0x10000};
  if (!valid || value < smallest[length] || !terminal::is_scalar(value)) {
    text.remove_prefix(1);
    return false;
  }
  text.remove_prefix(length);
  code_point = value;
  return true;
}

namespace {

constexpr bool is_control(char32_t c) { return c < 0x20 || (c >= 0x7F && c < 0xA0); }
// Bidirectional controls and the like reorder or hide what a reader sees (CVE-2021-42574): shown, never obeyed.
constexpr bool is_treacherous(char32_t c)
{
  return (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0x200E || c == 0x200F || c == 0x2028 ||
         c == 0x2029 || c == 0xFEFF;
}

std::string spelled(char32_t value, bool is_byte)
{
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text{is_byte ? "\\x" : "\\u"};
  for (int shift = is_byte ? 4 : 12; shift >= 0; shift -= 4) text += digits[(value >> shift) & 0xFU];
  return text;
}

// Calls use(cluster, columns) for each character of the text as it is to be seen.
template <class Use>
void each_cluster(std::string_view text, Use&& use)
{
  std::array<char32_t, 5> cluster{};
  std::size_t size = 0;
  const auto flush = [&] {
    if (size == 0) return true;
    const bool more = use(std::span<const char32_t>{cluster.data(), size}, std::max(width(cluster[0]), 1));
    size = 0;
    return more;
  };
  const auto spell = [&](char32_t value, bool is_byte) {
    for (const char each : spelled(value, is_byte)) {
      const auto shown = static_cast<char32_t>(each);
      if (!use(std::span<const char32_t>{&shown, 1}, 1)) return false;
    }
    return true;
  };
  while (!text.empty()) {
    char32_t c = 0;
    const bool valid = take_code_point(text, c);
    if (!valid || is_control(c) || is_treacherous(c)) {
      if (!flush() || !spell(c, c < 0x100)) return;
    } else if (width(c) == 0 && size > 0) {
      if (size < cluster.size()) cluster[size++] = c;
    } else {
      if (!flush()) return;
      // A combining mark with nothing before it stands on a blank of its own.
      if (width(c) == 0) cluster[size++] = U' ';
      cluster[size++] = c;
    }
  }
  flush();
}

} // namespace

std::string spelling(std::string_view character)
{
  char32_t c = 0;
  const bool valid = take_code_point(character, c);
  return !valid || is_control(c) || is_treacherous(c) ? spelled(c, c < 0x100) : std::string{};
}

int text_width(std::string_view text)
{
  int sum = 0;
  each_cluster(text, [&](std::span<const char32_t>, int columns) {
    sum += columns;
    return true;
  });
  return sum;
}

std::string cut_text(std::string_view text, int columns)
{
  if (columns <= 0) return {};
  if (text_width(text) <= columns) return std::string{text};
  const int room = columns > 4 ? columns - 2 : columns;
  std::string kept;
  int used = 0;
  each_cluster(text, [&](std::span<const char32_t> cluster, int wide) {
    if (used + wide > room) return false;
    for (const char32_t c : cluster) terminal::append_utf8(kept, c);
    used += wide;
    return true;
  });
  if (columns > 4) kept += "..";
  return kept;
}

std::vector<std::string> wrap_text(std::string_view text, int columns)
{
  std::vector<std::string> rows{{}};
  int used = 0;
  std::size_t word = 0; // where the last word of the row begins, and in which column
  int word_column = 0;
  each_cluster(text, [&](std::span<const char32_t> cluster, int wide) {
    const bool blank = cluster[0] == U' ';
    if (used + wide > columns && used > 0) {
      // A word goes down whole, unless it is longer than a row.
      std::string rest = blank || word == 0 ? std::string{} : rows.back().substr(word);
      used = rest.empty() ? 0 : used - word_column;
      rows.back().resize(rows.back().size() - rest.size());
      rows.back().resize(rows.back().find_last_not_of(' ') + 1);
      rows.push_back(std::move(rest));
      word = 0;
      word_column = 0;
      if (blank) return true;
    }
    for (const char32_t c : cluster) terminal::append_utf8(rows.back(), c);
    used += wide;
    if (blank) {
      word = rows.back().size();
      word_column = used;
    }
    return true;
  });
  return rows;
}

Canvas::Canvas(Grid& grid, Rect area) : grid_(&grid)
{
  const int row = std::clamp(area.row, 0, grid.rows());
  const int column = std::clamp(area.column, 0, grid.columns());
  area_ = {row, column, std::max(std::min(area.bottom(), grid.rows()) - row, 0),
           std::max(std::min(area.right(), grid.columns()) - column, 0)};
}

Canvas Canvas::part(Rect inner) const
{
  const int row = std::max(inner.row, 0), column = std::max(inner.column, 0);
  return {*grid_, Rect{area_.row + row, area_.column + column, std::min(inner.bottom(), area_.rows) - row,
                       std::min(inner.right(), area_.columns) - column}};
}

void Canvas::fill(Rect inner, Style style)
{
  const Rect area = part(inner).area();
  for (int y = area.row; y < area.bottom(); ++y)
    for (int x = area.column; x < area.right(); ++x)
      grid_->row(y)[static_cast<std::size_t>(x)] = GridCell{{U' '}, style};
}

int Canvas::put(int row, int column, std::span<const char32_t> cluster, Style style)
{
  if (cluster.empty() || row < 0 || row >= area_.rows || column < 0 || column >= area_.columns) return column + 1;
  style.flags &= static_cast<std::uint16_t>(~flag::shape_mask);
  style.extra = 0;
  const auto line = grid_->row(area_.row + row);
  const auto x = static_cast<std::size_t>(area_.column + column);
  const bool wide = width(cluster[0]) == 2;
  const bool fits = column + 1 < area_.columns;
  // What stood here may have been half of a wide character: its other half goes too.
  const auto blank_partner = [&](std::size_t at) {
    if (line[at].style.has(flag::wide_tail) && at > 0)
      line[at - 1].text = {U' '}, line[at - 1].style.flags &= static_cast<std::uint16_t>(~flag::shape_mask);
    if (line[at].style.has(flag::wide_lead) && at + 1 < line.size())
      line[at + 1].text = {U' '}, line[at + 1].style.flags &= static_cast<std::uint16_t>(~flag::shape_mask);
  };
  blank_partner(x);
  GridCell& cell = line[x];
  cell = GridCell{{}, style};
  if (wide && !fits) {
    cell.text[0] = U'?';
    return column + 1;
  }
  std::copy_n(cluster.begin(), std::min(cluster.size(), cell.text.size()), cell.text.begin());
  if (!wide) return column + 1;
  blank_partner(x + 1);
  cell.style.flags |= flag::wide_lead;
  line[x + 1] = GridCell{{}, style};
  line[x + 1].style.flags |= flag::wide_tail;
  return column + 2;
}

int Canvas::print(int row, int column, std::string_view text, Style style, int most)
{
  const int end = most > area_.columns ? area_.columns : std::min(area_.columns, column + most);
  each_cluster(text, [&](std::span<const char32_t> cluster, int columns) {
    if (column + columns > end) return false;
    column = put(row, column, cluster, style);
    return true;
  });
  return column;
}

void Canvas::print_right(int row, int end, std::string_view text, Style style)
{
  print(row, end - text_width(text), text, style);
}

void Canvas::restyle(int row, int column, int columns, Style style)
{
  if (row < 0 || row >= area_.rows) return;
  const auto line = grid_->row(area_.row + row);
  for (int x = std::max(column, 0); x < std::min(column + columns, area_.columns); ++x) {
    Style& now = line[static_cast<std::size_t>(area_.column + x)].style;
    const auto shape = static_cast<std::uint16_t>(now.flags & flag::shape_mask);
    now = style;
    now.flags = static_cast<std::uint16_t>((style.flags & ~flag::shape_mask) | shape);
  }
}

} // namespace conductor::console
