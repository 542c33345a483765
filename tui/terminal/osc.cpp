// Operating system commands: titles, colours, hyperlinks, the clipboard and prompt marks.
#include "tui/terminal/interpreter.h"
#include "tui/terminal/report.h"
#include "tui/terminal/width.h"

#include <array>
#include <cstring>

namespace conductor::terminal {

namespace {

constexpr std::size_t foreground_slot = 256, slots = 259; // 256, 257, 258: foreground, background, cursor

std::optional<int> number(std::string_view text)
{
  if (text.empty() || text.size() > 4) return std::nullopt;
  int value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

/// Cuts the next field off `text`, which keeps what follows the separator.
std::string_view field(std::string_view& text, char separator = ';')
{
  std::size_t end = text.find(separator);
  std::string_view head = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  return head;
}

int hex_digit(char c)
{
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// One channel of one to four hexadecimal digits, scaled to 0..255; negative if it is none.
int channel(std::string_view digits)
{
  if (digits.empty() || digits.size() > 4) return -1;
  int value = 0;
  for (char c : digits) {
    if (hex_digit(c) < 0) return -1;
    value = value * 16 + hex_digit(c);
  }
  return value * 255 / ((1 << (4 * static_cast<int>(digits.size()))) - 1);
}

/// Colours as XParseColor(3) reads them: rgb:R/G/B with 1 to 4 digits each, #RGB and #RRGGBB. Names are not known here.
std::optional<std::uint32_t> parse_colour(std::string_view text)
{
  std::array<std::string_view, 3> parts;
  if (text.starts_with("rgb:")) {
    text.remove_prefix(4);
    for (auto& part : parts) part = field(text, '/');
    if (!text.empty()) return std::nullopt;
  } else if (text.starts_with('#') && (text.size() == 4 || text.size() == 7)) {
    std::size_t digits = (text.size() - 1) / 3;
    for (std::size_t i = 0; i < 3; ++i) parts[i] = text.substr(1 + i * digits, digits);
  } else {
    return std::nullopt;
  }
  std::uint32_t colour = 0;
  for (auto part : parts) {
    int value = channel(part);
    if (value < 0) return std::nullopt;
    colour = colour << 8 | static_cast<std::uint32_t>(value);
  }
  return colour;
}

/// xterm's palette: 16 named colours, a cube of 6x6x6, 24 greys.
std::uint32_t standard_colour(std::size_t index)
{
  constexpr std::uint32_t named[16] = {0x000000, 0xCD0000, 0x00CD00, 0xCDCD00, 0x0000EE, 0xCD00CD, 0x00CDCD, 0xE5E5E5,
                                       0x7F7F7F, 0xFF0000, 0x00FF00, 0xFFFF00, 0x5C5CFF, 0xFF00FF, 0x00FFFF, 0xFFFFFF};
  if (index < 16) return named[index];
  if (index >= 232) return static_cast<std::uint32_t>(8 + 10 * (index - 232)) * 0x010101U;
  auto level = [](std::size_t step) { return static_cast<std::uint32_t>(step == 0 ? 0 : 55 + 40 * step); };
  index -= 16;
  return level(index / 36) << 16 | level(index / 6 % 6) << 8 | level(index % 6);
}

std::uint32_t colour_of(const Interpreter& t, std::size_t slot)
{
  if (!t.colours.empty() && t.colours[slot]) return *t.colours[slot];
  if (slot < foreground_slot) return standard_colour(slot);
  const std::uint32_t own[] = {t.palette.foreground, t.palette.background, t.palette.cursor};
  return own[slot - foreground_slot];
}

void query_or_set(Interpreter& t, std::size_t slot, const std::string& prefix, std::string_view what, bool bell)
{
  if (what == "?") return report_colour(t, prefix.c_str(), colour_of(t, slot), bell);
  if (auto colour = parse_colour(what)) {
    t.colours.resize(slots);
    t.colours[slot] = colour;
    t.grid->damage_all();
  }
}

void reset_colour(Interpreter& t, std::size_t slot)
{
  if (t.colours.empty()) return;
  t.colours[slot].reset();
  t.grid->damage_all();
}

// ---- the commands

void title(Interpreter& t, int, std::string_view text, bool) { t.set_title(text); }

void palette(Interpreter& t, int, std::string_view text, bool bell)
{
  while (!text.empty()) {
    auto index = number(field(text));
    std::string_view what = field(text);
    if (!index || *index > 255) return;
    query_or_set(t, static_cast<std::size_t>(*index), "4;" + std::to_string(*index), what, bell);
  }
}

void palette_reset(Interpreter& t, int, std::string_view text, bool)
{
  if (text.empty())
    for (std::size_t slot = 0; slot < foreground_slot; ++slot) reset_colour(t, slot);
  while (!text.empty())
    if (auto index = number(field(text)); index && *index < 256) reset_colour(t, static_cast<std::size_t>(*index));
}

/// OSC 10, 11 and 12; further fields go to the numbers that follow.
void dynamic_colour(Interpreter& t, int command, std::string_view text, bool bell)
{
  for (; command <= 12 && !text.empty(); ++command)
    query_or_set(t, foreground_slot + static_cast<std::size_t>(command - 10), std::to_string(command), field(text),
                 bell);
}

void dynamic_reset(Interpreter& t, int command, std::string_view, bool)
{
  reset_colour(t, foreground_slot + static_cast<std::size_t>(command - 110));
}

/// OSC 8 ; parameters ; URI. An empty URI ends the link.
void hyperlink(Interpreter& t, int, std::string_view text, bool)
{
  field(text);
  std::uint16_t link = 0;
  bool printable = true;
  for (char c : text) printable = printable && c > 0x20 && c < 0x7F; // as RFC 3986 has it
  if (!text.empty() && printable && text.size() <= ExtraTable::maximum_link_bytes) {
    auto found = t.extras.intern_link(text);
    if (!found && t.collect()) found = t.extras.intern_link(text);
    link = found.value_or(0);
  }
  if (link == t.pen.link) return;
  t.pen.link = link;
  t.update_extra();
}

/// Decodes base64 (RFC 4648); nothing if it is none.
std::optional<std::string> base64(std::string_view text)
{
  std::string bytes;
  std::uint32_t bits = 0;
  int have = 0;
  while (!text.empty() && text.back() == '=') text.remove_suffix(1);
  for (char c : text) {
    int value = c >= 'A' && c <= 'Z'   ? c - 'A'
                : c >= 'a' && c <= 'z' ? c - 'a' + 26
                : c >= '0' && c <= '9' ? c - '0' + 52
                : c == '+'             ? 62
                : c == '/'             ? 63
                                       : -1;
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    have += 6;
    if (have >= 8) {
      have -= 8;
      bytes.push_back(static_cast<char>(bits >> have & 0xFF));
    }
  }
  return bytes;
}

/// OSC 52 ; selections ; base64. Asking for the clipboard ("?") gets no answer, whoever asks.
void clipboard(Interpreter& t, int, std::string_view text, bool)
{
  std::string_view selections = field(text);
  if (text == "?" || text.size() / 4 * 3 > t.limits.clipboard_bytes) return;
  auto bytes = base64(text);
  if (!bytes || bytes->empty() || bytes->size() > t.limits.clipboard_bytes) return;
  char selection = selections.empty() ? 'c' : selections[0];
  if (selection != 'p' && selection != 's') selection = 'c';
  t.events.clipboard = ClipboardRequest{selection, std::move(*bytes)};
}

/// OSC 133: A before the prompt, C before a command's output.
void prompt_mark(Interpreter& t, int, std::string_view text, bool)
{
  std::string_view kind = field(text);
  if (kind == "A") t.cursor_row().info.mark = Mark::prompt;
  if (kind == "C") t.cursor_row().info.mark = Mark::output;
}

struct Command {
  int number;
  void (*run)(Interpreter&, int command, std::string_view text, bool bell);
};

constexpr Command commands[] = {
    {0, title},           {2, title},           {4, palette},       {8, hyperlink},       {10, dynamic_colour},
    {11, dynamic_colour}, {12, dynamic_colour}, {52, clipboard},    {104, palette_reset}, {110, dynamic_reset},
    {111, dynamic_reset}, {112, dynamic_reset}, {133, prompt_mark},
};

} // namespace

void Interpreter::operating_system_command(std::string_view text, bool bell)
{
  auto which = number(field(text));
  if (!which) return;
  for (const Command& command : commands)
    if (command.number == *which) return command.run(*this, *which, text, bell);
}

/// Keeps what a title may hold: no control characters, no marks that turn the direction of what follows, whole
/// characters up to the bound.
void Interpreter::set_title(std::string_view text)
{
  std::string clean;
  for (std::size_t at = 0; at < text.size();) {
    char32_t code_point = read_utf8(text, at);
    bool control = code_point < 0x20 || (code_point >= 0x7F && code_point < 0xA0);
    bool direction = (code_point >= 0x2028 && code_point <= 0x202E) || (code_point >= 0x2066 && code_point <= 0x2069) ||
                     code_point == 0x200E || code_point == 0x200F;
    if (control || direction) continue;
    std::size_t before = clean.size();
    append_utf8(clean, code_point);
    if (clean.size() > limits.title_bytes) {
      clean.resize(before);
      break;
    }
  }
  if (clean == title) return;
  title = std::move(clean);
  events.title_changed = true;
}

} // namespace conductor::terminal
