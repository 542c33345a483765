// A shell in a pane: our emulator on the PTY of a session. The session's holder keeps the PTY; while we are attached we
// are its only reader. Leaving hands the holder our screen, so that the next console goes on where this one was.
#pragma once

#include "core/container/session.h"
#include "tui/console/copy_mode.h"
#include "tui/console/loop.h"
#include "tui/console/pane.h"
#include "tui/terminal/terminal.h"

#include <memory>
#include <string>

namespace conductor::console {

/// Which session of which container a pane shows.
struct SessionPlace {
  std::string container; ///< id
  std::string name;      ///< of the container, for the title
  std::string session;   ///< id; empty: it is being started
};

class TerminalPane : public Pane, public Source {
public:
  TerminalPane(int number, Loop& loop, SessionPlace place, int rows, int columns);
  ~TerminalPane() override;

  /// Takes the session over; from another console that has it only with `take`. run_directory: run/c/<container>.
  /// Throws Error.
  void attach(int run_directory, const std::string& session, bool take = true);
  /// The shell could not be started: the pane says so.
  void fail(const std::string& sentence);
  /// Leaves the shell running, with its screen at the holder. Nothing when it is over.
  void leave();
  /// Ends the shell as a closed terminal window does (SIGHUP).
  void hang_up();

  /// What programs hear when they ask for the colours of the terminal.
  void use(const Theme& theme);
  const SessionPlace& place() const { return place_; }
  std::string title() const override;
  std::string status() const override;
  void draw(Canvas canvas, const Theme& theme, bool focused, bool whole) override;
  std::optional<CursorPlace> cursor() const override;
  bool key(const Key& key) override;
  void resize(int rows, int columns) override;
  bool takes_all_keys() const override { return state_ == State::running && !copy_; }
  bool busy() const override { return state_ == State::running; }
  bool over() const override { return state_ == State::over && !copy_; } // not under the hands of who copies
  bool failed() const { return state_ == State::failed; }
  void focus(bool on) override;
  std::string hints() const override;
  void ready(int fd, std::uint32_t events) override;

  /// Holds a copy of the whole terminal still, scrollback and all, while the child goes on behind it.
  void copy_mode(bool on) override;
  bool copying() const override { return copy_ != nullptr; }
  /// Does the child hold back the paint (DEC 2026)? Since when, in microseconds; 0 if not.
  std::uint64_t held_since() const { return held_since_us_; }
  void stop_holding();
  /// When it wants to read on after a flood, in microseconds; 0: at once.
  std::uint64_t rests_until() const { return rests_until_us_; }
  void read_on();
  /// Text that the child wants in the clipboard, as bytes; empty when there is none.
  std::string take_clipboard();
  const std::optional<ExitStatus>& exit_status() const { return exit_; }

private:
  enum class State : char { starting, running, over, failed };
  void read_output();
  void write_input();
  void watch_master();
  void type(std::string bytes);
  void after_feed();
  void end(State state);
  struct Copy;
  bool copy_key(const Key& key);
  bool copy_mouse(const Key& key);
  void scroll(int rows);
  void draw_copy(Canvas canvas, const Theme& theme);

  Loop& loop_;
  SessionPlace place_;
  State state_ = State::starting;
  std::optional<SessionClient> client_;
  terminal::Terminal terminal_;
  std::string input_; ///< typed, not yet taken by the PTY
  std::string sentence_;
  std::optional<ExitStatus> exit_;
  std::string clipboard_;
  std::unique_ptr<Copy> copy_; ///< while in copy mode
  bool focused_ = false;
  bool drained_ = false;                       ///< the PTY has ended; how the shell did, its holder will tell
  std::optional<std::pair<int, int>> pressed_; ///< where the mouse went down: row and column
  std::uint64_t pressed_us_ = 0;
  int clicks_ = 0;
  bool marking_by_mouse_ = false; ///< copy mode is there only for that
  std::uint64_t held_since_us_ = 0, rests_until_us_ = 0;
  int rows_, columns_;
};

} // namespace conductor::console
