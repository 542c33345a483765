// Text for people: what may steer a terminal is made visible; sizes and durations are short; columns stand in line.
#include "tui/command/text.h"

#include <gtest/gtest.h>

namespace conductor::command {
namespace {

TEST(Shown, OrdinaryTextStays) { EXPECT_EQ(shown("web-1 größe 日本"), "web-1 größe 日本"); }

TEST(Shown, ControlCharactersBecomeVisible)
{
  EXPECT_EQ(shown("a\x1b[31mb\a\r\n\x7f"), "a\\x1b[31mb\\x07\\x0d\\x0a\\x7f");
}

TEST(JsonShown, IsTheSameDocumentWithoutControlCharacters)
{
  EXPECT_EQ(json_shown("{\n \"a\": \"gr\xc3\xb6\xc3\x9f"
                       "e \\u001b\"\n}"),
            "{\n \"a\": \"gr\xc3\xb6\xc3\x9f"
            "e \\u001b\"\n}");
  EXPECT_EQ(json_shown("\"\xc2\x9b"
                       "31m\x7f \xe2\x80\xae\""),
            "\"\\u009b31m\\u007f \\u202e\"");
}

TEST(Shown, ControlCharactersOfTheSecondSetBecomeVisible)
{
  EXPECT_EQ(shown("\xc2\x9b"
                  "31m"),
            "\\x9b31m");
}

TEST(Shown, BytesThatAreNoUtf8BecomeVisible)
{
  EXPECT_EQ(shown("\xff\xc3"), "\\xff\\xc3");
  EXPECT_EQ(shown("\xc0\xaf"), "\\xc0\\xaf");
  EXPECT_EQ(shown("\xed\xa0\x80"), "\\xed\\xa0\\x80");
}

TEST(Shown, MarksThatTurnTheDirectionBecomeVisible)
{
  EXPECT_EQ(shown("a\xe2\x80\xae"
                  "b"),
            "a\\u202eb");
}

TEST(Shown, LinesAndTabsStayWhereTheyAreWanted) { EXPECT_EQ(shown("a\n\tb", true), "a\n\tb"); }

TEST(ShortSize, HasAtMostThreeDigits)
{
  EXPECT_EQ(short_size(0), "0B");
  EXPECT_EQ(short_size(999), "999B");
  EXPECT_EQ(short_size(1023), "1.0K");
  EXPECT_EQ(short_size(184ULL << 20), "184M");
  EXPECT_EQ(short_size(1023ULL << 20), "1.0G");
  EXPECT_EQ(short_size(2040109465ULL), "1.9G");
}

TEST(ShortDuration, NamesTheTwoLargestUnits)
{
  EXPECT_EQ(short_duration(-5), "0s");
  EXPECT_EQ(short_duration(38), "38s");
  EXPECT_EQ(short_duration(60), "1m");
  EXPECT_EQ(short_duration(2 * 3600 + 14 * 60 + 5), "2h14m");
  EXPECT_EQ(short_duration(3600), "1h00m");
  EXPECT_EQ(short_duration(3 * 86400 + 4 * 3600), "3d4h");
  EXPECT_EQ(short_duration(41 * 86400 + 3600), "41d");
}

TEST(ShortTime, FollowsTheMagnitude)
{
  EXPECT_EQ(short_time(14), "14 us");
  EXPECT_EQ(short_time(3210), "3.21 ms");
  EXPECT_EQ(short_time(41'200), "41.2 ms");
  EXPECT_EQ(short_time(1'050'000), "1.05 s");
}

TEST(Table, ColumnsStandInLine)
{
  Table table{{"NAME", "SIZE"}, {Table::Align::left, Table::Align::right}};
  table.add({"web", "184M"});
  table.add({"日本", "2K"});
  EXPECT_EQ(table.text(), "NAME  SIZE\n"
                          "web   184M\n"
                          "日本    2K\n");
}

TEST(Table, CellsCannotSteerTheTerminal)
{
  Table table{{"NAME"}};
  table.add({"\x1b]0;evil\a"});
  EXPECT_EQ(table.text().find('\x1b'), std::string::npos);
}

TEST(Wrapped, BreaksAtSpacesAndIndents) { EXPECT_EQ(wrapped("aa bb cc", 5, 2), "aa bb\n  cc"); }

} // namespace
} // namespace conductor::command
