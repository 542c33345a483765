#include "core/image/ignore.h"

#include <fnmatch.h>

namespace conductor::image {
namespace {

// Does the pattern match the path or one of its parents? Rows of a table instead of recursion, which a pattern of many
// '**' would make exponential.
bool matches(const std::vector<std::string>& pattern, const std::vector<std::string>& path)
{
  std::vector<char> reached(path.size() + 1, 0); // reached[n]: the pattern so far matches the first n components
  reached[0] = 1;
  for (const std::string& part : pattern) {
    std::vector<char> next(path.size() + 1, 0);
    bool any = false;
    for (size_t n = 0; n <= path.size(); ++n) {
      if (part == "**") {
        any = any || reached[n] != 0;
        next[n] = any;
      } else if (n > 0 && reached[n - 1] != 0) {
        next[n] = matches_component(part, path[n - 1]);
      }
    }
    reached = std::move(next);
  }
  for (size_t n = 1; n <= path.size(); ++n)
    if (reached[n] != 0) return true;
  return false;
}

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

Ignore::Ignore(std::string_view text)
{
  constexpr size_t most_patterns = 1000;
  while (!text.empty() && patterns_.size() < most_patterns) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    while (!line.empty() && (line.back() == ' ' || line.back() == '\t' || line.back() == '\r')) line.remove_suffix(1);
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
    if (line.empty() || line.front() == '#') continue;
    Pattern pattern;
    if (line.front() == '!') {
      pattern.takes_back = true;
      line.remove_prefix(1);
    }
    bool climbs = false;
    pattern.parts = split_path(clean_path(line, climbs));
    if (climbs || pattern.parts.empty()) continue;
    has_exceptions_ = has_exceptions_ || pattern.takes_back;
    patterns_.push_back(std::move(pattern));
  }
}

bool Ignore::covers(std::string_view path) const
{
  if (patterns_.empty()) return false;
  const auto parts = split_path(path);
  bool covered = false;
  for (const Pattern& pattern : patterns_)
    if (covered == pattern.takes_back && matches(pattern.parts, parts)) covered = !pattern.takes_back;
  return covered;
}

} // namespace conductor::image
