// The terminal emulator of the panes: bytes of a child in, cells and replies out. It does no I/O, knows no clock and no
// ncurses, and trusts nothing that it is fed: every size has a bound, and every sequence may be cut at any byte.
// What it understands is what xterm's "Control Sequences" document (ctlseqs) calls by the same names.
//
// Use: feed() what the PTY gave; write take_replies() back to the PTY; unless modes().synchronised, paint the rows that
// take_damage() names; look at take_events() for the bell, the title and the clipboard.
#pragma once

#include "tui/terminal/cell.h"
#include "tui/terminal/modes.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace conductor::terminal {

class Interpreter;

inline constexpr int maximum_rows = 1000;
inline constexpr int maximum_columns = 2000;

/// What one child may cost us. Each bound has its test.
struct Limits {
  std::size_t scrollback_bytes = 4U << 20; ///< 0 keeps no lines; encoded, about 20,000 lines of a shell fit in 4 MiB
  std::size_t string_bytes = 1U << 20;     ///< longest OSC or DCS; a longer one is swallowed whole
  std::size_t clipboard_bytes = 100'000;   ///< longest text that OSC 52 may ask to copy; 0 denies all
  std::size_t reply_bytes = 16'384;        ///< replies that wait for take_replies(); further ones are dropped whole
  std::size_t title_bytes = 1024;
};

struct Cursor {
  int row = 0;    ///< from 0 at the top
  int column = 0; ///< from 0; always inside the screen, also when the next character will wrap
  bool visible = true;
  bool blinking = false;
  CursorShape shape = CursorShape::standard;
};

/// Columns [first, last) of a row that changed since the last take_damage().
struct Damage {
  int row;
  int first;
  int last;
};

/// What a shell with OSC 133 said about the row.
enum class Mark : std::uint8_t { none, prompt, output };

struct RowInfo {
  bool wrapped = false; ///< the text goes on in the next row without a line break
  Mark mark = Mark::none;
};

/// OSC 52: the child asks that this text be put into the user's clipboard. Nothing has happened yet.
struct ClipboardRequest {
  char selection = 'c'; ///< c clipboard, p primary, s select
  std::string text;     ///< decoded bytes
};

/// Things that happened since the last take_events().
struct Events {
  bool bell = false;
  bool title_changed = false;
  bool modes_changed = false; ///< some mode of modes() or the cursor's look changed
  std::optional<ClipboardRequest> clipboard;
};

/// Colours that OSC 10, 11, 12 and 4 report, as 0xRRGGBB. The painter's theme sets them; a child may override them.
struct Palette {
  std::uint32_t foreground = 0xD0D0D0;
  std::uint32_t background = 0x000000;
  std::uint32_t cursor = 0xD0D0D0;
};

class Terminal {
public:
  /// Sizes are clamped to 1..maximum_rows and 1..maximum_columns, here and in resize().
  Terminal(int rows, int columns, Limits limits = {});
  ~Terminal();
  Terminal(Terminal&&) noexcept;
  Terminal& operator=(Terminal&&) noexcept;

  /// Takes bytes as the child wrote them, cut anywhere. Never throws but for want of memory. Some sequences of few
  /// bytes touch the whole screen: whoever must stay responsive feeds 4 KiB between two looks at the clock.
  void feed(std::string_view bytes);
  /// Resizes both screens. The primary one is reflowed; cursor, margins, tabs and saved positions stay inside.
  void resize(int rows, int columns);
  /// Full reset (RIS), keeping the scrollback: for a pane whose child died.
  void reset();

  int rows() const;
  int columns() const;
  /// The cells of row y (0 = top) of the screen that is shown, up to the last one in use; all beyond are blank. Valid
  /// until the next call that is not const.
  std::span<const Cell> row(int y) const;
  RowInfo row_info(int y) const;

  /// Lines that scrolled off the primary screen and are still kept.
  std::size_t scrollback_rows() const;
  /// Line `index` of the scrollback (0 = oldest), unpacked into a buffer that the next call of it overwrites.
  std::span<const Cell> scrollback_row(std::size_t index) const;
  RowInfo scrollback_info(std::size_t index) const;
  /// Lines that ever entered the scrollback; a view that is scrolled back stays put by watching it. A resize counts the
  /// lines anew.
  std::uint64_t scrollback_total() const;
  void clear_scrollback();
  std::size_t scrollback_bytes() const; ///< memory it takes now

  /// Rows that changed, from top to bottom. Valid until the next call of it. Cursor moves are no damage.
  std::span<const Damage> take_damage();
  /// Marks everything as changed, for a painter that starts anew.
  void damage_all();

  Cursor cursor() const;
  const Modes& modes() const;
  /// Gives up waiting for the end of a synchronised update (the caller's 150 ms are over).
  void end_synchronised();
  const std::string& title() const; ///< valid UTF-8 without control characters
  std::string take_replies();
  bool has_replies() const;
  Events take_events();

  /// UTF-8 of what the cell shows: a space for a blank, empty for the right half of a wide character.
  std::string cluster(const Cell& cell) const;
  void append_cluster(const Cell& cell, std::string& text) const;
  /// Code points of the cell, up to 9; returns how many were written.
  std::size_t code_points(const Cell& cell, std::span<char32_t, 9> out) const;
  Colour underline_colour(const Style& style) const; ///< standard() means the foreground's
  std::string_view link(const Style& style) const;   ///< URI of OSC 8; empty if none

  void set_palette(const Palette& palette);
  /// What the child set by OSC 4 (index 0..255), 10 (256), 11 (257) or 12 (258), as 0xRRGGBB.
  std::optional<std::uint32_t> colour_override(int index) const;

  /// The whole state, parser included, as bytes with a version of their own. At most `scrollback_budget` bytes of the
  /// newest scrollback go along.
  std::string serialise(std::size_t scrollback_budget = 1U << 20) const;
  /// The terminal that serialise() wrote down; nothing if the bytes are of another version, cut or corrupt. The result
  /// is always consistent, whatever the bytes were.
  static std::optional<Terminal> restore(std::string_view bytes, Limits limits = {});

  /// The first invariant that does not hold, for the fuzzer and the tests; empty if all hold.
  std::string_view broken_invariant() const;

private:
  explicit Terminal(std::unique_ptr<Interpreter> interpreter);
  std::unique_ptr<Interpreter> interpreter_;
};

} // namespace conductor::terminal
