// One line of text that is being typed: forms, the filter, the palette.
#pragma once

#include "tui/console/grid.h"
#include "tui/console/keys.h"
#include "tui/console/screen.h"

#include <optional>
#include <string>

namespace conductor::console {

class LineEditor {
public:
  const std::string& text() const { return text_; }
  void set(std::string text);
  /// Takes a key; false when it is none of an editor's (Enter, Esc, Tab, Up ...).
  bool key(const Key& key);
  /// Draws the text into columns [column, column + columns) of the row, scrolled so that the cursor is seen.
  void draw(Canvas canvas, int row, int column, int columns, Style style) const;
  /// Where the cursor stands when drawn there, relative to the same canvas.
  int cursor_column(int column, int columns) const;

private:
  std::size_t back(std::size_t at) const;
  std::size_t forward(std::size_t at) const;
  std::size_t word_back(std::size_t at) const;
  void insert(std::string_view typed);
  std::size_t first_shown(int columns) const;

  std::string text_;
  std::size_t cursor_ = 0; ///< byte, always at the start of a character
};

} // namespace conductor::console
