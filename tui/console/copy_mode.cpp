#include "tui/console/copy_mode.h"

#include "tui/command/actions.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace conductor::console {

using Named = terminal::Key;

std::string_view CopyLine::cell(int column) const
{
  if (column < 0 || column >= columns()) return {};
  const auto at = static_cast<std::size_t>(column);
  return std::string_view{text}.substr(starts[at], starts[at + 1] - starts[at]);
}

void CopyLine::add(std::string_view bytes, int wide)
{
  text += bytes;
  starts.insert(starts.end(), static_cast<std::size_t>(std::max(wide, 0)), static_cast<std::uint32_t>(text.size()));
  if (wide == 0) starts.back() = static_cast<std::uint32_t>(text.size()); // it joins the character before it
}

int CopyLine::column_of(std::size_t byte) const
{
  const auto behind = std::upper_bound(starts.begin(), starts.end(), static_cast<std::uint32_t>(byte));
  return static_cast<int>(behind - starts.begin()) - 1;
}

// The names of the rows of Mode::copy.
const CopyMode::Row* CopyMode::row(std::string_view name)
{
  static constexpr std::array rows{
      Row{"left", &CopyMode::do_left},
      Row{"right", &CopyMode::do_right},
      Row{"down", &CopyMode::do_down},
      Row{"up", &CopyMode::do_up},
      Row{"line_begin", &CopyMode::do_line_begin},
      Row{"text_begin", &CopyMode::do_text_begin},
      Row{"line_end", &CopyMode::do_line_end},
      Row{"word", &CopyMode::do_word},
      Row{"word_back", &CopyMode::do_word_back},
      Row{"word_end", &CopyMode::do_word_end},
      Row{"top", &CopyMode::do_top},
      Row{"bottom", &CopyMode::do_bottom},
      Row{"view_top", &CopyMode::do_view_top},
      Row{"view_middle", &CopyMode::do_view_middle},
      Row{"view_bottom", &CopyMode::do_view_bottom},
      Row{"page_up", &CopyMode::do_page_up},
      Row{"page_down", &CopyMode::do_page_down},
      Row{"paragraph_up", &CopyMode::do_paragraph_up},
      Row{"paragraph_down", &CopyMode::do_paragraph_down},
      Row{"search", &CopyMode::do_search},
      Row{"search_back", &CopyMode::do_search_back},
      Row{"next", &CopyMode::do_next},
      Row{"previous", &CopyMode::do_previous},
      Row{"select", &CopyMode::do_select},
      Row{"select_words", &CopyMode::do_select_words},
      Row{"select_lines", &CopyMode::do_select_lines},
      Row{"select_block", &CopyMode::do_select_block},
      Row{"other_end", &CopyMode::do_other_end},
      Row{"copy", &CopyMode::do_copy},
      Row{"cancel", &CopyMode::do_cancel},
      Row{"end", &CopyMode::do_end},
  };
  const auto* found = std::find_if(rows.begin(), rows.end(), [&](const Row& each) { return each.name == name; });
  return found == rows.end() ? nullptr : found;
}

const CopyLine& CopyMode::line(std::uint64_t number) const
{
  if (!line_ || line_->first != number) line_.emplace(number, text_.line(number));
  return line_->second;
}

void CopyMode::forget() const
{
  line_.reset();
  ends_.reset();
}

CopyMode::Result CopyMode::key(const Key& key, View view)
{
  forget();
  if (asking_ != 0) {
    if (key.is(Named::enter)) {
      if (!question_.text().empty()) pattern_ = question_.text();
      forward_ = asking_ == '/';
      asking_ = 0;
      search(forward_);
    } else if (key.is(Named::escape) || key.is_control(U'c'))
      asking_ = 0;
    else
      question_.key(key);
    return Result::taken;
  }
  const command::Action* action = command::find_action(command::Mode::copy, key_name(key));
  const Row* known = action != nullptr ? row(action->name) : nullptr;
  if (known == nullptr) return Result::ignored;
  found_ = true;
  clamp(); // old lines may have gone meanwhile
  (this->*known->run)(view);
  clamp();
  ends_.reset();
  return ended_ ? Result::ended : Result::taken;
}

void CopyMode::go(Place place)
{
  ends_.reset();
  cursor_ = place;
  clamp();
  wanted_column_ = cursor_.column;
}

void CopyMode::clamp()
{
  const std::uint64_t newest = std::max(text_.end(), text_.first() + 1) - 1;
  cursor_.line = std::clamp(cursor_.line, text_.first(), newest);
  cursor_.column = std::clamp(cursor_.column, 0, last_column(cursor_.line));
  // On the character, not on its right half.
  const CopyLine& line = this->line(cursor_.line);
  while (cursor_.column > 0 && line.cell(cursor_.column).empty() && cursor_.column < line.columns()) --cursor_.column;
  anchor_.line = std::clamp(anchor_.line, text_.first(), newest);
}

int CopyMode::last_column(std::uint64_t number) const { return std::max(line(number).columns() - 1, 0); }

bool CopyMode::is_empty(std::uint64_t number) const
{
  return line(number).text.find_first_not_of(' ') == std::string::npos;
}

// ---- moving

void CopyMode::vertical(std::int64_t lines)
{
  const std::uint64_t oldest = text_.first(), newest = text_.end() - 1;
  const auto most = static_cast<std::int64_t>(lines < 0 ? cursor_.line - oldest : newest - cursor_.line);
  const std::int64_t by = std::clamp(lines, -most, most);
  cursor_.line = static_cast<std::uint64_t>(static_cast<std::int64_t>(cursor_.line) + by);
  cursor_.column = std::min(wanted_column_, last_column(cursor_.line));
}

void CopyMode::do_down(View) { vertical(1); }
void CopyMode::do_up(View) { vertical(-1); }
void CopyMode::do_page_down(View view) { vertical(std::max(view.rows / 2, 1)); }
void CopyMode::do_page_up(View view) { vertical(-std::max(view.rows / 2, 1)); }
void CopyMode::do_top(View) { go({text_.first(), 0}); }
void CopyMode::do_bottom(View) { go({text_.end() - 1, 0}); }
void CopyMode::do_view_top(View view) { go({view.top, 0}); }
void CopyMode::do_view_middle(View view) { go({view.top + static_cast<std::uint64_t>(view.rows / 2), 0}); }
void CopyMode::do_view_bottom(View view) { go({view.top + static_cast<std::uint64_t>(view.rows - 1), 0}); }
void CopyMode::do_line_begin(View) { go({cursor_.line, 0}); }
void CopyMode::do_line_end(View)
{
  go({cursor_.line, last_column(cursor_.line)});
  wanted_column_ = 1 << 20; // as vi: the end of every line that is moved to
}

void CopyMode::do_text_begin(View)
{
  const CopyLine& line = this->line(cursor_.line);
  const std::size_t at = line.text.find_first_not_of(' ');
  go({cursor_.line, at == std::string::npos ? 0 : line.column_of(at)});
}

void CopyMode::do_left(View)
{
  const CopyLine& line = this->line(cursor_.line);
  int column = cursor_.column - 1;
  while (column > 0 && line.cell(column).empty()) --column;
  go({cursor_.line, column});
}

void CopyMode::do_right(View)
{
  const CopyLine& line = this->line(cursor_.line);
  int column = cursor_.column + 1;
  while (column < line.columns() && line.cell(column).empty()) ++column;
  if (column < line.columns()) go({cursor_.line, column});
}

int CopyMode::class_at(const Place& place) const
{
  const CopyLine& line = this->line(place.line);
  const std::string_view cell = line.cell(place.column);
  if (cell.empty()) return place.column > 0 && place.column < line.columns() ? 1 : 0; // a right half is a word's
  const auto first = static_cast<unsigned char>(cell[0]);
  if (first == ' ') return 0;
  return first >= 0x80 || std::isalnum(first) != 0 || first == '_' ? 1 : 2;
}

// One column on, over the ends of lines, each of which counts as one blank.
bool CopyMode::step(Place& place, bool forward) const
{
  if (forward) {
    if (place.column < line(place.line).columns())
      ++place.column;
    else if (place.line + 1 < text_.end())
      place = {place.line + 1, 0};
    else
      return false;
    return true;
  }
  if (place.column > 0)
    --place.column;
  else if (place.line > text_.first())
    place = {place.line - 1, line(place.line - 1).columns()};
  else
    return false;
  return true;
}

void CopyMode::do_word(View)
{
  Place at = cursor_;
  const int kind = class_at(at);
  while (kind != 0 && class_at(at) == kind)
    if (!step(at, true)) return;
  while (class_at(at) == 0)
    if (!step(at, true)) return;
  go(at);
}

void CopyMode::do_word_back(View)
{
  Place at = cursor_;
  if (!step(at, false)) return;
  while (class_at(at) == 0)
    if (!step(at, false)) return go(at);
  const int kind = class_at(at);
  for (Place before = at; step(before, false) && before.line == at.line && class_at(before) == kind;) at = before;
  go(at);
}

void CopyMode::do_word_end(View)
{
  Place at = cursor_;
  if (!step(at, true)) return;
  while (class_at(at) == 0)
    if (!step(at, true)) return;
  const int kind = class_at(at);
  for (Place next = at; step(next, true) && next.line == at.line && class_at(next) == kind;) at = next;
  go(at);
}

void CopyMode::do_paragraph_up(View)
{
  std::uint64_t at = cursor_.line;
  while (at > text_.first() && is_empty(at)) --at;
  while (at > text_.first() && !is_empty(at)) --at;
  go({at, 0});
}

void CopyMode::do_paragraph_down(View)
{
  std::uint64_t at = cursor_.line;
  while (at + 1 < text_.end() && is_empty(at)) ++at;
  while (at + 1 < text_.end() && !is_empty(at)) ++at;
  go({at, 0});
}

// ---- looking for words

void CopyMode::ask(char direction)
{
  asking_ = direction;
  question_.set("");
}

void CopyMode::do_search(View) { ask('/'); }
void CopyMode::do_search_back(View) { ask('?'); }
void CopyMode::do_next(View) { search(forward_); }
void CopyMode::do_previous(View) { search(!forward_); }

bool CopyMode::is_smart() const
{
  return std::any_of(pattern_.begin(), pattern_.end(), [](unsigned char c) { return std::isupper(c) != 0; });
}

std::vector<std::pair<int, int>> CopyMode::matches(std::uint64_t number) const
{
  std::vector<std::pair<int, int>> found;
  line_.reset(); // a paint asks first for these, and the line may have grown
  if (pattern_.empty()) return found;
  const CopyLine& line = this->line(number);
  const bool smart = is_smart();
  const auto same = [&](char a, char b) {
    return a == b || (!smart && std::tolower(static_cast<unsigned char>(a)) == static_cast<unsigned char>(b));
  };
  auto from = line.text.begin();
  while (true) {
    from = std::search(from, line.text.end(), pattern_.begin(), pattern_.end(), same);
    if (from == line.text.end()) return found;
    const auto at = static_cast<std::size_t>(from - line.text.begin());
    found.emplace_back(line.column_of(at), line.column_of(at + pattern_.size() - 1) + 1);
    from += static_cast<std::ptrdiff_t>(pattern_.size());
  }
}

// Once around, from the cursor on.
void CopyMode::search(bool forward)
{
  if (pattern_.empty()) return;
  const std::uint64_t oldest = text_.first(), count = text_.end() - oldest, here = cursor_.line - oldest;
  for (std::uint64_t by = 0; by <= count; ++by) {
    const std::uint64_t number = oldest + (forward ? here + by : here + count - by % count) % count;
    const auto found = matches(number);
    const auto take = [&](const std::pair<int, int>& match) {
      // In the line of the cursor at first only what lies before it on the way, at the end of the round the rest.
      if (by > 0) return by < count || (forward ? match.first <= cursor_.column : match.first >= cursor_.column);
      return forward ? match.first > cursor_.column : match.first < cursor_.column;
    };
    const auto go_to = [&](const std::pair<int, int>& match) { go({number, match.first}); };
    if (forward) {
      if (const auto at = std::find_if(found.begin(), found.end(), take); at != found.end()) return go_to(*at);
    } else if (const auto at = std::find_if(found.rbegin(), found.rend(), take); at != found.rend())
      return go_to(*at);
  }
  found_ = false;
}

void CopyMode::draw_question(Canvas canvas, const Theme& theme) const
{
  const Style style = theme.style(Role::input);
  const int y = canvas.rows() - 1;
  canvas.fill({y, 0, 1, canvas.columns()}, style);
  canvas.print(y, 0, {&asking_, 1}, style);
  question_.draw(canvas, y, 1, canvas.columns() - 1, style);
}

// ---- marking and copying

void CopyMode::select(Kind kind)
{
  ends_.reset();
  if (kind_ == kind) {
    kind_ = Kind::none;
    return;
  }
  if (kind_ == Kind::none) anchor_ = cursor_;
  kind_ = kind;
}

void CopyMode::do_select(View) { select(Kind::characters); }
void CopyMode::do_select_words(View) { select(Kind::words); }
void CopyMode::do_select_lines(View) { select(Kind::lines); }
void CopyMode::do_select_block(View) { select(Kind::block); }

void CopyMode::do_other_end(View)
{
  if (kind_ == Kind::none) return;
  std::swap(cursor_, anchor_);
  wanted_column_ = cursor_.column;
}

std::pair<CopyMode::Place, CopyMode::Place> CopyMode::ends() const
{
  if (ends_) return *ends_;
  line_.reset();
  const auto [from, to] = std::minmax(anchor_, cursor_);
  Place first = from, last = to;
  if (kind_ == Kind::words) {
    const auto widen = [&](Place& place, bool forward) {
      const int kind = class_at(place);
      for (Place next = place; step(next, forward) && next.line == place.line && class_at(next) == kind;) place = next;
    };
    widen(first, false);
    widen(last, true);
  }
  ends_.emplace(first, last);
  return *ends_;
}

std::pair<int, int> CopyMode::marked(std::uint64_t number, int columns) const
{
  if (kind_ == Kind::none) return {0, 0};
  const auto [first, last] = ends();
  if (number < first.line || number > last.line) return {0, 0};
  if (kind_ == Kind::lines) return {0, columns};
  const CopyLine& line = this->line(number);
  // To the end of the character that the last column belongs to.
  const auto behind = [&](int column) {
    ++column;
    while (column < line.columns() && line.cell(column).empty()) ++column;
    return column;
  };
  if (kind_ == Kind::block) {
    const auto [left, right] = std::minmax(anchor_.column, cursor_.column);
    return {left, std::min(behind(right), columns)};
  }
  return {number == first.line ? first.column : 0,
          number == last.line ? std::min(behind(last.column), columns) : columns};
}

std::string CopyMode::marked_text() const
{
  auto [first, last] = ends();
  if (kind_ == Kind::none) first = last = cursor_;
  const bool whole = kind_ == Kind::none || kind_ == Kind::lines;
  std::string text;
  for (std::uint64_t number = first.line; number <= last.line; ++number) {
    const CopyLine& line = this->line(number);
    const auto [from, to] = whole ? std::pair{0, line.columns()} : marked(number, line.columns());
    const bool goes_on = line.goes_on && kind_ != Kind::block && to >= line.columns();
    std::string part;
    for (int column = from; column < std::min(to, line.columns()); ++column) part += line.cell(column);
    // What a terminal pads its rows with was never written.
    if (!goes_on) part.erase(part.find_last_not_of(' ') + 1);
    text += part;
    if (number < last.line && !goes_on) text += '\n';
  }
  return text; // no line end behind the last one: what is pasted into a shell shall wait for Enter
}

void CopyMode::do_copy(View)
{
  copied_ = marked_text();
  ended_ = true;
}

void CopyMode::do_cancel(View)
{
  if (kind_ != Kind::none)
    kind_ = Kind::none;
  else if (!pattern_.empty())
    pattern_.clear();
  else
    ended_ = true;
}

void CopyMode::do_end(View) { ended_ = true; }

std::string CopyMode::status() const
{
  if (!found_) return "not found: " + pattern_;
  switch (kind_) {
  case Kind::none: break;
  case Kind::characters: return "marking";
  case Kind::words: return "marking words";
  case Kind::lines: return "marking lines";
  case Kind::block: return "marking a block";
  }
  const std::uint64_t back = text_.end() - 1 - cursor_.line;
  return back == 0 ? "copy" : "copy, " + std::to_string(back) + " back";
}

} // namespace conductor::console
