// The contract of the command line (CLI.md) as sentences about words: what is understood, and how wrong words are
// answered.
#include "core/base/error.h"
#include "tui/command/arguments.h"

#include <gtest/gtest.h>

namespace conductor::command {
namespace {

Arguments parsed(std::vector<const char*> words)
{
  Arguments arguments;
  parse(words, arguments);
  return arguments;
}

struct Refusal {
  std::string sentence, hint;
  int status = 0;
};

Refusal refused(std::vector<const char*> words)
{
  try {
    parsed(std::move(words));
  } catch (const Error& error) {
    return {std::string{error.sentence()}, std::string{error.hint()}, error.status()};
  }
  ADD_FAILURE() << "was understood";
  return {};
}

using Words = std::vector<std::string>;

TEST(Arguments, VerbAndNames)
{
  const Arguments a = parsed({"run", "debian", "web"});
  ASSERT_NE(a.verb, nullptr);
  EXPECT_EQ(a.verb->name, "run");
  EXPECT_EQ(a.names, (Words{"debian", "web"}));
  EXPECT_FALSE(a.has_command);
}

TEST(Arguments, OptionsMayStandBeforeOrAfterTheNames)
{
  for (const auto& words : {std::vector<const char*>{"run", "-d", "--memory", "256M", "debian", "web"},
                            std::vector<const char*>{"run", "debian", "web", "--memory=256M", "-d"},
                            std::vector<const char*>{"run", "debian", "-d", "web", "-m256M"}}) {
    const Arguments a = parsed(words);
    EXPECT_TRUE(a.has("detach"));
    EXPECT_EQ(a.value("memory"), "256M");
    EXPECT_EQ(a.names, (Words{"debian", "web"}));
  }
}

TEST(Arguments, EverythingBehindTheDashesIsTheCommandUntouched)
{
  const Arguments a = parsed({"run", "debian", "--", "sh", "-c", "echo $1", "--", "-d", "--json", ""});
  EXPECT_TRUE(a.has_command);
  EXPECT_EQ(a.command, (Words{"sh", "-c", "echo $1", "--", "-d", "--json", ""}));
  EXPECT_FALSE(a.has("detach"));
  EXPECT_FALSE(a.has("json"));
}

TEST(Arguments, DashesWithoutACommandAreRefused) { EXPECT_EQ(refused({"run", "debian", "--"}).status, 2); }

TEST(Arguments, BehindTheDashesNamesOfOtherVerbsMayBeginWithADash)
{
  EXPECT_EQ(parsed({"rm", "--", "-x"}).names, (Words{"-x"}));
}

TEST(Arguments, GlobalOptionsMayStandBeforeOrBehindTheVerb)
{
  for (const auto& words : {std::vector<const char*>{"--root", "/r", "--json", "ps"},
                            std::vector<const char*>{"ps", "--root=/r", "--json"}}) {
    const Arguments a = parsed(words);
    EXPECT_EQ(a.verb->name, "ps");
    EXPECT_EQ(a.value("root"), "/r");
    EXPECT_TRUE(a.has("json"));
  }
}

TEST(Arguments, ExplainTakesItsValueOnlyBehindAnEqualsSign)
{
  EXPECT_EQ(parsed({"--explain", "ps"}).value("explain"), "");
  EXPECT_EQ(parsed({"--explain=json", "ps"}).value("explain"), "json");
}

TEST(Arguments, LettersMayBeJoined)
{
  const Arguments a = parsed({"run", "-it", "debian"});
  EXPECT_TRUE(a.has("interactive"));
  EXPECT_TRUE(a.has("tty"));
  EXPECT_EQ(parsed({"stop", "-t5", "web"}).value("time"), "5");
  EXPECT_EQ(parsed({"stop", "-t", "5", "web"}).value("time"), "5");
}

TEST(Arguments, RepeatableOptionsKeepTheirOrderAndTheLastOfTheOthersCounts)
{
  EXPECT_EQ(parsed({"run", "--env", "A=1", "x", "--env", "B=2"}).values("env"), (Words{"A=1", "B=2"}));
  EXPECT_EQ(parsed({"run", "x", "--memory", "1G", "--memory", "2G"}).value("memory"), "2G");
}

TEST(Arguments, AValueMayBeginWithADash) { EXPECT_EQ(parsed({"run", "x", "--env", "-A=1"}).value("env"), "-A=1"); }

TEST(Arguments, ThirdWordSaysThatTheDashesBelongBeforeTheCommand)
{
  const Refusal r = refused({"run", "debian", "web", "sh", "-c", "echo hi"});
  EXPECT_EQ(r.status, 2);
  EXPECT_EQ(r.sentence, "'sh' is one name too many: put -- before the command");
  EXPECT_EQ(r.hint, "conductor run debian web -- sh -c 'echo hi'");
}

TEST(Arguments, SecondWordOfExecSaysTheSame)
{
  EXPECT_EQ(refused({"exec", "web", "ls", "-l"}).hint, "conductor exec web -- ls -l");
}

TEST(Arguments, SpellingsOfOtherProgramsAreAnsweredWithOurs)
{
  EXPECT_EQ(refused({"run", "-e", "A=1", "x"}).hint, "an environment variable is --env K=V");
  EXPECT_EQ(refused({"exec", "web", "-e", "A=1"}).hint, "an environment variable is --env K=V");
  EXPECT_NE(refused({"run", "-p", "80:80", "x"}).hint.find("--expose 80-8080"), std::string::npos);
  EXPECT_NE(refused({"run", "--name", "web", "x"}).hint.find("conductor run IMAGE NAME"), std::string::npos);
}

TEST(Arguments, UnknownOptionIsAnsweredWithTheNearest)
{
  const Refusal r = refused({"run", "--memroy", "1G", "x"});
  EXPECT_EQ(r.status, 2);
  EXPECT_EQ(r.sentence, "run has no option --memroy");
  EXPECT_EQ(r.hint, "did you mean '--memory'?");
}

TEST(Arguments, OptionsOfTheConsoleWithoutAVerbPointToIt)
{
  EXPECT_EQ(refused({"--read-only"}).hint, "for the console: conductor console --read-only");
  EXPECT_EQ(refused({"--nothing"}).hint, "options of a verb stand behind the verb");
}

TEST(Arguments, UnknownLetterAfterTheNamePointsToTheDashes)
{
  EXPECT_NE(refused({"run", "debian", "sh", "-c", "x"}).hint.find("--"), std::string::npos);
}

TEST(Arguments, UnknownVerbIsAnsweredWithTheNearest)
{
  EXPECT_EQ(refused({"strat", "web"}).hint, "did you mean 'start'?");
  EXPECT_EQ(refused({"zzzzzz"}).hint, "conductor help lists the verbs");
}

TEST(Arguments, MissingNamesAndValuesAreSaid)
{
  EXPECT_EQ(refused({"run"}).sentence, "run needs IMAGE [NAME]");
  EXPECT_EQ(refused({"run", "x", "--memory"}).sentence, "--memory needs a value: --memory SIZE");
  EXPECT_EQ(refused({"run", "x", "--memory", "--", "ls"}).sentence, "--memory needs a value: --memory SIZE");
  EXPECT_EQ(refused({"ps", "--all=yes"}).sentence, "--all takes no value");
}

TEST(Arguments, SuperfluousWordIsNamedVisibly)
{
  EXPECT_EQ(refused({"ps", "a\x1b[31mb"}).sentence.find('\x1b'), std::string::npos);
}

TEST(Arguments, VerbIsKnownWhenTheRestIsWrong)
{
  Arguments a;
  const std::vector<const char*> words{"--json", "run", "--bad"};
  EXPECT_THROW(parse(words, a), Error);
  ASSERT_NE(a.verb, nullptr);
  EXPECT_EQ(a.verb->name, "run");
  EXPECT_TRUE(a.has("json"));
}

TEST(Arguments, HelpNeedsNoNames) { EXPECT_TRUE(parsed({"run", "--help"}).help); }

TEST(Arguments, QuotingIsWhatAShellNeeds)
{
  EXPECT_EQ(quoted("plain-word_1.2"), "plain-word_1.2");
  EXPECT_EQ(quoted("two words"), "'two words'");
  EXPECT_EQ(quoted("it's"), "'it'\\''s'");
  EXPECT_EQ(quoted(""), "''");
}

} // namespace
} // namespace conductor::command
