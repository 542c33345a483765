// From words to a verb, its names, its options and the command behind `--` (CLI.md).
//
// Driven by the rows of verbs.h alone. A library was tried for this (CLI11) and measured; the commit says why it is not
// used.
#pragma once

#include "tui/command/verbs.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace conductor::command {

// What was typed, sorted. The views live as long as argv.
struct Arguments {
  const Verb* verb = nullptr; // null when there was none
  std::vector<std::string> names;
  std::vector<std::string> command;                                // what stood behind `--`, untouched
  bool has_command = false;                                        // `--` was there, for a verb that takes a command
  bool help = false;                                               // -h or --help
  bool version = false;                                            // --version
  std::vector<std::pair<const Option*, std::string_view>> options; // in the order typed; globals among them

  bool has(std::string_view option) const;
  // The last one given; none when it was not.
  std::optional<std::string> value(std::string_view option) const;
  std::vector<std::string> values(std::string_view option) const;
};

// words: argv without argv[0]. What was understood is put into `arguments` even when it throws, so that the caller
// knows the verb whose usage to show and whether --json was asked for. Throws a usage Error (status 2).
void parse(std::span<const char* const> words, Arguments& arguments);

// "'" around a word where a shell would need it.
std::string quoted(std::string_view word);

} // namespace conductor::command
