// What the sequences act on: the whole state of a terminal, and the primitives that they share. The tables of sequences
// lie in csi.cpp, escape.cpp, modes.cpp, sgr.cpp, osc.cpp and report.cpp; resize.cpp and serialise.cpp see all of it
// too.
#pragma once

#include "tui/terminal/clusters.h"
#include "tui/terminal/extras.h"
#include "tui/terminal/grid.h"
#include "tui/terminal/parser.h"
#include "tui/terminal/scrollback.h"
#include "tui/terminal/terminal.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace conductor::terminal {

enum class Charset : std::uint8_t { ascii, graphics, british };

/// The character sets G0..G3 and which of them is in use.
struct Charsets {
  std::array<Charset, 4> g{};
  std::uint8_t current = 0;
  std::uint8_t single = 0; ///< SS2, SS3: for the next character only; 0 is none

  bool plain() const { return g[current] == Charset::ascii && single == 0; }
};

/// What the next character will look like. `style.extra` follows from the other two.
struct Pen {
  Style style;
  Colour underline;
  std::uint16_t link = 0;
};

struct SavedCursor {
  int x = 0, y = 0;
  bool wrap_pending = false, origin = false;
  Pen pen;
  Charsets charsets;
};

/// Modes that only the core itself looks at.
struct InnerModes {
  bool origin = false, autowrap = true, reverse_wrap = false, insert = false;
  bool cursor_visible = true, cursor_blinks = false;
};

class Interpreter {
public:
  Interpreter(int rows, int columns, Limits limits);
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  // From the parser.
  void print_ascii(std::string_view text);
  void print(char32_t code_point);
  void execute(unsigned char control);
  void escape(char intermediate, char final);
  void control(const Sequence& sequence);
  bool wants_device_control(const Sequence& sequence) const;
  void operating_system_command(std::string_view text, bool bell);
  void device_control(const Sequence& sequence, std::string_view text);

  // Primitives. Rows and columns count from 0; a bottom is one past the last row.
  void move_to(int x, int y);        ///< clamped to the screen
  void move_in_origin(int x, int y); ///< CUP: relative to the margins in origin mode
  void repeat(int count);            ///< REP
  void line_feed();
  void reverse_line_feed();
  void scroll_up(int count);
  void scroll_down(int count);
  void next_tab(int count);
  void previous_tab(int count);
  void back(int count);
  void save_cursor();
  void restore_cursor();
  void show_alternate(bool alternate);
  void clear_screen() { grid->clear(blank()); }
  void reset();      ///< RIS
  void soft_reset(); ///< DECSTR
  void default_tabs(int from);
  void select_graphics(const Sequence& sequence); ///< SGR, in sgr.cpp
  std::string graphics() const;                   ///< the pen as SGR parameters, for DECRQSS
  void set_mode(int number, bool dec, bool on);   ///< in modes.cpp
  int mode_state(int number, bool dec) const;     ///< DECRQM: 0 unknown, 1 set, 2 reset, 3 or 4 for good
  void set_title(std::string_view text);
  void reply(std::string_view bytes); ///< dropped whole where it would pass the bound
  void resize(int rows, int columns);

  Style blank() const { return {{}, pen.style.background, 0, 0}; }
  void update_extra(); ///< after a change of pen.underline or pen.link
  bool collect();      ///< sweeps clusters and extras; false if it was tried in vain a moment ago
  bool alternate_shown() const { return grid == &alternate; }
  Grid::Row& cursor_row() { return grid->row(y); }
  std::string_view broken_invariant() const;

  const Limits limits;
  int rows, columns;
  Grid primary, alternate;
  Grid* grid = &primary; ///< the one that is shown
  Scrollback scrollback;
  ClusterTable clusters;
  ExtraTable extras;
  Parser parser;

  int x = 0, y = 0;
  bool wrap_pending = false; ///< the last column was written; the next character goes to the next row
  Pen pen;
  Charsets charsets;
  int top = 0, bottom;              ///< margins
  std::array<SavedCursor, 2> saved; ///< of the primary and of the alternate screen
  InnerModes inner;
  Modes modes;
  CursorShape shape = CursorShape::standard;
  std::vector<bool> tabs;
  char32_t last_printed = 0;          ///< for REP; 0 when something else came since
  std::array<bool, 64> saved_modes{}; ///< XTSAVE, by row of the table of modes

  std::string title;
  std::vector<std::string> title_stack;
  std::string replies;
  Events events;
  Palette palette;
  std::vector<std::optional<std::uint32_t>> colours; ///< overrides, 259 once one is set
  std::vector<Damage> damage;
  mutable std::vector<Cell> line_buffer;

private:
  int collect_patience_ = 0;

  void wrap();
  void put(char32_t code_point, int columns_wide);
  void combine(char32_t mark);
  std::string_view broken_grid(const Grid& which) const;
};

} // namespace conductor::terminal
