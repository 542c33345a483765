#include "tui/console/overlay.h"

#include "tui/console/layout.h"
#include "tui/terminal/width.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace conductor::console {

using Named = terminal::Key;

Canvas draw_box(Canvas screen, const Theme& theme, int rows, int columns, std::string_view title, bool ascii)
{
  // The last line stays free where there is room: it says which keys the box takes.
  const int room = screen.rows() - (screen.rows() >= 16 ? 1 : 0);
  rows = std::min(rows + 2, room);
  columns = std::min(columns + 4, screen.columns());
  const Rect place{std::min((screen.rows() - rows) / 2, room - rows), (screen.columns() - columns) / 2, rows, columns};
  const Style style = theme.style(Role::overlay);
  Canvas box = screen.part(place);
  box.fill(style);
  Frames frames{rows, columns};
  frames.add({0, 0, rows, columns});
  Grid lines{rows, columns};
  frames.draw(lines, {}, style, style, ascii);
  for (int y = 0; y < rows; ++y)
    for (int x = 0; x < columns; ++x)
      if (const auto& cell = lines.row(y)[static_cast<std::size_t>(x)]; cell.text[0] != 0)
        box.put(y, x, {cell.text.data(), 1}, style);
  box.print(0, 2, " " + cut_text(title, columns - 6) + " ", theme.style(Role::overlay_title));
  return box.part({1, 2, rows - 2, columns - 4});
}

// Every line in as many rows as it needs, the left column as wide as all of them agree on.
std::vector<ReadOverlay::Line> ReadOverlay::rows(int left, int columns) const
{
  std::vector<Line> all;
  for (const Line& line : lines_) {
    const bool two = !line.right.empty();
    bool first = true;
    for (auto& part : wrap_text(two ? line.right : line.left, two ? columns - left - 2 : columns)) {
      all.push_back(two ? Line{std::exchange(first, false) ? line.left : "", std::move(part), line.role}
                        : Line{std::move(part), "", line.role});
    }
  }
  return all;
}

void ReadOverlay::draw(Canvas screen, const Theme& theme)
{
  int left = 0, right = 0;
  for (const Line& line : lines_) {
    if (!line.right.empty()) left = std::max(left, text_width(line.left));
    right = std::max(right, line.right.empty() ? text_width(line.left) - left : text_width(line.right));
  }
  left = std::min(left, screen.columns() / 3);
  const int columns = std::min(left + 2 + right, std::max(screen.columns() - 4, 1));
  const auto rows = this->rows(left, columns);
  Canvas inside = draw_box(screen, theme, static_cast<int>(rows.size()), columns, title_, theme.ascii_borders());
  room_ = inside.rows();
  const int most = std::max(static_cast<int>(rows.size()) - room_, 0);
  if (from_end_) top_ = most;
  from_end_ = false;
  top_ = std::clamp(top_, 0, most);
  for (int y = 0; y < room_ && top_ + y < static_cast<int>(rows.size()); ++y) {
    const Line& row = rows[static_cast<std::size_t>(top_ + y)];
    const Style style = row.role == Role::overlay ? theme.style(Role::overlay) : theme.style(row.role, Role::overlay);
    if (row.right.empty()) {
      inside.print(y, 0, row.left, style);
      continue;
    }
    inside.print(y, 0, cut_text(row.left, left), row.role == Role::overlay ? theme.style(Role::overlay_title) : style,
                 left);
    inside.print(y, left + 2, row.right, style);
  }
  const auto mark = [&](bool on, int row, std::string_view text) {
    if (on) screen.print_right(row, inside.area().right(), text, theme.style(Role::overlay_title));
  };
  mark(top_ > 0, inside.area().row - 1, " more above ");
  mark(top_ < most, inside.area().bottom(), " more below ");
}

bool ReadOverlay::key(const Key& key)
{
  if (key.is(Named::escape) || key.is(U'q') || key.is(U'?') || key.is(U'M') || key.is(Named::enter)) return true;
  if (key.is(U'j') || key.is(Named::down))
    ++top_;
  else if (key.is(U'k') || key.is(Named::up))
    --top_;
  else if (key.is(Named::page_down) || key.is_control(U'd') || key.is(U' '))
    top_ += room_ / 2;
  else if (key.is(Named::page_up) || key.is_control(U'u'))
    top_ -= room_ / 2;
  else if (key.is(U'g') || key.is(Named::home))
    top_ = 0;
  else if (key.is(U'G') || key.is(Named::end))
    from_end_ = true;
  top_ = std::max(top_, 0);
  return false;
}

void ConfirmOverlay::draw(Canvas screen, const Theme& theme)
{
  int width = std::max(text_width(title_), 24);
  for (const auto& line : lines_) width = std::max(width, text_width(line));
  width = std::min(width, std::max(screen.columns() - 4, 1));
  std::vector<std::string> lines;
  for (const auto& line : lines_)
    for (auto& part : wrap_text(line, width)) lines.push_back(std::move(part));
  const int rows = static_cast<int>(lines.size());
  Canvas inside = draw_box(screen, theme, rows + (word_.empty() ? 2 : 4), width, title_, theme.ascii_borders());
  int y = 0;
  for (const auto& line : lines) inside.print(y++, 0, line, theme.style(Role::overlay));
  ++y;
  if (!word_.empty()) {
    inside.print(y, 0, "type " + word_ + " to go on: " + typed_, theme.style(Role::overlay_title));
    y += 2;
  }
  // Marks around the chosen one, so that it is not told by colour alone.
  const auto button = [&](int column, const std::string& text, bool on, Role role) {
    return inside.print(y, column, on ? "[>" + text + "<]" : "[ " + text + " ]",
                        on ? theme.style(role) : theme.style(Role::overlay));
  };
  const int next = button(0, "Cancel", !chosen_, Role::selected);
  button(next + 2, verb_, chosen_, Role::danger);
}

bool ConfirmOverlay::key(const Key& key)
{
  if (key.is(Named::escape) || key.is(U'q') || key.is(U'n')) return true;
  if (key.is(Named::tab) || key.is(Named::left) || key.is(Named::right) || key.is(U'h') || key.is(U'l')) {
    chosen_ = !chosen_;
    return false;
  }
  if (key.is(Named::enter)) {
    if (chosen_ && (word_.empty() || word_ == typed_)) then_();
    return !chosen_ || word_.empty() || word_ == typed_;
  }
  if (key.is(Named::backspace) && !typed_.empty()) typed_.pop_back();
  if (key.kind == Key::Kind::text && key.character >= U'0' && key.character <= U'9' && typed_.size() < 8)
    typed_ += static_cast<char>(key.character);
  return false;
}

std::vector<const ChooseOverlay::Choice*> ChooseOverlay::matches() const
{
  const auto lower = [](std::string text) {
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
  };
  std::vector<const Choice*> found;
  for (const Choice& choice : choices_)
    if (lower(choice.label + " " + choice.help).find(lower(typed_)) != std::string::npos) found.push_back(&choice);
  return found;
}

void ChooseOverlay::draw(Canvas screen, const Theme& theme)
{
  const auto found = matches();
  const int rows = std::min(static_cast<int>(choices_.size()) + 2, screen.rows() - 4);
  Canvas inside = draw_box(screen, theme, rows, std::min(72, screen.columns() - 4), title_, theme.ascii_borders());
  inside.fill({0, 0, 1, inside.columns()}, theme.style(Role::input));
  const int end = inside.print(0, 0, "> " + typed_, theme.style(Role::input));
  cursor_ = CursorPlace{inside.area().row, inside.area().column + end};
  selected_ = std::clamp(selected_, 0, std::max(static_cast<int>(found.size()) - 1, 0));
  const int room = inside.rows() - 2;
  const int top = std::max(selected_ - room + 1, 0);
  for (int y = 0; y < room && top + y < static_cast<int>(found.size()); ++y) {
    const Choice& choice = *found[static_cast<std::size_t>(top + y)];
    const bool on = top + y == selected_;
    const Style style = on ? theme.style(Role::selected) : theme.style(Role::overlay);
    inside.fill({y + 2, 0, 1, inside.columns()}, style);
    inside.print(y + 2, 0, on ? ">" : " ", style);
    inside.print(y + 2, 2, choice.label, style, 18);
    inside.print(y + 2, 21, cut_text(choice.help, inside.columns() - 28), style);
    inside.print_right(y + 2, inside.columns(), choice.key, on ? style : theme.style(Role::overlay_title));
  }
  if (found.empty()) inside.print(2, 0, "nothing is called that", theme.style(Role::muted, Role::overlay));
}

bool ChooseOverlay::key(const Key& key)
{
  const auto found = matches();
  if (key.is(Named::escape)) return true;
  if (key.is(Named::enter)) {
    if (found.empty()) return false;
    // A copy: what it does may replace this overlay.
    const auto then =
        found[static_cast<std::size_t>(std::clamp(selected_, 0, static_cast<int>(found.size()) - 1))]->then;
    then();
    return true;
  }
  if (key.is(Named::down) || key.is(Named::tab) || key.is_control(U'n'))
    ++selected_;
  else if (key.is(Named::up) || key.is_control(U'p'))
    --selected_;
  else if (key.is(Named::backspace)) {
    if (!typed_.empty()) typed_.pop_back();
  } else if (key.kind == Key::Kind::text && !key.modifiers.alt && !key.modifiers.control && key.character < 0x7F) {
    typed_ += static_cast<char>(key.character);
    selected_ = 0;
  }
  return false;
}

} // namespace conductor::console
