// SGR: the pen. Half of all sequences are this one, so its simple numbers are a table of bits to clear and to set.
#include "tui/terminal/interpreter.h"

#include <array>

namespace conductor::terminal {

namespace {

struct Effect {
  std::uint16_t clear = 0;
  std::uint16_t set = 0;
};

constexpr std::uint16_t underlined(Underline kind)
{
  return static_cast<std::uint16_t>(static_cast<int>(kind) << flag::underline_shift);
}

constexpr auto effects = [] {
  std::array<Effect, 64> table{};
  table[1] = {0, flag::bold};
  table[2] = {0, flag::dim};
  table[3] = {0, flag::italic};
  table[4] = {flag::underline_mask, underlined(Underline::single)};
  table[5] = table[6] = {0, flag::blink};
  table[7] = {0, flag::reverse};
  table[8] = {0, flag::conceal};
  table[9] = {0, flag::strike};
  table[21] = {flag::underline_mask, underlined(Underline::twofold)};
  table[22] = {flag::bold | flag::dim, 0};
  table[23] = {flag::italic, 0};
  table[24] = {flag::underline_mask, 0};
  table[25] = {flag::blink, 0};
  table[27] = {flag::reverse, 0};
  table[28] = {flag::conceal, 0};
  table[29] = {flag::strike, 0};
  table[53] = {0, flag::overline};
  table[55] = {flag::overline, 0};
  return table;
}();

constexpr std::uint32_t byte(int value) { return static_cast<std::uint32_t>(value > 255 ? 255 : value); }

Colour rgb(int red, int green, int blue) { return Colour::rgb(byte(red) << 16 | byte(green) << 8 | byte(blue)); }

/// Reads the colour after 38, 48 or 58 at `i`, in any of its spellings: 5;n  2;r;g;b  :5:n  :2:r:g:b  :2:space:r:g:b.
/// Moves `i` to the last parameter that belongs to it. False if it is none.
bool extended_colour(const Sequence& s, int& i, Colour& colour)
{
  int at = i + 1;
  if (at >= s.count) return false;
  if (s.is_sub(at)) {
    int subs = 0;
    while (s.is_sub(at + subs)) ++subs;
    i += subs;
    int kind = s.value(at, 0);
    if (kind == 5 && subs >= 2) {
      colour = Colour::index(static_cast<std::uint8_t>(byte(s.value(at + 1, 0))));
      return true;
    }
    if (kind == 2 && subs >= 4) {
      int first = at + (subs >= 5 ? 2 : 1); // with five, the second is a colour space
      colour = rgb(s.value(first, 0), s.value(first + 1, 0), s.value(first + 2, 0));
      return true;
    }
    return false;
  }
  switch (s.value(at, 0)) {
  case 5:
    i += 2;
    if (i >= s.count) return false;
    colour = Colour::index(static_cast<std::uint8_t>(byte(s.value(at + 1, 0))));
    return true;
  case 2:
    i += 4;
    if (i >= s.count) return false;
    colour = rgb(s.value(at + 1, 0), s.value(at + 2, 0), s.value(at + 3, 0));
    return true;
  default: i += 1; return false;
  }
}

} // namespace

void Interpreter::select_graphics(const Sequence& s)
{
  Style& style = pen.style;
  constexpr std::uint16_t kept = flag::guarded; // DECSCA is no rendition
  auto clear = [&] {
    style.flags &= kept;
    style.foreground = style.background = {};
    if (pen.underline != Colour{}) {
      pen.underline = {};
      update_extra();
    }
  };
  if (s.count == 0) return clear();
  for (int i = 0; i < s.count; ++i) {
    int number = s.values[static_cast<std::size_t>(i)];
    if (number == 0) {
      clear();
    } else if (number >= 30 && number <= 37) {
      style.foreground = Colour::index(static_cast<std::uint8_t>(number - 30));
    } else if (number >= 40 && number <= 47) {
      style.background = Colour::index(static_cast<std::uint8_t>(number - 40));
    } else if (number == 38) {
      extended_colour(s, i, style.foreground);
    } else if (number == 48) {
      extended_colour(s, i, style.background);
    } else if (number == 39) {
      style.foreground = {};
    } else if (number == 49) {
      style.background = {};
    } else if (number == 58 || number == 59) {
      Colour colour;
      if (number == 59 || extended_colour(s, i, colour)) {
        pen.underline = colour;
        update_extra();
      }
    } else if (number == 4 && s.is_sub(i + 1)) {
      int kind = s.value(++i, 0);
      if (kind <= 5)
        style.flags = static_cast<std::uint16_t>((style.flags & ~flag::underline_mask) |
                                                 underlined(static_cast<Underline>(kind)));
    } else if (number < 64) {
      Effect effect = effects[static_cast<std::size_t>(number)];
      style.flags = static_cast<std::uint16_t>((style.flags & ~effect.clear) | effect.set);
    } else if (number >= 90 && number <= 97) {
      style.foreground = Colour::index(static_cast<std::uint8_t>(number - 90 + 8));
    } else if (number >= 100 && number <= 107) {
      style.background = Colour::index(static_cast<std::uint8_t>(number - 100 + 8));
    }
    while (s.is_sub(i + 1)) ++i; // whatever else hangs on this number
  }
}

std::string Interpreter::graphics() const
{
  std::string text = "0";
  auto add = [&text](int number) { text += ";" + std::to_string(number); };
  constexpr std::pair<std::uint16_t, int> switches[] = {{flag::bold, 1},   {flag::dim, 2},      {flag::italic, 3},
                                                        {flag::blink, 5},  {flag::reverse, 7},  {flag::conceal, 8},
                                                        {flag::strike, 9}, {flag::overline, 53}};
  for (auto [bit, number] : switches)
    if (pen.style.has(bit)) add(number);
  if (Underline kind = pen.style.underline(); kind == Underline::single) {
    add(4);
  } else if (kind != Underline::none) {
    text += ";4:" + std::to_string(static_cast<int>(kind));
  }
  auto colour = [&text](int base, Colour which) {
    std::uint32_t value = which.value();
    if (which.kind() == Colour::Kind::index) {
      if (value < 8 && base != 58) {
        text += ";" + std::to_string(base - 8 + static_cast<int>(value));
      } else if (value < 16 && base != 58) {
        text += ";" + std::to_string(base + 52 - 8 + static_cast<int>(value));
      } else {
        text += ";" + std::to_string(base) + ":5:" + std::to_string(value);
      }
    } else if (which.kind() == Colour::Kind::rgb) {
      text += ";" + std::to_string(base) + ":2::" + std::to_string(value >> 16) + ":" +
              std::to_string(value >> 8 & 0xFF) + ":" + std::to_string(value & 0xFF);
    }
  };
  colour(38, pen.style.foreground);
  colour(48, pen.style.background);
  colour(58, pen.underline);
  return text;
}

} // namespace conductor::terminal
