// The build file: text in, instructions out. Pure, so that it can be fuzzed.
//
// A Conductorfile is a Dockerfile: one instruction a line, '#' begins a comment, a '\' at the end continues the line
// (comments and empty lines in between are left out). Variables are not put in here, because their values are known
// only while the build runs. What Dockerfiles know and this program does not build is an error, never skipped.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace conductor::image {

enum class Verb : char {
  arg,
  cmd,
  copy,
  entrypoint,
  env,
  expose,
  from,
  label,
  maintainer,
  run,
  shell,
  stopsignal,
  user,
  volume,
  workdir
};

struct Instruction {
  Verb verb{};
  std::string keyword;                      // "RUN"
  size_t line = 0;                          // of its first line, from 1
  std::map<std::string, std::string> flags; // --chown=x -> "chown": "x"; a flag without a value has ""
  std::string text;                         // all behind keyword and flags, continued lines joined
  bool exec_form = false;                   // a JSON list; words are its elements, literally
  std::vector<std::string> words;           // else: raw words, quotes still in them
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
};

// file: the name that messages show. Throws Error "FILE:LINE: ...": an unknown or unfit instruction, no FROM.
Recipe parse_recipe(std::string_view text, const std::string& file);

// "FILE:LINE"
std::string place(const Recipe& recipe, const Instruction& instruction);
// "RUN apt-get update": the instruction in one line for titles and histories, control characters made visible.
std::string title(const Instruction& instruction, size_t most = 80);

} // namespace conductor::image
