#include "tui/console/pane_text.h"

#include "tui/command/actions.h"
#include "tui/terminal/width.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <fmt/format.h>

namespace conductor::console {
namespace {

constexpr std::size_t longest_line = TextPane::longest_line;
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
    take_code_point(text, c);
    const std::string_view bytes = before.substr(0, before.size() - text.size());
    const bool plain = c >= 0x20 && c < 0x7F;
    const std::string spelled = plain ? std::string{} : spelling(bytes);
    if (!use(bytes, spelled.empty() ? terminal::width(c) : static_cast<int>(spelled.size()))) return;
  }
}

struct RowStart {
  std::size_t byte;
  int column; ///< of the line
};

// Where the rows of a wrapped line begin.
std::vector<RowStart> row_starts(const TextLine& line, int columns, bool wrap)
{
  std::vector<RowStart> starts{{0, 0}};
  if (!wrap) return starts;
  int used = 0, column = 0;
  const int indent = line.indent < columns / 2 ? line.indent : 0;
  each_character(line.text, [&](std::string_view bytes, int wide) {
    if (used + wide > columns && used > 0) {
      starts.push_back({static_cast<std::size_t>(bytes.data() - line.text.data()), column});
      used = indent;
    }
    used += wide;
    column += wide;
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
    return clean.size() < longest_line; // a line of tabs is eight times as long
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
  if (top_ < dropped_) top_row_ = 0;
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
  copy_.reset();
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
  top_row_ = 0; // it counts rows that are others now
  dirty = true;
}

int TextPane::rows_of(const TextLine& line) const
{
  return static_cast<int>(row_starts(line, text_columns(), wrap_).size());
}

std::vector<TextPane::Row> TextPane::visible_rows() const
{
  const int room = has_question() ? rows_ - 1 : rows_;
  std::vector<Row> rows;
  const auto add_line = [&](std::size_t at) {
    const TextLine& line = lines_[at];
    const auto starts = row_starts(line, text_columns(), wrap_);
    for (std::size_t i = 0; i < starts.size(); ++i)
      rows.push_back({at, starts[i].byte, i + 1 < starts.size() ? starts[i + 1].byte : line.text.size(),
                      starts[i].column, i == 0});
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
  if (gutter_columns() > 0 && row.first)
    canvas.print(y, 0, gutter(line), theme.style(Role::muted), gutter_columns() - 1);
  int column = left_of(row);
  int skipped = 0;
  each_character(line.text, [&](std::string_view bytes, int columns) {
    const auto at = static_cast<std::size_t>(bytes.data() - line.text.data());
    if (at >= row.end) return false;
    if (const std::size_t length = sgr_length(bytes)) {
      apply_sgr(bytes.substr(2, length - 3), base, style);
      return true;
    }
    if (at < row.begin) return true;
    if (skipped < shift_ && !wrap_) {
      skipped += columns;
      return true;
    }
    if (columns == 0) return true;
    canvas.print(y, column, bytes, style);
    column += columns;
    return column < canvas.columns();
  });
  if (!copy_) return;
  const auto show = [&](std::pair<int, int> columns, Role role) {
    const int from = std::max(columns.first - row.column, wrap_ ? 0 : shift_);
    const int to = std::min(columns.second - row.column, column - left_of(row) + (wrap_ ? 0 : shift_));
    const int left = left_of(row) - (wrap_ ? 0 : shift_);
    canvas.restyle(y, left + from, to - from, theme.style(line.role, role));
  };
  const std::uint64_t number = dropped_ + row.line;
  for (const auto& match : copy_->matches(number)) show(match, Role::selected_inactive);
  show(copy_->marked(number, 1 << 20), Role::selected);
}

// The column of the pane in which the text of a row begins.
int TextPane::left_of(const Row& row) const
{
  const int indent = lines_[row.line].indent;
  return gutter_columns() + (row.first || indent >= text_columns() / 2 ? 0 : indent);
}

void TextPane::draw(Canvas canvas, const Theme& theme, bool, bool)
{
  canvas.fill(theme.style(Role::text));
  const auto rows = visible_rows();
  int y = 0;
  for (const Row& row : rows) draw_row(canvas, y++, row, theme);
  if (lines_.empty()) canvas.print(0, 1, "nothing yet", theme.style(Role::muted));
  if (question_) {
    const Style style = theme.style(Role::input);
    canvas.fill({rows_ - 1, 0, 1, canvas.columns()}, style);
    const int x = canvas.print(rows_ - 1, 0, question_->text + " ", style);
    question_->answer.draw(canvas, rows_ - 1, x, canvas.columns() - x, style);
  } else if (copy_ && copy_->asking())
    copy_->draw_question(canvas, theme);
  dirty = false;
  unseen = 0;
}

std::optional<CursorPlace> TextPane::cursor() const
{
  if (question_) {
    const int left = text_width(question_->text) + 1;
    return CursorPlace{rows_ - 1, question_->answer.cursor_column(left, columns_ - left)};
  }
  if (!copy_) return std::nullopt;
  if (copy_->asking()) return CursorPlace{rows_ - 1, copy_->question_cursor(columns_)};
  const auto at = copy_->cursor();
  int y = 0;
  std::optional<CursorPlace> place;
  for (const Row& row : visible_rows()) {
    if (dropped_ + row.line == at.line && row.column <= at.column)
      place = CursorPlace{y, left_of(row) + at.column - row.column - (wrap_ ? 0 : shift_)};
    ++y;
  }
  return place;
}

std::string TextPane::status() const { return copy_ ? copy_->status() : following_ ? "live" : "held"; }

std::span<const std::string_view> TextPane::hint_names() const
{
  static constexpr std::array<std::string_view, 6> names{"follow", "search", "select", "wrap", "save", "close"};
  return names;
}

// ---- copy mode

// Without the colours, and with controls as they are shown: nothing that is copied does anything where it is pasted.
CopyLine TextPane::line(std::uint64_t number) const
{
  CopyLine line;
  if (number < first() || number >= end()) return line;
  each_character(lines_[static_cast<std::size_t>(number - dropped_)].text, [&](std::string_view bytes, int columns) {
    if (sgr_length(bytes) != 0) return true;
    const std::string spelled = spelling(bytes);
    if (spelled.empty()) line.add(bytes, columns);
    for (const char shown : spelled) line.add({&shown, 1}, 1);
    return true;
  });
  return line;
}

void TextPane::copy_mode(bool on)
{
  copy_.reset();
  question_.reset();
  dirty = true;
  // From where the eye is: the newest line while it is live, else the first one that is seen.
  const auto shown = visible_rows();
  if (!on || shown.empty()) return;
  const CopyText& text = *this;
  copy_.emplace(text, CopyMode::Place{dropped_ + (following_ ? shown.back() : shown.front()).line, 0});
  if (!following_) return;
  scroll(0);
  following_ = false;
}

bool TextPane::is_shown(CopyMode::Place place) const
{
  const auto shown = visible_rows();
  return std::any_of(shown.begin(), shown.end(), [&](const Row& row) {
    if (dropped_ + row.line != place.line || row.column > place.column) return false;
    const bool is_last = row.end == lines_[row.line].text.size();
    const Row* next = &row + 1;
    return is_last || (next < shown.data() + shown.size() && next->column > place.column);
  });
}

void TextPane::copy_key(const Key& key)
{
  if (lines_.empty()) return copy_mode(false);
  const auto shown = visible_rows();
  const std::uint64_t top = shown.empty() ? dropped_ : dropped_ + shown.front().line;
  const int lines = shown.empty() ? 1 : static_cast<int>(shown.back().line - shown.front().line) + 1;
  const auto before = copy_->cursor();
  const auto result = copy_->key(key, {top, lines});
  dirty = true;
  copied = copy_->copied();
  if (result == CopyMode::Result::ended) return copy_mode(false);
  const auto at = copy_->cursor();
  if (!wrap_) {
    if (at.column < shift_) shift_ = at.column / 8 * 8;
    if (at.column >= shift_ + text_columns()) shift_ = (at.column - text_columns()) / 8 * 8 + 8;
  }
  if (is_shown(at)) return;
  // To the top; from there down to the lowest row when the way led downwards.
  top_ = at.line;
  const auto starts = row_starts(lines_[static_cast<std::size_t>(at.line - dropped_)], text_columns(), wrap_);
  top_row_ = 0;
  while (top_row_ + 1 < static_cast<int>(starts.size()) &&
         starts[static_cast<std::size_t>(top_row_) + 1].column <= at.column)
    ++top_row_;
  if (at > before) scroll(1 - rows_);
  following_ = false;
}

void TextPane::scroll(int rows)
{
  dirty = true;
  if (following_) {
    if (rows > 0) return;
    const auto shown = visible_rows();
    if (shown.empty()) return;
    top_ = dropped_ + shown.front().line;
    top_row_ = 0;
    for (const auto starts = row_starts(lines_[shown.front().line], text_columns(), wrap_);
         top_row_ + 1 < static_cast<int>(starts.size()) &&
         starts[static_cast<std::size_t>(top_row_)].byte < shown.front().begin;)
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

bool TextPane::question_key(const Key& key)
{
  dirty = true;
  if (key.is(Named::escape) || key.is_control(U'c')) {
    question_.reset();
    return true;
  }
  if (!key.is(Named::enter)) return question_->answer.key(key);
  const Question asked = *std::exchange(question_, std::nullopt);
  if (!asked.answer.text().empty()) asked.then(asked.answer.text());
  return true;
}

void TextPane::ask(std::string question, std::string offer, std::function<void(const std::string&)> then)
{
  question_ = Question{std::move(question), {}, std::move(then)};
  question_->answer.set(std::move(offer));
  dirty = true;
}

void TextPane::set_gutter(int columns)
{
  wanted_gutter_ = columns;
  top_row_ = 0; // rows are others now
  dirty = true;
}

std::string TextPane::whole_text() const
{
  std::string text;
  for (std::uint64_t number = first(); number < end(); ++number) {
    const TextLine& each = lines_[static_cast<std::size_t>(number - dropped_)];
    if (wanted_gutter_ > 0) {
      const std::string before = gutter(each);
      text += before + std::string(static_cast<std::size_t>(std::max(wanted_gutter_ - text_width(before), 1)), ' ');
    }
    text += line(number).text + "\n";
  }
  return text;
}

bool TextPane::key(const Key& key)
{
  if (key.kind == Key::Kind::mouse) {
    if (key.mouse.button == terminal::MouseButton::wheel_up)
      scroll(-3);
    else if (key.mouse.button == terminal::MouseButton::wheel_down)
      scroll(3);
    return true;
  }
  if (question_) return question_key(key);
  if (copy_) {
    copy_key(key);
    return true;
  }
  const command::Action* action = command::find_action(command::Mode::text, key_name(key));
  return action != nullptr && act(action->name);
}

bool TextPane::act(std::string_view name)
{
  const int page = std::max(rows_ / 2, 1);
  const auto mark = [&](CopyMode::Kind kind) {
    copy_mode(true);
    if (copy_) copy_->select(kind);
  };
  if (name == "down")
    scroll(1);
  else if (name == "up")
    scroll(-1);
  else if (name == "page_down")
    scroll(page);
  else if (name == "page_up")
    scroll(-page);
  else if (name == "top")
    follow(false);
  else if (name == "follow")
    follow(true);
  else if (name == "wrap") {
    wrap_ = !wrap_;
    shift_ = top_row_ = 0;
  } else if (name == "shift_right" && !wrap_)
    shift_ += 8;
  else if (name == "shift_left" && !wrap_)
    shift_ = std::max(shift_ - 8, 0);
  else if (name == "search" || name == "search_back") {
    // What came last is looked for first while it is live.
    const char direction = name == "search_back" || following_ ? '?' : '/';
    copy_mode(true);
    if (copy_) copy_->ask(direction);
  } else if (name == "select")
    mark(CopyMode::Kind::characters);
  else if (name == "select_lines")
    mark(CopyMode::Kind::lines);
  else if (name == "save")
    ask("save to the file", "", [this](const std::string& path) { save_to = path; });
  else
    return false;
  dirty = true;
  return true;
}

} // namespace conductor::console
