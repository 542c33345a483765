// What a child can cost: each bound of the core, resizes, the scrollback, and screens saved and restored.
#include "terminal_harness.h"

namespace conductor::terminal::testing {
namespace {

std::string times(int count, std::string_view text)
{
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

TEST(TerminalBounds, RepliesThatNobodyReads)
{
  Terminal terminal(4, 10, {.reply_bytes = 100});
  terminal.feed(times(1000, "\x1b[6n"));
  std::string replies = terminal.take_replies();
  EXPECT_EQ(replies, times(16, "\x1b[1;1R")); // whole ones only
  terminal.feed("\x1b[5n");
  EXPECT_EQ(terminal.take_replies(), "\x1b[0n");
}

TEST(TerminalBounds, StringsThatNeverEnd)
{
  Terminal terminal(4, 10, {.string_bytes = 1000});
  terminal.feed("\x1b]0;" + std::string(5000, 'x'));
  EXPECT_EQ(terminal.broken_invariant(), "");
  terminal.feed("\a\x1b]0;short\a");
  EXPECT_EQ(terminal.title(), "short");
  terminal.feed("\x1bP$q" + std::string(5000, 'm') + "\x1b\\ok");
  EXPECT_EQ(picture(terminal), "ok");
  EXPECT_FALSE(terminal.has_replies());
}

TEST(TerminalBounds, TitlesAreCutAtACharacter)
{
  Terminal terminal(4, 10, {.title_bytes = 10});
  terminal.feed("\x1b]0;" + times(9, "漢") + "\a");
  EXPECT_EQ(terminal.title(), "漢漢漢");
  terminal.feed(times(100, "\x1b[22t"));
  EXPECT_EQ(terminal.broken_invariant(), "");
}

TEST(TerminalBounds, RepeatEndsWithTheScreen)
{
  Terminal terminal(4, 10);
  terminal.feed("a\x1b[2147483647b");
  EXPECT_EQ(terminal.scrollback_total(), 1U); // 4 x 10 more characters, not 65,535
}

TEST(TerminalBounds, ParametersBeyondAllSense)
{
  Terminal terminal(4, 10);
  terminal.feed("\x1b[" + times(5000, "38:2:1;") + "m\x1b[" + std::string(5000, '9') + "A\x1b[" +
                std::string(5000, ';') + "H");
  for (char final : std::string_view("@ABCDEFGHIJKLMPSTXZ`abdefgr"))
    terminal.feed("\x1b[99999999999;99999999999" + std::string(1, final));
  EXPECT_EQ(terminal.broken_invariant(), "");
}

TEST(TerminalBounds, ClustersAreCollected)
{
  Terminal terminal(4, 40, {.scrollback_bytes = 0});
  auto mark = [](int number) {
    std::string text = "\xcc";
    text += static_cast<char>(0x80 + number % 48);
    return text;
  };
  // Some 330,000 different clusters go by: ten times what the table holds.
  for (int a = 0; a < 48; ++a)
    for (int b = 0; b < 48; ++b)
      for (int c = 0; c < 144; ++c) terminal.feed(static_cast<char>('a' + c / 48) + mark(a) + mark(b) + mark(c));
  terminal.feed("\x1b[H\x1b[2Jo\xcc\x88\xcc\x81");
  EXPECT_EQ(picture(terminal), "o\xcc\x88\xcc\x81");
  EXPECT_EQ(terminal.broken_invariant(), "");
  EXPECT_LT(terminal.serialise().size(), 600'000U);
}

TEST(TerminalBounds, LinksAreCollected)
{
  Terminal terminal(4, 10, {.scrollback_bytes = 0});
  for (int i = 0; i < 20'000; ++i) terminal.feed("\x1b]8;;http://host/" + std::to_string(i) + "\ax");
  EXPECT_EQ(terminal.link(terminal.row(terminal.cursor().row)[0].style).substr(0, 12), "http://host/");
  terminal.feed("\x1b]8;;http://" + std::string(5000, 'x') + "\a\r\ny");
  EXPECT_EQ(terminal.link(terminal.row(terminal.cursor().row)[0].style), "");
}

TEST(TerminalBounds, ScrollbackBytes)
{
  for (std::size_t limit : {0U, 1000U, 100'000U}) {
    Terminal terminal(4, 200, {.scrollback_bytes = limit});
    terminal.feed(times(5000, "\x1b[31m漢字 a line of the log with some length\x1b[m and a tail\r\n"));
    terminal.feed(std::string(100'000, '\n'));
    EXPECT_LE(terminal.scrollback_bytes(), std::max<std::size_t>(limit, 65'536));
    EXPECT_EQ(terminal.broken_invariant(), "");
    if (limit == 0) {
      EXPECT_EQ(terminal.scrollback_rows(), 0U);
    }
    EXPECT_EQ(terminal.scrollback_total(), 104'997U);
  }
}

TEST(TerminalBounds, TenThousandShellLinesFitInFourMebibytes)
{
  Terminal terminal(35, 120);
  terminal.feed(times(
      12'000,
      "\x1b[2m12:00:00\x1b[m \x1b[1;32mINFO\x1b[m nginx: GET /index.html \x1b[32m200\x1b[m 5321 bytes in 0.042 s\r\n"));
  EXPECT_GE(terminal.scrollback_rows(), 10'000U);
  EXPECT_LE(terminal.scrollback_bytes(), 4U << 20);
}

TEST(TerminalScrollback, KeepsTextAndStyle)
{
  Terminal terminal(2, 20);
  terminal.feed("\x1b[31mred\x1b[m 漢字 e\u0301\u0323\r\n\r\nÿĀ😀\r\nx\r\ny");
  EXPECT_EQ(history(terminal), "red 漢字 e\u0301\u0323||ÿĀ😀");
  EXPECT_EQ(terminal.scrollback_row(0)[2].style.foreground, Colour::index(1));
  EXPECT_TRUE(terminal.scrollback_row(0)[4].wide());
  EXPECT_TRUE(terminal.scrollback_row(0)[5].tail());
  terminal.feed("\x1b[3J");
  EXPECT_EQ(terminal.scrollback_rows(), 0U);
}

TEST(TerminalScrollback, OnlyFromTheTopOfThePrimaryScreen)
{
  Terminal terminal(4, 10);
  terminal.feed("a\r\nb\r\nc\r\nd\x1b[2;4r\x1b[4;1H\n\n\x1b[r");
  EXPECT_EQ(terminal.scrollback_rows(), 0U);
  terminal.feed("\x1b[1;3r\x1b[3;1H\n");
  EXPECT_EQ(history(terminal), "a");
}

// ---- resizing

struct Resize {
  const char* name;
  int rows, columns;
  const char* input;
  int new_rows, new_columns;
  const char* history;
  const char* picture;
  const char* cursor;
};

TEST(TerminalResize, Reflows)
{
  constexpr Resize cases[] = {
      {"narrower", 4, 10, "0123456789\r\nab", 4, 5, "", "01234|56789|ab", "3,3"},
      {"narrower pushes up", 2, 10, "0123456789\r\nab", 2, 5, "01234", "56789|ab", "2,3"},
      {"wider puts together", 4, 5, "0123456789ab", 4, 20, "", "0123456789ab", "1,13"},
      {"wider takes back", 2, 5, "0123456789abc", 2, 10, "", "0123456789|abc", "2,4"},
      {"a full row, not wrapped", 4, 5, "01234\r\nab", 4, 10, "", "01234|ab", "2,3"},
      {"the cursor waits to wrap", 4, 5, "01234", 4, 10, "", "01234", "1,6"},
      {"wide characters do not break", 4, 6, "漢字漢", 4, 5, "", "漢字|漢", "2,3"},
      {"and come together again", 4, 5, "漢字漢", 4, 6, "", "漢字漢", "1,6"},
      {"a wide character in one column", 4, 6, "a漢", 4, 1, "", "a|\xef\xbf\xbd", "2,1"},
      {"a colour up to the edge is cut", 4, 10, "ab\x1b[44m\x1b[K\x1b[m\r\ncd", 4, 5, "", "ab|cd", "2,3"},
      {"lower drops blank rows first", 6, 10, "a\r\nb", 2, 10, "", "a|b", "2,2"},
      {"lower pushes up", 4, 10, "a\r\nb\r\nc\r\nd", 2, 10, "a|b", "c|d", "2,2"},
      {"higher takes back", 2, 10, "a\r\nb\r\nc\r\nd", 3, 10, "a", "b|c|d", "3,2"},
      {"a cleared screen stays clear", 3, 10, "a\r\nb\r\nc\r\nd\x1b[H\x1b[2Jx", 3, 8, "a", "x", "1,2"},
      {"the cursor beyond the text", 4, 10, "ab\x1b[1;8H", 4, 5, "", "ab", "1,5"},
      {"a row of blanks inside", 4, 10, "a\r\n\r\nb", 4, 5, "", "a||b", "3,2"},
      {"to the smallest", 4, 10, "abc", 0, 0, "a|b", "c", "1,1"},
  };
  for (const Resize& test : cases) {
    SCOPED_TRACE(test.name);
    Terminal terminal(test.rows, test.columns);
    terminal.feed(test.input);
    terminal.resize(test.new_rows, test.new_columns);
    EXPECT_EQ(history(terminal), test.history);
    EXPECT_EQ(picture(terminal), test.picture);
    EXPECT_EQ(cursor_of(terminal), test.cursor);
    EXPECT_EQ(terminal.broken_invariant(), "");
  }
}

TEST(TerminalResize, BackAndForthLosesNothing)
{
  Terminal terminal(10, 80);
  std::string text;
  for (int i = 0; i < 200; ++i)
    text += "line " + std::to_string(i) + " 漢字 " + std::string(static_cast<std::size_t>(i), 'x') + "\r\n";
  terminal.feed(text);
  std::string before = history(terminal) + picture(terminal);
  for (int columns : {33, 7, 120, 2, 80}) {
    terminal.resize(10, columns);
    ASSERT_EQ(terminal.broken_invariant(), "");
  }
  EXPECT_EQ(history(terminal) + picture(terminal), before);
}

TEST(TerminalResize, AlternateIsCutAndPrimaryReflowedBehindIt)
{
  Terminal terminal(4, 10);
  terminal.feed("0123456789ab\x1b[?1049h\x1b[4;1Habcdef漢");
  terminal.resize(2, 7);
  EXPECT_EQ(picture(terminal), "|abcdef");
  EXPECT_EQ(terminal.broken_invariant(), "");
  terminal.feed("\x1b[?1049l");
  EXPECT_EQ(picture(terminal), "0123456|789ab");
  EXPECT_EQ(cursor_of(terminal), "2,6");
}

TEST(TerminalResize, MarginsAndTabs)
{
  Terminal terminal(10, 20);
  terminal.feed("\x1b[2;9r\x1b[12G\x1bH");
  terminal.resize(5, 10);
  EXPECT_EQ(terminal.broken_invariant(), "");
  terminal.resize(5, 40);
  terminal.feed("\x1b[1;1H\t\t\t");
  EXPECT_EQ(cursor_of(terminal), "1,25"); // the tab at 12 went with its column
}

TEST(TerminalResize, SizesAreClamped)
{
  Terminal terminal(-5, 1'000'000);
  EXPECT_EQ(terminal.rows(), 1);
  EXPECT_EQ(terminal.columns(), maximum_columns);
  terminal.resize(1'000'000, -1);
  EXPECT_EQ(terminal.rows(), maximum_rows);
  EXPECT_EQ(terminal.columns(), 1);
}

// ---- saving and restoring

Terminal busy()
{
  Terminal terminal(6, 20);
  terminal.feed(times(20, "\x1b[1;38;5;100mline\x1b[m 漢 e\u0301\r\n"));
  terminal.feed("\x1b]0;title\a\x1b[22t\x1b[2;5r\x1b[?6;1002;1006;2004h\x1b[4:3;58:2::1:2:3m\x1b]8;;http://x/\aunder"
                "\x1b]8;;\a\x1b"
                "7\x1b]4;3;#123456\a\x1b(0\x1b[5 q\x1b[10G\x1bH");
  return terminal;
}

TEST(TerminalSerialise, RoundTrip)
{
  Terminal terminal = busy();
  std::string bytes = terminal.serialise();
  auto again = Terminal::restore(bytes);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->serialise(), bytes);
  EXPECT_EQ(picture(*again), picture(terminal));
  EXPECT_EQ(history(*again), history(terminal));
  EXPECT_EQ(again->title(), "title");
  EXPECT_EQ(again->modes(), terminal.modes());
  EXPECT_EQ(again->take_damage().size(), 6U);
  for (Terminal* each : {&terminal, &*again})
    each->feed("q\x1b"
               "8after\x1b[23t\r\n\t漢e\u0301");
  EXPECT_EQ(again->serialise(), terminal.serialise());
}

TEST(TerminalSerialise, InTheMiddleOfAnything)
{
  std::string input = "a\x1b[1;38:2::1:2:3mb漢\x1b]0;ti✜tle\x1b\\\x1bP$qm\x1b\\\x1b_x\x1b\\\x1b(0q\xf0\x9f\x98\x80";
  Terminal whole(4, 10);
  whole.feed(input);
  for (std::size_t cut = 0; cut <= input.size(); ++cut) {
    Terminal first(4, 10);
    first.feed(std::string_view(input).substr(0, cut));
    first.take_replies();
    auto second = Terminal::restore(first.serialise());
    ASSERT_TRUE(second) << "cut at " << cut;
    second->feed(std::string_view(input).substr(cut));
    EXPECT_TRUE(second->serialise() == whole.serialise()) << "cut at " << cut;
  }
}

TEST(TerminalSerialise, ScrollbackBudget)
{
  Terminal terminal(4, 80);
  for (int i = 0; i < 1000; ++i) terminal.feed("line " + std::to_string(i) + "\r\n");
  std::string bytes = terminal.serialise(5000);
  EXPECT_LT(bytes.size(), 7000U);
  auto again = Terminal::restore(bytes);
  ASSERT_TRUE(again);
  EXPECT_GT(again->scrollback_rows(), 50U);
  EXPECT_EQ(text_of(*again, again->scrollback_row(again->scrollback_rows() - 1)), "line 996");
}

TEST(TerminalSerialise, RefusesWhatIsCut)
{
  std::string bytes = busy().serialise();
  for (std::size_t size = 0; size < bytes.size(); ++size) ASSERT_FALSE(Terminal::restore(bytes.substr(0, size)));
  EXPECT_FALSE(Terminal::restore(bytes + "x"));
}

TEST(TerminalSerialise, RefusesAnotherVersion)
{
  std::string bytes = busy().serialise();
  bytes[4] = static_cast<char>(bytes[4] + 1);
  EXPECT_FALSE(Terminal::restore(bytes));
}

TEST(TerminalSerialise, WhateverIsAcceptedIsWhole)
{
  const std::string bytes = busy().serialise();
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (int value : {0x00, 0x01, 0x7F, 0x80, 0xFF}) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(value);
      auto terminal = Terminal::restore(changed);
      if (!terminal) continue;
      ASSERT_EQ(terminal->broken_invariant(), "") << "byte " << at << " set to " << value;
      terminal->feed("\x1b[2;2H漢\r\n\n\n\n\n\n");
      history(*terminal);
      ASSERT_EQ(terminal->broken_invariant(), "") << "byte " << at << " set to " << value;
    }
  }
}

} // namespace
} // namespace conductor::terminal::testing
