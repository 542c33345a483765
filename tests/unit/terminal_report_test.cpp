// Attributes, replies, modes and operating system commands.
#include "terminal_harness.h"

namespace conductor::terminal::testing {
namespace {

struct StyleCase {
  const char* input;
  const char* styled;
};

TEST(TerminalStyle, Attributes)
{
  constexpr StyleCase cases[] = {
      {"\x1b[1;2;3;5;7;8;9;53mx\x1b[mx", "{bold,dim,italic,blink,reverse,conceal,strike,overline}x{}x"},
      {"\x1b[1;2;3mx\x1b[22;23mx", "{bold,dim,italic}x{}x"},
      {"\x1b[5;7;8;9;53mx\x1b[25;27;28;29;55mx", "{blink,reverse,conceal,strike,overline}x{}x"},
      {"\x1b[4ma\x1b[21mb\x1b[4:3mc\x1b[4:4md\x1b[4:5me\x1b[4:0mf",
       "{underline}a{double}b{curly}c{dotted}d{dashed}e{}f"},
      {"\x1b[4ma\x1b[24mb", "{underline}a{}b"},
      {"\x1b[31;42ma\x1b[39mb\x1b[49mc", "{fg1,bg2}a{bg2}b{}c"},
      {"\x1b[91;102ma", "{fg9,bg10}a"},
      {"\x1b[38;5;200;48;5;16ma", "{fg200,bg16}a"},
      {"\x1b[38:5:200ma", "{fg200}a"},
      {"\x1b[38;2;1;2;3ma", "{fg#010203}a"},
      {"\x1b[38:2:1:2:3ma", "{fg#010203}a"},
      {"\x1b[38:2::1:2:3ma", "{fg#010203}a"},
      {"\x1b[38:2::1:2:3:0:0ma", "{fg#010203}a"},
      {"\x1b[48:2::255:128:0;1ma", "{bold,bg#ff8000}a"},
      {"\x1b[38;2;999;0;0ma", "{fg#ff0000}a"},
      {"\x1b[38;2;1;2ma", "a"},
      {"\x1b[38;5ma", "a"},
      {"\x1b[38ma", "a"},
      {"\x1b[38;7;1ma", "{bold}a"},
      {"\x1b[4;58;2;1;2;3ma\x1b[59mb", "{underline,ul#010203}a{underline}b"},
      {"\x1b[58:5:9ma\x1b[0mb", "{ul9}a{}b"},
      {"\x1b[;1ma\x1b[1;;3mb", "{bold}a{italic}b"},
      {"\x1b[1:2:3ma", "{bold}a"},
      {"\x1b[1\"qa\x1b[mb\x1b[0\"qc", "{guarded}ab{}c"},
      {"\x1b[1m\x1b"
       "7\x1b[m\x1b"
       "8a",
       "{bold}a"},
      {"\x1b]8;;http://x/\x1b\\a\x1b]8;;\x1b\\b", "{link=http://x/}a{}b"},
      {"\x1b]8;id=1;http://x/?a=1;2\aa", "{link=http://x/?a=1;2}a"},
      {"\x1b]8;;http://x/\x1b\\\x1b[1ma\x1b[0mb", "{bold,link=http://x/}a{link=http://x/}b"},
      {"\x1b]8;;http://x y/\x1b\\a", "a"},
      {"\x1b[44m\x1b[3X", "{bg4}   "},
      {"\x1b[44;1;4ma\x1b[K", "{bold,underline,bg4}a{bg4}         "},
      {"\x1b[44m\x1b[2;1H\x1b[1T\x1b[m", "{bg4}          "},
  };
  for (const StyleCase& test : cases) {
    Terminal terminal(3, 10);
    terminal.feed(test.input);
    EXPECT_EQ(styled(terminal, 0), test.styled) << test.input + 1;
    EXPECT_EQ(terminal.broken_invariant(), "");
  }
}

TEST(TerminalReport, Answers)
{
  check_all({
      {"DA1", "\x1b[c\x1b[0c", "", "", "\x1b[?62;6;22c\x1b[?62;6;22c"},
      {"DA2", "\x1b[>c", "", "", "\x1b[>0;277;0c"},
      {"DA3", "\x1b[=c", "", "", "\x1bP!|00000000\x1b\\"},
      {"DA with a parameter is none", "\x1b[1c\x1b[>1c", "", "", "-"},
      {"DECID", "\x1bZ", "", "", "\x1b[?62;6;22c"},
      {"DSR", "\x1b[5n", "", "", "\x1b[0n"},
      {"CPR", "\x1b[3;4H\x1b[6n", "", "", "\x1b[3;4R"},
      {"CPR in origin mode", "\x1b[2;3r\x1b[?6h\x1b[6n", "", "", "\x1b[1;1R"},
      {"DECXCPR", "\x1b[?6n", "", "", "\x1b[?1;1;1R"},
      {"an unknown DSR", "\x1b[77n", "", "", "-"},
      {"DECRQM set", "\x1b[?7$p", "", "", "\x1b[?7;1$y"},
      {"DECRQM reset", "\x1b[?2026$p\x1b[4$p", "", "", "\x1b[?2026;2$y\x1b[4;2$y"},
      {"DECRQM unknown", "\x1b[?4242$p", "", "", "\x1b[?4242;0$y"},
      {"DECRQM after DECSET", "\x1b[?1006;1002h\x1b[?1002$p\x1b[?1000$p", "", "", "\x1b[?1002;1$y\x1b[?1000;2$y"},
      {"DECRQSS of SGR", "\x1b[1;31;48;2;1;2;3m\x1bP$qm\x1b\\", "", "", "\x1bP1$r0;1;31;48:2::1:2:3m\x1b\\"},
      {"DECRQSS of margins", "\x1b[2;3r\x1bP$qr\x1b\\", "", "", "\x1bP1$r2;3r\x1b\\"},
      {"DECRQSS of the cursor's shape", "\x1b[5 q\x1bP$q q\x1b\\", "", "", "\x1bP1$r5 q\x1b\\"},
      {"DECRQSS of anything else echoes nothing", "\x1bP$qrm -rf /\x1b\\", "", "", "\x1bP0$r\x1b\\"},
      {"XTVERSION", "\x1b[>q", "", "", "\x1bP>|conductor(" CONDUCTOR_VERSION ")\x1b\\"},
      {"XTGETTCAP echoes nothing", "\x1bP+q544e\x1b\\", "", "", "\x1bP0+r\x1b\\"},
      {"18t", "\x1b[18t", "", "", "\x1b[8;4;10t"},
      {"the title is never told", "\x1b]2;evil\a\x1b[21t", "", "", "-"},
      {"OSC 11 by ST", "\x1b]11;?\x1b\\", "", "", "\x1b]11;rgb:0000/0000/0000\x1b\\"},
      {"OSC 10 by BEL", "\x1b]10;?\a", "", "", "\x1b]10;rgb:d0d0/d0d0/d0d0\a"},
      {"OSC 10 goes on to 11", "\x1b]10;?;?\a", "", "", "\x1b]10;rgb:d0d0/d0d0/d0d0\a\x1b]11;rgb:0000/0000/0000\a"},
      {"OSC 4", "\x1b]4;1;?;231;?\a", "", "", "\x1b]4;1;rgb:cdcd/0000/0000\a\x1b]4;231;rgb:ffff/ffff/ffff\a"},
      {"OSC 4 set and asked", "\x1b]4;1;#102030\a\x1b]4;1;?\a", "", "", "\x1b]4;1;rgb:1010/2020/3030\a"},
      {"OSC 104", "\x1b]4;1;#102030\a\x1b]104;1\a\x1b]4;1;?\a", "", "", "\x1b]4;1;rgb:cdcd/0000/0000\a"},
      {"OSC 11 set and reset", "\x1b]11;rgb:f/80/000\a\x1b]11;?\a\x1b]111\a\x1b]11;?\a", "", "",
       "\x1b]11;rgb:ffff/8080/0000\a\x1b]11;rgb:0000/0000/0000\a"},
      {"OSC 4 beyond the palette", "\x1b]4;256;?\a\x1b]4;x;?\a", "", "", "-"},
      {"the clipboard is never told", "\x1b]52;c;?\a", "", "", "-"},
      {"ENQ has no answer", "\x05", "", "", "-"},
  });
}

TEST(TerminalModes, AreSeenOutside)
{
  Terminal terminal(4, 10);
  terminal.feed("\x1b[?1;1002;1006;1004;2004;2026;67h\x1b=");
  EXPECT_TRUE(terminal.take_events().modes_changed);
  const Modes& modes = terminal.modes();
  EXPECT_TRUE(modes.application_cursor && modes.application_keypad && modes.mouse_sgr && modes.focus_events &&
              modes.bracketed_paste && modes.synchronised && modes.backarrow);
  EXPECT_EQ(modes.mouse, MouseMode::drag);
  terminal.feed("\x1b[?1000l"); // not the mode that is on
  EXPECT_EQ(modes.mouse, MouseMode::drag);
  terminal.end_synchronised();
  EXPECT_FALSE(terminal.modes().synchronised);
  terminal.feed("\x1b"
                "c");
  EXPECT_EQ(terminal.modes(), Modes{});
}

TEST(TerminalModes, SavedAndRestored)
{
  Terminal terminal(4, 10);
  terminal.feed("\x1b[?1h\x1b[?1;1000s\x1b[?1l\x1b[?1000h\x1b[?1;1000r");
  EXPECT_TRUE(terminal.modes().application_cursor);
  EXPECT_EQ(terminal.modes().mouse, MouseMode::off);
}

TEST(TerminalModes, Cursor)
{
  Terminal terminal(4, 10);
  terminal.feed("\x1b[?25l\x1b[5 q");
  EXPECT_FALSE(terminal.cursor().visible);
  EXPECT_EQ(terminal.cursor().shape, CursorShape::bar);
  EXPECT_TRUE(terminal.cursor().blinking);
  terminal.feed("\x1b[?25h\x1b[4 q");
  EXPECT_TRUE(terminal.cursor().visible);
  EXPECT_EQ(terminal.cursor().shape, CursorShape::underline);
  EXPECT_FALSE(terminal.cursor().blinking);
}

TEST(TerminalEvents, BellAndTitle)
{
  Terminal terminal(4, 10);
  terminal.feed("\a\x1b]0;a\x01title \xff漢\u0085\u202e!\a");
  Events events = terminal.take_events();
  EXPECT_TRUE(events.bell && events.title_changed);
  EXPECT_EQ(terminal.title(), "atitle �漢!");
  EXPECT_FALSE(terminal.take_events().bell);
  terminal.feed("\x1b[22t\x1b]2;other\x1b\\\x1b[23t");
  EXPECT_EQ(terminal.title(), "atitle �漢!");
}

TEST(TerminalEvents, Clipboard)
{
  Terminal terminal(4, 10, {.clipboard_bytes = 10});
  terminal.feed("\x1b]52;p;aGVsbG8=\a");
  auto request = terminal.take_events().clipboard;
  ASSERT_TRUE(request);
  EXPECT_EQ(request->text, "hello");
  EXPECT_EQ(request->selection, 'p');
  for (const char* bad : {"\x1b]52;c;?\a", "\x1b]52;c;@@@\a", "\x1b]52;c;\a", "\x1b]52;c;YWJjZGVmZ2hpamtsbW5v\a"}) {
    terminal.feed(bad);
    EXPECT_FALSE(terminal.take_events().clipboard) << bad + 1;
  }
}

TEST(TerminalEvents, PromptMarks)
{
  Terminal terminal(4, 10);
  terminal.feed("\x1b]133;A\a$ \x1b]133;B\als\r\n\x1b]133;C\aout\r\n\x1b]133;D;0\a\r\n\r\n\r\n");
  ASSERT_EQ(terminal.scrollback_rows(), 2U);
  EXPECT_EQ(terminal.scrollback_info(0).mark, Mark::prompt);
  EXPECT_EQ(terminal.scrollback_info(1).mark, Mark::output);
  EXPECT_EQ(terminal.row_info(0).mark, Mark::none);
}

TEST(TerminalEvents, ColourOverrides)
{
  Terminal terminal(4, 10);
  EXPECT_FALSE(terminal.colour_override(4));
  terminal.feed("\x1b]4;4;rgb:12/34/56\a\x1b]11;#fff\a");
  EXPECT_EQ(terminal.colour_override(4), 0x123456U);
  EXPECT_EQ(terminal.colour_override(257), 0xFFFFFFU);
  EXPECT_FALSE(terminal.colour_override(259));
  EXPECT_FALSE(terminal.colour_override(-1));
}

TEST(TerminalDamage, NamesWhatChanged)
{
  Terminal terminal(4, 10);
  EXPECT_EQ(terminal.take_damage().size(), 4U); // all is new at first
  EXPECT_EQ(terminal.take_damage().size(), 0U);
  terminal.feed("\x1b[2;3Hab\x1b[3;1H");
  auto damage = terminal.take_damage();
  ASSERT_EQ(damage.size(), 1U);
  EXPECT_EQ(damage[0].row, 1);
  EXPECT_LE(damage[0].first, 2);
  EXPECT_EQ(damage[0].last, 4);
  terminal.feed("\x1b[1;3r\x1b[S");
  EXPECT_EQ(terminal.take_damage().size(), 3U);
}

} // namespace
} // namespace conductor::terminal::testing
