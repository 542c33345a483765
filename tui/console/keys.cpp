#include "tui/console/keys.h"

#include "tui/console/grid.h"
#include "tui/terminal/width.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace conductor::console {
namespace {

using Named = terminal::Key;
using enum Named;

constexpr std::string_view paste_begins = "\x1b[200~", paste_ends = "\x1b[201~";
// A paste that never ends must not eat the keyboard for good.
constexpr std::size_t longest_paste = 8U << 20, longest_sequence = 256;

// Final byte of CSI and SS3 sequences.
constexpr std::array<std::pair<char, Named>, 32> finals{{
    {'A', up},
    {'B', down},
    {'C', right},
    {'D', left},
    {'H', home},
    {'F', end},
    {'P', f1},
    {'Q', f2},
    {'R', f3},
    {'S', f4},
    {'M', keypad_enter},
    {'X', keypad_equal},
    {'j', keypad_multiply},
    {'k', keypad_plus},
    {'l', keypad_comma},
    {'m', keypad_minus},
    {'n', keypad_decimal},
    {'o', keypad_divide},
    {'p', keypad_0},
    {'q', keypad_1},
    {'r', keypad_2},
    {'s', keypad_3},
    {'t', keypad_4},
    {'u', keypad_5},
    {'v', keypad_6},
    {'w', keypad_7},
    {'x', keypad_8},
    {'y', keypad_9},
}};

// First parameter of CSI N ~.
constexpr std::array<std::pair<int, Named>, 24> numbers{{
    {1, home}, {2, insert}, {3, remove}, {4, end},  {5, page_up}, {6, page_down}, {7, home}, {8, end},
    {11, f1},  {12, f2},    {13, f3},    {14, f4},  {15, f5},     {17, f6},       {18, f7},  {19, f8},
    {20, f9},  {21, f10},   {23, f11},   {24, f12}, {25, f13},    {26, f14},      {28, f15}, {29, f16},
}};

constexpr std::array<std::pair<std::string_view, Named>, 30> names{{
    {"Up", up},
    {"Down", down},
    {"Right", right},
    {"Left", left},
    {"Home", home},
    {"End", end},
    {"Insert", insert},
    {"Delete", remove},
    {"PgUp", page_up},
    {"PgDn", page_down},
    {"F1", f1},
    {"F2", f2},
    {"F3", f3},
    {"F4", f4},
    {"F5", f5},
    {"F6", f6},
    {"F7", f7},
    {"F8", f8},
    {"F9", f9},
    {"F10", f10},
    {"F11", f11},
    {"F12", f12},
    {"F13", f13},
    {"F14", f14},
    {"F15", f15},
    {"F16", f16},
    {"Enter", enter},
    {"Tab", tab},
    {"Backspace", backspace},
    {"Esc", escape},
}};

template <class Table, class Value>
std::optional<Named> look_up(const Table& table, Value value)
{
  for (const auto& [each, key] : table)
    if (each == value) return key;
  return std::nullopt;
}

// The modifier parameter of "CSI 1 ; m X": m - 1 is a set of bits (shift 1, alt 2, control 4).
terminal::Modifiers modifiers_of(int parameter)
{
  const int bits = std::max(parameter - 1, 0);
  return {.shift = (bits & 1) != 0, .alt = (bits & 2) != 0, .control = (bits & 4) != 0};
}

Key named(Named name, terminal::Modifiers modifiers = {})
{
  return {.kind = Key::Kind::named, .name = name, .modifiers = modifiers};
}

// The first two numbers of a parameter string "1;5".
std::array<int, 3> parameters_of(std::string_view text)
{
  std::array<int, 3> values{};
  for (int& value : values) {
    const auto [end_of_number, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    text.remove_prefix(static_cast<std::size_t>(end_of_number - text.data()));
    if (text.empty() || text[0] != ';') break;
    text.remove_prefix(1);
  }
  return values;
}

// CSI < b ; x ; y M or m (mode 1006).
Key mouse_key(std::string_view parameters, bool release)
{
  const auto [bits, x, y] = parameters_of(parameters);
  Key key{.kind = Key::Kind::mouse};
  key.modifiers = {.shift = (bits & 4) != 0, .alt = (bits & 8) != 0, .control = (bits & 16) != 0};
  using Button = terminal::MouseButton;
  constexpr std::array<Button, 4> plain{Button::left, Button::middle, Button::right, Button::none};
  constexpr std::array<Button, 4> wheel{Button::wheel_up, Button::wheel_down, Button::wheel_left, Button::wheel_right};
  const auto number = static_cast<std::size_t>(bits & 3);
  key.mouse.button = (bits & 64) != 0 ? wheel[number] : plain[number];
  key.mouse.action = (bits & 32) != 0 ? terminal::MouseAction::motion
                     : release        ? terminal::MouseAction::release
                                      : terminal::MouseAction::press;
  key.mouse.column = std::max(x - 1, 0);
  key.mouse.row = std::max(y - 1, 0);
  key.mouse.modifiers = key.modifiers;
  return key;
}

// One byte or one UTF-8 character that is no escape sequence; none when it is cut. Sets how long it is.
std::optional<Key> plain_key(std::string_view bytes, bool final, std::size_t& length)
{
  const auto first = static_cast<unsigned char>(bytes[0]);
  length = 1;
  switch (first) {
  case '\r': return named(enter);
  case '\t': return named(tab);
  case 0x7F:
  case '\b': return named(backspace);
  case 0: return Key{.kind = Key::Kind::text, .character = U' ', .modifiers = {.control = true}};
  default: break;
  }
  if (first < 0x20) {
    const auto letter = static_cast<char32_t>(first < 0x1B ? first + 0x60 : first + 0x40);
    return Key{.kind = Key::Kind::text, .character = letter, .modifiers = {.control = true}};
  }
  std::string_view rest = bytes;
  char32_t character = 0;
  if (take_code_point(rest, character)) {
    length = bytes.size() - rest.size();
    return Key{.kind = Key::Kind::text, .character = character};
  }
  const std::size_t needed = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first >= 0xC2 && bytes.size() < needed && !final) return std::nullopt;
  return Key{.kind = Key::Kind::unknown};
}

} // namespace

Key KeyDecoder::take(Key key, std::size_t length)
{
  key.bytes = buffer_.substr(0, length);
  buffer_.erase(0, length);
  expired_ = false;
  return key;
}

std::optional<Key> KeyDecoder::paste()
{
  const std::size_t at = buffer_.find(paste_ends);
  if (at == std::string::npos && buffer_.size() < longest_paste) return std::nullopt;
  pasting_ = false;
  Key key{.kind = Key::Kind::paste, .bytes = buffer_.substr(0, at)};
  buffer_.erase(0, at == std::string::npos ? at : at + paste_ends.size());
  return key;
}

std::optional<Key> KeyDecoder::next()
{
  if (pasting_) return paste();
  if (buffer_.empty()) return std::nullopt;
  if (buffer_[0] == '\x1b') return escape();
  std::size_t length = 1;
  auto key = plain_key(buffer_, expired_, length);
  if (!key) return std::nullopt;
  return take(std::move(*key), length);
}

std::optional<Key> KeyDecoder::escape()
{
  if (buffer_.size() == 1) {
    if (!expired_) return std::nullopt;
    return take(named(Named::escape), 1);
  }
  const char second = buffer_[1];
  if (second == '[') return control_sequence(2);
  if (second == 'O') {
    if (buffer_.size() < 3) {
      if (!expired_) return std::nullopt;
      return take({.kind = Key::Kind::text, .character = U'O', .modifiers = {.alt = true}}, 2);
    }
    if (const auto key = look_up(finals, buffer_[2])) return take(named(*key), 3);
    return take({.kind = Key::Kind::unknown}, 3);
  }
  // Replies to questions: DCS and OSC up to ST or BEL.
  if (second == 'P' || second == ']') {
    for (std::size_t i = 2; i < buffer_.size(); ++i) {
      if (buffer_[i] == '\a') return take({.kind = Key::Kind::reply}, i + 1);
      if (buffer_[i] == '\\' && buffer_[i - 1] == '\x1b') return take({.kind = Key::Kind::reply}, i + 1);
    }
    if (!expired_ && buffer_.size() < longest_sequence) return std::nullopt;
    return take({.kind = Key::Kind::text, .character = static_cast<char32_t>(second), .modifiers = {.alt = true}}, 2);
  }
  if (second == '\x1b') {
    // Alt with a function key, as some terminals send it; otherwise two presses of Escape.
    if (buffer_.size() == 2 && !expired_) return std::nullopt;
    return take(named(Named::escape), 1);
  }
  std::size_t length = 1;
  auto key = plain_key(std::string_view{buffer_}.substr(1), expired_, length);
  if (!key) return std::nullopt;
  key->modifiers.alt = true;
  return take(std::move(*key), length + 1);
}

std::optional<Key> KeyDecoder::control_sequence(std::size_t offset)
{
  const auto alt_bracket = [&] {
    return take({.kind = Key::Kind::text, .character = U'[', .modifiers = {.alt = true}}, offset);
  };
  if (buffer_.size() == offset) return expired_ ? std::optional{alt_bracket()} : std::nullopt;
  // The linux console: ESC [ [ A to E are F1 to F5 (console_codes(4)).
  if (buffer_[offset] == '[') {
    if (buffer_.size() == offset + 1) return expired_ ? std::optional{alt_bracket()} : std::nullopt;
    const char letter = buffer_[offset + 1];
    if (letter < 'A' || letter > 'E') return take({.kind = Key::Kind::unknown}, offset + 2);
    return take(named(static_cast<Named>(static_cast<int>(f1) + letter - 'A')), offset + 2);
  }
  std::size_t at = offset;
  while (at < buffer_.size() && buffer_[at] >= 0x20 && buffer_[at] < 0x40) ++at;
  if (at == buffer_.size() && at < longest_sequence) {
    if (!expired_) return std::nullopt;
    return alt_bracket();
  }
  if (at >= longest_sequence || buffer_[at] < 0x40) return take({.kind = Key::Kind::unknown}, at);

  const std::string_view parameters = std::string_view{buffer_}.substr(offset, at - offset);
  const char final = buffer_[at];
  const std::size_t length = at + 1;
  if (std::string_view{buffer_}.substr(0, length) == paste_begins) {
    buffer_.erase(0, length);
    pasting_ = true;
    expired_ = false;
    return paste();
  }
  if (!parameters.empty() && parameters[0] == '<' && (final == 'M' || final == 'm'))
    return take(mouse_key(parameters.substr(1), final == 'm'), length);
  // Device attributes, mode reports, and the cursor's position, all with a prefix or an intermediate byte.
  if (!parameters.empty() &&
      (parameters[0] == '?' || parameters[0] == '>' || parameters.find('$') != std::string::npos))
    return take({.kind = Key::Kind::reply}, length);
  if (final == 'I' && parameters.empty()) return take({.kind = Key::Kind::focus_in}, length);
  if (final == 'O' && parameters.empty()) return take({.kind = Key::Kind::focus_out}, length);
  const auto [first, second, third] = parameters_of(parameters);
  if (final == 'Z') return take(named(tab, {.shift = true}), length);
  if (final == '~') {
    const auto key = look_up(numbers, first);
    return take(key ? named(*key, modifiers_of(second)) : Key{.kind = Key::Kind::unknown}, length);
  }
  if (const auto key = look_up(finals, final); key && final <= 'S' && final != 'M')
    return take(named(*key, modifiers_of(second)), length);
  return take({.kind = Key::Kind::unknown}, length);
}

bool same_key(const Key& a, const Key& b)
{
  if (a.kind != b.kind || a.modifiers.alt != b.modifiers.alt || a.modifiers.control != b.modifiers.control)
    return false;
  if (a.kind == Key::Kind::text) return a.character == b.character;
  return a.kind == Key::Kind::named && a.name == b.name && a.modifiers.shift == b.modifiers.shift;
}

std::string key_name(const Key& key)
{
  std::string name;
  if (key.modifiers.control) name += "Ctrl-";
  if (key.modifiers.alt) name += "Alt-";
  if (key.kind == Key::Kind::text) {
    if (key.character == U' ') return name + "Space";
    if (key.modifiers.control && key.character >= U'a' && key.character <= U'z')
      return name + static_cast<char>(key.character - 0x20);
    terminal::append_utf8(name, key.character);
    return name;
  }
  if (key.kind != Key::Kind::named) return {};
  if (key.modifiers.shift) name += "Shift-";
  for (const auto& [text, each] : names)
    if (each == key.name) return name.append(text);
  return {};
}

std::optional<Key> key_from_name(std::string_view name)
{
  Key key{.kind = Key::Kind::text};
  const auto strip = [&](std::string_view prefix) {
    if (!name.starts_with(prefix) || name.size() == prefix.size()) return false;
    name.remove_prefix(prefix.size());
    return true;
  };
  key.modifiers.control = strip("Ctrl-");
  key.modifiers.alt = strip("Alt-");
  key.modifiers.shift = strip("Shift-");
  if (name == "Space") {
    key.character = U' ';
    return key;
  }
  if (const auto found = look_up(names, name)) {
    key.kind = Key::Kind::named;
    key.name = *found;
    return key;
  }
  if (name.empty() || !take_code_point(name, key.character) || !name.empty()) return std::nullopt;
  if (key.modifiers.control && key.character >= U'A' && key.character <= U'Z') key.character += 0x20;
  key.modifiers.shift = false;
  return key;
}

} // namespace conductor::console
