#include "core/image/registry/challenge.h"

#include "core/base/error.h"
#include "core/container/spec.h"

#include <algorithm>

namespace conductor::image::registry {
namespace {

constexpr size_t longest_header = 8192;

// RFC 9110, 5.6.2.
bool is_token_character(char c)
{
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view{"!#$%&'*+-.^_`|~"}.find(c) != std::string_view::npos;
}

class Reader {
public:
  explicit Reader(std::string_view header) : whole_(header), rest_(header) {}

  std::vector<Challenge> challenges()
  {
    std::vector<Challenge> found;
    for (skip_commas(); !rest_.empty(); skip_commas()) found.push_back(challenge());
    return found;
  }

private:
  [[noreturn]] void refuse(const char* why) const
  {
    throw Error{std::string{"the registry asks for authentication in a way that cannot be understood: "} + why +
                " in '" + visible(whole_, 200) + "'"};
  }

  void skip_spaces()
  {
    while (rest_.starts_with(' ') || rest_.starts_with('\t')) rest_.remove_prefix(1);
  }

  void skip_commas()
  {
    for (skip_spaces(); rest_.starts_with(','); skip_spaces()) rest_.remove_prefix(1);
  }

  std::string token()
  {
    size_t length = 0;
    while (length < rest_.size() && is_token_character(rest_[length])) ++length;
    if (length == 0) refuse("a word is missing");
    std::string text{rest_.substr(0, length)};
    rest_.remove_prefix(length);
    return text;
  }

  static std::string lowered(std::string text)
  {
    for (char& c : text)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return text;
  }

  std::string quoted_string()
  {
    std::string text;
    for (rest_.remove_prefix(1); !rest_.starts_with('"'); rest_.remove_prefix(1)) {
      if (rest_.starts_with('\\')) rest_.remove_prefix(1);
      if (rest_.empty()) refuse("a quotation has no end");
      const char c = rest_.front();
      if ((c < ' ' && c != '\t') || c == '\x7f') refuse("a control character");
      text += c;
    }
    rest_.remove_prefix(1);
    return text;
  }

  // Is what comes next NAME=..., a further parameter, and not the word of a further challenge?
  bool at_parameter() const
  {
    size_t at = 0;
    while (at < rest_.size() && is_token_character(rest_[at])) ++at;
    const bool has_name = at > 0;
    while (at < rest_.size() && (rest_[at] == ' ' || rest_[at] == '\t')) ++at;
    return has_name && at < rest_.size() && rest_[at] == '=';
  }

  Challenge challenge()
  {
    Challenge found{.scheme = lowered(token()), .parameters = {}};
    skip_spaces();
    while (at_parameter()) {
      const std::string name = lowered(token());
      skip_spaces();
      rest_.remove_prefix(1); // '='
      skip_spaces();
      std::string value = rest_.starts_with('"') ? quoted_string() : token();
      if (!found.parameters.emplace(name, std::move(value)).second) refuse("a parameter that stands there twice");
      skip_spaces();
      if (!rest_.empty() && !rest_.starts_with(',')) refuse("something behind a parameter");
      skip_commas();
    }
    return found;
  }

  std::string_view whole_, rest_;
};

} // namespace

std::vector<Challenge> parse_challenges(std::string_view header)
{
  if (header.size() > longest_header) throw Error{"the registry asks for authentication with more than 8 KiB of text"};
  return Reader{header}.challenges();
}

} // namespace conductor::image::registry
