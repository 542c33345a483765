// The build file: text in, instructions out. Pure, so that it can be fuzzed.
//
// A Conductorfile is a Dockerfile: one instruction a line, '#' begins a comment, a '\' at the end continues the line
// (comments and empty lines in between are left out), <<NAME takes the lines up to NAME. Variables are not put in here,
// because their values are known only while the build runs. What is not known is an error, never skipped.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace conductor::image {

enum class Verb : char {
  add,
  arg,
  cmd,
  copy,
  entrypoint,
  env,
  expose,
  from,
  healthcheck,
  label,
  maintainer,
  onbuild,
  run,
  shell,
  stopsignal,
  user,
  volume,
  workdir
};

// <<NAME: the lines of the file up to one that is just NAME.
struct Heredoc {
  std::string name;
  std::string content; // as it stands in the file, line ends and all
  bool expand = true;  // no part of the name was quoted: variables are put in by COPY and ADD
  bool chomp = false;  // <<-NAME: tabs at the beginning of lines do not count
  size_t word = 0;     // where it stands among the words
};
// The content without the tabs that <<- takes away.
std::string chomped(const Heredoc& heredoc);

struct Instruction {
  Verb verb{};
  std::string keyword; // "RUN"
  size_t line = 0;     // of its first line, from 1
  // --chown=x -> "chown": "x"; a flag without a value has "". --mount and --exclude may come several times.
  std::vector<std::pair<std::string, std::string>> flags;
  std::string text;               // all behind keyword and flags, continued lines joined
  bool exec_form = false;         // a JSON list; words are its elements
  std::vector<std::string> words; // else: raw words, quotes still in them
  std::vector<Heredoc> heredocs;  // RUN, COPY, ADD
  // ENV, LABEL, ARG: raw names and values; ARG without a value has none.
  std::vector<std::pair<std::string, std::optional<std::string>>> pairs;
};

struct Stage {
  std::string name; // FROM ... AS name, else empty
  Instruction from; // words: the reference
  std::vector<Instruction> steps;
};

struct Recipe {
  std::string file;                // for messages
  char escape = '\\';              // or '`' (# escape=`)
  std::vector<Instruction> global; // ARG before the first FROM
  std::vector<Stage> stages;
  std::vector<std::string> warnings; // "FILE:LINE: ...": what is allowed and probably not meant
};

// file: the name that messages show. Throws Error "FILE:LINE: ...": an unknown or unfit instruction, no FROM.
Recipe parse_recipe(std::string_view text, const std::string& file);

// One instruction of an image's ONBUILD. Throws Error.
Instruction parse_trigger(std::string_view text, char escape = '\\');

// The value of a flag; none without it. And of one that may come several times.
std::optional<std::string> flag(const Instruction& instruction, std::string_view name);
std::vector<std::string> flags(const Instruction& instruction, std::string_view name);

// The stage of that name, in any case, or number, among the first `before`.
std::optional<size_t> find_stage(const Recipe& recipe, std::string_view name, size_t before);

// "FILE:LINE"
std::string place(const Recipe& recipe, const Instruction& instruction);
// "RUN apt-get update": the instruction in one line for titles and histories, control characters made visible.
std::string title(const Instruction& instruction, size_t most = 80);

} // namespace conductor::image
