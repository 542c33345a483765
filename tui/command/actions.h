// The one table of the console's keys: {mode, key, name, label, help, danger, verb}.
//
// Keys that start a verb come from the table of verbs (verbs.h), the others from the rows here. Hint line, help, menu,
// palette, man page and the template of the configuration are printed from it.
#pragma once

#include "tui/command/verbs.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace conductor::command {

// Where a key counts.
enum class Mode : char {
  list,   // the tables of containers and images
  prefix, // after Ctrl-G
  text,   // panes of lines: logs, steps, inspections
  copy,   // scrolling and copying in a pane
  dialog, // forms, questions, the palette, help
  always  // list and dialog
};

struct Action {
  Mode mode;
  std::string_view key;   // one key or several, with spaces between: "j Down", "Ctrl-U PgUp"; empty: menu and palette
  std::string_view name;  // unique in its mode; what a rebinding in the configuration names
  std::string_view label; // one or two words for the hint line
  std::string_view help;  // one line
  Danger danger = Danger::looks;
  Needs needs = Needs::nothing;
  const Verb* verb = nullptr;      // the verb it starts as a child, null when it only changes the screen
  std::string_view arguments = {}; // further arguments of the verb: "--keep"
};

// Every action: those of verbs first, in the order of the tables. They stay where they are; what bind_keys() changes is
// their keys.
const std::vector<Action>& actions();

// A user's own keys for an action.
struct Binding {
  Mode mode;          // of the action
  std::string action; // its name
  std::string keys;   // as Action::key; empty: none
  std::string where;  // "FILE:LINE", for messages
};
// Gives every action its own keys, and those that are named here the keys that stand here. What clashes with another
// key, or would put something that changes containers on Ctrl, keeps its own keys; a sentence about each comes back.
std::vector<std::string> bind_keys(const std::vector<Binding>& bindings);

// The modes whose keys can be changed, by the word that the configuration has for them.
std::optional<Mode> mode_of(std::string_view word);
std::string_view word_of(Mode mode); // empty: its keys are fixed
// The action of that mode and key ("s", "Ctrl-U"); keys of Mode::always count in list and dialog. Null for none.
const Action* find_action(Mode mode, std::string_view key);
std::string_view mode_name(Mode mode);
// The key before the keys of panes, as hints write it: "^G".
std::string prefix_text();

} // namespace conductor::command
