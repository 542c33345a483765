// The one table of verbs: a row is the command, its options, its help, its key in the console.
//
// Parsing, `help`, the text of a wrong usage, shell completion, the man page and the console's actions are all made
// from these rows, so that they cannot disagree. Adding a verb is adding its row (verbs.cpp) and its run function
// (*_verbs.cpp).
#pragma once

#include <span>
#include <string_view>

namespace conductor::command {

class Invocation;

// What a row says about one option. The name is written without its dashes.
struct Option {
  std::string_view name;       // "memory"
  char letter = 0;             // 'd' for -d, 0 for none
  std::string_view value = {}; // "SIZE"; empty: a flag
  std::string_view help = {};  // "how much memory it may use"
  bool repeatable = false;     // a later one adds instead of replacing
  bool value_optional = false; // --explain or --explain=json
  bool hidden = false;         // for programs of ours: in no help
};

enum class Group : char { images, running, network, looking, host };

// Which program does the work: `conductor` holds everything but what only images or only the screen needs.
enum class Home : char { conductor, images, console };

// What becomes of a container through a key of the console.
enum class Danger : char {
  looks,   // changes nothing
  changes, // at once; another key takes it back
  asks     // cannot be taken back: asks first, naming what is lost
};

// What must be selected for a key to do something.
enum class Needs : char {
  nothing,
  container, // however it is
  running,   // and not paused
  paused,
  active,  // one of both
  stopped, // neither
  image
};

// A key of the console that starts this verb on what is selected.
struct Key {
  std::string_view key;            // "s"; empty: only in the menu and the palette
  std::string_view name = {};      // of the action, for rebinding: "start"
  std::string_view label = {};     // in the hint line: "start"
  std::string_view arguments = {}; // further ones for the verb: "--keep"
  Danger danger = Danger::looks;
  Needs needs = Needs::container;
  std::string_view help = {}; // empty: the verb's
};

struct Verb {
  std::string_view name;
  Group group;
  std::string_view names;        // what stands behind the verb: "IMAGE [NAME]"
  std::string_view help;         // one line
  std::string_view more = {};    // a paragraph for `help VERB` and the man page
  std::string_view example = {}; // the arguments of a whole line, without "conductor"
  std::span<const Option> options = {};
  unsigned least = 0, most = 0; // names; most any_number: no limit
  bool takes_command = false;   // [-- CMD ARG...]
  bool needs_root = true;
  bool own_status = false;     // ends as the command ended; 125 when conductor failed
  bool shows_progress = false; // steps and what programs print are shown while it runs
  Home home = Home::conductor;
  std::string_view completes = {}; // what its names are: "container", "running", "paused", "image", "verb", "shell"
  int (*run)(Invocation&) = nullptr;
  Key keys[2] = {};
};

inline constexpr unsigned any_number = ~0U;

std::span<const Verb> verbs();
std::span<const Option> global_options();
const Verb* find_verb(std::string_view name);

// The word of a group's heading in the help.
std::string_view title(Group group);

// A verb or an option that other programs have and this one does not: the answer is a sentence.
struct Elsewhere {
  std::string_view verb;   // the verb; for an option, the verbs that it may be given to, with blanks between
  std::string_view option; // "--publish"; empty: the verb itself
  std::string_view hint;
};
// What to say about a verb (option empty) or about an option as it was typed; null when nothing is known.
const Elsewhere* find_elsewhere(std::string_view verb, std::string_view option);

} // namespace conductor::command
