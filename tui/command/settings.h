// What a user sets for the console: colours, questions, the mouse, keys. One table of names; reading it, and the
// template that `conductor config --console` prints, go by it and by the table of actions.
//
// The file is $XDG_CONFIG_HOME/conductor/config.json: JSON with comments. Whatever is wrong in it is told with its line
// and left out; the rest counts.
#pragma once

#include "tui/command/actions.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace conductor::command {

// When the console asks before it acts.
enum class Confirm : char {
  all,          // before each change
  irreversible, // before what cannot be taken back
  off
};

struct Settings {
  std::string theme; // empty: default, or mono where there is no colour
  Confirm confirm = Confirm::irreversible;
  bool mouse = true;
  bool restore = true; // the console begins as it was left
  std::vector<Binding> keys;
};

// Reads a file's text. is_key: whether a word is the name of a key ("Ctrl-U", "PgUp", "x"). Appends a sentence for each
// thing that is wrong.
Settings parse_settings(std::string_view text, const std::string& file,
                        const std::function<bool(std::string_view)>& is_key, std::vector<std::string>& problems);

// $XDG_CONFIG_HOME/conductor/config.json, or the same below ~/.config; empty without either variable.
std::string settings_path();

// A file with every setting and every key as they are by themselves, all of it in comments.
std::string settings_template();

} // namespace conductor::command
