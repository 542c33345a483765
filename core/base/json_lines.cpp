#include "core/base/json_lines.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

namespace conductor {
namespace {

using nlohmann::json;

// Walks the text once and counts lines.
class CountingIterator {
public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, size_t* line) : at_(at), line_(line) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++()
  {
    if (*at_ == '\n') ++*line_;
    ++at_;
    return *this;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }
  bool operator!=(const CountingIterator& other) const { return at_ != other.at_; }

private:
  const char* at_;
  size_t* line_;
};

class LineFinder : public nlohmann::json_sax<json> {
public:
  explicit LineFinder(const size_t& line) : line_(line) {}
  std::vector<JsonKey> found;
  std::optional<size_t> error_line;

  bool start_object(std::size_t /*elements*/) override { return enter(false); }
  bool start_array(std::size_t /*elements*/) override { return enter(true); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool key(string_t& name) override
  {
    path_.back().second = name;
    JsonKey key{{}, line_};
    for (const auto& [in_array, part] : path_) {
      if (in_array) return true;
      key.path.push_back(part);
    }
    found.push_back(std::move(key));
    return true;
  }
  bool parse_error(std::size_t /*at*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override
  {
    error_line = line_;
    return false;
  }
  bool null() override { return true; }
  bool boolean(bool /*value*/) override { return true; }
  bool number_integer(number_integer_t /*value*/) override { return true; }
  bool number_unsigned(number_unsigned_t /*value*/) override { return true; }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return true; }
  bool string(string_t& /*value*/) override { return true; }
  bool binary(binary_t& /*value*/) override { return true; }

private:
  // The parser recurses for nothing, but the values are destroyed recursively.
  bool enter(bool array)
  {
    path_.emplace_back(array, "");
    return path_.size() <= 16;
  }
  bool leave()
  {
    path_.pop_back();
    return true;
  }
  const size_t& line_;
  std::vector<std::pair<bool, std::string>> path_; // is it an array, and the key that is open
};

} // namespace

JsonLines json_lines(std::string_view text)
{
  size_t line = 1;
  LineFinder finder{line};
  JsonLines lines;
  lines.good = json::sax_parse(CountingIterator{text.data(), &line}, CountingIterator{text.data() + text.size(), &line},
                               &finder, json::input_format_t::json, true, true);
  lines.error_line = finder.error_line.value_or(line);
  lines.keys = std::move(finder.found);
  return lines;
}

std::string without_last_commas(std::string_view text)
{
  std::string result{text};
  size_t comma = std::string::npos; // one that nothing but blanks and comments follows so far
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '"') {
      comma = std::string::npos;
      for (++at; at < text.size() && text[at] != '"'; ++at)
        if (text[at] == '\\') ++at;
    } else if (text.substr(at, 2) == "//") {
      at = std::min(text.find('\n', at), text.size());
    } else if (text.substr(at, 2) == "/*") {
      at = std::min(text.find("*/", at + 2), text.size() - 1) + 1;
    } else if (c == ',') {
      comma = at;
    } else if (c == '}' || c == ']') {
      if (comma != std::string::npos) result[comma] = ' ';
      comma = std::string::npos;
    } else if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
      comma = std::string::npos;
    }
  }
  return result;
}

} // namespace conductor
