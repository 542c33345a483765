// What must hold for every row of the tables of verbs and actions, and for what is printed from them.
#include "core/base/error.h"
#include "tui/command/actions.h"
#include "tui/command/help.h"
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

TEST(Actions, NoKeyMeansTwoThingsForTheSameSelection)
{
  std::set<std::string> seen;
  for (const Action& action : actions()) {
    // A container and an image are never selected at once, so that D may delete either.
    const std::string what = action.needs == Needs::image ? "image" : "";
    std::string_view keys = action.key;
    while (!keys.empty()) {
      const size_t space = keys.find(' ');
      const std::string mode{mode_name(action.mode)};
      EXPECT_TRUE(seen.insert(mode + what + std::string{keys.substr(0, space)}).second)
          << mode << ": " << keys.substr(0, space) << " for " << action.name;
      keys.remove_prefix(space == std::string_view::npos ? keys.size() : space + 1);
    }
  }
}

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
