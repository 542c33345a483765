// .conductorignore and .dockerignore: which files of a context a COPY does not see. Pure.
//
// Patterns are those of .dockerignore: relative to the context, '*', '?' and [...] within one component, '**' for any
// number of them, '\\' escapes, '!' takes back; the last one that matches decides; a directory stands for all below it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace conductor::image {

class Ignore {
public:
  Ignore() = default;
  explicit Ignore(std::string_view text);
  // The same of patterns that stand alone (--exclude).
  explicit Ignore(const std::vector<std::string>& patterns);
  // path: relative to the context, without a leading '/'.
  bool covers(std::string_view path) const;
  // May something below an ignored directory be taken back? If not, nobody needs to look into it.
  bool has_exceptions() const { return has_exceptions_; }
  bool empty() const { return patterns_.empty(); }

private:
  struct Part {
    // rest: any bytes; within: any but '/'; folders: nothing, or any bytes up to a '/'
    enum class Kind : char { literal, one, within, rest, folders, set } kind = Kind::literal;
    char c = 0;
    std::string set; // of the kind set: pairs "az", each a range
    bool negated = false;
    bool matches(char byte) const;
  };
  struct Pattern {
    std::vector<Part> parts;
    bool takes_back = false;
  };
  void add(std::string_view line);
  static std::vector<Part> parse(std::string_view pattern);
  static bool matches(const std::vector<Part>& pattern, std::string_view path);
  std::vector<Pattern> patterns_;
  bool has_exceptions_ = false;
};

// "a/b/../c/" -> "a/c"; "" for the top. Sets `climbs` when it leaves the top.
std::string clean_path(std::string_view path, bool& climbs);
std::vector<std::string> split_path(std::string_view path);
// One component against a pattern with * ? [...]; the wildcards match a leading dot too.
bool matches_component(const std::string& pattern, const std::string& name);
bool has_wildcard(std::string_view text);

} // namespace conductor::image
