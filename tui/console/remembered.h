// How the console looked, for the next start: order, divider, theme, and the panes that were open. It lies in
// $XDG_STATE_HOME/conductor/console-<id of the state directory>.json (the XDG base directory specification), for this
// user alone. Nothing depends on it: what cannot be read or is not there any more is left out.
#pragma once

#include "tui/console/view.h"

#include <string>
#include <string_view>
#include <vector>

namespace conductor::console {

struct Remembered {
  struct Shell {
    int number; // of the pane
    std::string container, session;
  };
  struct Logs {
    int number;
    std::vector<std::string> containers; // ids
  };
  std::string theme;     // chosen by a key, over the one of the settings
  std::string set_theme; // that one: when it has changed since, it counts
  Sort sort = Sort::name;
  bool reverse = false;
  int divider = 0, tab = 0;
  std::string selected; // container
  std::string shape;    // of the panes, as PaneTree::shape() writes it
  int focused = 0;      // pane; 0: the list
  std::vector<Shell> shells;
  std::vector<Logs> logs;
};

std::string to_json(const Remembered& remembered);
// What is wrong in it is left as it is by itself.
Remembered remembered_from_json(std::string_view text);

// Empty where the environment names neither place nor home.
std::string remembered_path(const std::string& root_id);
// Empty when there is none.
std::string load_remembered(const std::string& path);
// Makes the directories. False when it cannot be written, which is nobody's problem.
bool save_remembered(const std::string& path, const std::string& text);

} // namespace conductor::console
