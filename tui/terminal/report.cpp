// Replies. They are printed from numbers of ours, never from bytes of the child: an echo would be typed into its shell.
#include "tui/terminal/report.h"

#include "tui/terminal/interpreter.h"

#include <cstdarg>
#include <cstdio>

namespace conductor::terminal {

namespace {

__attribute__((format(printf, 2, 3))) void answer(Interpreter& t, const char* format, ...)
{
  char text[160];
  va_list arguments;
  va_start(arguments, format);
  int length = std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (length > 0 && length < static_cast<int>(sizeof text)) t.reply({text, static_cast<std::size_t>(length)});
}

/// DECRQSS: the setting that a control function has made, as that function's parameters.
std::string setting(const Interpreter& t, std::string_view function)
{
  if (function == "m") return t.graphics() + "m";
  if (function == "r") return std::to_string(t.top + 1) + ";" + std::to_string(t.bottom) + "r";
  if (function == "\"q") return t.pen.style.has(flag::guarded) ? "1\"q" : "0\"q";
  if (function == "\"p") return "62;1\"p";
  if (function == " q") {
    int shape = static_cast<int>(t.shape);
    int style = shape == 0 ? 0 : 2 * shape - (t.inner.cursor_blinks ? 1 : 0);
    return std::to_string(style) + " q";
  }
  return {};
}

} // namespace

// A VT220 (62) with selective erase (6) and ANSI colours (22).
void report_primary_attributes(Interpreter& t, const Sequence& s)
{
  if (s.value(0, 0) == 0) answer(t, "\x1b[?62;6;22c");
}

// Type 0 and a version of xterm's: vim, for one, turns on SGR mouse reports from 277 on.
void report_secondary_attributes(Interpreter& t, const Sequence& s)
{
  if (s.value(0, 0) == 0) answer(t, "\x1b[>0;277;0c");
}

void report_tertiary_attributes(Interpreter& t, const Sequence& s)
{
  if (s.value(0, 0) == 0) answer(t, "\x1bP!|00000000\x1b\\");
}

void report_status(Interpreter& t, const Sequence& s)
{
  bool dec = s.prefix == '?';
  int row = t.y + 1 - (t.inner.origin ? t.top : 0);
  switch (s.value(0, 0) + (dec ? 1000 : 0)) {
  case 5: return answer(t, "\x1b[0n");
  case 6: return answer(t, "\x1b[%d;%dR", row, t.x + 1);
  case 1006: return answer(t, "\x1b[?%d;%d;1R", row, t.x + 1);
  case 1015: return answer(t, "\x1b[?13n");       // no printer
  case 1025: return answer(t, "\x1b[?21n");       // user-defined keys are locked
  case 1026: return answer(t, "\x1b[?27;1;0;0n"); // a North American keyboard
  default: return;
  }
}

void report_mode(Interpreter& t, const Sequence& s)
{
  bool dec = s.prefix == '?';
  int mode = s.value(0, 0);
  answer(t, "\x1b[%s%d;%d$y", dec ? "?" : "", mode, t.mode_state(mode, dec));
}

void report_version(Interpreter& t, const Sequence& s)
{
  if (s.value(0, 0) == 0) answer(t, "\x1bP>|conductor(%s)\x1b\\", CONDUCTOR_VERSION);
}

void report_size(Interpreter& t, int kind) { answer(t, "\x1b[%d;%d;%dt", kind, t.rows, t.columns); }

void report_colour(Interpreter& t, const char* prefix, std::uint32_t colour, bool bell)
{
  unsigned red = colour >> 16 & 0xFF, green = colour >> 8 & 0xFF, blue = colour & 0xFF;
  answer(t, "\x1b]%s;rgb:%02x%02x/%02x%02x/%02x%02x%s", prefix, red, red, green, green, blue, blue,
         bell ? "\a" : "\x1b\\");
}

bool Interpreter::wants_device_control(const Sequence& s) const
{
  return s.final == 'q' && s.prefix == 0 && (s.intermediate == '$' || s.intermediate == '+');
}

void Interpreter::device_control(const Sequence& s, std::string_view text)
{
  if (s.intermediate == '+') return reply("\x1bP0+r\x1b\\"); // XTGETTCAP: terminfo has it all
  std::string found = setting(*this, text);
  reply(found.empty() ? "\x1bP0$r\x1b\\" : "\x1bP1$r" + found + "\x1b\\");
}

} // namespace conductor::terminal
