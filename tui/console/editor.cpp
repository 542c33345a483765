#include "tui/console/editor.h"

#include "tui/terminal/width.h"

#include <algorithm>

namespace conductor::console {

using Named = terminal::Key;

void LineEditor::set(std::string text)
{
  text_.clear();
  cursor_ = 0;
  insert(text);
}

void LineEditor::insert(std::string_view typed)
{
  // One line: line ends of a paste become spaces, other control characters are left out.
  std::string clean;
  while (!typed.empty()) {
    char32_t c = 0;
    const bool valid = take_code_point(typed, c);
    if (c == U'\n' || c == U'\t') c = U' ';
    if (valid && c >= 0x20 && !(c >= 0x7F && c < 0xA0)) terminal::append_utf8(clean, c);
  }
  text_.insert(cursor_, clean);
  cursor_ += clean.size();
}

std::size_t LineEditor::back(std::size_t at) const
{
  while (at > 0 && (static_cast<unsigned char>(text_[--at]) & 0xC0U) == 0x80) {
  }
  return at;
}

std::size_t LineEditor::forward(std::size_t at) const
{
  if (at < text_.size()) ++at;
  while (at < text_.size() && (static_cast<unsigned char>(text_[at]) & 0xC0U) == 0x80) ++at;
  return at;
}

std::size_t LineEditor::word_back(std::size_t at) const
{
  while (at > 0 && text_[at - 1] == ' ') --at;
  while (at > 0 && text_[at - 1] != ' ') --at;
  return at;
}

bool LineEditor::key(const Key& key)
{
  const auto erase = [&](std::size_t from, std::size_t to) {
    text_.erase(from, to - from);
    cursor_ = from;
    return true;
  };
  if (key.kind == Key::Kind::paste) {
    insert(key.bytes);
    return true;
  }
  if (key.kind == Key::Kind::text && !key.modifiers.alt && !key.modifiers.control) {
    std::string typed;
    terminal::append_utf8(typed, key.character);
    insert(typed);
    return true;
  }
  if (key.kind == Key::Kind::text && key.modifiers.control) {
    switch (key.character) {
    case U'a': cursor_ = 0; return true;
    case U'e': cursor_ = text_.size(); return true;
    case U'b': cursor_ = back(cursor_); return true;
    case U'f': cursor_ = forward(cursor_); return true;
    case U'u': return erase(0, cursor_);
    case U'k': return erase(cursor_, text_.size());
    case U'w': return erase(word_back(cursor_), cursor_);
    case U'd': return erase(cursor_, forward(cursor_));
    default: return false;
    }
  }
  if (key.kind != Key::Kind::named) return false;
  switch (key.name) {
  case Named::left: cursor_ = key.modifiers.control ? word_back(cursor_) : back(cursor_); return true;
  case Named::right: cursor_ = forward(cursor_); return true;
  case Named::home: cursor_ = 0; return true;
  case Named::end: cursor_ = text_.size(); return true;
  case Named::backspace:
    if (cursor_ > 0) erase(key.modifiers.alt ? word_back(cursor_) : back(cursor_), cursor_);
    return true;
  case Named::remove: return erase(cursor_, forward(cursor_));
  default: return false;
  }
}

std::size_t LineEditor::first_shown(int columns) const
{
  std::size_t first = 0;
  while (first < cursor_ && text_width(std::string_view{text_}.substr(first, cursor_ - first)) >= columns)
    first = forward(first);
  return first;
}

void LineEditor::draw(Canvas canvas, int row, int column, int columns, Style style) const
{
  canvas.fill({row, column, 1, columns}, style);
  canvas.print(row, column, std::string_view{text_}.substr(first_shown(columns)), style, columns);
}

int LineEditor::cursor_column(int column, int columns) const
{
  const std::size_t first = first_shown(columns);
  return column + text_width(std::string_view{text_}.substr(first, cursor_ - first));
}

} // namespace conductor::console
