// What must hold for every row of the tables of verbs and actions, and for what is printed from them.
#include "core/base/error.h"
#include "tui/command/actions.h"
#include "tui/command/help.h"
#include "tui/command/settings.h"
#include "tui/command/verbs.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace conductor::command {
namespace {

TEST(Verbs, EveryRowHasHelpAnExampleAndAUniqueName)
{
  std::set<std::string_view> names;
  for (const Verb& verb : verbs()) {
    EXPECT_TRUE(names.insert(verb.name).second) << verb.name;
    EXPECT_FALSE(verb.help.empty()) << verb.name;
    EXPECT_TRUE(verb.example.starts_with(verb.name)) << verb.name;
    EXPECT_LE(verb.least, verb.most) << verb.name;
  }
}

TEST(Verbs, EveryOptionIsDocumentedAndNoTwoClash)
{
  for (const Verb& verb : verbs()) {
    std::set<std::string> seen;
    for (const auto& options : {verb.options, global_options()}) {
      for (const Option& option : options) {
        EXPECT_FALSE(option.help.empty()) << verb.name << " --" << option.name;
        EXPECT_TRUE(seen.insert("--" + std::string{option.name}).second) << verb.name << " --" << option.name;
        if (option.letter != 0) {
          EXPECT_TRUE(seen.insert({'-', option.letter}).second) << verb.name << " -" << option.letter;
        }
      }
    }
  }
}

TEST(Help, OverviewNamesEveryVerb)
{
  const std::string text = help_overview();
  for (const Verb& verb : verbs())
    EXPECT_NE(text.find("\n  " + std::string{verb.name} + " "), std::string::npos) << verb.name;
  EXPECT_EQ(text.find("--continued"), std::string::npos);
}

TEST(Help, EachVerbsPageNamesEachOfItsOptions)
{
  for (const Verb& verb : verbs()) {
    const std::string text = help_for(verb);
    EXPECT_TRUE(text.starts_with("usage: conductor " + std::string{verb.name}));
    for (const Option& option : verb.options)
      EXPECT_NE(text.find("--" + std::string{option.name}), std::string::npos) << verb.name << " " << option.name;
  }
}

TEST(Help, LinesFitOnAScreenOf120Columns)
{
  std::string all = help_overview();
  for (const Verb& verb : verbs()) all += help_for(verb);
  for (size_t at = 0; at < all.size();) {
    const size_t end = all.find('\n', at);
    EXPECT_LE(end - at, 120u) << all.substr(at, end - at);
    at = end + 1;
  }
}

TEST(Help, UsageOfRunIsTheContracts)
{
  EXPECT_EQ(usage(*find_verb("run")), "conductor run IMAGE [NAME] [options] [-- CMD ARG...]");
}

TEST(Help, ManualPageNamesEveryVerbAndEveryKey)
{
  const std::string page = manual_page();
  EXPECT_TRUE(page.starts_with(".TH CONDUCTOR 1"));
  for (const Verb& verb : verbs())
    EXPECT_NE(page.find(".SS \"" + std::string{verb.name}), std::string::npos) << verb.name;
  EXPECT_NE(page.find("Ctrl\\-G"), std::string::npos);
}

TEST(Completion, EveryShellsScriptNamesEveryVerb)
{
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script = completion_script(shell);
    for (const Verb& verb : verbs()) EXPECT_NE(script.find(verb.name), std::string::npos) << shell << " " << verb.name;
  }
  EXPECT_THROW(completion_script("tcsh"), Error);
}

// Binding nothing leaves the table as it is, and says what clashes in it.
TEST(Actions, NoKeyMeansTwoThingsForTheSameSelection) { EXPECT_EQ(bind_keys({}), std::vector<std::string>{}); }

TEST(Actions, EveryRowHasNameLabelAndHelp)
{
  for (const Action& action : actions()) {
    EXPECT_FALSE(action.name.empty()) << action.key;
    EXPECT_FALSE(action.label.empty()) << action.name;
    EXPECT_FALSE(action.help.empty()) << action.name;
  }
}

TEST(Actions, NamesAreUniqueInTheirMode)
{
  std::set<std::string> seen;
  for (const Action& action : actions())
    EXPECT_TRUE(seen.insert(std::string{mode_name(action.mode)} + " " + std::string{action.name}).second)
        << action.name;
}

TEST(Actions, CtrlNeverChangesAContainer)
{
  for (const Action& action : actions())
    if (action.key.find("Ctrl") != std::string_view::npos) {
      EXPECT_EQ(action.verb, nullptr) << action.name;
    }
}

class Bindings : public ::testing::Test {
protected:
  void TearDown() override { bind_keys({}); }
  static std::string key_of(Mode mode, std::string_view name)
  {
    for (const Action& action : actions())
      if (action.mode == mode && action.name == name) return std::string{action.key};
    return "no such action";
  }
};

TEST_F(Bindings, GiveAnActionOtherKeys)
{
  EXPECT_EQ(bind_keys({{Mode::list, "stop", "X F9", "c:1"}, {Mode::prefix, "zoom", "Z", "c:2"}}),
            std::vector<std::string>{});
  EXPECT_EQ(find_action(Mode::list, "X")->name, "stop");
  EXPECT_EQ(find_action(Mode::list, "F9")->name, "stop");
  EXPECT_EQ(find_action(Mode::list, "S"), nullptr);
  EXPECT_EQ(find_action(Mode::prefix, "Z")->name, "zoom");
  bind_keys({});
  EXPECT_EQ(find_action(Mode::list, "S")->name, "stop");
}

TEST_F(Bindings, MayChangePlaces)
{
  EXPECT_EQ(bind_keys({{Mode::list, "stop", "s", "c:1"}, {Mode::list, "start", "S", "c:2"}}),
            std::vector<std::string>{});
  EXPECT_EQ(find_action(Mode::list, "s")->name, "stop");
}

TEST_F(Bindings, ThatClashAreToldAndOnlyTheyAreLeftOut)
{
  const auto problems = bind_keys({{Mode::list, "stop", "j", "c:3"}, {Mode::list, "sort", "B", "c:4"}});
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(problems[0], "c:3: 'j' for 'stop' is 'down' already; it keeps 'S'");
  EXPECT_EQ(key_of(Mode::list, "stop"), "S");
  EXPECT_EQ(key_of(Mode::list, "sort"), "B");
}

TEST_F(Bindings, OfTwoThatClashTheFirstStays)
{
  const auto problems = bind_keys({{Mode::list, "stop", "X", "c:3"}, {Mode::list, "restart", "X", "c:4"}});
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(problems[0], "c:4: 'X' for 'restart' is 'stop' already; it keeps 'R'");
}

TEST_F(Bindings, NothingThatChangesContainersIsOnCtrl)
{
  const auto problems = bind_keys({{Mode::list, "stop", "Ctrl-S", "c:1"}});
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_EQ(key_of(Mode::list, "stop"), "S");
}

TEST_F(Bindings, TheWayOutOfAShellIsThereAndNoKeyThatIsTyped)
{
  for (const char* keys : {"", "j", "Enter", "Ctrl-A j"}) {
    EXPECT_EQ(bind_keys({{Mode::always, "prefix", keys, "c:1"}}).size(), 1U) << keys;
    EXPECT_EQ(prefix_text(), "^G") << keys;
  }
  for (const char* keys : {"Ctrl-A", "F12", "Alt-x"})
    EXPECT_EQ(bind_keys({{Mode::always, "prefix", keys, "c:1"}}), std::vector<std::string>{}) << keys;
}

TEST_F(Bindings, AnUnknownActionGetsTheNearestOne)
{
  const auto problems = bind_keys({{Mode::list, "stpo", "X", "c:1"}});
  ASSERT_EQ(problems.size(), 1U);
  EXPECT_NE(problems[0].find("'stop'"), std::string::npos) << problems[0];
}

TEST(Settings, EachMistakeIsToldWithItsLineAndTheRestCounts)
{
  std::vector<std::string> problems;
  const auto settings = parse_settings(R"({
  // mine
  "theme": "light",
  "confirm": "never",
  "them": 1,
  "keys": {
    "list": {"stop": "X", "start": "Ctrl", "sort": 3},
    "window": {"zoom": "Z"},
  },
})",
                                       "c", [](std::string_view key) { return key.size() == 1; }, problems);
  EXPECT_EQ(settings.theme, "light");
  EXPECT_EQ(settings.confirm, Confirm::irreversible);
  ASSERT_EQ(settings.keys.size(), 1U);
  EXPECT_EQ(settings.keys[0].action, "stop");
  EXPECT_EQ(settings.keys[0].where, "c:7");
  ASSERT_EQ(problems.size(), 5U);
  EXPECT_EQ(problems[0], "c:4: confirm is all, irreversible or off: before what the console asks");
  EXPECT_TRUE(problems[1].starts_with("c:5: there is no setting 'them'; did you mean 'theme'")) << problems[1];
  EXPECT_TRUE(problems[2].starts_with("c:7: 'Ctrl' is no key")) << problems[2];
  EXPECT_TRUE(problems[3].starts_with("c:7: the key of 'sort'")) << problems[3];
  EXPECT_TRUE(problems[4].starts_with("c:8: keys are for list, panes, text, copy or everywhere")) << problems[4];
}

TEST(Settings, ABrokenFileIsOneSentence)
{
  for (const char* text : {"", "{", "[1]", "{\"theme\": }", "null", "{\"keys\": []}", "{\"keys\": {\"list\": 7}}"}) {
    std::vector<std::string> problems;
    parse_settings(
        text, "c", [](std::string_view) { return true; }, problems);
    EXPECT_EQ(problems.size(), 1U) << text;
  }
}

// As a user takes away all the slashes.
TEST(Settings, TheTemplateIsWhatIsInForce)
{
  std::string text = settings_template();
  std::vector<std::string> problems;
  const auto any = [](std::string_view) { return true; };
  EXPECT_TRUE(parse_settings(text, "c", any, problems).keys.empty());
  std::string all;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    std::string line = text.substr(at, end - at);
    if (const size_t slashes = line.find("// \""); slashes != std::string::npos) line.erase(slashes, 3);
    all += line + "\n";
    at = end + 1;
  }
  const auto settings = parse_settings(all, "c", any, problems);
  EXPECT_EQ(problems, std::vector<std::string>{});
  EXPECT_GT(settings.keys.size(), 90U);
  EXPECT_EQ(bind_keys(settings.keys), std::vector<std::string>{});
  bind_keys({});
}

TEST(Actions, KeysOfVerbsAreFound)
{
  const Action* start = find_action(Mode::list, "s");
  ASSERT_NE(start, nullptr);
  EXPECT_EQ(start->name, "start");
  ASSERT_NE(start->verb, nullptr);
  EXPECT_EQ(start->verb->name, "start");
  EXPECT_EQ(find_action(Mode::list, "S")->arguments, "--keep");
  EXPECT_EQ(find_action(Mode::dialog, "?")->name, "help");
}

} // namespace
} // namespace conductor::command
