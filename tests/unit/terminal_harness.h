// Bytes in, cells out: what the tests of the terminal core share. A picture is the rows joined by '|', without the
// blanks at their ends and the empty rows at the bottom.
#pragma once

#include "tui/terminal/terminal.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace conductor::terminal::testing {

/// Text of a row up to the last cell that is not blank.
std::string text_of(const Terminal& terminal, std::span<const Cell> cells);
std::string picture(const Terminal& terminal);
/// The scrollback's lines joined by '|'.
std::string history(const Terminal& terminal);
/// A row with its styles: {bold,fg1}text{}text, where {} is the plain style.
std::string styled(const Terminal& terminal, int y);
std::string cursor_of(const Terminal& terminal); ///< "row,column" from 1

/// One input, and what must come of it. Fields that are left empty are not looked at.
struct Case {
  std::string name;
  std::string input;
  std::string picture; ///< "-" means an empty screen
  std::string cursor;  ///< row,column from 1
  std::string replies; ///< "-" means none
  int rows = 4;
  int columns = 10;
};

/// Feeds the input whole, then cut in two at every byte, then byte by byte, and expects the same state each time.
void check(const Case& test);

template <std::size_t Count>
void check_all(const Case (&cases)[Count])
{
  for (const Case& test : cases) check(test);
}

} // namespace conductor::terminal::testing
