#include "core/image/words.h"

#include "core/base/error.h"

namespace conductor::image {
namespace {

constexpr size_t longest_result = 1 << 20;
constexpr int deepest = 20; // of ${A:-${B:-...}}

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool begins_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool continues_name(char c) { return begins_name(c) || (c >= '0' && c <= '9'); }

// One run over one word.
class Expander {
public:
  Expander(std::string_view word, const Variables& variables, char escape, int depth)
      : rest_(word), variables_(variables), escape_(escape), depth_(depth)
  {}

  std::string run()
  {
    if (depth_ > deepest) throw Error{"variables are nested more than " + std::to_string(deepest) + " deep"};
    while (!rest_.empty()) {
      const char c = take();
      if (c == '\'' && !in_double_)
        literal();
      else if (c == '"')
        in_double_ = !in_double_;
      else if (c == escape_)
        escaped();
      else if (c == '$')
        variable();
      else
        add({&c, 1});
    }
    if (in_double_) throw Error{"a double quote is not closed"};
    return std::move(out_);
  }

private:
  char take()
  {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }

  void add(std::string_view text)
  {
    if (out_.size() + text.size() > longest_result) throw Error{"a value grows beyond 1 MiB"};
    out_ += text;
  }

  void literal()
  {
    const size_t end = rest_.find('\'');
    if (end == std::string_view::npos) throw Error{"a single quote is not closed"};
    add(rest_.substr(0, end));
    rest_.remove_prefix(end + 1);
  }

  // Between double quotes only these lose their escape: "a\nb" keeps its backslash, as in a shell.
  void escaped()
  {
    if (rest_.empty()) return add({&escape_, 1});
    const char next = rest_.front();
    if (in_double_ && next != '"' && next != '$' && next != escape_) return add({&escape_, 1});
    take();
    add({&next, 1});
  }

  void variable()
  {
    if (!rest_.empty() && rest_.front() == '{') {
      take();
      return braced();
    }
    const std::string_view name = take_name();
    if (name.empty()) return add("$");
    add(value_of(variables_, name).value_or(""));
  }

  std::string_view take_name()
  {
    size_t length = 0;
    if (!rest_.empty() && begins_name(rest_.front()))
      while (length < rest_.size() && continues_name(rest_[length])) ++length;
    const std::string_view name = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return name;
  }

  void braced()
  {
    const std::string_view name = take_name();
    if (name.empty()) throw Error{"'${' is not followed by the name of a variable"};
    const std::string_view inside = take_braces();
    const auto value = value_of(variables_, name);
    if (inside.empty()) return add(value.value_or(""));
    const bool colon = inside.front() == ':';
    const char kind = inside.size() > (colon ? 1 : 0) ? inside[colon ? 1 : 0] : '\0';
    const std::string_view word = inside.substr(std::min<size_t>(inside.size(), colon ? 2 : 1));
    // With the colon an empty value counts as none.
    const bool there = value && !(colon && value->empty());
    const auto other = [&] { return Expander{word, variables_, escape_, depth_ + 1}.run(); };
    if (kind == '-') return add(there ? *value : other());
    if (kind == '+') return add(there ? other() : "");
    if (kind != '?')
      throw Error{"'${" + std::string{name} + std::string{inside} + "}' is not understood", 0,
                  "${NAME}, ${NAME:-default} and ${NAME:+other} are possible"};
    if (!there) throw Error{std::string{name} + ": " + (word.empty() ? "is not set" : other())};
    add(*value);
  }

  // Up to the brace that closes this one.
  std::string_view take_braces()
  {
    int open = 1;
    for (size_t i = 0; i < rest_.size(); ++i) {
      if (rest_[i] == escape_) {
        ++i;
        continue;
      }
      if (rest_[i] == '{' && i > 0 && rest_[i - 1] == '$') ++open;
      if (rest_[i] != '}' || --open > 0) continue;
      const std::string_view inside = rest_.substr(0, i);
      rest_.remove_prefix(i + 1);
      return inside;
    }
    throw Error{"'${' is not closed"};
  }

  std::string_view rest_;
  const Variables& variables_;
  char escape_;
  int depth_;
  bool in_double_ = false;
  std::string out_;
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
  return Expander{word, variables, escape, 0}.run();
}

} // namespace conductor::image
