#include "core/image/words.h"

#include "core/base/error.h"
#include "core/container/spec.h"

#include <cstdint>

namespace conductor::image {
namespace {

constexpr size_t longest_result = 1 << 20;
constexpr int deepest = 20;                    // of ${A:-${B:-...}}
constexpr uint64_t most_comparisons = 1 << 27; // of a pattern with a value: # % /

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool begins_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool continues_name(char c) { return begins_name(c) || is_digit(c); }
// A shell's own variables, each of one character. They are known here, and never set.
bool is_special(char c) { return std::string_view{"@*#?-$!"}.find(c) != std::string_view::npos; }

// ---- patterns of ${X#p} ${X%p} ${X/p/r}: * ? and escapes

struct Glob {
  enum class Kind : char { literal, one, any };
  struct Part {
    Kind kind;
    char c;
  };
  std::vector<Part> parts;

  Glob(std::string_view pattern, char escape)
  {
    for (size_t i = 0; i < pattern.size(); ++i) {
      const char c = pattern[i];
      if (c == escape && i + 1 < pattern.size())
        parts.push_back({Kind::literal, pattern[++i]});
      else
        parts.push_back({c == '*' ? Kind::any : (c == '?' ? Kind::one : Kind::literal), c});
    }
  }

  // lengths[n]: the pattern matches the first n bytes of the text, all of them for each pattern.
  std::vector<char> prefixes(std::string_view text) const
  {
    std::vector<char> reached(text.size() + 1, 0);
    reached[0] = 1;
    for (const Part& part : parts) {
      std::vector<char> next(text.size() + 1, 0);
      bool any = false;
      for (size_t n = 0; n <= text.size(); ++n) {
        any = any || reached[n] != 0;
        if (part.kind == Kind::any)
          next[n] = any;
        else if (n > 0 && reached[n - 1] != 0)
          next[n] = part.kind == Kind::one || text[n - 1] == part.c;
      }
      reached = std::move(next);
    }
    return reached;
  }

  std::optional<size_t> prefix(std::string_view text, bool longest) const
  {
    const auto reached = prefixes(text);
    std::optional<size_t> found;
    for (size_t n = 0; n < reached.size(); ++n) {
      if (reached[n] == 0) continue;
      found = n;
      if (!longest) break;
    }
    return found;
  }

  std::optional<size_t> suffix(std::string_view text, bool longest) const
  {
    std::optional<size_t> found; // where it begins
    for (size_t step = 0; step <= text.size(); ++step) {
      const size_t begin = longest ? step : text.size() - step;
      const std::string_view tail = text.substr(begin);
      if (prefixes(tail)[tail.size()] != 0) return begin;
    }
    return found;
  }
};

std::string replaced(const Glob& glob, std::string_view text, std::string_view by, bool all)
{
  std::string out;
  bool going = !glob.parts.empty();
  for (size_t at = 0; at < text.size();) {
    const size_t length = going ? glob.prefix(text.substr(at), true).value_or(0) : 0;
    if (length == 0) {
      out += text[at++];
      continue;
    }
    out += by;
    at += length;
    going = all;
    if (out.size() > longest_result) throw Error{"a value grows beyond 1 MiB"};
  }
  return out;
}

// ---- one run over one word

class Expander {
public:
  Expander(std::string_view text, const Variables& variables, char escape, bool quotes)
      : rest_(text), variables_(variables), escape_(escape), quotes_(quotes)
  {}

  std::string run() { return until('\0', false); }

private:
  char take()
  {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }

  static void add(std::string& out, std::string_view text)
  {
    if (out.size() + text.size() > longest_result) throw Error{"a value grows beyond 1 MiB"};
    out += text;
  }

  // Up to the stop, which is taken; '\0': to the end. raw: escapes stay, for patterns.
  std::string until(char stop, bool raw)
  {
    std::string out;
    while (!rest_.empty()) {
      const char c = take();
      if (stop != '\0' && c == stop) return out;
      if (c == '\'' && quotes_)
        add(out, literal());
      else if (c == '"' && quotes_)
        double_quoted(out);
      else if (c == '$')
        add(out, variable());
      else if (c == escape_)
        escaped(out, raw);
      else
        add(out, {&c, 1});
    }
    if (stop != '\0') throw Error{"'${' is not closed"};
    return out;
  }

  // An escape at the very end has nothing to protect, and is dropped.
  void escaped(std::string& out, bool raw)
  {
    if (raw) add(out, {&escape_, 1});
    if (rest_.empty()) return;
    const char next = take();
    add(out, {&next, 1});
  }

  std::string_view literal()
  {
    const size_t end = rest_.find('\'');
    if (end == std::string_view::npos) throw Error{"a single quote is not closed"};
    const std::string_view inside = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return inside;
  }

  // Between double quotes only these lose their escape: "a\nb" keeps its backslash, as in a shell.
  void double_quoted(std::string& out)
  {
    while (!rest_.empty()) {
      char c = take();
      if (c == '"') return;
      if (c == '$') {
        add(out, variable());
        continue;
      }
      if (c == escape_) {
        if (rest_.empty()) break;
        const char next = rest_.front();
        if (next == '"' || next == '$' || next == escape_) c = take();
      }
      add(out, {&c, 1});
    }
    throw Error{"a double quote is not closed"};
  }

  std::string variable()
  {
    if (!rest_.empty() && rest_.front() == '{') {
      take();
      if (++depth_ > deepest) throw Error{"variables are nested more than " + std::to_string(deepest) + " deep"};
      std::string value = braced();
      --depth_;
      return value;
    }
    const std::string_view name = take_name();
    if (name.empty()) return "$";
    return value_of(variables_, name).value_or("");
  }

  std::string_view take_name()
  {
    size_t length = 0;
    if (!rest_.empty() && is_digit(rest_.front()))
      while (length < rest_.size() && is_digit(rest_[length])) ++length;
    else if (!rest_.empty() && is_special(rest_.front()))
      length = 1;
    else
      while (length < rest_.size() && continues_name(rest_[length])) ++length;
    const std::string_view name = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return name;
  }

  std::string braced()
  {
    const std::string name{take_name()};
    if (name.empty()) throw Error{"'${' is not followed by the name of a variable"};
    if (rest_.empty()) throw Error{"'${' is not closed"};
    const auto value = value_of(variables_, name);
    char kind = take();
    if (kind == '}') return value.value_or("");
    // With the colon an empty value counts as none.
    const bool colon = kind == ':';
    if (colon && !rest_.empty()) kind = take();
    const bool there = value && !(colon && value->empty());
    if (kind == '-' || kind == '+' || kind == '?') {
      std::string word = until('}', false);
      if (kind == '-') return there ? *value : word;
      if (kind == '+') return there ? word : "";
      if (!there) throw Error{name + ": " + (word.empty() ? "is not set" : visible(word))};
      return *value;
    }
    if (!colon && (kind == '#' || kind == '%')) return trimmed(kind, value.value_or(""));
    if (!colon && kind == '/') return substituted(value.value_or(""));
    throw Error{"'${" + name + (colon ? ":" : "") + visible(std::string{kind}) + "' is not understood", 0,
                "${NAME}, ${NAME:-default}, ${NAME:+other}, ${NAME#pattern}, ${NAME%pattern} and "
                "${NAME/pattern/other} are possible"};
  }

  void check_cost(const std::string& value, const std::string& pattern) const
  {
    const uint64_t length = value.size() + 1;
    if (length * length * (pattern.size() + 1) > most_comparisons)
      throw Error{"a value of " + std::to_string(value.size()) + " bytes is too long for a pattern"};
  }

  std::string trimmed(char kind, const std::string& value)
  {
    std::string pattern = until('}', true);
    const bool longest = !pattern.empty() && pattern.front() == kind;
    if (longest) pattern.erase(0, 1);
    check_cost(value, pattern);
    const Glob glob{pattern, escape_};
    if (kind == '#') {
      const auto length = glob.prefix(value, longest);
      return length ? value.substr(*length) : value;
    }
    const auto begin = glob.suffix(value, longest);
    return begin ? value.substr(0, *begin) : value;
  }

  std::string substituted(const std::string& value)
  {
    const bool all = !rest_.empty() && rest_.front() == '/';
    if (all) take();
    const std::string pattern = until('/', true);
    const std::string by = until('}', false);
    check_cost(value, pattern);
    std::string out;
    add(out, replaced(Glob{pattern, escape_}, value, by, all));
    return out;
  }

  std::string_view rest_;
  const Variables& variables_;
  char escape_;
  bool quotes_;
  int depth_ = 0;
};

} // namespace

std::optional<std::string> value_of(const Variables& variables, std::string_view name)
{
  for (auto it = variables.rbegin(); it != variables.rend(); ++it)
    if (it->size() > name.size() && it->starts_with(name) && (*it)[name.size()] == '=')
      return it->substr(name.size() + 1);
  return std::nullopt;
}

void set_variable(Variables& variables, std::string_view name, std::string_view value)
{
  std::string whole = std::string{name} + "=" + std::string{value};
  for (std::string& variable : variables) {
    if (variable.size() > name.size() && variable.starts_with(name) && variable[name.size()] == '=') {
      variable = std::move(whole);
      return;
    }
  }
  variables.push_back(std::move(whole));
}

std::vector<std::string> split_words(std::string_view text, char escape)
{
  std::vector<std::string> words;
  std::string word;
  char quote = '\0';
  bool in_word = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote == '\0' && is_blank(c)) {
      if (in_word) words.push_back(std::move(word));
      word.clear();
      in_word = false;
      continue;
    }
    in_word = true;
    word += c;
    if (c == escape && quote != '\'' && i + 1 < text.size()) {
      word += text[++i];
    } else if (quote == c) {
      quote = '\0';
    } else if (quote == '\0' && (c == '"' || c == '\'')) {
      quote = c;
    }
  }
  if (quote != '\0') throw Error{std::string{"a "} + (quote == '"' ? "double" : "single") + " quote is not closed"};
  if (in_word) words.push_back(std::move(word));
  return words;
}

std::string expand(std::string_view word, const Variables& variables, char escape)
{
  return Expander{word, variables, escape, true}.run();
}

std::string expand_text(std::string_view text, const Variables& variables, char escape)
{
  return Expander{text, variables, escape, false}.run();
}

std::string without_quotes(std::string_view word, char escape)
{
  std::string out;
  char quote = '\0';
  for (size_t i = 0; i < word.size(); ++i) {
    const char c = word[i];
    const char next = i + 1 < word.size() ? word[i + 1] : '\0';
    if (quote == '\0' && (c == '"' || c == '\'')) {
      quote = c;
    } else if (c == quote) {
      quote = '\0';
    } else if (c == escape && quote != '\'' && (quote == '\0' || next == '"' || next == '$' || next == escape)) {
      if (next != '\0') out += next;
      ++i;
    } else {
      out += c;
    }
  }
  return out;
}

} // namespace conductor::image
