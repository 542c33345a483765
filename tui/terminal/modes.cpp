// The table of modes: SM, RM, DECSET, DECRST, DECRQM, XTSAVE and XTRESTORE all look here.
#include "tui/terminal/interpreter.h"
#include "tui/terminal/report.h"

#include <iterator>

namespace conductor::terminal {

namespace {

struct Mode {
  int number;
  bool dec;
  bool (*get)(const Interpreter&);
  void (*set)(Interpreter&, bool);
};

template <bool Modes::*Member>
constexpr Mode outer(int number, bool dec = true)
{
  return {number, dec, [](const Interpreter& t) { return t.modes.*Member; },
          [](Interpreter& t, bool on) { t.modes.*Member = on; }};
}

template <bool InnerModes::*Member>
constexpr Mode inner(int number, bool dec = true)
{
  return {number, dec, [](const Interpreter& t) { return t.inner.*Member; },
          [](Interpreter& t, bool on) { t.inner.*Member = on; }};
}

template <MouseMode Which>
constexpr Mode mouse(int number)
{
  return {number, true, [](const Interpreter& t) { return t.modes.mouse == Which; },
          [](Interpreter& t, bool on) {
            if (on) {
              t.modes.mouse = Which;
            } else if (t.modes.mouse == Which) {
              t.modes.mouse = MouseMode::off;
            }
          }};
}

bool alternate(const Interpreter& t) { return t.alternate_shown(); }

constexpr Mode table[] = {
    inner<&InnerModes::insert>(4, false), // IRM
    outer<&Modes::newline>(20, false),    // LNM
    outer<&Modes::application_cursor>(1), // DECCKM
    {5, true, [](const Interpreter& t) { return t.modes.reverse_screen; },
     [](Interpreter& t, bool on) {
       if (t.modes.reverse_screen != on) t.grid->damage_all();
       t.modes.reverse_screen = on;
     }}, // DECSCNM
    {6, true, [](const Interpreter& t) { return t.inner.origin; },
     [](Interpreter& t, bool on) {
       t.inner.origin = on;
       t.move_in_origin(0, 0);
     }}, // DECOM
    {7, true, [](const Interpreter& t) { return t.inner.autowrap; },
     [](Interpreter& t, bool on) {
       t.inner.autowrap = on;
       t.wrap_pending = t.wrap_pending && on;
     }}, // DECAWM
    mouse<MouseMode::press>(9),
    inner<&InnerModes::cursor_blinks>(12),
    inner<&InnerModes::cursor_visible>(25), // DECTCEM
    inner<&InnerModes::reverse_wrap>(45),
    {47, true, alternate, [](Interpreter& t, bool on) { t.show_alternate(on); }},
    outer<&Modes::application_keypad>(66), // DECNKM
    outer<&Modes::backarrow>(67),          // DECBKM
    mouse<MouseMode::click>(1000),
    mouse<MouseMode::drag>(1002),
    mouse<MouseMode::motion>(1003),
    outer<&Modes::focus_events>(1004),
    outer<&Modes::mouse_sgr>(1006),
    outer<&Modes::alternate_scroll>(1007),
    {1047, true, alternate,
     [](Interpreter& t, bool on) {
       if (!on && t.alternate_shown()) t.clear_screen();
       t.show_alternate(on);
     }},
    {1048, true, [](const Interpreter&) { return true; },
     [](Interpreter& t, bool on) { on ? t.save_cursor() : t.restore_cursor(); }},
    {1049, true, alternate,
     [](Interpreter& t, bool on) {
       if (on && !t.alternate_shown()) {
         t.save_cursor();
         t.show_alternate(true);
         t.clear_screen();
       } else if (!on && t.alternate_shown()) {
         t.show_alternate(false);
         t.restore_cursor();
       }
     }},
    outer<&Modes::bracketed_paste>(2004),
    outer<&Modes::synchronised>(2026),
};
static_assert(std::size(table) <= 64); // the width of Interpreter::saved_modes

const Mode* find(int number, bool dec)
{
  for (const Mode& mode : table)
    if (mode.number == number && mode.dec == dec) return &mode;
  return nullptr;
}

} // namespace

void Interpreter::set_mode(int number, bool dec, bool on)
{
  if (const Mode* mode = find(number, dec)) {
    mode->set(*this, on);
    events.modes_changed = true;
  }
}

int Interpreter::mode_state(int number, bool dec) const
{
  const Mode* mode = find(number, dec);
  if (mode == nullptr) return 0;
  return mode->get(*this) ? 1 : 2;
}

void save_modes(Interpreter& t, const Sequence& s)
{
  for (int i = 0; i < s.count; ++i)
    if (const Mode* mode = find(s.values[static_cast<std::size_t>(i)], true))
      t.saved_modes[static_cast<std::size_t>(mode - table)] = mode->get(t);
}

void restore_modes(Interpreter& t, const Sequence& s)
{
  for (int i = 0; i < s.count; ++i) {
    int number = s.values[static_cast<std::size_t>(i)];
    if (const Mode* mode = find(number, true))
      t.set_mode(number, true, t.saved_modes[static_cast<std::size_t>(mode - table)]);
  }
}

} // namespace conductor::terminal
