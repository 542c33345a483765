// Keys of the user's terminal: bytes in, keys out, cut anywhere.
#include "tui/console/keys.h"

#include <gtest/gtest.h>

#include <vector>

using namespace conductor::console;
using conductor::terminal::MouseAction;
using conductor::terminal::MouseButton;
using Named = conductor::terminal::Key;

namespace {

std::vector<Key> keys(std::string_view bytes, bool byte_by_byte = false)
{
  KeyDecoder decoder;
  std::vector<Key> all;
  const auto drain = [&] {
    while (auto key = decoder.next()) all.push_back(*key);
  };
  if (byte_by_byte) {
    for (const char byte : bytes) {
      decoder.feed({&byte, 1});
      drain();
    }
  } else
    decoder.feed(bytes);
  drain();
  decoder.expire();
  drain();
  return all;
}

std::string names(std::string_view bytes, bool byte_by_byte = false)
{
  std::string line;
  for (const Key& key : keys(bytes, byte_by_byte)) line += (line.empty() ? "" : " ") + key_name(key);
  return line;
}

} // namespace

TEST(ConsoleKeys, TextIsItself) { EXPECT_EQ(names("aZ9é漢"), "a Z 9 é 漢"); }

TEST(ConsoleKeys, ControlLettersAreNamed)
{
  EXPECT_EQ(names(std::string_view{"\x07\x0c\x03\r\t\x7f\x00", 7}),
            "Ctrl-G Ctrl-L Ctrl-C Enter Tab Backspace Ctrl-Space");
}

TEST(ConsoleKeys, FunctionKeysInAllSpellings)
{
  EXPECT_EQ(names("\x1b[A\x1bOA\x1b[15~\x1bOP\x1b[[A\x1b[[E\x1b[3~\x1b[H\x1b[1~"),
            "Up Up F5 F1 F1 F5 Delete Home Home");
}

TEST(ConsoleKeys, ModifiersOfFunctionKeys)
{
  EXPECT_EQ(names("\x1b[1;5C\x1b[1;2A\x1b[3;3~\x1b[Z"), "Ctrl-Right Shift-Up Alt-Delete Shift-Tab");
}

TEST(ConsoleKeys, AltIsAnEscapeBefore) { EXPECT_EQ(names("\x1bx\x1b\x01"), "Alt-x Ctrl-Alt-A"); }

TEST(ConsoleKeys, ALoneEscapeWaitsForItsTime)
{
  KeyDecoder decoder;
  decoder.feed("\x1b");
  EXPECT_FALSE(decoder.next());
  EXPECT_TRUE(decoder.waiting());
  decoder.expire();
  EXPECT_TRUE(decoder.next()->is(Named::escape));
}

TEST(ConsoleKeys, EverySequenceMayBeCutAtEveryByte)
{
  const std::string_view all = "a\x1b[1;5C\x1b[<0;10;5M\x1b[200~x\x07y\x1b[201~漢\x1b[?2026;2$y\x1b[Iz";
  const auto whole = keys(all), cut = keys(all, true);
  ASSERT_EQ(whole.size(), cut.size());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    EXPECT_EQ(whole[i].kind, cut[i].kind);
    EXPECT_EQ(whole[i].bytes, cut[i].bytes);
  }
}

TEST(ConsoleKeys, APasteIsOneKeyAndHidesThePrefix)
{
  const auto all = keys("\x1b[200~rm\x07 -rf\x1b[A\x1b[201~q");
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].kind, Key::Kind::paste);
  EXPECT_EQ(all[0].bytes, "rm\x07 -rf\x1b[A");
  EXPECT_TRUE(all[1].is(U'q'));
}

TEST(ConsoleKeys, MousePressWheelAndMotion)
{
  const auto all = keys("\x1b[<0;10;5M\x1b[<0;10;5m\x1b[<65;1;1M\x1b[<32;3;4M");
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(all[0].mouse.button, MouseButton::left);
  EXPECT_EQ(all[0].mouse.column, 9);
  EXPECT_EQ(all[0].mouse.row, 4);
  EXPECT_EQ(all[1].mouse.action, MouseAction::release);
  EXPECT_EQ(all[2].mouse.button, MouseButton::wheel_down);
  EXPECT_EQ(all[3].mouse.action, MouseAction::motion);
}

TEST(ConsoleKeys, AnswersOfTheTerminalAreNoKeys)
{
  for (const auto* reply :
       {"\x1b[?2026;2$y", "\x1b[?62;1;4c", "\x1b[>0;276;0c", "\x1bP1$r0m\x1b\\", "\x1b]11;rgb:00/00/00\x07"}) {
    const auto all = keys(reply);
    ASSERT_EQ(all.size(), 1U) << reply + 1;
    EXPECT_EQ(all[0].kind, Key::Kind::reply);
  }
}

TEST(ConsoleKeys, UnknownSequencesKeepTheirBytes)
{
  const auto all = keys("\x1b[99;5u");
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].kind, Key::Kind::unknown);
  EXPECT_EQ(all[0].bytes, "\x1b[99;5u");
}

TEST(ConsoleKeys, BrokenUtf8DoesNotBlock)
{
  const auto all = keys("\xff\xe2\x82q");
  ASSERT_FALSE(all.empty());
  EXPECT_TRUE(all.back().is(U'q'));
}

TEST(ConsoleKeys, NamesGoBothWays)
{
  for (const auto* name :
       {"Ctrl-G", "Space", "Tab", "Shift-Tab", "PgUp", "Esc", "Enter", "Up", "F12", "Alt-x", "|", "?", "G", "Ctrl-U"}) {
    const auto key = key_from_name(name);
    ASSERT_TRUE(key) << name;
    EXPECT_EQ(key_name(*key), name);
  }
  EXPECT_FALSE(key_from_name("Hyper-x"));
  EXPECT_FALSE(key_from_name(""));
}
