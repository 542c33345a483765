// Printing: wrapping, wide and combining characters, UTF-8, character sets.
#include "terminal_harness.h"
#include "tui/terminal/width.h"

namespace conductor::terminal::testing {
namespace {

TEST(TerminalText, PrintsAndWraps)
{
  check_all({
      {"text", "hello", "hello", "1,6"},
      {"line feed keeps the column", "ab\ncd", "ab|  cd", "2,5"},
      {"carriage return", "ab\rc", "cb", "1,2"},
      {"the last column waits to wrap", "0123456789", "0123456789", "1,10"},
      {"the next character wraps", "0123456789a", "0123456789|a", "2,2"},
      {"carriage return cancels the wrap", "0123456789\ra", "a123456789", "1,2"},
      {"backspace cancels the wrap", "0123456789\ba", "01234567a9", "1,10"},
      {"a run longer than the screen", "0123456789abcdefghijABCDEFGHIJ0123456789xyz",
       "abcdefghij|ABCDEFGHIJ|0123456789|xyz", "4,4"},
      {"without autowrap the last column takes all", "\x1b[?7l0123456789abc", "012345678c", "1,10"},
      {"without autowrap, at the last column", "\x1b[?7l\x1b[1;10Hxyz", "         z", "1,10"},
      {"autowrap off drops a pending wrap", "0123456789\x1b[?7la", "012345678a", "1,10"},
      {"insert mode shifts", "abc\x1b[4h\x1b[1;2HXY", "aXYbc", "1,4"},
      {"insert mode loses what leaves the row", "0123456789\x1b[4h\x1b[1;1Hab", "ab01234567", "1,3"},
      {"scrolls at the bottom", "a\r\nb\r\nc\r\nd\r\ne", "b|c|d|e", "4,2"},
      {"DEL is nothing",
       "a\x7f"
       "b",
       "ab", "1,3"},
      {"a row of one column", "abc", "c", "", "", 1, 1},
  });
}

TEST(TerminalText, WideCharacters)
{
  check_all({
      {"two columns", "漢字", "漢字", "1,5"},
      {"a wide one does not fit the last column", "012345678漢", "012345678|漢", "2,3"},
      {"and leaves nothing of what was there", "0123456789\x1b[1;10H漢", "012345678|漢", "2,3"},
      {"without autowrap it is dropped", "\x1b[?7l012345678漢", "012345678", "1,10"},
      {"overwriting the left half", "漢字\x1b[1;1Hx", "x 字", "1,2"},
      {"overwriting the right half", "漢字\x1b[1;2Hx", " x字", "1,3"},
      {"a wide one over two halves", "漢字\x1b[1;2H語", " 語", "1,4"},
      {"erasing from a right half", "漢字\x1b[1;4H\x1b[K", "漢", "1,4"},
      {"erasing up to a left half", "漢字\x1b[1;3H\x1b[1K", "-", "1,3"},
      {"deleting a left half", "漢字\x1b[1;1H\x1b[P", " 字", "1,1"},
      {"deleting from a right half", "漢字x\x1b[1;2H\x1b[P", " 字x", "1,2"},
      {"deleting over both", "a漢字b\x1b[1;3H\x1b[2P", "a  b", "1,3"},
      {"inserting inside", "漢字\x1b[1;2H\x1b[@", "   字", "1,2"},
      {"inserting pushes half over the edge", "01234567漢\x1b[1;1H\x1b[@", " 01234567", "1,1"},
      {"a column of one shows a replacement", "漢", "\ufffd", "", "", 1, 1},
      {"emoji", "😀x", "😀x", "1,4"},
      {"clearing characters cuts one", "漢字\x1b[1;2H\x1b[2X", "-", "1,2"},
  });
}

TEST(TerminalText, CombiningMarks)
{
  check_all({
      {"one mark", "e\u0301x", "e\u0301x", "1,3"},
      {"two marks", "e\u0301\u0323", "e\u0301\u0323", "1,2"},
      {"on a wide character", "漢\u0301x", "漢\u0301x", "1,4"},
      {"while a wrap is pending", "012345678e\u0301", "012345678e\u0301", "1,10"},
      {"at the start of a row it is lost", "\u0301x", "x", "1,2"},
      {"on a blank it gets a space", "\x1b[1;3H\u0301", "  \u0301", "1,3"},
      {"nine marks keep eight", "a\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308",
       "a\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307", "1,2"},
      {"a joiner stays with the character before it", "👩\u200d🚀", "👩\u200d🚀", "1,5"},
      {"a variation selector", "❤\ufe0fx", "❤\ufe0fx", "1,3"},
  });
}

TEST(TerminalText, Utf8)
{
  check_all({
      {"two, three, four bytes", "é€😀", "é€😀", "1,5"},
      {"a lone continuation",
       "a\x80"
       "b",
       "a�b", "1,4"},
      {"a cut sequence",
       "a\xe2\x82"
       "b",
       "a�b", "1,4"},
      {"overlong", "\xc0\xaf", "��", "1,3"},
      {"overlong in three", "\xe0\x80\xaf", "���", "1,4"},
      {"a surrogate", "\xed\xa0\x80", "���", "1,4"},
      {"beyond Unicode", "\xf4\x90\x80\x80", "����", "1,5"},
      {"a byte that never occurs", "\xff\xfe", "��", "1,3"},
      {"a control inside a sequence", "\xe2\x82\r\nx", "�|x", "2,2"},
      {"an escape inside a sequence", "\xf0\x9f\x1b[2Cx", "�  x", "1,5"},
      {"C1 as UTF-8 is a sequence", "\u009b2Cx", "  x", "1,4"},
      {"a C1 line feed", "a\u0085b", "a|b", "2,2"},
      {"C1 as a bare byte is not",
       "\x9b"
       "2Cx",
       "�2Cx", "1,5"},
  });
}

TEST(TerminalText, CharacterSets)
{
  check_all({
      {"line drawing in G0", "\x1b(0lqk\x1b(Bq", "┌─┐q", "1,5"},
      {"line drawing in G1", "\x1b)0a\x0eq\x0fq", "a─q", "1,4"},
      {"single shift", "\x1b*0\x1bNqq", "─q", "1,3"},
      {"locking shift 2", "\x1b*0\x1bnqq", "──", "1,3"},
      {"British", "\x1b(A#", "£", "1,2"},
      {"repeating what was drawn", "\x1b(0q\x1b[3b", "────", "1,5"},
  });
}

TEST(TerminalText, Widths)
{
  EXPECT_EQ(width(U'a'), 1);
  EXPECT_EQ(width(0x301), 0);
  EXPECT_EQ(width(0xAD), 1);
  EXPECT_EQ(width(0x1160), 0);
  EXPECT_EQ(width(0x4E00), 2);
  EXPECT_EQ(width(0xAC00), 2);
  EXPECT_EQ(width(0xFF21), 2);
  EXPECT_EQ(width(0x1F600), 2);
  EXPECT_EQ(width(0x1FAE8), 2); // new in Unicode 15
  EXPECT_EQ(width(0x200D), 0);
  EXPECT_EQ(width(0xFE0F), 0);
  EXPECT_EQ(width(0x10FFFF), 1);
  EXPECT_EQ(width(0x110000), 1);
}

} // namespace
} // namespace conductor::terminal::testing
