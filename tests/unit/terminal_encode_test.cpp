// Keys, mouse, paste and focus as the child wants them.
#include "tui/terminal/encode.h"

#include <gtest/gtest.h>

namespace conductor::terminal {
namespace {

constexpr Modifiers bare{}, shift{.shift = true}, alt{.alt = true}, control{.control = true};

TEST(TerminalEncode, Keys)
{
  Modes plain, application{.application_cursor = true, .application_keypad = true};
  struct Case {
    Key key;
    Modifiers modifiers;
    const char* in_plain;
    const char* in_application;
  };
  constexpr Case cases[] = {
      {Key::up, bare, "\x1b[A", "\x1bOA"},
      {Key::left, control, "\x1b[1;5D", "\x1b[1;5D"},
      {Key::home, bare, "\x1b[H", "\x1bOH"},
      {Key::end, {.shift = true, .alt = true, .control = true}, "\x1b[1;8F", "\x1b[1;8F"},
      {Key::remove, bare, "\x1b[3~", "\x1b[3~"},
      {Key::page_up, shift, "\x1b[5;2~", "\x1b[5;2~"},
      {Key::f1, bare, "\x1bOP", "\x1bOP"},
      {Key::f1, shift, "\x1b[1;2P", "\x1b[1;2P"},
      {Key::f5, bare, "\x1b[15~", "\x1b[15~"},
      {Key::f12, alt, "\x1b[24;3~", "\x1b[24;3~"},
      {Key::f20, bare, "\x1b[34~", "\x1b[34~"},
      {Key::enter, bare, "\r", "\r"},
      {Key::enter, alt, "\x1b\r", "\x1b\r"},
      {Key::tab, shift, "\x1b[Z", "\x1b[Z"},
      {Key::backspace, bare, "\x7f", "\x7f"},
      {Key::backspace, control, "\b", "\b"},
      {Key::escape, bare, "\x1b", "\x1b"},
      {Key::keypad_5, bare, "5", "\x1bOu"},
      {Key::keypad_enter, bare, "\r", "\x1bOM"},
      {Key::keypad_plus, alt, "\x1b+", "\x1bOk"},
  };
  for (const Case& test : cases) {
    EXPECT_EQ(encode_key(test.key, test.modifiers, plain), test.in_plain) << static_cast<int>(test.key);
    EXPECT_EQ(encode_key(test.key, test.modifiers, application), test.in_application) << static_cast<int>(test.key);
  }
  EXPECT_EQ(encode_key(Key::enter, bare, {.newline = true}), "\r\n");
  EXPECT_EQ(encode_key(Key::backspace, bare, {.backarrow = true}), "\b");
}

TEST(TerminalEncode, EveryKeyHasBytes)
{
  for (int key = 0; key <= static_cast<int>(Key::keypad_equal); ++key)
    EXPECT_FALSE(encode_key(static_cast<Key>(key), bare, {}).empty()) << key;
}

TEST(TerminalEncode, Mouse)
{
  struct Case {
    MouseMode mode;
    bool sgr;
    MouseEvent event;
    std::string bytes;
  };
  using enum MouseButton;
  using enum MouseAction;
  const Case cases[] = {
      {MouseMode::off, true, {left, press, 1, 1, bare}, ""},
      {MouseMode::click, true, {left, press, 4, 2, bare}, "\x1b[<0;5;3M"},
      {MouseMode::click, true, {right, release, 4, 2, control}, "\x1b[<18;5;3m"},
      {MouseMode::click, true, {wheel_down, press, 0, 0, bare}, "\x1b[<65;1;1M"},
      {MouseMode::click, true, {wheel_down, release, 0, 0, bare}, ""},
      {MouseMode::click, true, {left, motion, 0, 0, bare}, ""},
      {MouseMode::drag, true, {left, motion, 500, 0, bare}, "\x1b[<32;501;1M"},
      {MouseMode::drag, true, {MouseButton::none, motion, 0, 0, bare}, ""},
      {MouseMode::motion, true, {MouseButton::none, motion, 0, 0, bare}, "\x1b[<35;1;1M"},
      {MouseMode::click, false, {left, press, 0, 1, bare}, "\x1b[M !\""},
      {MouseMode::click, false, {left, release, 0, 1, bare}, "\x1b[M#!\""},
      {MouseMode::click, false, {left, press, 223, 1, bare}, ""},
      {MouseMode::press, false, {left, press, 0, 0, control}, "\x1b[M !!"},
      {MouseMode::press, false, {left, release, 0, 0, bare}, ""},
  };
  for (const Case& test : cases)
    EXPECT_EQ(encode_mouse(test.event, {.mouse = test.mode, .mouse_sgr = test.sgr}), test.bytes);
}

TEST(TerminalEncode, WheelOnTheAlternateScreen)
{
  MouseEvent wheel{MouseButton::wheel_up, MouseAction::press, 0, 0, {}};
  EXPECT_EQ(encode_mouse(wheel, {.alternate_scroll = true, .alternate_screen = true}), "\x1b[A");
  EXPECT_EQ(encode_mouse(wheel, {.application_cursor = true, .alternate_scroll = true, .alternate_screen = true}),
            "\x1bOA");
  EXPECT_EQ(encode_mouse(wheel, {.alternate_scroll = true}), "");
}

TEST(TerminalEncode, Paste)
{
  EXPECT_EQ(encode_paste("a\nb\r\nc\td", {}), "a\rb\rc\td");
  EXPECT_EQ(encode_paste("rm\x1b[201~ -rf\x03\x7f é", {.bracketed_paste = true}), "\x1b[200~rm[201~ -rf é\x1b[201~");
}

TEST(TerminalEncode, Focus)
{
  EXPECT_EQ(encode_focus(true, {}), "");
  EXPECT_EQ(encode_focus(true, {.focus_events = true}), "\x1b[I");
  EXPECT_EQ(encode_focus(false, {.focus_events = true}), "\x1b[O");
}

} // namespace
} // namespace conductor::terminal
