// Text for people: visible characters only, sizes, durations, aligned tables.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace conductor::command {

// The same text with everything that could steer a terminal made visible: control characters as \x1b, bytes that are no
// UTF-8 as \xff, C1 controls and the marks that turn the direction of writing as \u202e. Newline and tab stay when
// `lines` is true.
std::string shown(std::string_view text, bool lines = false);

// The same JSON document, with the characters that shown() would make visible as escapes of JSON (\u009b). JSON itself
// asks for that only below U+0020, and terminals obey C1 controls as well.
std::string json_shown(std::string json);

// Number of terminal columns of a text that shown() made: wide characters count two, combining ones none.
size_t columns(std::string_view text);

// "184M", "1.9G", "512B": powers of 1024, at most three digits and a point.
std::string short_size(uint64_t bytes);
// "38s", "14m", "2h14m", "3d4h", "41d": the two largest units, seconds only below one minute.
std::string short_duration(int64_t seconds);
// "14 us", "3.2 ms", "1.05 s".
std::string short_time(uint64_t microseconds);

// Rows of cells, printed with two spaces between columns, each column as wide as its widest cell.
class Table {
public:
  enum class Align : char { left, right };
  explicit Table(std::vector<std::string> titles, std::vector<Align> align = {});
  void add(std::vector<std::string> cells); // each is put through shown()
  std::string text() const;
  size_t rows() const { return rows_.size() - 1; }

private:
  std::vector<std::vector<std::string>> rows_; // the first holds the titles
  std::vector<Align> align_;
};

// Text broken into lines of at most `width` columns at spaces; each but the first begins with `indent` spaces.
std::string wrapped(std::string_view text, size_t width, size_t indent);

// Is it one of these words, which stand with a space between?
bool has_word(std::string_view words, std::string_view word);

} // namespace conductor::command
