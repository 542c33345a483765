// Themes: files that parse, errors that say where, colours that fit the terminal.
#include "tui/console/theme.h"

#include "core/base/error.h"

#include <gtest/gtest.h>

using namespace conductor::console;
using conductor::Error;

TEST(ConsoleTheme, EveryThemeOfTheRepositoryLoads)
{
  const Themes themes{{"themes"}};
  for (const auto* name : {"default", "light", "projector", "mono"}) EXPECT_NO_THROW(themes.load(name)) << name;
  EXPECT_TRUE(themes.load("projector").ascii_borders());
  EXPECT_TRUE(themes.load("mono").no_colour());
}

TEST(ConsoleTheme, DefaultAndMonoNeedNoFiles)
{
  const Themes themes{std::vector<std::string>{}};
  EXPECT_EQ(themes.names(), (std::vector<std::string>{"default", "mono"}));
  EXPECT_NO_THROW(themes.load("default"));
}

TEST(ConsoleTheme, TheDefaultStandsOnTheTerminalsOwnBackground)
{
  const Theme theme = Themes{std::vector<std::string>{}}.load("default");
  EXPECT_EQ(theme.style(Role::text).background, Colour::standard());
  EXPECT_EQ(theme.style(Role::text).foreground, Colour::standard());
}

TEST(ConsoleTheme, NamesOfThePaletteAndAttributes)
{
  const Theme theme = Theme::parse(R"({"palette": {"ink": "#102030", "word": "ink"},
    "faces": {"text": {"bg": 7}, "good": {"fg": "word", "bold": true}}})",
                                   "t");
  const Style style = theme.style(Role::good);
  EXPECT_EQ(style.foreground, Colour::rgb(0x102030));
  EXPECT_EQ(style.background, Colour::index(7));
  EXPECT_TRUE(style.has(flag::bold));
}

TEST(ConsoleTheme, ASelectedRowKeepsWhatItsFaceLeavesOpen)
{
  const Theme theme = Theme::parse(R"({"faces": {"good": {"fg": 2}, "selected": {"bg": 4}}})", "t");
  const Style style = theme.style(Role::good, Role::selected);
  EXPECT_EQ(style.foreground, Colour::index(2));
  EXPECT_EQ(style.background, Colour::index(4));
}

TEST(ConsoleTheme, MistakesAreNamed)
{
  const auto message = [](std::string_view text) -> std::string {
    try {
      Theme::parse(text, "mine");
    } catch (const Error& error) {
      return std::string{error.sentence()};
    }
    return "no error";
  };
  EXPECT_EQ(message("{\n\"faces\": {\n!"), "theme 'mine': line 3 is no JSON");
  EXPECT_EQ(message(R"({"faces": {"nosuch": {}}})"), "theme 'mine': no role is called 'nosuch'");
  EXPECT_EQ(message(R"({"faces": {"text": {"fg": "puce"}}})"), "theme 'mine': no colour is called 'puce'");
  EXPECT_EQ(message(R"({"palette": {"a": "a"}, "faces": {"text": {"fg": "a"}}})"),
            "theme 'mine': no colour is called 'a'");
  EXPECT_EQ(message(R"({"faces": {"text": {"shiny": true}}})"), "theme 'mine': a face has no 'shiny'");
}

TEST(ConsoleTheme, ANameIsNoPath) { EXPECT_THROW(Themes{}.load("../x"), Error); }

TEST(ConsoleTheme, ColoursFitTheTerminal)
{
  EXPECT_EQ(nearest(Colour::rgb(0xFF0000), Depth::direct), Colour::rgb(0xFF0000));
  EXPECT_EQ(nearest(Colour::rgb(0xFF0000), Depth::palette), Colour::index(196));
  EXPECT_EQ(nearest(Colour::rgb(0xF01010), Depth::sixteen), Colour::index(9));
  EXPECT_EQ(nearest(Colour::rgb(0xC80000), Depth::eight), Colour::index(1));
  EXPECT_EQ(nearest(Colour::index(12), Depth::eight), Colour::index(4));
  EXPECT_EQ(nearest(Colour::rgb(0x123456), Depth::mono), Colour::standard());
  EXPECT_EQ(nearest(Colour::index(200), Depth::palette), Colour::index(200));
}

TEST(ConsoleTheme, GreyTextIsNeverBlackOnBlackInEightColours)
{
  EXPECT_EQ(nearest(Colour::index(240), Depth::eight), Colour::index(7));
  EXPECT_EQ(nearest(Colour::index(8), Depth::eight), Colour::index(7));
}
