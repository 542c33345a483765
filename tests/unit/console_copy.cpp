// Copy mode over lines of text: where keys lead, what is marked, what is copied.
#include "tui/console/copy_mode.h"
#include "tui/terminal/width.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

using namespace conductor::console;
namespace terminal = conductor::terminal;
using Place = CopyMode::Place;

namespace {

class Lines : public CopyText {
public:
  explicit Lines(std::vector<std::string> lines, std::uint64_t dropped = 0)
      : lines_(std::move(lines)), dropped_(dropped)
  {}
  std::uint64_t first() const override { return dropped_; }
  std::uint64_t end() const override { return dropped_ + lines_.size(); }
  CopyLine line(std::uint64_t number) const override
  {
    CopyLine line;
    if (number < dropped_ || number >= end()) return line;
    const std::string& text = lines_[static_cast<std::size_t>(number - dropped_)];
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t begin = at;
      const int wide = terminal::width(terminal::read_utf8(text, at));
      line.add(std::string_view{text}.substr(begin, at - begin), wide);
    }
    line.goes_on = number == goes_on;
    return line;
  }
  void drop(std::size_t count)
  {
    lines_.erase(lines_.begin(), lines_.begin() + static_cast<std::ptrdiff_t>(count));
    dropped_ += count;
  }
  std::uint64_t goes_on = UINT64_MAX;

private:
  std::vector<std::string> lines_;
  std::uint64_t dropped_;
};

// Presses keys by name, with blanks between them; what follows a / or ? up to Enter is typed.
CopyMode::Result press(CopyMode& mode, const std::string& keys, CopyMode::View view = {0, 4})
{
  auto result = CopyMode::Result::ignored;
  for (std::size_t at = 0; at < keys.size();) {
    const std::size_t end = std::min(keys.find(' ', at), keys.size());
    result = mode.key(key_from_name(keys.substr(at, end - at)).value(), view);
    at = end + 1;
  }
  return result;
}

std::string copied(const Lines& lines, Place from, const std::string& keys)
{
  CopyMode mode{lines, from};
  EXPECT_EQ(press(mode, keys.empty() ? "y" : keys + " y"), CopyMode::Result::ended);
  return mode.copied();
}

} // namespace

TEST(CopyModeMoves, ByWordsOverTheEndsOfLines)
{
  const Lines lines{{"one, two", "", "  three"}};
  CopyMode mode{lines, {0, 0}};
  press(mode, "w");
  EXPECT_EQ(mode.cursor(), (Place{0, 3})); // the comma is a word of its own, as in vi
  press(mode, "w");
  EXPECT_EQ(mode.cursor(), (Place{0, 5}));
  press(mode, "e");
  EXPECT_EQ(mode.cursor(), (Place{0, 7}));
  press(mode, "w");
  EXPECT_EQ(mode.cursor(), (Place{2, 2}));
  press(mode, "w");
  EXPECT_EQ(mode.cursor(), (Place{2, 2})) << "there is no further one";
  press(mode, "b");
  EXPECT_EQ(mode.cursor(), (Place{0, 5}));
  press(mode, "b b b b");
  EXPECT_EQ(mode.cursor(), (Place{0, 0}));
}

TEST(CopyModeMoves, KeepTheirColumnUpAndDown)
{
  const Lines lines{{"0123456789", "ab", "0123456789"}};
  CopyMode mode{lines, {0, 7}};
  press(mode, "j");
  EXPECT_EQ(mode.cursor(), (Place{1, 1}));
  press(mode, "j");
  EXPECT_EQ(mode.cursor(), (Place{2, 7}));
  press(mode, "$ k k");
  EXPECT_EQ(mode.cursor(), (Place{0, 9}));
}

TEST(CopyModeMoves, WideCharactersAreOneStep)
{
  const Lines lines{{"a\xE4\xBD\xA0\xE5\xA5\xBDz"}}; // a, two of two columns, z
  CopyMode mode{lines, {0, 0}};
  press(mode, "l l");
  EXPECT_EQ(mode.cursor(), (Place{0, 3}));
  press(mode, "h");
  EXPECT_EQ(mode.cursor(), (Place{0, 1}));
  mode.go({0, 2});
  EXPECT_EQ(mode.cursor(), (Place{0, 1})) << "not on the right half";
  EXPECT_EQ(copied(lines, {0, 1}, "v"), "\xE4\xBD\xA0");
}

TEST(CopyModeMoves, NeverLeaveTheLines)
{
  const Lines lines{{"a", "b"}, 100};
  CopyMode mode{lines, {0, 50}};
  EXPECT_EQ(mode.cursor(), (Place{100, 0}));
  press(mode, "k h PgUp g b");
  EXPECT_EQ(mode.cursor(), (Place{100, 0}));
  press(mode, "G l j PgDn w e");
  EXPECT_EQ(mode.cursor(), (Place{101, 0}));
}

TEST(CopyModeMoves, AreHeldWhenLinesGo)
{
  Lines lines{{"a", "b", "c", "d"}};
  CopyMode mode{lines, {0, 0}};
  press(mode, "v");
  lines.drop(2);
  press(mode, "l");
  EXPECT_EQ(mode.cursor(), (Place{2, 0}));
  EXPECT_EQ(mode.marked_text(), "c");
}

TEST(CopyModeMarks, CharactersWordsLinesAndBlocks)
{
  const Lines lines{{"first line   ", "second line", "third"}};
  EXPECT_EQ(copied(lines, {0, 6}, "v j"), "line\nsecond");
  EXPECT_EQ(copied(lines, {0, 8}, "W"), "line");
  EXPECT_EQ(copied(lines, {0, 8}, "W j"), "line\nsecond line");
  EXPECT_EQ(copied(lines, {0, 3}, "V j"), "first line\nsecond line");
  EXPECT_EQ(copied(lines, {0, 1}, "Ctrl-V j j l"), "ir\nec\nhi");
  EXPECT_EQ(copied(lines, {1, 4}, ""), "second line") << "with nothing marked, the line";
  EXPECT_EQ(copied(lines, {1, 2}, "v o h h o l"), "seco") << "after o the other end moves";
}

TEST(CopyModeMarks, ALineThatTheTerminalWrappedIsOne)
{
  Lines lines{{"0123456789", "abc", "next"}};
  lines.goes_on = 0;
  EXPECT_EQ(copied(lines, {0, 0}, "V j j"), "0123456789abc\nnext");
  EXPECT_EQ(copied(lines, {0, 8}, "v j h h h h h h h"), "89a");
  EXPECT_EQ(copied(lines, {0, 0}, "Ctrl-V j"), "0\na");
}

TEST(CopyModeMarks, EscapeTakesBackOneThingATime)
{
  const Lines lines{{"one two"}};
  CopyMode mode{lines, {0, 0}};
  press(mode, "/ t Enter v");
  EXPECT_EQ(press(mode, "Esc"), CopyMode::Result::taken);
  EXPECT_EQ(mode.kind(), CopyMode::Kind::none);
  EXPECT_FALSE(mode.matches(0).empty());
  EXPECT_EQ(press(mode, "Esc"), CopyMode::Result::taken);
  EXPECT_TRUE(mode.matches(0).empty());
  EXPECT_EQ(press(mode, "Esc"), CopyMode::Result::ended);
  EXPECT_EQ(mode.copied(), "");
}

TEST(CopyModeSearch, GoesRoundBothWays)
{
  const Lines lines{{"red", "blue red", "green", "Red red"}};
  CopyMode mode{lines, {0, 0}};
  press(mode, "/ r e d Enter");
  EXPECT_EQ(mode.cursor(), (Place{1, 5}));
  press(mode, "n");
  EXPECT_EQ(mode.cursor(), (Place{3, 0})) << "small letters find capitals too";
  press(mode, "n n");
  EXPECT_EQ(mode.cursor(), (Place{0, 0}));
  press(mode, "N");
  EXPECT_EQ(mode.cursor(), (Place{3, 4}));
  press(mode, "/ R e d Enter");
  EXPECT_EQ(mode.cursor(), (Place{3, 0})) << "a capital finds capitals only";
  press(mode, "? g r Enter");
  EXPECT_EQ(mode.cursor(), (Place{2, 0}));
  press(mode, "/ n o n e Enter");
  EXPECT_EQ(mode.cursor(), (Place{2, 0}));
  EXPECT_EQ(mode.status(), "not found: none");
}

TEST(CopyModeSearch, FindsTheOneInTheCursorsOwnLine)
{
  const Lines lines{{"a x", "b"}};
  CopyMode mode{lines, {0, 2}};
  press(mode, "/ a Enter");
  EXPECT_EQ(mode.cursor(), (Place{0, 0}));
  press(mode, "n");
  EXPECT_EQ(mode.cursor(), (Place{0, 0}));
  EXPECT_EQ(mode.status(), "copy, 1 back");
}
