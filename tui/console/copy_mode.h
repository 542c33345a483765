// Copy mode: a cursor that walks over what a pane has shown, looks for words in it, marks a part of it and copies that.
// The keys are rows of Mode::copy in the table of actions, as vi has them. Where the lines come from, and how they are
// painted, is the pane's business.
#pragma once

#include "tui/console/editor.h"
#include "tui/console/keys.h"
#include "tui/console/theme.h"

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace conductor::console {

/// One line by columns: column c shows the bytes [starts[c], starts[c + 1]) of the text. The right half of a wide
/// character has none.
struct CopyLine {
  std::string text;
  std::vector<std::uint32_t> starts{0}; ///< one more than there are columns
  bool goes_on = false;                 ///< the next line is the rest of this one (the terminal wrapped it)

  int columns() const { return static_cast<int>(starts.size()) - 1; }
  std::string_view cell(int column) const;
  /// Appends a character of that many columns.
  void add(std::string_view bytes, int wide);
  int column_of(std::size_t byte) const;
};

/// The lines of a pane, counted over all that ever were, so that they keep their numbers while more come.
class CopyText {
public:
  CopyText() = default;
  virtual ~CopyText() = default;
  CopyText(const CopyText&) = delete;
  CopyText& operator=(const CopyText&) = delete;
  virtual std::uint64_t first() const = 0;               ///< the oldest that is kept
  virtual std::uint64_t end() const = 0;                 ///< one behind the newest; at least first() + 1
  virtual CopyLine line(std::uint64_t number) const = 0; ///< an empty one where it is not kept any more
};

/// Terminals take only so much by OSC 52; more is refused with a sentence instead of being cut.
inline constexpr std::size_t most_copied = 74'994;

class CopyMode {
public:
  struct Place {
    std::uint64_t line = 0;
    int column = 0;
    auto operator<=>(const Place&) const = default;
  };
  enum class Kind : char { none, characters, words, lines, block };
  enum class Result : char { taken, ended, ignored };
  /// Rows of the pane that show lines [top, top + rows): pages and H, M, L go by them.
  struct View {
    std::uint64_t top = 0;
    int rows = 1;
  };

  /// text must outlive it.
  CopyMode(const CopyText& text, Place begin) : text_(text), cursor_(begin) { go(begin); }

  Result key(const Key& key, View view);
  Place cursor() const { return cursor_; }
  Kind kind() const { return kind_; }
  void go(Place place);
  void select(Kind kind);
  /// Asks for the text to look for: '/' further on, '?' further back.
  void ask(char direction);
  /// The columns [first, last) of the line that are marked; equal when none are. The line counts as `columns` wide.
  std::pair<int, int> marked(std::uint64_t number, int columns) const;
  /// The columns of each place where the line holds what was looked for.
  std::vector<std::pair<int, int>> matches(std::uint64_t number) const;
  /// What is marked, or the cursor's line when nothing is.
  std::string marked_text() const;
  /// What `copy` took; empty until then.
  const std::string& copied() const { return copied_; }
  /// What to say of the mode at the right end of the frame.
  std::string status() const;
  bool asking() const { return asking_ != 0; }
  /// The line in which the pattern is typed, in the lowest row of the canvas; only while asking().
  void draw_question(Canvas canvas, const Theme& theme) const;
  int question_cursor(int columns) const { return question_.cursor_column(1, columns - 1); }

private:
  using Move = void (CopyMode::*)(View);
  struct Row {
    std::string_view name;
    Move run;
  };
  static const Row* row(std::string_view name);

  /// The line, kept for the next question about it: moves ask for each column. forget() before the text may have
  /// changed.
  const CopyLine& line(std::uint64_t number) const;
  void forget() const;
  void clamp();
  int last_column(std::uint64_t number) const; ///< where a cursor can stand
  void vertical(std::int64_t lines);
  bool step(Place& place, bool forward) const;
  int class_at(const Place& place) const; ///< 0 blank, 1 word, 2 other; the end of a line is blank
  bool is_empty(std::uint64_t number) const;
  void search(bool forward);
  std::pair<Place, Place> ends() const; ///< of what is marked, both inclusive
  bool is_smart() const;                ///< capitals in the pattern count

  void do_left(View);
  void do_right(View);
  void do_down(View);
  void do_up(View);
  void do_line_begin(View);
  void do_text_begin(View);
  void do_line_end(View);
  void do_word(View);
  void do_word_back(View);
  void do_word_end(View);
  void do_top(View);
  void do_bottom(View);
  void do_view_top(View view);
  void do_view_middle(View view);
  void do_view_bottom(View view);
  void do_page_up(View view);
  void do_page_down(View view);
  void do_paragraph_up(View);
  void do_paragraph_down(View);
  void do_search(View);
  void do_search_back(View);
  void do_next(View);
  void do_previous(View);
  void do_select(View);
  void do_select_words(View);
  void do_select_lines(View);
  void do_select_block(View);
  void do_other_end(View);
  void do_copy(View);
  void do_cancel(View);
  void do_end(View);

  const CopyText& text_;
  Place cursor_, anchor_;
  int wanted_column_ = 0; ///< of moves up and down
  Kind kind_ = Kind::none;
  std::string pattern_, copied_;
  bool forward_ = false, ended_ = false, found_ = true;
  char asking_ = 0; ///< '/' or '?' while the pattern is typed
  mutable std::optional<std::pair<std::uint64_t, CopyLine>> line_;
  mutable std::optional<std::pair<Place, Place>> ends_; ///< of what is marked, until the next key
  LineEditor question_;
};

} // namespace conductor::console
