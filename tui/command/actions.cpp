// The rows of keys that change only the screen, the composition with the verbs' keys, and the user's own keys.
#include "tui/command/actions.h"

#include "core/base/nearest.h"
#include "tui/command/text.h"

#include <algorithm>
#include <deque>

namespace conductor::command {
namespace {

constexpr Action screen_actions[] = {
    {Mode::list, "j Down", "down", "down", "the next row"},
    {Mode::list, "k Up", "up", "up", "the row before"},
    {Mode::list, "g Home", "top", "top", "the first row"},
    {Mode::list, "G End", "bottom", "bottom", "the last row"},
    {Mode::list, "Ctrl-D PgDn", "page_down", "page down", "half a page down"},
    {Mode::list, "Ctrl-U PgUp", "page_up", "page up", "half a page up"},
    {Mode::list, "Tab", "next_panel", "next panel", "the next panel; list or pane where only one has room"},
    {Mode::list, "Shift-Tab", "previous_panel", "previous panel", "the panel before"},
    {Mode::list, "1 2 3 4 5 6 7 8 9", "panel", "panel", "the panel with that number"},
    {Mode::list, "Enter", "detail", "detail", "everything about the selected row"},
    {Mode::list, "Right", "next_tab", "next tab", "the next tab of the details: overview, network"},
    {Mode::list, "Left", "previous_tab", "previous tab", "the tab of the details before"},
    {Mode::list, "Space", "mark", "mark", "marks the row, so that the next action is done to all marked ones"},
    {Mode::list, "*", "invert_marks", "invert", "marks what is not marked, and the reverse"},
    {Mode::list, "m", "menu", "menu", "the menu of what can be done with the selected row"},
    {Mode::list, "u", "undo", "undo", "takes back the last reversible action"},
    {Mode::list, "/", "filter", "filter", "shows only rows that contain what is typed"},
    {Mode::list, "o", "sort", "sort", "sorts by the next column"},
    {Mode::list, "O", "reverse", "reverse", "reverses the order"},
    {Mode::list, "Z", "pause_updates", "pause view", "holds the figures still; nothing happens to the containers"},
    {Mode::list, "y", "copy_item", "copy", "copies the name of the selected row to the clipboard"},
    {Mode::list, "x", "steps", "steps", "the steps, calls and by-hand commands of the last action"},
    {Mode::list, ":", "palette", "palette", "every action by name"},
    {Mode::list, "M", "messages", "messages", "the messages so far"},
    {Mode::list, "T", "theme", "theme", "the next theme, shown at once"},
    {Mode::list, "q", "quit", "quit", "leaves the console; asks only if shells or builds run"},
    {Mode::always, "?", "help", "keys", "all keys"},
    {Mode::always, "Ctrl-L", "redraw", "redraw", "draws the whole screen again"},
    {Mode::always, "Ctrl-G", "prefix", "commands", "the key before a key for panes; twice sends it to the shell"},

    {Mode::prefix, "Ctrl-G", "send_prefix", "send ^G", "sends Ctrl-G to the program in the pane"},
    {Mode::prefix, "1 Tab", "list", "list", "back to the list; the pane stays"},
    {Mode::prefix, "2 3 4 5 6 7 8 9", "panel", "panel", "the panel or pane with that number"},
    {Mode::prefix, "h Left", "pane_left", "left", "the pane to the left"},
    {Mode::prefix, "j Down", "pane_down", "down", "the pane below"},
    {Mode::prefix, "k Up", "pane_up", "up", "the pane above"},
    {Mode::prefix, "l Right", "pane_right", "right", "the pane to the right"},
    {Mode::prefix, "|", "split_side", "split |",
     "a second shell beside this one; below it as long as there are no 80 columns for each"},
    {Mode::prefix, "-", "split_below", "split -", "a second shell below this one"},
    {Mode::prefix, "z", "zoom", "zoom", "this pane alone on the screen, and back"},
    {Mode::prefix, "=", "even", "even", "gives all panes the same size"},
    {Mode::prefix, "[", "copy_mode", "copy", "scrolls back in what the pane has shown, looks for words, marks, copies"},
    {Mode::prefix, "x", "close", "close", "ends the shell and closes the pane", Danger::asks},
    {Mode::prefix, "d", "leave", "leave", "closes the pane and leaves the shell running"},
    {Mode::prefix, "m", "mouse", "mouse",
     "gives the mouse to your terminal, for marking as it does, and takes it back"},
    {Mode::prefix, "?", "pane_help", "keys", "the keys of panes"},

    {Mode::text, "j Down", "down", "down", "a row down"},
    {Mode::text, "k Up", "up", "up", "a row up"},
    {Mode::text, "Ctrl-D PgDn Space", "page_down", "page down", "half a page down"},
    {Mode::text, "Ctrl-U PgUp", "page_up", "page up", "half a page up"},
    {Mode::text, "g Home", "top", "top", "the oldest line"},
    {Mode::text, "G End", "follow", "follow", "the newest line, and each one that comes"},
    {Mode::text, "Left", "shift_left", "left", "to the left, where lines are not wrapped"},
    {Mode::text, "Right", "shift_right", "right", "to the right, where lines are not wrapped"},
    {Mode::text, "w", "wrap", "wrap", "wraps long lines, or cuts them"},
    {Mode::text, "t", "stamps", "times", "shows when each line of a log came"},
    {Mode::text, "@", "since", "since", "a log from some time on: 10m, 2h, 2026-11-22T09:44:02Z"},
    {Mode::text, "/", "search", "search", "looks for a text, from the newest line back while it is live"},
    {Mode::text, "?", "search_back", "search back", "looks for a text further back"},
    {Mode::text, "v", "select", "mark", "marks from the newest line, or the first that is seen, and copies"},
    {Mode::text, "V", "select_lines", "mark lines", "marks whole lines"},
    {Mode::text, ">", "save", "save", "writes all lines into a file"},
    {Mode::text, "c Ctrl-C", "cancel", "cancel", "ends what runs here and takes it back"},
    {Mode::text, "q Esc", "close", "close", "closes the pane; what runs in it goes on"},

    {Mode::copy, "j Down", "down", "down", "a line down"},
    {Mode::copy, "k Up", "up", "up", "a line up"},
    {Mode::copy, "h Left Backspace", "left", "left", "a character to the left"},
    {Mode::copy, "l Right", "right", "right", "a character to the right"},
    {Mode::copy, "w", "word", "word", "the next word"},
    {Mode::copy, "b", "word_back", "word back", "the word before"},
    {Mode::copy, "e", "word_end", "word end", "the end of the word"},
    {Mode::copy, "0 Home", "line_begin", "line begin", "the first column"},
    {Mode::copy, "^", "text_begin", "text begin", "the first character of the line that is no blank"},
    {Mode::copy, "$ End", "line_end", "line end", "the end of the line"},
    {Mode::copy, "{", "paragraph_up", "paragraph up", "the empty line before"},
    {Mode::copy, "}", "paragraph_down", "paragraph down", "the next empty line"},
    {Mode::copy, "H", "view_top", "view top", "the first line that is seen"},
    {Mode::copy, "M", "view_middle", "view middle", "the line in the middle"},
    {Mode::copy, "L", "view_bottom", "view bottom", "the last line that is seen"},
    {Mode::copy, "g", "top", "top", "the oldest line"},
    {Mode::copy, "G", "bottom", "bottom", "the newest line"},
    {Mode::copy, "Ctrl-U PgUp", "page_up", "page up", "half a page up"},
    {Mode::copy, "Ctrl-D PgDn", "page_down", "page down", "half a page down"},
    {Mode::copy, "/", "search", "search", "looks for a text further on; capitals count only if some are typed"},
    {Mode::copy, "?", "search_back", "search back", "looks for a text further back"},
    {Mode::copy, "n", "next", "next", "the next place where it stands"},
    {Mode::copy, "N", "previous", "previous", "the same, the other way"},
    {Mode::copy, "v Space", "select", "mark", "marks from here on; again: no more"},
    {Mode::copy, "W", "select_words", "mark words", "marks whole words"},
    {Mode::copy, "V", "select_lines", "mark lines", "marks whole lines"},
    {Mode::copy, "Ctrl-V", "select_block", "mark block", "marks a block of columns"},
    {Mode::copy, "o", "other_end", "other end", "the other end of what is marked"},
    {Mode::copy, "y Enter", "copy", "copy", "copies what is marked, or the line, to the clipboard of your terminal"},
    {Mode::copy, "Esc", "cancel", "cancel", "marks nothing; then looks for nothing; then back to the pane"},
    {Mode::copy, "q Ctrl-C", "end", "end", "back to the pane"},

    {Mode::dialog, "Enter", "accept", "accept", "does what the dialog says"},
    {Mode::dialog, "Esc", "cancel", "cancel", "goes back without doing anything"},
    {Mode::dialog, "Tab Down", "next_field", "next field", "the next field"},
    {Mode::dialog, "Shift-Tab Up", "previous_field", "field before", "the field before"},
};

// "j Down" as "j" and "Down".
std::vector<std::string_view> words(std::string_view keys)
{
  std::vector<std::string_view> all;
  while (!keys.empty()) {
    const size_t space = std::min(keys.find(' '), keys.size());
    if (space > 0) all.push_back(keys.substr(0, space));
    keys.remove_prefix(std::min(space + 1, keys.size()));
  }
  return all;
}

std::vector<Action> compose()
{
  std::vector<Action> all;
  for (const Verb& verb : verbs())
    for (const Key& key : verb.keys)
      if (!key.name.empty())
        all.push_back({Mode::list, key.key, key.name, key.label, key.help.empty() ? verb.help : key.help, key.danger,
                       key.needs, &verb, key.arguments});
  all.insert(all.end(), std::begin(screen_actions), std::end(screen_actions));
  return all;
}

std::vector<Action>& table()
{
  static std::vector<Action> all = compose();
  return all;
}

// Can both be meant by one key press? Lists: what `always` has counts there and in dialogs; an image and a container
// are never selected at once, and a container is in one state.
bool meet(const Action& a, const Action& b)
{
  const auto both = [&](Mode first, Mode second) {
    return (a.mode == first && b.mode == second) || (a.mode == second && b.mode == first);
  };
  if (a.mode != b.mode && !both(Mode::always, Mode::list) && !both(Mode::always, Mode::dialog)) return false;
  enum : unsigned { runs = 1, paused = 2, stopped = 4, image = 8 };
  const auto selections = [](Needs needs) -> unsigned {
    switch (needs) {
    case Needs::running: return runs;
    case Needs::paused: return paused;
    case Needs::active: return runs | paused;
    case Needs::stopped: return stopped;
    case Needs::container: return runs | paused | stopped;
    case Needs::image: return image;
    default: return runs | paused | stopped | image;
    }
  };
  return (selections(a.needs) & selections(b.needs)) != 0;
}

// The first key that two of the actions share.
struct Clash {
  const Action* first;
  const Action* second;
  std::string key;
};
std::optional<Clash> find_clash(const std::vector<Action>& all)
{
  for (auto second = all.begin(); second != all.end(); ++second)
    for (auto first = all.begin(); first != second; ++first) {
      if (!meet(*first, *second)) continue;
      for (const std::string_view key : words(first->key))
        if (has_word(second->key, key)) return Clash{&*first, &*second, std::string{key}};
    }
  return std::nullopt;
}

struct ModeWord {
  Mode mode;
  std::string_view word;
};
constexpr ModeWord mode_words[] = {{Mode::list, "list"},
                                   {Mode::prefix, "panes"},
                                   {Mode::text, "text"},
                                   {Mode::copy, "copy"},
                                   {Mode::always, "everywhere"}};

} // namespace

const std::vector<Action>& actions() { return table(); }

std::vector<std::string> bind_keys(const std::vector<Binding>& bindings)
{
  static std::deque<std::string> kept; // the table looks into these
  std::vector<Action>& all = table();
  const std::vector<Action> own = compose();
  std::vector<std::string> problems;
  std::vector<const Binding*> bound(all.size(), nullptr);
  for (size_t i = 0; i < all.size(); ++i) all[i].key = own[i].key;
  kept.clear();
  const auto give_up = [&](size_t at, const std::string& why) {
    problems.push_back(bound[at]->where + ": " + why + "; it keeps " +
                       (own[at].key.empty() ? "its place in the menu" : "'" + std::string{own[at].key} + "'"));
    all[at].key = own[at].key;
    bound[at] = nullptr;
  };
  for (const Binding& binding : bindings) {
    const auto found = std::find_if(all.begin(), all.end(), [&](const Action& action) {
      return action.mode == binding.mode && action.name == binding.action;
    });
    if (found == all.end()) {
      std::vector<std::string> names;
      for (const Action& action : all)
        if (action.mode == binding.mode) names.emplace_back(action.name);
      const std::string hint = nearest_hint(binding.action, names);
      problems.push_back(binding.where + ": no action is called '" + binding.action + "'" +
                         (hint.empty() ? "" : "; " + hint));
      continue;
    }
    const auto at = static_cast<size_t>(found - all.begin());
    found->key = kept.emplace_back(binding.keys);
    bound[at] = &binding;
    // The only way out of a shell: it must be there, and be no key that is typed into one.
    if (found->name == "prefix" && found->mode == Mode::always) {
      const auto keys = words(binding.keys);
      const bool types = std::any_of(keys.begin(), keys.end(), [](std::string_view key) {
        return !key.starts_with("Ctrl-") && !key.starts_with("Alt-") && !(key.size() > 1 && key[0] == 'F');
      });
      if (keys.empty() || types) {
        give_up(at, "the key before the keys of panes is one with Ctrl or Alt, or a function key");
        continue;
      }
    }
    const bool control = binding.keys.find("Ctrl-") != std::string::npos;
    if (control && found->danger != Danger::looks)
      give_up(at, "'" + binding.action + "' changes containers, and nothing that does is on Ctrl");
  }
  // The later of two that the user bound gives way, else the one that he bound; each round takes one back.
  while (const auto clash = find_clash(all)) {
    const auto first = static_cast<size_t>(clash->first - all.data());
    const auto second = static_cast<size_t>(clash->second - all.data());
    const bool second_gives_way = bound[second] != nullptr && (bound[first] == nullptr || bound[first] < bound[second]);
    const size_t loser = second_gives_way ? second : first, winner = second_gives_way ? first : second;
    if (bound[loser] == nullptr) { // which a test finds
      problems.push_back("the table itself: '" + clash->key + "' is '" + std::string{all[first].name} + "' and '" +
                         std::string{all[second].name} + "'");
      break;
    }
    give_up(loser, "'" + clash->key + "' for '" + bound[loser]->action + "' is '" + std::string{all[winner].name} +
                       "' already");
  }
  return problems;
}

std::optional<Mode> mode_of(std::string_view word)
{
  for (const ModeWord& each : mode_words)
    if (each.word == word) return each.mode;
  return std::nullopt;
}

std::string_view word_of(Mode mode)
{
  for (const ModeWord& each : mode_words)
    if (each.mode == mode) return each.word;
  return {};
}

const Action* find_action(Mode mode, std::string_view key)
{
  for (const Action& action : actions()) {
    const bool counts =
        action.mode == mode || (action.mode == Mode::always && (mode == Mode::list || mode == Mode::dialog));
    if (counts && has_word(action.key, key)) return &action;
  }
  return nullptr;
}

std::string prefix_text()
{
  for (const Action& action : actions()) {
    if (action.mode != Mode::always || action.name != "prefix" || action.key.empty()) continue;
    const std::string key{words(action.key).front()};
    return key.starts_with("Ctrl-") ? "^" + key.substr(5) : key;
  }
  return {};
}

std::string_view mode_name(Mode mode)
{
  switch (mode) {
  case Mode::list: return "lists";
  case Mode::prefix: return "panes, after Ctrl-G";
  case Mode::text: return "panes of lines";
  case Mode::copy: return "panes, after Ctrl-G [";
  case Mode::dialog: return "dialogs";
  case Mode::always: return "everywhere";
  }
  return "";
}

} // namespace conductor::command
