// Sequences that move, erase, edit and scroll, a row for each behaviour.
#include "terminal_harness.h"

namespace conductor::terminal::testing {
namespace {

constexpr std::string_view grid = "aaa\r\nbbb\r\nccc\r\nddd";

std::string on_grid(std::string_view input) { return std::string(grid) + std::string(input); }

TEST(TerminalSequence, MovesTheCursor)
{
  check_all({
      {"CUP", "\x1b[2;5Hx", "|    x", "2,6"},
      {"CUP without parameters", "ab\x1b[Hx", "xb", "1,2"},
      {"CUP beyond the screen", "\x1b[99;99H", "-", "4,10"},
      {"HVP", "\x1b[3;2f", "-", "3,2"},
      {"CUU stops at the top", "\x1b[2;2H\x1b[9A", "-", "1,2"},
      {"CUU stops at the margin", "\x1b[2;4r\x1b[3;2H\x1b[9A", "-", "2,2"},
      {"CUU from above the margin", "\x1b[3;4r\x1b[2;2H\x1b[9A", "-", "1,2"},
      {"CUD stops at the bottom", "\x1b[9B", "-", "4,1"},
      {"CUD stops at the margin", "\x1b[1;3r\x1b[9B", "-", "3,1"},
      {"CUF", "\x1b[3C", "-", "1,4"},
      {"CUB", "\x1b[5G\x1b[2D", "-", "1,3"},
      {"CUB stops at the first column", "\x1b[9D", "-", "1,1"},
      {"CNL and CPL", "\x1b[1;5H\x1b[2E\x1b[F", "-", "2,1"},
      {"CHA and HPA", "\x1b[7G\x1b[4`", "-", "1,4"},
      {"HPR and VPR", "\x1b[2a\x1b[2e", "-", "3,3"},
      {"VPA", "\x1b[3C\x1b[3d", "-", "3,4"},
      {"0 counts as 1", "\x1b[0C\x1b[0B", "-", "2,2"},
      {"a number too large", "\x1b[99999999999999C", "-", "1,10"},
      {"moving ends the wait to wrap", "0123456789\x1b[1Dx", "01234567x9", "1,10"},
      {"DECSC and DECRC",
       "\x1b[2;3H\x1b"
       "7\x1b[4;4H\x1b"
       "8",
       "-", "2,3"},
      {"SCOSC and SCORC", "\x1b[2;3H\x1b[s\x1b[4;4H\x1b[u", "-", "2,3"},
      {"DECRC with nothing saved",
       "\x1b[2;3H\x1b"
       "8",
       "-", "1,1"},
      {"DECRC brings the waiting wrap back",
       "0123456789\x1b"
       "7\x1b[H\x1b"
       "8x",
       "0123456789|x", "2,2"},
      {"origin mode", "\x1b[2;3r\x1b[?6h\x1b[1;1Hx\x1b[9;1Hy", "|x|y", "3,2"},
      {"reverse wrap", "0123456789ab\x1b[?45h\x1b[4D", "0123456789|ab", "1,9"},
      {"reverse wrap stays on a line of its own", "ab\r\ncd\x1b[?45h\x1b[9D", "ab|cd", "2,1"},
      {"BS with reverse wrap", "0123456789a\x1b[?45h\b\bx", "012345678x|a", "1,10"},
  });
}

TEST(TerminalSequence, Tabs)
{
  check_all({
      {"HT", "\tx", "        x", "1,10"},
      {"HT at the last column", "\t\t\t", "-", "1,10"},
      {"HTS", "\x1b[4G\x1bH\r\tx", "   x", "1,5"},
      {"TBC here", "\x1b[9G\x1b[g\r\tx", "         x", "1,10"},
      {"TBC all", "\x1b[4G\x1bH\x1b[3g\r\t", "-", "1,10"},
      {"CHT and CBT", "\x1b[4G\x1bH\r\x1b[2I\x1b[Z", "-", "1,4"},
      {"DECST8C", "\x1b[3g\x1b[?5W\r\t", "-", "1,9"},
  });
}

TEST(TerminalSequence, Erases)
{
  check_all({
      {"EL to the end", "abcdef\x1b[3G\x1b[K", "ab", "1,3"},
      {"EL from the start", "abcdef\x1b[3G\x1b[1K", "   def", "1,3"},
      {"EL all", "abcdef\x1b[3G\x1b[2K", "-", "1,3"},
      {"ECH", "abcdef\x1b[2G\x1b[3X", "a   ef", "1,2"},
      {"ECH beyond the row", "abcdef\x1b[2G\x1b[99X", "a", "1,2"},
      {"ED to the end", on_grid("\x1b[2;2H\x1b[J"), "aaa|b", "2,2"},
      {"ED from the start", on_grid("\x1b[2;2H\x1b[1J"), "|  b|ccc|ddd", "2,2"},
      {"ED all", on_grid("\x1b[2J"), "-", "4,4"},
      {"ED of an unknown kind", on_grid("\x1b[7J"), "aaa|bbb|ccc|ddd", "4,4"},
      {"DECSEL leaves what is guarded", "ab\x1b[1\"qcd\x1b[0\"qef\x1b[?2K", "  cd", "1,7"},
      {"DECSED leaves what is guarded", "ab\x1b[1\"qcd\x1b[2\"q\r\nef\x1b[?2J", "  cd", "2,3"},
      {"EL does not care", "ab\x1b[1\"qcd\x1b[2K", "-", "1,5"},
      {"a guarded wide character stays whole", "\x1b[1\"q漢\x1b[0\"q字\x1b[?2K", "漢", "1,5"},
  });
}

TEST(TerminalSequence, Edits)
{
  check_all({
      {"ICH", "abcdef\x1b[2G\x1b[2@", "a  bcdef", "1,2"},
      {"ICH pushes over the edge", "0123456789\x1b[2G\x1b[3@", "0   123456", "1,2"},
      {"ICH more than the row", "0123456789\x1b[2G\x1b[99@", "0", "1,2"},
      {"DCH", "abcdef\x1b[2G\x1b[2P", "adef", "1,2"},
      {"DCH more than the row", "abcdef\x1b[2G\x1b[99P", "a", "1,2"},
      {"IL", on_grid("\x1b[2;2H\x1b[L"), "aaa||bbb|ccc", "2,1"},
      {"IL more than the screen", on_grid("\x1b[2;2H\x1b[99L"), "aaa", "2,1"},
      {"IL in margins", on_grid("\x1b[1;3r\x1b[2;2H\x1b[L"), "aaa||bbb|ddd", "2,1"},
      {"IL outside the margins", on_grid("\x1b[1;2r\x1b[4;2H\x1b[L"), "aaa|bbb|ccc|ddd", "4,2"},
      {"DL", on_grid("\x1b[2;2H\x1b[M"), "aaa|ccc|ddd", "2,1"},
      {"DL in margins", on_grid("\x1b[1;3r\x1b[1;2H\x1b[2M"), "ccc|||ddd", "1,1"},
      {"REP", "ab\x1b[3b", "abbbb", "1,6"},
      {"REP of a wide one", "漢\x1b[2b", "漢漢漢", "1,7"},
      {"REP wraps", "a\x1b[12b", "aaaaaaaaaa|aaa", "2,4"},
      {"REP after a control has nothing to repeat", "a\r\x1b[3b", "a", "1,1"},
      {"REP after REP", "a\x1b[b\x1b[b", "aaa", "1,4"},
      {"DECALN", "\x1b#8", "EEEEEEEEEE|EEEEEEEEEE|EEEEEEEEEE|EEEEEEEEEE", "1,1"},
  });
}

TEST(TerminalSequence, Scrolls)
{
  check_all({
      {"SU", on_grid("\x1b[S"), "bbb|ccc|ddd", "4,4"},
      {"SD", on_grid("\x1b[2T"), "||aaa|bbb", "4,4"},
      {"SU in margins", on_grid("\x1b[2;3r\x1b[S"), "aaa|ccc||ddd", "1,1"},
      {"SU more than the region", on_grid("\x1b[2;3r\x1b[99S"), "aaa|||ddd", "1,1"},
      {"line feed at the bottom margin", on_grid("\x1b[1;3r\x1b[3;1H\nx"), "bbb|ccc|x|ddd", "3,2"},
      {"line feed below the margin", on_grid("\x1b[1;2r\x1b[4;1H\nx"), "aaa|bbb|ccc|xdd", "4,2"},
      {"IND, NEL",
       on_grid("\x1b[4;2H\x1b"
               "D\x1b"
               "Ex"),
       "ccc|ddd||x", "4,2"},
      {"RI at the top", on_grid("\x1b[H\x1bMx"), "x|aaa|bbb|ccc", "1,2"},
      {"RI at the margin", on_grid("\x1b[2;3r\x1b[2;1H\x1bM"), "aaa||bbb|ddd", "2,1"},
      {"a region of one row is refused", on_grid("\x1b[2;2r\n"), "bbb|ccc|ddd", "4,4"},
      {"a region upside down is refused", on_grid("\x1b[3;2r\n"), "bbb|ccc|ddd", "4,4"},
      {"LNM", "ab\x1b[20h\ncd", "ab|cd", "2,3"},
      {"VT and FF are line feeds", "a\vb\fc", "a| b|  c", "3,4"},
  });
}

TEST(TerminalSequence, Parses)
{
  check_all({
      {"a control inside a sequence acts at once", "a\x1b[2\rCx", "a x", "1,4"},
      {"CAN ends a sequence",
       "\x1b[2\x18"
       "Cx",
       "Cx", "1,3"},
      {"ESC starts anew", "\x1b[2\x1b[3Cx", "   x", "1,5"},
      {"DEL is nothing inside",
       "\x1b[\x7f"
       "3Cx",
       "   x", "1,5"},
      {"unknown final", "\x1b[5yx", "x", "1,2"},
      {"unknown intermediate", "\x1b[5#Cx", "x", "1,2"},
      {"two intermediates", "\x1b[5 #qx", "x", "1,2"},
      {"a number after an intermediate", "\x1b[ 5qx", "x", "1,2"},
      {"a private marker in the middle", "\x1b[5?Cx", "x", "1,2"},
      {"text breaks a sequence off", "\x1b[5é", "é", "1,2"},
      {"APC, PM, SOS are swallowed", "\x1b_abc\x1b\\\x1b^d\a\x1b\\\x1bXe\x1b\\x", "x", "1,2"},
      {"an unknown DCS too", "\x1bP1;2qabc#1\x1b\\x", "x", "1,2"},
      {"an unknown OSC too", "\x1b]999;abc\ax", "x", "1,2"},
      {"CAN ends a string", "\x1b_abc\x18x", "x", "1,2"},
      {"a string ended by U+009C", "\x1b_abc\u009cx", "x", "1,2"},
      {"a title ended by U+009C", "\x1b]0;ab\u009cx", "x", "1,2"},
      {"a character with the byte 9C is no end", "\x1b]0;✜\ax", "x", "1,2"},
      {"another sequence breaks a string off", "\x1b]0;abc\x1b[2Cx", "  x", "1,4"},
      {"unknown escapes", "\x1b%G\x1b#3\x1b F\x1b.Ax", "x", "1,2"},
      {"thirty-three parameters", "\x1b[1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1;1mx", "x",
       "1,2"},
  });
}

TEST(TerminalSequence, Resets)
{
  check_all({
      {"RIS",
       on_grid("\x1b[2;3r\x1b[?6h\x1b[1m\x1b"
               "cx"),
       "x", "1,2"},
      {"DECSTR keeps the screen", on_grid("\x1b[2;3r\x1b[?6h\x1b[!p\x1b[Hx"), "xaa|bbb|ccc|ddd", "1,2"},
  });
}

TEST(TerminalSequence, AlternateScreen)
{
  check_all({
      {"1049 comes back to text and cursor", "ab\x1b[?1049h\x1b[3;3Hxyz\x1b[?1049l", "ab", "1,3"},
      {"1049 starts blank", "ab\x1b[?1049hx", "  x", "1,4"},
      {"1049 starts blank each time", "\x1b[?1049habc\x1b[?1049l\x1b[?1049h", "-", "1,1"},
      {"47 keeps what was there", "\x1b[?47habc\x1b[?47l\x1b[?47h", "abc", "1,4"},
      {"1047 clears on leaving", "\x1b[?1047habc\x1b[?1047l\x1b[?47h", "-", "1,4"},
      {"each screen saves a cursor of its own",
       "\x1b[2;2H\x1b"
       "7\x1b[?47h\x1b[3;3H\x1b"
       "7\x1b[?47l\x1b"
       "8",
       "-", "2,2"},
      {"leaving when not there moves nothing", "ab\x1b[?1049l", "ab", "1,3"},
  });
  Terminal terminal(2, 10);
  terminal.feed("\x1b[?1049ha\r\nb\r\nc\r\nd");
  EXPECT_TRUE(terminal.modes().alternate_screen);
  EXPECT_EQ(terminal.scrollback_rows(), 0U);
}

TEST(TerminalSequence, EveryFinalByteIsHarmless)
{
  for (char prefix : std::string_view("\0<=>?", 5)) {
    for (char intermediate : std::string_view("\0 !\"#$%&'()*+,-./", 17)) {
      for (int final = 0x40; final < 0x7F; ++final) {
        std::string input = "\x1b[";
        if (prefix != 0) input += prefix;
        input += "3;2;1";
        if (intermediate != 0) input += intermediate;
        input += static_cast<char>(final);
        Terminal terminal(5, 9);
        terminal.feed("漢字 abc\r\n漢字漢字漢字");
        terminal.feed(input);
        terminal.feed("x漢");
        ASSERT_EQ(terminal.broken_invariant(), "") << input.substr(1);
      }
    }
  }
}

} // namespace
} // namespace conductor::terminal::testing
