#include "tui/command/settings.h"

#include "core/base/json_lines.h"
#include "core/base/nearest.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace conductor::command {
namespace {

using Json = nlohmann::json;

// One setting: false when the value is none of its kind.
struct Row {
  std::string_view name;
  std::string_view initial; // as it stands in the template
  std::string_view help;
  bool (*read)(Settings&, const Json&);
};

bool read_flag(bool& flag, const Json& value)
{
  if (!value.is_boolean()) return false;
  flag = value.get<bool>();
  return true;
}

constexpr std::string_view confirm_words[] = {"all", "irreversible", "off"};

bool read_confirm(Settings& settings, const Json& value)
{
  const auto* found = std::find(std::begin(confirm_words), std::end(confirm_words),
                                value.is_string() ? value.get_ref<const std::string&>() : std::string{});
  if (found == std::end(confirm_words)) return false;
  settings.confirm = static_cast<Confirm>(found - std::begin(confirm_words));
  return true;
}

constexpr Row rows[] = {
    {"theme", R"("default")", "a name: default, light, contrast, colorblind, mono, projector, or a file of your own",
     [](Settings& settings, const Json& value) {
       if (!value.is_string()) return false;
       settings.theme = value.get<std::string>();
       return true;
     }},
    {"confirm", R"("irreversible")", "all, irreversible or off: before what the console asks", read_confirm},
    {"mouse", "true", "true or false: the console takes the mouse; ^G m gives it to the terminal and back",
     [](Settings& settings, const Json& value) { return read_flag(settings.mouse, value); }},
    {"restore", "true", "true or false: panes, order, divider and theme are there again at the next start",
     [](Settings& settings, const Json& value) { return read_flag(settings.restore, value); }},
};

std::vector<std::string> names()
{
  std::vector<std::string> all{"keys"};
  for (const Row& row : rows) all.emplace_back(row.name);
  return all;
}

std::string with_hint(std::string sentence, const std::string& hint)
{
  return hint.empty() ? sentence : std::move(sentence) + "; " + hint;
}

} // namespace

Settings parse_settings(std::string_view written, const std::string& file,
                        const std::function<bool(std::string_view)>& is_key, std::vector<std::string>& problems)
{
  Settings settings;
  const std::string text = without_last_commas(written);
  const JsonLines lines = json_lines(text);
  const auto wrong = [&](std::size_t line, const std::string& what) {
    problems.push_back(fmt::format("{}:{}: {}", file, line, what));
  };
  if (!lines.good) {
    wrong(lines.error_line, "this is no JSON; all of the file is left out");
    return settings;
  }
  const Json document = Json::parse(text.begin(), text.end(), nullptr, true, true);
  if (!document.is_object()) {
    wrong(1, "the settings are one object: { ... }");
    return settings;
  }
  const auto read_key = [&](const JsonKey& key) {
    const auto mode = mode_of(key.path[1]);
    if (!mode) {
      if (key.path.size() > 2) return; // told at its beginning
      wrong(key.line, "keys are for list, panes, text, copy or everywhere, not for '" + key.path[1] + "'");
      return;
    }
    const Json& value = document["keys"][key.path[1]];
    if (key.path.size() == 2) {
      if (!value.is_object()) wrong(key.line, R"(keys are written as {"action": "key"})");
      return;
    }
    if (key.path.size() > 3 || !value.is_object()) return;
    const Json& wanted = value[key.path[2]];
    if (!wanted.is_string()) {
      wrong(key.line, "the key of '" + key.path[2] + R"(' is a text: "x", "Ctrl-U", "F5", "j Down", "" for none)");
      return;
    }
    const auto keys = wanted.get<std::string>();
    for (std::size_t at = 0; at < keys.size();) {
      const std::size_t end = std::min(keys.find(' ', at), keys.size());
      if (end > at && !is_key(std::string_view{keys}.substr(at, end - at))) {
        wrong(key.line,
              "'" + keys.substr(at, end - at) + "' is no key; keys are written x, X, F5, Ctrl-U, PgUp, Space");
        return;
      }
      at = end + 1;
    }
    settings.keys.push_back({*mode, key.path[2], keys, fmt::format("{}:{}", file, key.line)});
  };
  for (const JsonKey& key : lines.keys) {
    if (key.path[0] == "keys") {
      if (key.path.size() == 1) {
        if (!document["keys"].is_object()) wrong(key.line, R"(keys are written as {"list": {"action": "key"}})");
      } else if (document["keys"].is_object())
        read_key(key);
      continue;
    }
    if (key.path.size() > 1) continue;
    const auto* row =
        std::find_if(std::begin(rows), std::end(rows), [&](const Row& r) { return r.name == key.path[0]; });
    if (row == std::end(rows))
      wrong(key.line, with_hint("there is no setting '" + key.path[0] + "'", nearest_hint(key.path[0], names())));
    else if (!row->read(settings, document[key.path[0]]))
      wrong(key.line, fmt::format("{} is {}", row->name, row->help));
  }
  return settings;
}

std::string settings_path()
{
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string{value != nullptr ? value : ""};
  };
  if (const auto xdg = variable("XDG_CONFIG_HOME"); !xdg.empty()) return xdg + "/conductor/config.json";
  const auto home = variable("HOME");
  return home.empty() ? "" : home + "/.config/conductor/config.json";
}

std::string settings_template()
{
  std::string text =
      "// Settings of conductor's console: ~/.config/conductor/config.json. It is read again whenever it "
      "changes.\n// Take away the slashes before what you want to change.\n{\n";
  for (const Row& row : rows) text += fmt::format("  // \"{}\": {},  // {}\n", row.name, row.initial, row.help);
  text += "  // A key is written x, X, F5, Ctrl-U, PgUp, Space; several with spaces between; \"\" is none.\n  "
          "\"keys\": {\n";
  bool first = true;
  for (const Mode mode : {Mode::list, Mode::prefix, Mode::text, Mode::copy, Mode::always}) {
    text += fmt::format("{}    \"{}\": {{ // {}\n", first ? "" : ",\n", word_of(mode), mode_name(mode));
    first = false;
    for (const Action& action : actions())
      if (action.mode == mode)
        text += fmt::format("      // {:<{}} // {}\n",
                            Json(std::string{action.name}).dump() + ": " + Json(std::string{action.key}).dump() + ",",
                            34, action.help);
    text += "    }";
  }
  return text + "\n  }\n}\n";
}

} // namespace conductor::command
