#include "core/image/recipe.h"

#include "core/base/error.h"
#include "core/base/nearest.h"
#include "core/container/spec.h"
#include "core/image/health.h"
#include "core/image/values.h"
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

// ["a", "b"] -> words. False when it is not a list of strings: then it is the shell's, as Docker has it.
bool take_list(Instruction& instruction)
{
  const std::string& text = instruction.text;
  if (text.empty() || text.front() != '[') return false;
  const auto list = nlohmann::json::parse(text, nullptr, false);
  const bool strings =
      list.is_array() && std::all_of(list.begin(), list.end(), [](const auto& e) { return e.is_string(); });
  if (!strings) return false;
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
  if (take_list(instruction) && instruction.verb == Verb::run && instruction.words.empty())
    throw wrong(instruction, "the list is empty");
}

void health(Instruction& instruction, char /*escape*/)
{
  try {
    parse_health_check(instruction);
  } catch (const Error& error) {
    throw error.within(instruction.keyword);
  }
}

void trigger(Instruction& instruction, char escape)
{
  if (instruction.text.empty()) throw wrong(instruction, "an instruction is missing", "ONBUILD RUN make");
  const std::string_view word = std::string_view{instruction.text}.substr(0, instruction.text.find_first_of(" \t"));
  for (const char* keyword : {"ONBUILD", "FROM", "MAINTAINER"})
    if (same_word(word, keyword)) throw wrong(instruction, std::string{keyword} + " cannot be a trigger");
  parse_trigger(instruction.text, escape);
}

void shell(Instruction& instruction, char /*escape*/)
{
  if (!take_list(instruction) || instruction.words.empty())
    throw wrong(instruction, "a JSON list is expected", R"(SHELL ["/bin/bash", "-c"])");
}

// A stage's name is used where images are named too.
bool is_stage_name(std::string_view name)
{
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return !name.empty() && letter(name.front()) && std::all_of(name.begin(), name.end(), [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

void from(Instruction& instruction, char escape)
{
  take_words(instruction, escape);
  const auto& words = instruction.words;
  const bool named = words.size() == 3 && same_word(words[1], "AS");
  if (words.size() != 1 && !named)
    throw wrong(instruction, "one image is expected", "FROM debian:bookworm, or FROM debian:bookworm AS name");
  if (named && !is_stage_name(words[2]))
    throw wrong(instruction, "'" + visible(words[2]) + "' is no name of a stage",
                "a letter, then letters, digits, '-', '_' and '.'");
}

void copy(Instruction& instruction, char escape)
{
  if (!take_list(instruction)) take_words(instruction, escape);
  if (instruction.words.size() < 2)
    throw wrong(instruction, "sources and a destination are expected", instruction.keyword + " SOURCE... DESTINATION");
}

void one_value(Instruction& instruction, char /*escape*/)
{
  if (instruction.text.empty()) throw wrong(instruction, "a value is missing");
  instruction.words = {instruction.text};
}

void several_words(Instruction& instruction, char escape)
{
  if (instruction.verb != Verb::volume || !take_list(instruction)) take_words(instruction, escape);
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
    {"ADD", Verb::add, copy, " chown chmod checksum exclude link keep-git-dir unpack "},
    {"ARG", Verb::arg, arguments, ""},
    {"CMD", Verb::cmd, command, ""},
    {"COPY", Verb::copy, copy, " from chown chmod exclude parents link "},
    {"ENTRYPOINT", Verb::entrypoint, command, ""},
    {"ENV", Verb::env, assignments, ""},
    {"EXPOSE", Verb::expose, several_words, ""},
    {"FROM", Verb::from, from, " platform "},
    {"HEALTHCHECK", Verb::healthcheck, health, " interval timeout start-period start-interval retries "},
    {"LABEL", Verb::label, assignments, ""},
    {"MAINTAINER", Verb::maintainer, one_value, ""},
    {"ONBUILD", Verb::onbuild, trigger, ""},
    {"RUN", Verb::run, command, " mount network "},
    {"SHELL", Verb::shell, shell, ""},
    {"STOPSIGNAL", Verb::stopsignal, one_value, ""},
    {"USER", Verb::user, one_value, ""},
    {"VOLUME", Verb::volume, several_words, ""},
    {"WORKDIR", Verb::workdir, one_value, ""},
};

// Flags that may stand there several times.
constexpr std::string_view repeated_flags[] = {"mount", "exclude"};

// What Dockerfiles know and this program does not do, on purpose.
struct Refused {
  const char* keyword;
  const char* flag;
  const char* why;
};
constexpr Refused refused_flags[] = {
    {"RUN", "security", "a step never gets more rights than a container has by default"},
    {"RUN", "device", "a step has no devices of the host"},
    {"ADD", "keep-git-dir", "git repositories are not fetched: COPY a checked-out one"},
};

const Row* find_row(std::string_view keyword)
{
  for (const Row& row : table)
    if (same_word(row.keyword, keyword)) return &row;
  return nullptr;
}

[[noreturn]] void refuse_keyword(std::string_view word)
{
  std::vector<std::string> known;
  std::string all;
  for (const Row& row : table) {
    known.emplace_back(row.keyword);
    all += (all.empty() ? "" : " ") + std::string{row.keyword};
  }
  const std::string near = nearest_hint(upper(word), known);
  throw Error{"unknown instruction '" + visible(word) + "'", 0, near.empty() ? "known are " + all : near};
}

[[noreturn]] void refuse_flag(const Instruction& instruction, const Row& row, const std::string& name)
{
  std::vector<std::string> known;
  std::string all;
  for (std::string_view rest = row.flags; rest.find_first_not_of(' ') != std::string_view::npos;) {
    rest.remove_prefix(rest.find_first_not_of(' '));
    const std::string word = "--" + std::string{rest.substr(0, rest.find(' '))};
    rest.remove_prefix(word.size() - 2);
    known.push_back(word);
    all += " " + word;
  }
  const std::string near = nearest_hint("--" + name, known);
  throw wrong(instruction, "there is no --" + visible(name),
              !near.empty() ? near : (all.empty() ? instruction.keyword + " has no flags" : "it knows" + all));
}

// The first word of a flag, as the shell would see it: quotes and escapes are taken away, blanks in them stay.
std::string take_flag_word(std::string_view& text, char escape)
{
  char quote = '\0';
  size_t end = 0;
  for (; end < text.size() && (quote != '\0' || !is_blank(text[end])); ++end) {
    const char c = text[end];
    if (c == escape && end + 1 < text.size())
      ++end;
    else if (quote == c)
      quote = '\0';
    else if (quote == '\0' && (c == '"' || c == '\''))
      quote = c;
  }
  std::string word = without_quotes(text.substr(0, end), escape);
  text = trim(text.substr(end));
  return word;
}

// --name=value ... in front of the text.
void take_flags(Instruction& instruction, const Row& row, char escape)
{
  std::string_view text = instruction.text;
  while (text.starts_with("--") && text.size() > 2 && !is_blank(text[2])) {
    const std::string word = take_flag_word(text, escape);
    const size_t equals = word.find('=');
    const std::string name{word.substr(2, equals == std::string::npos ? equals : equals - 2)};
    for (const Refused& refused : refused_flags)
      if (refused.keyword == instruction.keyword && refused.flag == name)
        throw wrong(instruction, "--" + name + " is not possible: " + refused.why);
    if (name.empty() || std::string_view{row.flags}.find(" " + name + " ") == std::string_view::npos)
      refuse_flag(instruction, row, name);
    const bool repeats =
        std::find(std::begin(repeated_flags), std::end(repeated_flags), name) != std::end(repeated_flags);
    if (!repeats && flag(instruction, name)) throw wrong(instruction, "--" + name + " stands there twice");
    instruction.flags.emplace_back(name, equals == std::string::npos ? "" : word.substr(equals + 1));
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
  take_flags(instruction, *row, escape);
  row->parse(instruction, escape);
  check_values(instruction, escape);
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
    raw_ = rest_.substr(0, std::min(end + 1, rest_.size()));
    rest_.remove_prefix(raw_.size());
    return true;
  }
  // The last line with its end.
  std::string_view raw() const { return raw_; }
  size_t number() const { return number_; }

private:
  std::string_view rest_, raw_;
  size_t number_ = 0;
};

// Does the line end in an escape (blanks behind it do not count) that is not escaped itself? Then `line` loses it.
bool continues(std::string_view& line, char escape)
{
  std::string_view end = line;
  while (!end.empty() && is_blank(end.back())) end.remove_suffix(1);
  if (end.empty() || end.back() != escape) return false;
  if (end.size() > 1 && end[end.size() - 2] == escape) return false;
  line = end.substr(0, end.size() - 1);
  return true;
}

bool is_comment(std::string_view line)
{
  const std::string_view text = trim(line);
  return !text.empty() && text.front() == '#';
}

// # escape=` at the very top, among directives that are passed over (syntax names a program of Docker's, check its
// linter). The first line that is none ends them.
char escape_directive(std::string_view text)
{
  char escape = '\\';
  bool seen = false;
  Lines lines{text};
  std::string_view line;
  while (lines.next(line) && is_comment(line)) {
    const std::string_view directive = trim(trim(line).substr(1));
    const size_t equals = directive.find('=');
    if (equals == std::string_view::npos) break;
    const std::string_view name = trim(directive.substr(0, equals)), value = trim(directive.substr(equals + 1));
    if (same_word(name, "syntax") || same_word(name, "check")) continue;
    if (!same_word(name, "escape")) break;
    if (seen) throw Error{"the directive 'escape' stands there twice"};
    if (value != "\\" && value != "`")
      throw Error{"the directive 'escape' cannot be '" + visible(value) + "'", 0, "# escape=\\ or # escape=`"};
    escape = value.front();
    seen = true;
  }
  return escape;
}

// ---- here-documents

// <<NAME, <<-NAME, 3<<NAME, the name perhaps quoted. None for other words.
std::optional<Heredoc> heredoc_of(std::string_view word, char escape)
{
  const size_t digits = std::min(word.find_first_not_of("0123456789"), word.size());
  word.remove_prefix(digits);
  if (!word.starts_with("<<")) return std::nullopt;
  word.remove_prefix(2);
  Heredoc heredoc;
  if (word.starts_with('-')) {
    heredoc.chomp = true;
    word.remove_prefix(1);
  }
  if (word.empty() || word.find('<') != std::string_view::npos) return std::nullopt;
  heredoc.name = without_quotes(word, escape);
  heredoc.expand = heredoc.name == word;
  if (heredoc.name.empty()) return std::nullopt;
  return heredoc;
}

bool may_have_heredocs(const Instruction& instruction)
{
  const bool verb = instruction.verb == Verb::run || instruction.verb == Verb::copy || instruction.verb == Verb::add;
  return verb && !instruction.exec_form && instruction.text.find("<<") != std::string::npos;
}

void take_heredoc(Heredoc& heredoc, Lines& lines)
{
  std::string_view line;
  while (lines.next(line)) {
    std::string_view end = line;
    while (heredoc.chomp && end.starts_with('\t')) end.remove_prefix(1);
    if (end == heredoc.name) return;
    if (line.find('\0') != std::string_view::npos)
      throw Error{"a NUL character is not possible", 0, "is this a text file?"};
    heredoc.content += lines.raw();
  }
  throw Error{"the here-document <<" + visible(heredoc.name) + " is not closed", 0,
              "a line that is just " + visible(heredoc.name) + " ends it"};
}

void take_heredocs(Instruction& instruction, Lines& lines, char escape)
{
  if (!may_have_heredocs(instruction)) return;
  std::vector<std::string> words;
  try {
    words = split_words(instruction.text, escape);
  } catch (const Error&) {
    return; // a quote that is not closed is the shell's matter
  }
  for (size_t at = 0; at < words.size(); ++at) {
    auto heredoc = heredoc_of(words[at], escape);
    if (!heredoc) continue;
    heredoc->word = at;
    take_heredoc(*heredoc, lines);
    instruction.heredocs.push_back(std::move(*heredoc));
  }
  if (instruction.verb == Verb::run || instruction.heredocs.empty()) return;
  if (heredoc_of(instruction.words.back(), escape))
    throw wrong(instruction, "a here-document cannot be the destination");
  for (const Heredoc& heredoc : instruction.heredocs)
    if (heredoc.name.find('/') != std::string::npos || heredoc.name == "." || heredoc.name == "..")
      throw wrong(instruction, "'" + visible(heredoc.name) + "' is no name of a file", "COPY <<EOF /path");
}

// A trigger is kept with its here-documents.
void keep_with_heredocs(Instruction& trigger, Lines& lines, char escape)
{
  if (trigger.verb != Verb::onbuild) return;
  Instruction inner = parse_trigger(trigger.text, escape);
  take_heredocs(inner, lines, escape);
  for (const Heredoc& heredoc : inner.heredocs) trigger.text += "\n" + heredoc.content + heredoc.name;
}

void warn(Recipe& recipe, const Instruction& instruction)
{
  const bool may_be_list = instruction.verb == Verb::run || instruction.verb == Verb::cmd ||
                           instruction.verb == Verb::entrypoint || instruction.verb == Verb::volume;
  if (may_be_list && !instruction.exec_form && instruction.text.starts_with("['"))
    recipe.warnings.push_back(place(recipe, instruction) + ": " + instruction.keyword +
                              ": the list is no JSON, so a shell gets it; write double quotes: [\"a\", \"b\"]");
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
  Recipe recipe{.file = file};
  Lines lines{text};
  std::string_view line;
  size_t first = 1, count = 0;
  try {
    recipe.escape = escape_directive(text);
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
      Instruction instruction = parse_instruction(trim(logical), first, recipe.escape);
      take_heredocs(instruction, lines, recipe.escape);
      keep_with_heredocs(instruction, lines, recipe.escape);
      warn(recipe, instruction);
      add(recipe, std::move(instruction));
    }
  } catch (const Error& error) {
    throw error.within(file + ":" + std::to_string(first));
  }
  if (recipe.stages.empty()) throw Error{file + ": there is no FROM", 0, "begin with FROM debian:bookworm"};
  check_names(recipe);
  return recipe;
}

Instruction parse_trigger(std::string_view text, char escape)
{
  Lines lines{text};
  std::string_view line;
  if (!lines.next(line)) throw Error{"an instruction is missing"};
  Instruction instruction = parse_instruction(trim(line), 1, escape);
  // Without a second line it is the first half of the file's: keep_with_heredocs() reads on.
  if (text.find('\n') != std::string_view::npos) take_heredocs(instruction, lines, escape);
  return instruction;
}

std::string chomped(const Heredoc& heredoc)
{
  if (!heredoc.chomp) return heredoc.content;
  std::string out;
  bool begins = true;
  for (const char c : heredoc.content) {
    if (begins && c == '\t') continue;
    begins = c == '\n';
    out += c;
  }
  return out;
}

std::optional<std::string> flag(const Instruction& instruction, std::string_view name)
{
  for (const auto& [key, value] : instruction.flags)
    if (key == name) return value;
  return std::nullopt;
}

std::vector<std::string> flags(const Instruction& instruction, std::string_view name)
{
  std::vector<std::string> values;
  for (const auto& [key, value] : instruction.flags)
    if (key == name) values.push_back(value);
  return values;
}

std::optional<size_t> find_stage(const Recipe& recipe, std::string_view name, size_t before)
{
  for (size_t at = 0; at < before; ++at)
    if (same_word(recipe.stages[at].name, name) && !name.empty()) return at;
  if (name.empty() || name.size() > 4 || name.find_first_not_of("0123456789") != std::string_view::npos)
    return std::nullopt;
  const size_t number = std::stoul(std::string{name});
  return number < before ? std::optional{number} : std::nullopt;
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
