#include "tui/console/pane_text.h"

#include "tui/terminal/width.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace conductor::console {
namespace {

constexpr std::size_t longest_line = 16U << 10;
using Named = terminal::Key;

// Length of a sequence "ESC [ digits ; m" at the front of the text; 0 if there is none.
std::size_t sgr_length(std::string_view text)
{
  if (!text.starts_with("\x1b[")) return 0;
  const std::size_t end = text.find_first_not_of("0123456789;:", 2);
  return end != std::string_view::npos && text[end] == 'm' ? end + 1 : 0;
}

// Colours and attributes of SGR (ECMA-48 8.3.117) laid over `base`; what it does not know is left out.
void apply_sgr(std::string_view parameters, Style base, Style& style)
{
  std::array<int, 16> values{};
  std::size_t count = 0;
  while (count < values.size()) {
    const auto [end, error] = std::from_chars(parameters.data(), parameters.data() + parameters.size(), values[count]);
    ++count;
    parameters.remove_prefix(static_cast<std::size_t>(end - parameters.data()));
    if (parameters.empty()) break;
    parameters.remove_prefix(1);
  }
  constexpr std::array<std::uint16_t, 10> switches{
      0,           flag::bold, flag::dim,     flag::italic,  1U << flag::underline_shift,
      flag::blink, 0,          flag::reverse, flag::conceal, flag::strike};
  const auto byte = [](int value) { return static_cast<std::uint8_t>(std::clamp(value, 0, 255)); };
  for (std::size_t i = 0; i < count; ++i) {
    const int value = values[i];
    const bool background = value >= 40;
    Colour& colour = value >= 100 || (background && value < 90) ? style.background : style.foreground;
    if (value == 0)
      style = base;
    else if (value < 10 && value != 8)
      style.flags |= switches[static_cast<std::size_t>(value)];
    else if (value == 22)
      style.flags &= static_cast<std::uint16_t>(~(flag::bold | flag::dim));
    else if (value == 24)
      style.flags &= static_cast<std::uint16_t>(~flag::underline_mask);
    else if (value == 27)
      style.flags &= static_cast<std::uint16_t>(~flag::reverse);
    else if ((value >= 30 && value < 38) || (value >= 40 && value < 48))
      colour = Colour::index(byte(value % 10));
    else if ((value >= 90 && value < 98) || (value >= 100 && value < 108))
      colour = Colour::index(byte(value % 10 + 8));
    else if (value == 39)
      style.foreground = base.foreground;
    else if (value == 49)
      style.background = base.background;
    else if ((value == 38 || value == 48) && i + 2 < count && values[i + 1] == 5) {
      colour = Colour::index(byte(values[i + 2]));
      i += 2;
    } else if ((value == 38 || value == 48) && i + 4 < count && values[i + 1] == 2) {
      const auto part = [&](std::size_t at) { return static_cast<std::uint32_t>(byte(values[i + at])); };
      colour = Colour::rgb(part(2) << 16 | part(3) << 8 | part(4));
      i += 4;
    }
  }
}

// Calls use(bytes of one character, columns) for what is seen; SGR sequences give columns 0. Stops when it says false.
template <class Use>
void each_character(std::string_view text, Use&& use)
{
  while (!text.empty()) {
    if (const std::size_t length = sgr_length(text)) {
      if (!use(text.substr(0, length), 0)) return;
      text.remove_prefix(length);
      continue;
    }
    const std::string_view before = text;
    char32_t c = 0;
    const bool valid = take_code_point(text, c);
    const std::string_view bytes = before.substr(0, before.size() - text.size());
    const int columns = valid && c >= 0x20 && !(c >= 0x7F && c < 0xA0) ? terminal::width(c) : text_width(bytes);
    if (!use(bytes, columns)) return;
  }
}

// Where the rows of a wrapped line begin.
std::vector<std::size_t> row_starts(const TextLine& line, int columns, bool wrap)
{
  std::vector<std::size_t> starts{0};
  if (!wrap) return starts;
  int used = 0;
  const int indent = line.indent < columns / 2 ? line.indent : 0;
  each_character(line.text, [&](std::string_view bytes, int wide) {
    if (used + wide > columns && used > 0) {
      starts.push_back(static_cast<std::size_t>(bytes.data() - line.text.data()));
      used = indent;
    }
    used += wide;
    return true;
  });
  return starts;
}

std::string clean_line(std::string_view text)
{
  while (text.ends_with('\r')) text.remove_suffix(1);
  // A progress bar overwrites itself: the last state counts.
  if (const auto at = text.rfind('\r'); at != std::string_view::npos) text.remove_prefix(at + 1);
  std::string clean;
  int column = 0;
  each_character(text, [&](std::string_view bytes, int columns) {
    if (bytes == "\t") {
      const int blanks = 8 - column % 8;
      clean.append(static_cast<std::size_t>(blanks), ' ');
      column += blanks;
    } else {
      clean += bytes;
      column += columns;
    }
    return true;
  });
  return clean;
}

} // namespace

void TextPane::drop_old()
{
  while (lines_.size() > most_lines || (bytes_ > most_bytes && lines_.size() > 1)) {
    bytes_ -= lines_.front().text.size();
    lines_.pop_front();
    ++dropped_;
  }
  top_ = std::max(top_, dropped_);
}

void TextPane::add(TextLine line)
{
  growing_ = false;
  line.text = clean_line(line.text);
  bytes_ += line.text.size();
  lines_.push_back(std::move(line));
  drop_old();
  dirty = true;
}

void TextPane::add_bytes(std::string_view bytes, Role role)
{
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    std::string_view part = bytes.substr(0, end);
    bytes.remove_prefix(std::min(part.size() + (end != std::string_view::npos ? 1 : 0), bytes.size()));
    if (growing_ && !lines_.empty() && lines_.back().text.size() + part.size() <= longest_line) {
      std::string whole = lines_.back().text;
      whole += part;
      bytes_ -= lines_.back().text.size();
      lines_.back().text = end != std::string_view::npos ? clean_line(whole) : whole;
      bytes_ += lines_.back().text.size();
    } else {
      part = part.substr(0, longest_line);
      lines_.push_back({end != std::string_view::npos ? clean_line(part) : std::string{part}, role});
      bytes_ += lines_.back().text.size();
      ++unseen;
    }
    growing_ = end == std::string_view::npos;
  }
  drop_old();
  dirty = true;
}

void TextPane::set_line(std::uint64_t index, TextLine line)
{
  if (index < dropped_ || index - dropped_ >= lines_.size()) return;
  auto& old = lines_[static_cast<std::size_t>(index - dropped_)];
  bytes_ -= old.text.size();
  line.text = clean_line(line.text);
  bytes_ += line.text.size();
  old = std::move(line);
  dirty = true;
}

void TextPane::clear()
{
  dropped_ += lines_.size();
  lines_.clear();
  bytes_ = 0;
  growing_ = false;
  top_ = dropped_;
  dirty = true;
}

void TextPane::follow(bool on)
{
  following_ = on;
  if (!on) {
    top_ = dropped_;
    top_row_ = 0;
  }
  dirty = true;
}

void TextPane::resize(int rows, int columns)
{
  rows_ = std::max(rows, 1);
  columns_ = std::max(columns, 1);
  dirty = true;
}

int TextPane::rows_of(const TextLine& line) const { return static_cast<int>(row_starts(line, columns_, wrap_).size()); }

std::vector<TextPane::Row> TextPane::visible_rows() const
{
  const int room = searching_ ? rows_ - 1 : rows_;
  std::vector<Row> rows;
  const auto add_line = [&](std::size_t at) {
    const TextLine& line = lines_[at];
    const auto starts = row_starts(line, columns_, wrap_);
    for (std::size_t i = 0; i < starts.size(); ++i)
      rows.push_back({at, starts[i], i + 1 < starts.size() ? starts[i + 1] : line.text.size(), i == 0});
  };
  if (following_) {
    std::size_t first = lines_.size();
    for (int rows_left = room; first > 0 && rows_left > 0; rows_left -= rows_of(lines_[first])) --first;
    for (std::size_t at = first; at < lines_.size(); ++at) add_line(at);
    if (static_cast<int>(rows.size()) > room) rows.erase(rows.begin(), rows.end() - room);
    return rows;
  }
  const std::size_t first = static_cast<std::size_t>(std::max(top_, dropped_) - dropped_);
  for (std::size_t at = first; at < lines_.size() && static_cast<int>(rows.size()) < room + top_row_; ++at)
    add_line(at);
  if (top_row_ > 0)
    rows.erase(rows.begin(),
               rows.begin() + std::min<std::ptrdiff_t>(top_row_, static_cast<std::ptrdiff_t>(rows.size())));
  if (static_cast<int>(rows.size()) > room) rows.resize(static_cast<std::size_t>(room));
  return rows;
}

void TextPane::draw_row(Canvas canvas, int y, const Row& row, const Theme& theme) const
{
  const TextLine& line = lines_[row.line];
  const Style base = theme.style(line.role);
  Style style = base;
  int column = row.first || line.indent >= columns_ / 2 ? 0 : line.indent;
  int skipped = 0;
  const auto match = [&](std::size_t at) {
    return !pattern_.empty() && line.text.compare(at, pattern_.size(), pattern_) == 0;
  };
  std::size_t match_end = 0;
  each_character(line.text, [&](std::string_view bytes, int columns) {
    const auto at = static_cast<std::size_t>(bytes.data() - line.text.data());
    if (at >= row.end) return false;
    if (const std::size_t length = sgr_length(bytes)) {
      apply_sgr(bytes.substr(2, length - 3), base, style);
      return true;
    }
    if (at < row.begin) return true;
    if (match(at)) match_end = at + pattern_.size();
    if (skipped < shift_ && !wrap_) {
      skipped += columns;
      return true;
    }
    if (columns == 0) return true;
    canvas.print(y, column, bytes, at < match_end ? theme.style(line.role, Role::selected) : style);
    column += columns;
    return column < canvas.columns();
  });
}

void TextPane::draw(Canvas canvas, const Theme& theme, bool, bool)
{
  canvas.fill(theme.style(Role::text));
  const auto rows = visible_rows();
  int y = 0;
  for (const Row& row : rows) draw_row(canvas, y++, row, theme);
  if (lines_.empty()) canvas.print(0, 1, "nothing yet", theme.style(Role::muted));
  if (searching_) {
    const Style style = theme.style(Role::input);
    canvas.fill({rows_ - 1, 0, 1, canvas.columns()}, style);
    canvas.print(rows_ - 1, 0, "/", style);
    search_.draw(canvas, rows_ - 1, 1, canvas.columns() - 1, style);
  }
  dirty = false;
  unseen = 0;
}

std::optional<CursorPlace> TextPane::cursor() const
{
  if (!searching_) return std::nullopt;
  return CursorPlace{rows_ - 1, search_.cursor_column(1, columns_ - 1)};
}

std::string TextPane::status() const { return following_ ? "live" : "held"; }

std::string TextPane::hints() const { return "G follow  / search  w wrap  q close"; }

void TextPane::scroll(int rows)
{
  dirty = true;
  if (following_) {
    if (rows > 0) return;
    const auto shown = visible_rows();
    if (shown.empty()) return;
    top_ = dropped_ + shown.front().line;
    top_row_ = 0;
    for (const auto starts = row_starts(lines_[shown.front().line], columns_, wrap_);
         top_row_ + 1 < static_cast<int>(starts.size()) &&
         starts[static_cast<std::size_t>(top_row_)] < shown.front().begin;)
      ++top_row_;
    following_ = false;
  }
  for (; rows < 0; ++rows) {
    if (top_row_ > 0)
      --top_row_;
    else if (top_ > dropped_) {
      --top_;
      top_row_ = rows_of(lines_[static_cast<std::size_t>(top_ - dropped_)]) - 1;
    }
  }
  for (; rows > 0; --rows) {
    const auto at = static_cast<std::size_t>(top_ - dropped_);
    if (at >= lines_.size()) break;
    if (top_row_ + 1 < rows_of(lines_[at]))
      ++top_row_;
    else if (at + 1 < lines_.size()) {
      ++top_;
      top_row_ = 0;
    }
  }
  // At the end the view is live again.
  const auto shown = visible_rows();
  if (!shown.empty() && shown.back().line + 1 == lines_.size() && shown.back().end == lines_.back().text.size() &&
      static_cast<int>(shown.size()) < rows_)
    following_ = true;
}

void TextPane::search(bool forward)
{
  if (pattern_.empty() || lines_.empty()) return;
  const auto shown = visible_rows();
  const auto here = following_      ? static_cast<std::ptrdiff_t>(lines_.size())
                    : shown.empty() ? 0
                                    : static_cast<std::ptrdiff_t>(shown.front().line);
  const auto size = static_cast<std::ptrdiff_t>(lines_.size());
  for (std::ptrdiff_t step = 1; step <= size; ++step) {
    const std::ptrdiff_t at = ((forward ? here + step : here - step) % size + size) % size;
    if (lines_[static_cast<std::size_t>(at)].text.find(pattern_) == std::string::npos) continue;
    following_ = false;
    top_ = dropped_ + static_cast<std::uint64_t>(at);
    top_row_ = 0;
    break;
  }
  dirty = true;
}

bool TextPane::key(const Key& key)
{
  if (searching_) {
    dirty = true;
    if (key.is(Named::enter)) {
      searching_ = false;
      pattern_ = search_.text();
      search(false);
      return true;
    }
    if (key.is(Named::escape)) {
      searching_ = false;
      pattern_.clear();
      return true;
    }
    return search_.key(key);
  }
  if (key.kind == Key::Kind::mouse) {
    if (key.mouse.button == terminal::MouseButton::wheel_up)
      scroll(-3);
    else if (key.mouse.button == terminal::MouseButton::wheel_down)
      scroll(3);
    return true;
  }
  const int page = std::max(rows_ / 2, 1);
  if (key.is(U'j') || key.is(Named::down))
    scroll(1);
  else if (key.is(U'k') || key.is(Named::up))
    scroll(-1);
  else if (key.is_control(U'd') || key.is(Named::page_down) || key.is(U' '))
    scroll(page);
  else if (key.is_control(U'u') || key.is(Named::page_up))
    scroll(-page);
  else if (key.is(U'g') || key.is(Named::home))
    follow(false);
  else if (key.is(U'G') || key.is(Named::end))
    follow(true);
  else if (key.is(U'w')) {
    wrap_ = !wrap_;
    shift_ = 0;
    dirty = true;
  } else if (key.is(Named::right) && !wrap_)
    shift_ += 8, dirty = true;
  else if (key.is(Named::left) && !wrap_)
    shift_ = std::max(shift_ - 8, 0), dirty = true;
  else if (key.is(U'/')) {
    searching_ = true;
    search_.set("");
    dirty = true;
  } else if (key.is(U'n'))
    search(false);
  else if (key.is(U'N'))
    search(true);
  else
    return false;
  return true;
}

} // namespace conductor::console
