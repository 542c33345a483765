// Control sequences: one row for each, with the name that xterm's ctlseqs and the DEC manuals give it.
#include "tui/terminal/interpreter.h"
#include "tui/terminal/report.h"

#include <algorithm>
#include <array>

namespace conductor::terminal {

namespace {

using Handler = void (*)(Interpreter&, const Sequence&);

// ---- cursor

void cursor_up(Interpreter& t, const Sequence& s)
{
  int limit = t.y >= t.top ? t.top : 0;
  t.move_to(t.x, std::max(limit, t.y - s.value(0, 1)));
}

void cursor_down(Interpreter& t, const Sequence& s)
{
  int limit = t.y < t.bottom ? t.bottom - 1 : t.rows - 1;
  t.move_to(t.x, std::min(limit, t.y + s.value(0, 1)));
}

void cursor_forward(Interpreter& t, const Sequence& s) { t.move_to(t.x + s.value(0, 1), t.y); }

void cursor_back(Interpreter& t, const Sequence& s) { t.back(s.value(0, 1)); }

void next_line(Interpreter& t, const Sequence& s)
{
  cursor_down(t, s);
  t.x = 0;
}

void previous_line(Interpreter& t, const Sequence& s)
{
  cursor_up(t, s);
  t.x = 0;
}

void column(Interpreter& t, const Sequence& s) { t.move_to(s.value(0, 1) - 1, t.y); }

void row(Interpreter& t, const Sequence& s) { t.move_in_origin(t.x, s.value(0, 1) - 1); }

void row_relative(Interpreter& t, const Sequence& s) { t.move_to(t.x, t.y + s.value(0, 1)); }

void position(Interpreter& t, const Sequence& s) { t.move_in_origin(s.value(1, 1) - 1, s.value(0, 1) - 1); }

void tab_forward(Interpreter& t, const Sequence& s) { t.next_tab(s.value(0, 1)); }

void tab_back(Interpreter& t, const Sequence& s) { t.previous_tab(s.value(0, 1)); }

void tab_clear(Interpreter& t, const Sequence& s)
{
  if (s.value(0, 0) == 0) t.tabs[static_cast<std::size_t>(t.x)] = false;
  if (s.value(0, 0) == 3) std::fill(t.tabs.begin(), t.tabs.end(), false);
}

void tab_reset(Interpreter& t, const Sequence& s)
{
  if (s.value(0, 0) == 5) t.default_tabs(0);
}

void save(Interpreter& t, const Sequence&) { t.save_cursor(); }

void restore(Interpreter& t, const Sequence&) { t.restore_cursor(); }

void cursor_style(Interpreter& t, const Sequence& s)
{
  constexpr CursorShape shapes[] = {CursorShape::standard,  CursorShape::block,     CursorShape::block,
                                    CursorShape::underline, CursorShape::underline, CursorShape::bar,
                                    CursorShape::bar};
  int style = s.value(0, 0);
  if (style > 6) return;
  t.shape = shapes[style];
  t.inner.cursor_blinks = style % 2 == 1;
  t.events.modes_changed = true;
}

// ---- erasing and editing

using Eraser = void (Grid::*)(int, int, int, const Style&);

void erase_in_line(Interpreter& t, int what, Eraser eraser)
{
  t.wrap_pending = false;
  int first = what == 0 ? t.x : 0, last = what == 1 ? t.x + 1 : t.columns;
  if (what <= 2) (t.grid->*eraser)(t.y, first, last, t.blank());
}

void erase_in_display(Interpreter& t, int what, Eraser eraser)
{
  if (what > 2) return;
  int first = what == 0 ? t.y + 1 : 0, last = what == 1 ? t.y : t.rows;
  for (int line = first; line < last; ++line) (t.grid->*eraser)(line, 0, t.columns, t.blank());
  if (what < 2) erase_in_line(t, what, eraser);
  t.wrap_pending = false;
}

void erase_display(Interpreter& t, const Sequence& s)
{
  if (s.value(0, 0) == 3) t.scrollback.clear();
  erase_in_display(t, s.value(0, 0), &Grid::erase);
}

void erase_line(Interpreter& t, const Sequence& s) { erase_in_line(t, s.value(0, 0), &Grid::erase); }

void selective_erase_display(Interpreter& t, const Sequence& s)
{
  erase_in_display(t, s.value(0, 0), &Grid::erase_unguarded);
}

void selective_erase_line(Interpreter& t, const Sequence& s)
{
  erase_in_line(t, s.value(0, 0), &Grid::erase_unguarded);
}

void erase_characters(Interpreter& t, const Sequence& s)
{
  t.wrap_pending = false;
  t.grid->erase(t.y, t.x, std::min(t.columns, t.x + s.value(0, 1)), t.blank());
}

void insert_characters(Interpreter& t, const Sequence& s)
{
  t.wrap_pending = false;
  t.grid->insert(t.y, t.x, s.value(0, 1), t.blank());
}

void delete_characters(Interpreter& t, const Sequence& s)
{
  t.wrap_pending = false;
  t.grid->remove(t.y, t.x, s.value(0, 1), t.blank());
}

void insert_lines(Interpreter& t, const Sequence& s)
{
  if (t.y < t.top || t.y >= t.bottom) return;
  t.grid->scroll_down(t.y, t.bottom, std::min(s.value(0, 1), t.bottom - t.y), t.blank());
  t.move_to(0, t.y);
}

void delete_lines(Interpreter& t, const Sequence& s)
{
  if (t.y < t.top || t.y >= t.bottom) return;
  t.grid->scroll_up(t.y, t.bottom, std::min(s.value(0, 1), t.bottom - t.y), t.blank());
  t.move_to(0, t.y);
}

void scroll_up(Interpreter& t, const Sequence& s) { t.scroll_up(s.value(0, 1)); }

void scroll_down(Interpreter& t, const Sequence& s)
{
  if (s.count > 1) return; // five parameters are xterm's highlight tracking
  t.scroll_down(s.value(0, 1));
}

void repeat(Interpreter& t, const Sequence& s) { t.repeat(s.value(0, 1)); }

void protect(Interpreter& t, const Sequence& s)
{
  int value = s.value(0, 0);
  if (value > 2) return;
  t.pen.style.flags =
      static_cast<std::uint16_t>(value == 1 ? t.pen.style.flags | flag::guarded : t.pen.style.flags & ~flag::guarded);
}

// ---- margins and modes

void margins(Interpreter& t, const Sequence& s)
{
  int first = s.value(0, 1) - 1, last = std::min(s.value(1, t.rows), t.rows);
  if (last - first < std::min(2, t.rows)) return; // a region has two rows at least
  t.top = first;
  t.bottom = last;
  t.move_in_origin(0, 0);
}

void change_modes(Interpreter& t, const Sequence& s, bool on)
{
  for (int i = 0; i < s.count; ++i) t.set_mode(s.values[static_cast<std::size_t>(i)], s.prefix == '?', on);
}

void set_modes(Interpreter& t, const Sequence& s) { change_modes(t, s, true); }

void reset_modes(Interpreter& t, const Sequence& s) { change_modes(t, s, false); }

void soft_reset(Interpreter& t, const Sequence&) { t.soft_reset(); }

void graphics(Interpreter& t, const Sequence& s) { t.select_graphics(s); }

void window(Interpreter& t, const Sequence& s)
{
  constexpr std::size_t deepest = 10;
  int what = s.value(0, 0), which = s.value(1, 0);
  if (what == 18 || what == 19) report_size(t, what == 18 ? 8 : 9);
  if (which == 1) return; // the icon's title, which there is none of
  if (what == 22 && t.title_stack.size() < deepest) t.title_stack.push_back(t.title);
  if (what == 23 && !t.title_stack.empty()) {
    std::string title = std::move(t.title_stack.back());
    t.title_stack.pop_back();
    t.set_title(title);
  }
}

struct Row {
  char prefix;
  char intermediate;
  char final;
  Handler run;
};

constexpr Row table[] = {
    {0, 0, '@', insert_characters},             // ICH
    {0, 0, 'A', cursor_up},                     // CUU
    {0, 0, 'B', cursor_down},                   // CUD
    {0, 0, 'C', cursor_forward},                // CUF
    {0, 0, 'D', cursor_back},                   // CUB
    {0, 0, 'E', next_line},                     // CNL
    {0, 0, 'F', previous_line},                 // CPL
    {0, 0, 'G', column},                        // CHA
    {0, 0, 'H', position},                      // CUP
    {0, 0, 'I', tab_forward},                   // CHT
    {0, 0, 'J', erase_display},                 // ED
    {'?', 0, 'J', selective_erase_display},     // DECSED
    {0, 0, 'K', erase_line},                    // EL
    {'?', 0, 'K', selective_erase_line},        // DECSEL
    {0, 0, 'L', insert_lines},                  // IL
    {0, 0, 'M', delete_lines},                  // DL
    {0, 0, 'P', delete_characters},             // DCH
    {0, 0, 'S', scroll_up},                     // SU
    {0, 0, 'T', scroll_down},                   // SD
    {'?', 0, 'W', tab_reset},                   // DECST8C
    {0, 0, 'X', erase_characters},              // ECH
    {0, 0, 'Z', tab_back},                      // CBT
    {0, 0, '^', scroll_down},                   // SD, as ECMA-48 once printed it
    {0, 0, '`', column},                        // HPA
    {0, 0, 'a', cursor_forward},                // HPR
    {0, 0, 'b', repeat},                        // REP
    {0, 0, 'c', report_primary_attributes},     // DA1
    {'>', 0, 'c', report_secondary_attributes}, // DA2
    {'=', 0, 'c', report_tertiary_attributes},  // DA3
    {0, 0, 'd', row},                           // VPA
    {0, 0, 'e', row_relative},                  // VPR
    {0, 0, 'f', position},                      // HVP
    {0, 0, 'g', tab_clear},                     // TBC
    {0, 0, 'h', set_modes},                     // SM
    {'?', 0, 'h', set_modes},                   // DECSET
    {0, 0, 'l', reset_modes},                   // RM
    {'?', 0, 'l', reset_modes},                 // DECRST
    {0, 0, 'm', graphics},                      // SGR
    {0, 0, 'n', report_status},                 // DSR
    {'?', 0, 'n', report_status},               // DECDSR
    {0, '!', 'p', soft_reset},                  // DECSTR
    {0, '$', 'p', report_mode},                 // DECRQM
    {'?', '$', 'p', report_mode},               // DECRQM
    {0, ' ', 'q', cursor_style},                // DECSCUSR
    {0, '"', 'q', protect},                     // DECSCA
    {'>', 0, 'q', report_version},              // XTVERSION
    {0, 0, 'r', margins},                       // DECSTBM
    {'?', 0, 'r', restore_modes},               // XTRESTORE
    {0, 0, 's', save},                          // SCOSC
    {'?', 0, 's', save_modes},                  // XTSAVE
    {0, 0, 't', window},                        // XTWINOPS
    {0, 0, 'u', restore},                       // SCORC
};

/// For sequences without intermediate, the handler by prefix and final; the few others are looked for in the table.
constexpr auto make_index()
{
  std::array<std::array<Handler, 64>, 5> index{};
  for (const Row& entry : table)
    if (entry.intermediate == 0)
      index[entry.prefix == 0 ? 0 : static_cast<std::size_t>(entry.prefix - '<' + 1)]
           [static_cast<std::size_t>(entry.final - '@')] = entry.run;
  return index;
}

constexpr auto handlers = make_index();

} // namespace

void Interpreter::control(const Sequence& sequence)
{
  if (sequence.final != 'b') last_printed = 0;
  if (sequence.intermediate == 0) {
    std::size_t prefix = sequence.prefix == 0 ? 0 : static_cast<std::size_t>(sequence.prefix - '<' + 1);
    if (Handler run = handlers[prefix][static_cast<std::size_t>(sequence.final - '@')]) run(*this, sequence);
    return;
  }
  for (const Row& entry : table)
    if (entry.final == sequence.final && entry.intermediate == sequence.intermediate && entry.prefix == sequence.prefix)
      return entry.run(*this, sequence);
}

} // namespace conductor::terminal
