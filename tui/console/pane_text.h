// A pane of lines: logs, the steps of an action, an inspection. It stays at "now" until the reader scrolls up, wraps,
// has copy mode for searching and copying, and keeps its memory bounded by dropping the oldest lines.
#pragma once

#include "tui/console/copy_mode.h"
#include "tui/console/editor.h"
#include "tui/console/pane.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace conductor::console {

struct TextLine {
  std::string text; ///< may hold SGR sequences, which colour it; every other control character is shown
  Role role = Role::text;
  int indent = 0;           ///< columns that continuation rows are indented by
  std::int64_t time_ns = 0; ///< CLOCK_REALTIME at which it came, where that is known
  std::uint8_t source = 0;  ///< which of several wrote it
};

class TextPane : public Pane, private CopyText {
public:
  static constexpr std::size_t most_lines = 20'000, most_bytes = 4U << 20, longest_line = 16U << 10;

  TextPane(int number, std::string title) : Pane(number), title_(std::move(title)) {}

  std::string title() const override { return title_; }
  std::string status() const override;
  void draw(Canvas canvas, const Theme& theme, bool focused, bool whole) override;
  std::optional<CursorPlace> cursor() const override;
  bool key(const Key& key) override;
  void resize(int rows, int columns) override;
  void copy_mode(bool on) override;
  bool copying() const override { return copy_.has_value(); }
  std::span<const std::string_view> hint_names() const override;

  void add(TextLine line);
  /// Bytes of a stream: cut into lines; the last one may still be growing.
  void add_bytes(std::string_view bytes, Role role = Role::text);
  void clear();
  std::size_t lines() const { return lines_.size(); }
  std::uint64_t total() const { return dropped_ + lines_.size(); }
  /// Changes line `index`, counted over all lines ever added; nothing when it was dropped already.
  void set_line(std::uint64_t index, TextLine line);
  void follow(bool on);
  /// All lines as they are shown, gutter and all, with controls made visible.
  std::string whole_text() const;

protected:
  void set_title(std::string title) { title_ = std::move(title); }
  /// What a row of Mode::text does; false when it does nothing here.
  virtual bool act(std::string_view name);
  /// What stands before each line, in a column of its own; not part of what is copied.
  virtual std::string gutter(const TextLine& /*line*/) const { return {}; }
  void set_gutter(int columns);
  /// Asks for a line of text in the lowest row; `then` gets what was typed.
  void ask(std::string question, std::string offer, std::function<void(const std::string&)> then);

private:
  struct Row {
    std::size_t line;
    std::size_t begin, end; ///< bytes
    int column;             ///< of the line, at which it begins
    bool first;
  };
  std::uint64_t first() const override { return dropped_; }
  std::uint64_t end() const override { return dropped_ + lines_.size(); }
  CopyLine line(std::uint64_t number) const override;
  int rows_of(const TextLine& line) const;
  void drop_old();
  void scroll(int rows);
  void copy_key(const Key& key);
  bool is_shown(CopyMode::Place place) const;
  bool question_key(const Key& key);
  bool has_question() const { return question_ || (copy_ && copy_->asking()); }
  /// In a pane that is too narrow for a gutter there is none.
  int gutter_columns() const { return wanted_gutter_ < columns_ / 2 ? wanted_gutter_ : 0; }
  int text_columns() const { return std::max(columns_ - gutter_columns(), 1); }
  int left_of(const Row& row) const;
  std::vector<Row> visible_rows() const;
  void draw_row(Canvas canvas, int y, const Row& row, const Theme& theme) const;

  std::string title_;
  std::deque<TextLine> lines_;
  std::size_t bytes_ = 0;
  std::uint64_t dropped_ = 0;
  bool growing_ = false, following_ = true, wrap_ = true;
  std::uint64_t top_ = 0; ///< line at the top when not following, counted over all lines
  int top_row_ = 0;       ///< row within it
  int rows_ = 1, columns_ = 80;
  int shift_ = 0; ///< columns scrolled to the right when not wrapping
  int wanted_gutter_ = 0;
  std::optional<CopyMode> copy_;
  struct Question {
    std::string text;
    LineEditor answer;
    std::function<void(const std::string&)> then;
  };
  std::optional<Question> question_;
};

} // namespace conductor::console
