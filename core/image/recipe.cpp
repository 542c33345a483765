#include "core/image/recipe.h"

#include "core/base/error.h"
#include "core/base/nearest.h"
#include "core/container/spec.h"
#include "core/image/words.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace conductor::image {
namespace {

constexpr size_t most_instructions = 10'000;

bool is_blank(char c) { return c == ' ' || c == '\t'; }

std::string_view trim(std::string_view text)
{
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && (is_blank(text.back()) || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

std::string upper(std::string_view text)
{
  std::string out{text};
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return out;
}

bool same_word(std::string_view a, std::string_view b) { return upper(a) == upper(b); }

// A complaint about one instruction; parse_recipe() puts FILE:LINE in front.
Error wrong(const Instruction& instruction, const std::string& what, std::string hint = {})
{
  return Error{instruction.keyword + ": " + what, 0, std::move(hint)};
}

// ---- the shapes of what stands behind a keyword

void take_words(Instruction& instruction, char escape) { instruction.words = split_words(instruction.text, escape); }

// ["a", "b"] -> words. False when it is not a list of strings: then it is the shell's.
bool take_list(Instruction& instruction)
{
  const std::string& text = instruction.text;
  if (text.empty() || text.front() != '[') return false;
  const auto list = nlohmann::json::parse(text, nullptr, false);
  const bool strings =
      list.is_array() && std::all_of(list.begin(), list.end(), [](const auto& e) { return e.is_string(); });
  if (!strings) {
    // A shell could not make anything of ['a'], but a person means a list: say so instead of a strange error later.
    if (text.starts_with("['")) throw wrong(instruction, "the list is no JSON", "write double quotes: [\"a\", \"b\"]");
    return false;
  }
  for (const auto& element : list) {
    instruction.words.push_back(element.get<std::string>());
    if (instruction.words.back().find('\0') != std::string::npos)
      throw wrong(instruction, "a NUL character is not possible");
  }
  instruction.exec_form = true;
  return true;
}

void command(Instruction& instruction, char /*escape*/)
{
  if (instruction.text.empty()) throw wrong(instruction, "a command is missing");
  if (take_list(instruction)) {
    if (instruction.verb == Verb::run && instruction.words.empty()) throw wrong(instruction, "the list is empty");
    return;
  }
  if (instruction.text.starts_with("<<"))
    throw wrong(instruction, "this version does not build here-documents", "write the commands with && and \\");
}

void shell(Instruction& instruction, char /*escape*/)
{
  if (!take_list(instruction) || instruction.words.empty())
    throw wrong(instruction, "a JSON list is expected", R"(SHELL ["/bin/bash", "-c"])");
}

void from(Instruction& instruction, char escape)
{
  take_words(instruction, escape);
  const auto& words = instruction.words;
  const bool named = words.size() == 3 && same_word(words[1], "AS");
  if (words.size() != 1 && !named)
    throw wrong(instruction, "one image is expected", "FROM debian:bookworm, or FROM debian:bookworm AS name");
}

void copy(Instruction& instruction, char escape)
{
  if (instruction.text.starts_with("<<"))
    throw wrong(instruction, "this version does not build here-documents", "put the text into a file of the context");
  if (!take_list(instruction)) take_words(instruction, escape);
  if (instruction.words.size() < 2)
    throw wrong(instruction, "sources and a destination are expected", "COPY SOURCE... DESTINATION");
}

void one_value(Instruction& instruction, char /*escape*/)
{
  if (instruction.text.empty()) throw wrong(instruction, "a value is missing");
  instruction.words = {instruction.text};
}

void several_words(Instruction& instruction, char escape)
{
  if (!take_list(instruction)) take_words(instruction, escape);
  if (instruction.words.empty()) throw wrong(instruction, "a value is missing");
}

size_t find_equals(std::string_view word)
{
  // An '=' inside quotes belongs to the name, which then is wrong: it is found out after the expansion.
  return word.find('=');
}

// K=V K2="V 2", or the old form K V...
void assignments(Instruction& instruction, char escape)
{
  const auto words = split_words(instruction.text, escape);
  if (words.empty()) throw wrong(instruction, "NAME=VALUE is expected");
  if (find_equals(words.front()) == std::string::npos) {
    const std::string_view text = instruction.text;
    const std::string_view value = trim(text.substr(words.front().size()));
    if (value.empty()) throw wrong(instruction, "'" + visible(words.front()) + "' has no value", "NAME=VALUE");
    instruction.pairs.emplace_back(words.front(), std::string{value});
    return;
  }
  for (const std::string& word : words) {
    const size_t equals = find_equals(word);
    if (equals == 0 || equals == std::string::npos)
      throw wrong(instruction, "'" + visible(word) + "' is no NAME=VALUE",
                  "a value with blanks needs quotes: NAME=\"a b\"");
    instruction.pairs.emplace_back(word.substr(0, equals), word.substr(equals + 1));
  }
}

void arguments(Instruction& instruction, char escape)
{
  const auto words = split_words(instruction.text, escape);
  if (words.empty()) throw wrong(instruction, "a name is expected", "ARG NAME, or ARG NAME=DEFAULT");
  for (const std::string& word : words) {
    const size_t equals = find_equals(word);
    if (equals == 0) throw wrong(instruction, "'" + visible(word) + "' has no name");
    if (equals == std::string::npos)
      instruction.pairs.emplace_back(word, std::nullopt);
    else
      instruction.pairs.emplace_back(word.substr(0, equals), word.substr(equals + 1));
  }
}

// ---- the table

struct Row {
  const char* keyword;
  Verb verb;
  void (*parse)(Instruction&, char escape);
  const char* flags; // the ones it may have, between blanks
};
constexpr Row table[] = {
    {"ARG", Verb::arg, arguments, ""},
    {"CMD", Verb::cmd, command, ""},
    {"COPY", Verb::copy, copy, " chown chmod from link "},
    {"ENTRYPOINT", Verb::entrypoint, command, ""},
    {"ENV", Verb::env, assignments, ""},
    {"EXPOSE", Verb::expose, several_words, ""},
    {"FROM", Verb::from, from, ""},
    {"LABEL", Verb::label, assignments, ""},
    {"MAINTAINER", Verb::maintainer, one_value, ""},
    {"RUN", Verb::run, command, " network "},
    {"SHELL", Verb::shell, shell, ""},
    {"STOPSIGNAL", Verb::stopsignal, one_value, ""},
    {"USER", Verb::user, one_value, ""},
    {"VOLUME", Verb::volume, several_words, ""},
    {"WORKDIR", Verb::workdir, one_value, ""},
};

// What Dockerfiles know and this version does not build.
struct NotBuilt {
  const char* keyword;
  const char* instead;
};
constexpr NotBuilt not_built[] = {
    {"ADD", "COPY copies files and directories; unpack and fetch with RUN"},
    {"HEALTHCHECK", "leave it out: containers have no health state"},
    {"ONBUILD", "write the instruction into the file that builds on this image"},
};

const Row* find_row(std::string_view keyword)
{
  for (const Row& row : table)
    if (same_word(row.keyword, keyword)) return &row;
  return nullptr;
}

[[noreturn]] void refuse_keyword(std::string_view word)
{
  for (const NotBuilt& other : not_built)
    if (same_word(other.keyword, word))
      throw Error{"this version does not build " + std::string{other.keyword}, 0, other.instead};
  std::vector<std::string> known;
  std::string all;
  for (const Row& row : table) {
    known.emplace_back(row.keyword);
    all += (all.empty() ? "" : " ") + std::string{row.keyword};
  }
  const std::string near = nearest_hint(upper(word), known);
  throw Error{"unknown instruction '" + visible(word) + "'", 0, near.empty() ? "known are " + all : near};
}

// --name=value ... in front of the text.
void take_flags(Instruction& instruction, const Row& row)
{
  std::string_view text = instruction.text;
  while (text.starts_with("--")) {
    const std::string_view word = text.substr(0, std::min(text.find_first_of(" \t"), text.size()));
    const size_t equals = word.find('=');
    const std::string name{word.substr(2, equals == std::string_view::npos ? equals : equals - 2)};
    if (name.empty()) break; // "--" alone is text
    if (std::string_view{row.flags}.find(" " + name + " ") == std::string_view::npos)
      throw wrong(instruction, "this version does not know --" + visible(name));
    instruction.flags[name] = equals == std::string_view::npos ? "" : std::string{word.substr(equals + 1)};
    text = trim(text.substr(word.size()));
  }
  instruction.text = std::string{text};
}

Instruction parse_instruction(std::string_view logical, size_t line, char escape)
{
  const size_t end = std::min(logical.find_first_of(" \t"), logical.size());
  const std::string_view word = logical.substr(0, end);
  const Row* row = find_row(word);
  if (row == nullptr) refuse_keyword(word);
  Instruction instruction{.verb = row->verb, .keyword = row->keyword, .line = line};
  instruction.text = std::string{trim(logical.substr(end))};
  take_flags(instruction, *row);
  row->parse(instruction, escape);
  return instruction;
}

// ---- lines

// Gives physical lines, without their end.
class Lines {
public:
  explicit Lines(std::string_view text) : rest_(text) {}
  bool next(std::string_view& line)
  {
    if (rest_.empty()) return false;
    ++number_;
    const size_t end = std::min(rest_.find('\n'), rest_.size());
    line = rest_.substr(0, end);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    return true;
  }
  size_t number() const { return number_; }

private:
  std::string_view rest_;
  size_t number_ = 0;
};

// Does the line end in an escape (blanks behind it do not count)? Then `line` loses it.
bool continues(std::string_view& line, char escape)
{
  std::string_view end = line;
  while (!end.empty() && is_blank(end.back())) end.remove_suffix(1);
  if (end.empty() || end.back() != escape) return false;
  line = end.substr(0, end.size() - 1);
  return true;
}

bool is_comment(std::string_view line)
{
  const std::string_view text = trim(line);
  return !text.empty() && text.front() == '#';
}

// # escape=` at the very top, as the first comments.
char escape_directive(std::string_view text)
{
  Lines lines{text};
  std::string_view line;
  while (lines.next(line) && is_comment(line)) {
    const std::string_view directive = trim(trim(line).substr(1));
    const size_t equals = directive.find('=');
    if (equals == std::string_view::npos) break;
    if (!same_word(trim(directive.substr(0, equals)), "escape")) continue;
    const std::string_view value = trim(directive.substr(equals + 1));
    if (value == "\\" || value == "`") return value.front();
  }
  return '\\';
}

void add(Recipe& recipe, Instruction&& instruction)
{
  if (instruction.verb == Verb::from) {
    std::string name = instruction.words.size() == 3 ? instruction.words[2] : "";
    recipe.stages.push_back({std::move(name), std::move(instruction), {}});
  } else if (!recipe.stages.empty()) {
    recipe.stages.back().steps.push_back(std::move(instruction));
  } else if (instruction.verb == Verb::arg) {
    recipe.global.push_back(std::move(instruction));
  } else {
    throw Error{instruction.keyword + " stands before the first FROM", 0, "begin with FROM debian:bookworm"};
  }
}

} // namespace

Recipe parse_recipe(std::string_view text, const std::string& file)
{
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3); // a byte order mark
  Recipe recipe{.file = file, .escape = escape_directive(text)};
  Lines lines{text};
  std::string_view line;
  size_t first = 0, count = 0;
  try {
    while (lines.next(line)) {
      first = lines.number();
      if (trim(line).empty() || is_comment(line)) continue;
      std::string logical;
      bool more = continues(line, recipe.escape);
      logical += line;
      while (more && lines.next(line)) {
        if (trim(line).empty() || is_comment(line)) continue;
        more = continues(line, recipe.escape);
        logical += line;
      }
      if (logical.find('\0') != std::string::npos)
        throw Error{"a NUL character is not possible", 0, "is this a text file?"};
      if (++count > most_instructions) throw Error{"more than " + std::to_string(most_instructions) + " instructions"};
      if (trim(logical).empty()) continue;
      add(recipe, parse_instruction(trim(logical), first, recipe.escape));
    }
  } catch (const Error& error) {
    throw error.within(file + ":" + std::to_string(first));
  }
  if (recipe.stages.empty()) throw Error{file + ": there is no FROM", 0, "begin with FROM debian:bookworm"};
  return recipe;
}

std::string place(const Recipe& recipe, const Instruction& instruction)
{
  return recipe.file + ":" + std::to_string(instruction.line);
}

std::string title(const Instruction& instruction, size_t most)
{
  std::string all = instruction.keyword;
  for (const auto& [name, value] : instruction.flags) all += " --" + name + (value.empty() ? "" : "=" + value);
  return visible(all + " " + instruction.text, most);
}

} // namespace conductor::image
