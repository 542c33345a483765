// The user's terminal. ncurses lives here and nowhere else, and only as a painter: it writes its frames into a memory
// file, from which we take the bytes and write them ourselves, without ever blocking, on a freshly opened /dev/tty
// (descriptors 0 to 2 share their flags with the user's shell). Input is read raw; KeyDecoder cuts it into keys.
//
// Whatever happens, the terminal is given back as it was: by the destructor, at exit(), and in the handlers of the
// signals of a crash.
#pragma once

#include "tui/console/grid.h"
#include "tui/console/theme.h"
#include "tui/terminal/modes.h"

#include "core/base/handle.h"

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

namespace conductor::console {

/// Where the terminal's cursor stands, and its look.
struct CursorPlace {
  int row = 0, column = 0;
  terminal::CursorShape shape = terminal::CursorShape::standard;
  bool operator==(const CursorPlace&) const = default;
};

/// What is known of a terminal before it is opened, from TERM, COLORTERM, NO_COLOR and the locale.
struct Abilities {
  std::string name;       ///< entry to ask ncurses for
  bool own_entry = false; ///< `name` is the entry that we bring along
  bool modern = false;    ///< understands mouse, bracketed paste, focus
  bool unicode_borders = true;
  bool unicode_graphs = true; ///< block elements; the linux console's font has only some
  std::string notice;         ///< to be told to the user once
};
/// Empty strings for variables that are not set. Throws Error for a terminal that cannot place the cursor.
Abilities abilities(const std::string& term, const std::string& colorterm, bool utf8, bool entry_known);

class Screen {
public:
  /// Takes over the terminal. Throws Error when there is none or it cannot do what is needed.
  Screen();
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  int rows() const { return rows_; }
  int columns() const { return columns_; }
  Depth depth() const { return depth_; }
  const Abilities& can() const { return abilities_; }
  int fd() const { return tty_.get(); }

  /// Asks the kernel for the size again (SIGWINCH); true when it changed.
  bool update_size();
  /// Makes the bytes that turn what is shown into `grid`. No bytes when nothing differs. Call only when flushed().
  void paint(const Grid& grid, const std::optional<CursorPlace>& cursor);
  /// Writes what the terminal takes now. False when the terminal is gone.
  bool flush();
  bool flushed() const { return written_ == out_.size(); }
  /// The next paint draws everything anew (Ctrl-L).
  void forget() { known_ = false; }
  /// Bytes for the terminal outside of a frame (OSC 52, the bell).
  void send(std::string_view bytes) { out_ += bytes; }
  /// Takes the mouse, or leaves it to the terminal, which then marks and pastes as it does elsewhere.
  void use_mouse(bool on);
  bool has_mouse() const { return mouse_; }
  /// What is there to read now; nothing at the end of the terminal (`gone` is set then).
  std::string read(bool& gone);
  /// An answer of the terminal (Key::Kind::reply).
  void on_reply(std::string_view bytes);

  /// Gives the terminal back (before stopping), and takes it again.
  void leave();
  void enter();

private:
  struct Curses;
  void open_terminal();
  void start_curses();
  std::string take_frame();
  int pair_of(Colour foreground, Colour background);
  void paint_row(int y, std::span<const GridCell> wanted, std::span<GridCell> shown);
  void write_all();

  Fd tty_, memory_;
  std::unique_ptr<Curses> curses_;
  Abilities abilities_;
  Depth depth_ = Depth::mono;
  int rows_ = 24, columns_ = 80;
  bool mouse_ = true;
  bool entered_ = false, known_ = false, synchronised_ = false;
  Grid shown_;
  std::optional<CursorPlace> cursor_;
  std::unordered_map<std::uint64_t, int> pairs_;
  std::string out_;
  std::size_t written_ = 0;
};

/// Makes sure that characters are UTF-8: where the environment names no locale, C.UTF-8 is taken. False when the user's
/// locale has another encoding.
bool choose_locale();

} // namespace conductor::console
