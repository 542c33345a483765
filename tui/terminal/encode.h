// From keys, mouse, paste and focus to the bytes that a child expects, by the modes it has set (xterm's "PC-Style
// Function Keys" and "Mouse Tracking"). Pure functions; an empty string means: send nothing.
#pragma once

#include "tui/terminal/modes.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace conductor::terminal {

// clang-format off
enum class Key : std::uint8_t {
  up, down, right, left, home, end, insert, remove, page_up, page_down,
  f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20,
  enter, tab, backspace, escape,
  keypad_0, keypad_1, keypad_2, keypad_3, keypad_4, keypad_5, keypad_6, keypad_7, keypad_8, keypad_9,
  keypad_decimal, keypad_comma, keypad_minus, keypad_plus, keypad_multiply, keypad_divide, keypad_enter, keypad_equal,
};
// clang-format on

struct Modifiers {
  bool shift = false;
  bool alt = false;
  bool control = false;
};

std::string encode_key(Key key, Modifiers modifiers, const Modes& modes);

enum class MouseButton : std::uint8_t { none, left, middle, right, wheel_up, wheel_down, wheel_left, wheel_right };
enum class MouseAction : std::uint8_t { press, release, motion };

struct MouseEvent {
  MouseButton button = MouseButton::none; ///< with motion: the button that is held, or none
  MouseAction action = MouseAction::press;
  int column = 0; ///< from 0
  int row = 0;
  Modifiers modifiers;
};

/// Also turns the wheel into cursor keys where mode 1007 is set on the alternate screen and no mouse mode is.
std::string encode_mouse(const MouseEvent& event, const Modes& modes);

/// Text to paste: line ends become CR, and control characters other than the tab are left out, in brackets and without:
/// an ESC could end the brackets early, and the others are keys to a shell.
std::string encode_paste(std::string_view text, const Modes& modes);

std::string encode_focus(bool focused, const Modes& modes);

} // namespace conductor::terminal
