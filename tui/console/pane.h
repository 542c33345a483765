// What stands in the work area: a shell, a log, the steps of an action. A pane draws its inside; the frame, the title's
// place and the focus are the application's.
#pragma once

#include "tui/console/grid.h"
#include "tui/console/keys.h"
#include "tui/console/screen.h"
#include "tui/console/theme.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace conductor::console {

class Pane {
public:
  explicit Pane(int number) : number_(number) {}
  virtual ~Pane() = default;
  Pane(const Pane&) = delete;
  Pane& operator=(const Pane&) = delete;

  int number() const { return number_; }
  virtual std::string title() const = 0;            ///< "web-1: vim"; may hold bytes of a child
  virtual std::string status() const { return {}; } ///< a word or two at the right end of the frame
  /// `whole`: draw every cell; otherwise what changed since the last time is enough.
  virtual void draw(Canvas canvas, const Theme& theme, bool focused, bool whole) = 0;
  virtual std::optional<CursorPlace> cursor() const { return std::nullopt; } ///< relative to the inside
  /// False when the key means nothing to it.
  virtual bool key(const Key& key) = 0;
  virtual void resize(int /*rows*/, int /*columns*/) {}
  /// Does every key but the prefix belong to it (a shell)?
  virtual bool takes_all_keys() const { return false; }
  /// Is something running in it that the user would miss?
  virtual bool busy() const { return false; }
  virtual bool over() const { return false; } ///< may be closed without asking, by itself
  virtual void turn() {}                      ///< the turn that `again` asked for
  virtual void focus(bool /*on*/) {}
  virtual void copy_mode(bool /*on*/) {}
  virtual bool copying() const { return false; }
  /// What it says in the hint line while it has the focus and no keys of its own.
  virtual std::string hints() const { return {}; }
  /// The rows of Mode::text that are worth a place in the hint line.
  virtual std::span<const std::string_view> hint_names() const { return {}; }

  std::string save_to; ///< file that the user wants its lines in; the application writes it
  std::string copied;  ///< text that the user wants in the clipboard; the application takes it
  bool dirty = true;   ///< has something to draw
  bool again = false;  ///< wants another turn without waiting for a descriptor
  int unseen = 0;      ///< lines that came while it was hidden

private:
  int number_;
};

} // namespace conductor::console
