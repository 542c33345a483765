// How numbers and foreign text look on a terminal.
#include "tui/command/text.h"

#include "core/base/guard.h"

#include <algorithm>
#include <cstdio>
#include <cwchar>

#include <fmt/format.h>

namespace conductor::command {
namespace {

struct Character {
  char32_t code = 0;
  size_t length = 1;
  bool valid = false;
};

// One UTF-8 character (RFC 3629: shortest form, no surrogates, at most U+10FFFF).
Character decode(std::string_view text)
{
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {first, 1, true};
  const size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return {};
  char32_t code = first & (0x7fU >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3fU);
  }
  constexpr char32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return {};
  return {code, length, true};
}

// Characters that move the cursor, change the direction of writing or are not seen at all (Unicode TR 36).
bool steers(char32_t code)
{
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x061c || (code >= 0x200e && code <= 0x200f) ||
         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

struct Range {
  char32_t first, last;
};
// East Asian wide blocks and the emoji blocks (Unicode TR 11); combining marks.
constexpr Range wide[] = {{0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},  {0xac00, 0xd7a3},
                          {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},  {0xffe0, 0xffe6},
                          {0x1f300, 0x1f64f}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};
constexpr Range combining[] = {{0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x064b, 0x065f},
                               {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200b, 0x200d}, {0x20d0, 0x20ff},
                               {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}};

template <size_t N>
bool lies_in(char32_t code, const Range (&ranges)[N])
{
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [&](const Range& range) { return code >= range.first && code <= range.last; });
}

} // namespace

std::string shown(std::string_view text, bool lines)
{
  if (!holds(guard::shown_text)) return std::string{text};
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const Character next = decode(text);
    if (!next.valid)
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
    else if (!steers(next.code) || (lines && (next.code == '\n' || next.code == '\t')))
      result += text.substr(0, next.length);
    else
      result += next.code < 0x100 ? fmt::format("\\x{:02x}", static_cast<unsigned>(next.code))
                                  : fmt::format("\\u{:04x}", static_cast<unsigned>(next.code));
    text.remove_prefix(next.length);
  }
  return result;
}

std::string json_shown(std::string json)
{
  const auto is_plain = [](char c) { return static_cast<unsigned char>(c) < 0x7f; };
  if (std::all_of(json.begin(), json.end(), is_plain)) return json;
  std::string result;
  result.reserve(json.size());
  for (std::string_view rest = json; !rest.empty();) {
    const Character next = decode(rest);
    // Below it is the document's own layout; in its texts there is none of these.
    if (next.valid && next.code >= 0x7f && steers(next.code))
      result += fmt::format("\\u{:04x}", static_cast<unsigned>(next.code));
    else
      result += rest.substr(0, next.length);
    rest.remove_prefix(next.length);
  }
  return result;
}

size_t columns(std::string_view text)
{
  size_t count = 0;
  while (!text.empty()) {
    const Character next = decode(text);
    if (!lies_in(next.code, combining)) count += lies_in(next.code, wide) ? 2 : 1;
    text.remove_prefix(next.length);
  }
  return count;
}

std::string short_size(uint64_t bytes)
{
  constexpr char units[] = {'B', 'K', 'M', 'G', 'T', 'P', 'E'};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 999.5 && unit + 1 < std::size(units); ++unit) value /= 1024;
  if (unit > 0 && value < 9.95) return fmt::format("{:.1f}{}", value, units[unit]);
  return fmt::format("{:.0f}{}", value, units[unit]);
}

std::string short_duration(int64_t seconds)
{
  seconds = std::max<int64_t>(seconds, 0);
  const int64_t minutes = seconds / 60, hours = minutes / 60, days = hours / 24;
  if (minutes == 0) return fmt::format("{}s", seconds);
  if (hours == 0) return fmt::format("{}m", minutes);
  if (days == 0) return fmt::format("{}h{:02}m", hours, minutes % 60);
  if (days < 10) return fmt::format("{}d{}h", days, hours % 24);
  return fmt::format("{}d", days);
}

std::string short_time(uint64_t microseconds)
{
  const double value = static_cast<double>(microseconds);
  if (microseconds < 1000) return fmt::format("{} us", microseconds);
  if (microseconds < 1'000'000) return fmt::format("{:.{}f} ms", value / 1e3, microseconds < 10'000 ? 2 : 1);
  return fmt::format("{:.{}f} s", value / 1e6, microseconds < 10'000'000 ? 2 : 1);
}

Table::Table(std::vector<std::string> titles, std::vector<Align> align) : align_(std::move(align))
{
  align_.resize(titles.size(), Align::left);
  rows_.push_back(std::move(titles));
}

void Table::add(std::vector<std::string> cells)
{
  for (std::string& cell : cells) cell = shown(cell);
  cells.resize(align_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::text() const
{
  std::vector<size_t> width(align_.size());
  for (const auto& row : rows_)
    for (size_t i = 0; i < row.size(); ++i) width[i] = std::max(width[i], columns(row[i]));
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string padding(width[i] - columns(row[i]), ' ');
      if (i > 0) line += "  ";
      line += align_[i] == Align::right ? padding + row[i] : row[i] + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string wrapped(std::string_view text, size_t width, size_t indent)
{
  std::string result;
  size_t column = 0;
  while (!text.empty()) {
    const size_t space = text.find(' ');
    const std::string_view word = text.substr(0, space);
    text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
    const size_t wide_word = columns(word);
    if (column > 0 && column + 1 + wide_word > width) {
      result += "\n" + std::string(indent, ' ');
      column = 0;
    } else if (column > 0) {
      result += ' ';
      ++column;
    }
    result += word;
    column += wide_word;
  }
  return result;
}

bool has_word(std::string_view words, std::string_view word)
{
  while (!words.empty()) {
    const size_t end = std::min(words.find(' '), words.size());
    if (words.substr(0, end) == word) return true;
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  return false;
}

} // namespace conductor::command
