// Keys by table: the letter or number of a key's sequence, and what the keypad sends in application mode.
#include "tui/terminal/encode.h"

#include <algorithm>

namespace conductor::terminal {

namespace {

/// CSI 1 ; m `letter`, or CSI `number` ; m ~. What `ss3` marks is SS3 `letter` without modifiers: always, or by DECCKM.
struct Function {
  Key key;
  char letter;
  int number;
  enum class Ss3 : std::uint8_t { never, always, by_mode } ss3;
};

using enum Function::Ss3;
constexpr Function functions[] = {
    {Key::up, 'A', 0, by_mode},    {Key::down, 'B', 0, by_mode}, {Key::right, 'C', 0, by_mode},
    {Key::left, 'D', 0, by_mode},  {Key::home, 'H', 0, by_mode}, {Key::end, 'F', 0, by_mode},
    {Key::insert, 0, 2, never},    {Key::remove, 0, 3, never},   {Key::page_up, 0, 5, never},
    {Key::page_down, 0, 6, never}, {Key::f1, 'P', 0, always},    {Key::f2, 'Q', 0, always},
    {Key::f3, 'R', 0, always},     {Key::f4, 'S', 0, always},    {Key::f5, 0, 15, never},
    {Key::f6, 0, 17, never},       {Key::f7, 0, 18, never},      {Key::f8, 0, 19, never},
    {Key::f9, 0, 20, never},       {Key::f10, 0, 21, never},     {Key::f11, 0, 23, never},
    {Key::f12, 0, 24, never},      {Key::f13, 0, 25, never},     {Key::f14, 0, 26, never},
    {Key::f15, 0, 28, never},      {Key::f16, 0, 29, never},     {Key::f17, 0, 31, never},
    {Key::f18, 0, 32, never},      {Key::f19, 0, 33, never},     {Key::f20, 0, 34, never},
};

/// The keypad: what it sends by itself, and after SS3 in application mode (DECKPAM).
struct Keypad {
  Key key;
  char plain;
  char application;
};

constexpr Keypad keypad[] = {
    {Key::keypad_0, '0', 'p'},      {Key::keypad_1, '1', 'q'},       {Key::keypad_2, '2', 'r'},
    {Key::keypad_3, '3', 's'},      {Key::keypad_4, '4', 't'},       {Key::keypad_5, '5', 'u'},
    {Key::keypad_6, '6', 'v'},      {Key::keypad_7, '7', 'w'},       {Key::keypad_8, '8', 'x'},
    {Key::keypad_9, '9', 'y'},      {Key::keypad_decimal, '.', 'n'}, {Key::keypad_comma, ',', 'l'},
    {Key::keypad_minus, '-', 'm'},  {Key::keypad_plus, '+', 'k'},    {Key::keypad_multiply, '*', 'j'},
    {Key::keypad_divide, '/', 'o'}, {Key::keypad_enter, '\r', 'M'},  {Key::keypad_equal, '=', 'X'},
};

int bits(Modifiers modifiers)
{
  return (modifiers.shift ? 1 : 0) | (modifiers.alt ? 2 : 0) | (modifiers.control ? 4 : 0);
}

std::string encode_function(const Function& entry, Modifiers modifiers, const Modes& modes)
{
  int held = bits(modifiers);
  bool ss3 = held == 0 && (entry.ss3 == always || (entry.ss3 == by_mode && modes.application_cursor));
  std::string text = ss3 ? "\x1bO" : "\x1b[";
  if (entry.letter == 0) text += std::to_string(entry.number);
  if (held != 0) {
    if (entry.letter != 0) text += '1';
    text += ';';
    text += std::to_string(1 + held);
  }
  text += entry.letter != 0 ? entry.letter : '~';
  return text;
}

/// Enter, Tab, Backspace and Escape: a byte, with ESC before it for Alt.
std::string encode_simple(Key key, Modifiers modifiers, const Modes& modes)
{
  std::string text = modifiers.alt ? "\x1b" : "";
  switch (key) {
  case Key::enter: return text + (modes.newline ? "\r\n" : "\r");
  case Key::tab: return modifiers.shift ? "\x1b[Z" : text + "\t";
  case Key::backspace: return text + (modes.backarrow != modifiers.control ? "\b" : "\x7f");
  case Key::escape: return text + "\x1b";
  default: return {};
  }
}

/// The number of a button as the protocols count: 0 to 2, 3 for none, the wheel from 64.
int button_number(MouseButton button)
{
  switch (button) {
  case MouseButton::none: return 3;
  case MouseButton::left: return 0;
  case MouseButton::middle: return 1;
  case MouseButton::right: return 2;
  case MouseButton::wheel_up: return 64;
  case MouseButton::wheel_down: return 65;
  case MouseButton::wheel_left: return 66;
  case MouseButton::wheel_right: return 67;
  }
  return 3;
}

bool wanted(const MouseEvent& event, MouseMode mode)
{
  bool wheel = event.button >= MouseButton::wheel_up;
  switch (event.action) {
  case MouseAction::press: return mode != MouseMode::off;
  case MouseAction::release: return mode >= MouseMode::click && !wheel; // a wheel is never released
  case MouseAction::motion:
    return mode == MouseMode::motion || (mode == MouseMode::drag && event.button != MouseButton::none);
  }
  return false;
}

} // namespace

std::string encode_key(Key key, Modifiers modifiers, const Modes& modes)
{
  for (const Function& entry : functions)
    if (entry.key == key) return encode_function(entry, modifiers, modes);
  for (const Keypad& entry : keypad) {
    if (entry.key != key) continue;
    if (modes.application_keypad) return std::string("\x1bO") + entry.application;
    if (key == Key::keypad_enter) return encode_simple(Key::enter, modifiers, modes);
    std::string text = modifiers.alt ? "\x1b" : "";
    return text += entry.plain;
  }
  return encode_simple(key, modifiers, modes);
}

std::string encode_mouse(const MouseEvent& event, const Modes& modes)
{
  if (modes.mouse == MouseMode::off) {
    bool vertical = event.button == MouseButton::wheel_up || event.button == MouseButton::wheel_down;
    if (!modes.alternate_scroll || !modes.alternate_screen || !vertical) return {};
    return encode_key(event.button == MouseButton::wheel_up ? Key::up : Key::down, {}, modes);
  }
  if (!wanted(event, modes.mouse)) return {};
  int number = button_number(event.button);
  if (event.action == MouseAction::motion) number += 32;
  if (modes.mouse != MouseMode::press)
    number += (event.modifiers.shift ? 4 : 0) + (event.modifiers.alt ? 8 : 0) + (event.modifiers.control ? 16 : 0);
  int column = std::max(0, event.column) + 1, row = std::max(0, event.row) + 1;
  if (modes.mouse_sgr) {
    std::string text = "\x1b[<";
    for (int value : {number, column, row}) {
      text += std::to_string(value);
      text += ';';
    }
    text.back() = event.action == MouseAction::release ? 'm' : 'M';
    return text;
  }
  // The old encoding: a byte each, offset by 32, so it ends at 223; a release does not say of which button.
  if (column > 223 || row > 223) return {};
  if (event.action == MouseAction::release) number = (number & ~3) | 3;
  auto byte = [](int value) { return static_cast<char>(value + 32); };
  return std::string("\x1b[M") + byte(number) + byte(column) + byte(row);
}

std::string encode_paste(std::string_view text, const Modes& modes)
{
  std::string out = modes.bracketed_paste ? "\x1b[200~" : "";
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '\n') {
      out += '\r';
    } else if (c == '\r') {
      if (i + 1 < text.size() && text[i + 1] == '\n') ++i;
      out += '\r';
    } else if (static_cast<unsigned char>(c) >= 0x20 ? c != 0x7F : c == '\t') {
      out += c;
    }
    // Other control characters would be keys: an ESC could end the brackets, a ^C or ^D act on the shell.
  }
  return modes.bracketed_paste ? out + "\x1b[201~" : out;
}

std::string encode_focus(bool focused, const Modes& modes)
{
  if (!modes.focus_events) return {};
  return focused ? "\x1b[I" : "\x1b[O";
}

} // namespace conductor::terminal
