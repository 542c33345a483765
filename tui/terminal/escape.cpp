// Control characters and escape sequences that are no control sequences.
#include "tui/terminal/interpreter.h"
#include "tui/terminal/report.h"

#include <algorithm>

namespace conductor::terminal {

namespace {

void new_line(Interpreter& t)
{
  t.line_feed();
  if (t.modes.newline) t.x = 0;
}

struct Control {
  unsigned char byte;
  void (*run)(Interpreter&);
};

constexpr Control controls[] = {
    {0x07, [](Interpreter& t) { t.events.bell = true; }},   // BEL
    {0x08, [](Interpreter& t) { t.back(1); }},              // BS
    {0x09, [](Interpreter& t) { t.next_tab(1); }},          // HT
    {0x0B, new_line},                                       // VT
    {0x0C, new_line},                                       // FF
    {0x0E, [](Interpreter& t) { t.charsets.current = 1; }}, // SO
    {0x0F, [](Interpreter& t) { t.charsets.current = 0; }}, // SI
};

/// DECALN: the screen full of E, to adjust a tube's focus by.
void alignment(Interpreter& t)
{
  t.top = 0;
  t.bottom = t.rows;
  t.move_to(0, 0);
  for (int row = 0; row < t.rows; ++row) {
    Grid::Row& line = t.grid->row(row);
    t.grid->open(line, 0, t.columns);
    std::fill(line.cells, line.cells + t.columns, Cell{'E', {}});
    line.info = {};
  }
}

struct Escape {
  char intermediate;
  char final;
  void (*run)(Interpreter&);
};

constexpr Escape escapes[] = {
    {0, '7', [](Interpreter& t) { t.save_cursor(); }},                                            // DECSC
    {0, '8', [](Interpreter& t) { t.restore_cursor(); }},                                         // DECRC
    {0, '=', [](Interpreter& t) { t.modes.application_keypad = t.events.modes_changed = true; }}, // DECKPAM
    {0, '>',
     [](Interpreter& t) {
       t.modes.application_keypad = false;
       t.events.modes_changed = true;
     }},                                             // DECKPNM
    {0, 'D', [](Interpreter& t) { t.line_feed(); }}, // IND
    {0, 'E',
     [](Interpreter& t) {
       t.line_feed();
       t.x = 0;
     }},                                                                                               // NEL
    {0, 'H', [](Interpreter& t) { t.tabs[static_cast<std::size_t>(t.x)] = true; }},                    // HTS
    {0, 'M', [](Interpreter& t) { t.reverse_line_feed(); }},                                           // RI
    {0, 'N', [](Interpreter& t) { t.charsets.single = 2; }},                                           // SS2
    {0, 'O', [](Interpreter& t) { t.charsets.single = 3; }},                                           // SS3
    {0, 'V', [](Interpreter& t) { t.pen.style.flags |= flag::guarded; }},                              // SPA
    {0, 'W', [](Interpreter& t) { t.pen.style.flags &= static_cast<std::uint16_t>(~flag::guarded); }}, // EPA
    {0, 'Z', [](Interpreter& t) { report_primary_attributes(t, Sequence{}); }},                        // DECID
    {0, 'c', [](Interpreter& t) { t.reset(); }},                                                       // RIS
    {0, 'n', [](Interpreter& t) { t.charsets.current = 2; }},                                          // LS2
    {0, 'o', [](Interpreter& t) { t.charsets.current = 3; }},                                          // LS3
    {'#', '8', alignment},                                                                             // DECALN
};

} // namespace

void Interpreter::execute(unsigned char byte)
{
  last_printed = 0;
  // Nearly all control characters are these two.
  if (byte == '\n') return new_line(*this);
  if (byte == '\r') {
    x = 0;
    wrap_pending = false;
    return;
  }
  for (const Control& entry : controls)
    if (entry.byte == byte) return entry.run(*this);
}

void Interpreter::escape(char intermediate, char final)
{
  last_printed = 0;
  if (intermediate >= '(' && intermediate <= '+') {
    Charset set = final == '0' ? Charset::graphics : final == 'A' ? Charset::british : Charset::ascii;
    charsets.g[static_cast<std::size_t>(intermediate - '(')] = set;
    return;
  }
  for (const Escape& entry : escapes)
    if (entry.intermediate == intermediate && entry.final == final) return entry.run(*this);
}

} // namespace conductor::terminal
