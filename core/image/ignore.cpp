#include "core/image/ignore.h"

#include <algorithm>

#include <fnmatch.h>

namespace conductor::image {
namespace {

constexpr size_t most_patterns = 1000;
constexpr size_t longest_pattern = 4096;

} // namespace

std::vector<std::string> split_path(std::string_view path)
{
  std::vector<std::string> parts;
  while (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    if (slash > 0 && path.substr(0, slash) != ".") parts.emplace_back(path.substr(0, slash));
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return parts;
}

std::string clean_path(std::string_view path, bool& climbs)
{
  std::vector<std::string> kept;
  climbs = false;
  for (std::string& part : split_path(path)) {
    if (part != "..")
      kept.push_back(std::move(part));
    else if (kept.empty())
      climbs = true;
    else
      kept.pop_back();
  }
  std::string out;
  for (const std::string& part : kept) out += (out.empty() ? "" : "/") + part;
  return out;
}

bool matches_component(const std::string& pattern, const std::string& name)
{
  return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
}

bool has_wildcard(std::string_view text) { return text.find_first_of("*?[") != std::string_view::npos; }

// ---- patterns: those of Docker's patternmatcher, which turns each into a regular expression

bool Ignore::Part::matches(char byte) const
{
  switch (kind) {
  case Kind::literal: return byte == c;
  case Kind::one:
  case Kind::within: return byte != '/';
  case Kind::rest:
  case Kind::folders: return true;
  case Kind::set: break;
  }
  if (byte == '/') return false;
  bool found = false;
  for (size_t at = 0; at + 1 < set.size(); at += 2)
    found = found || (static_cast<unsigned char>(set[at]) <= static_cast<unsigned char>(byte) &&
                      static_cast<unsigned char>(byte) <= static_cast<unsigned char>(set[at + 1]));
  return found != negated;
}

std::vector<Ignore::Part> Ignore::parse(std::string_view pattern)
{
  std::vector<Part> parts;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '*' && pattern.substr(i).starts_with("**")) {
      ++i;
      const bool folders = pattern.substr(i + 1).starts_with('/');
      if (folders) ++i;
      parts.push_back({folders ? Part::Kind::folders : Part::Kind::rest});
    } else if (c == '*') {
      parts.push_back({Part::Kind::within});
    } else if (c == '?') {
      parts.push_back({Part::Kind::one});
    } else if (c == '[' && pattern.find(']', i + 2) != std::string_view::npos) {
      Part part{Part::Kind::set};
      size_t at = i + 1;
      part.negated = pattern[at] == '^' || pattern[at] == '!';
      if (part.negated) ++at;
      for (bool first = true; at < pattern.size() && (first || pattern[at] != ']'); first = false) {
        if (pattern[at] == '\\' && at + 1 < pattern.size()) ++at;
        const char low = pattern[at++];
        char high = low;
        if (at + 1 < pattern.size() && pattern[at] == '-' && pattern[at + 1] != ']') {
          high = pattern[at + 1];
          at += 2;
        }
        part.set += {low, high};
      }
      i = at;
      parts.push_back(std::move(part));
    } else {
      const bool escape = c == '\\' && i + 1 < pattern.size();
      parts.push_back({Part::Kind::literal, escape ? pattern[++i] : c});
    }
  }
  return parts;
}

// Does the pattern match the path or one of its parents? Rows of a table instead of recursion, which a pattern of many
// '**' would make exponential.
bool Ignore::matches(const std::vector<Part>& pattern, std::string_view path)
{
  const size_t length = path.size();
  std::vector<char> reached(length + 1, 0), next(length + 1, 0); // reached[n]: so far it matches the first n bytes
  reached[0] = 1;
  for (const Part& part : pattern) {
    bool open = false; // a run that began before n
    for (size_t n = 0; n <= length; ++n) {
      const bool before = n > 0 && reached[n - 1] != 0;
      switch (part.kind) {
      case Part::Kind::literal:
      case Part::Kind::one:
      case Part::Kind::set: next[n] = before && part.matches(path[n - 1]); break;
      case Part::Kind::within:
        open = (open && path[n - 1] != '/') || reached[n] != 0;
        next[n] = open;
        break;
      case Part::Kind::rest:
        open = open || reached[n] != 0;
        next[n] = open;
        break;
      case Part::Kind::folders:
        next[n] = reached[n] != 0 || (open && path[n - 1] == '/');
        open = open || reached[n] != 0;
        break;
      }
    }
    std::swap(reached, next);
  }
  for (size_t n = 1; n <= length; ++n)
    if (reached[n] != 0 && (n == length || path[n] == '/')) return true;
  return false;
}

void Ignore::add(std::string_view line)
{
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  const auto trim = [&] {
    while (!line.empty() && blank(line.back())) line.remove_suffix(1);
    while (!line.empty() && blank(line.front())) line.remove_prefix(1);
  };
  trim();
  if (line.empty() || line.size() > longest_pattern || patterns_.size() >= most_patterns) return;
  Pattern pattern;
  if (line.front() == '!') {
    pattern.takes_back = true;
    line.remove_prefix(1);
    trim();
  }
  bool climbs = false;
  pattern.parts = parse(clean_path(line, climbs));
  if (climbs || pattern.parts.empty()) return;
  has_exceptions_ = has_exceptions_ || pattern.takes_back;
  patterns_.push_back(std::move(pattern));
}

Ignore::Ignore(std::string_view text)
{
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3); // a byte order mark
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    if (!text.starts_with('#')) add(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

Ignore::Ignore(const std::vector<std::string>& patterns)
{
  for (const std::string& pattern : patterns) add(pattern);
}

bool Ignore::covers(std::string_view path) const
{
  if (patterns_.empty()) return false;
  bool covered = false;
  for (const Pattern& pattern : patterns_)
    if (covered == pattern.takes_back && matches(pattern.parts, path)) covered = !pattern.takes_back;
  return covered;
}

} // namespace conductor::image
