// The build file's parser: lines, instructions, words, variables, and the sentences for what is wrong.
#include "core/base/error.h"
#include "core/image/recipe.h"
#include "core/image/words.h"

#include <gtest/gtest.h>

namespace conductor::image {
namespace {

using Strings = std::vector<std::string>;

Recipe parse(std::string_view text) { return parse_recipe(text, "Conductorfile"); }

// The only instruction behind FROM.
Instruction one(const std::string& line)
{
  const Recipe recipe = parse("FROM scratch\n" + line);
  EXPECT_EQ(recipe.stages.at(0).steps.size(), 1u) << line;
  return recipe.stages.at(0).steps.at(0);
}

std::string refused(const std::string& text)
{
  try {
    parse(text);
  } catch (const Error& error) {
    return std::string{error.sentence()} + " / " + std::string{error.hint()};
  }
  return "accepted";
}

TEST(Recipe, TheSeedsFileIsUnderstood)
{
  const Recipe recipe = parse("FROM debian:bookworm\n"
                              "COPY ./myapp /opt/myapp\n"
                              "RUN apt update && apt install -y python3\n");
  ASSERT_EQ(recipe.stages.size(), 1u);
  EXPECT_EQ(recipe.stages[0].from.words, Strings{"debian:bookworm"});
  ASSERT_EQ(recipe.stages[0].steps.size(), 2u);
  EXPECT_EQ(recipe.stages[0].steps[0].words, (Strings{"./myapp", "/opt/myapp"}));
  EXPECT_EQ(recipe.stages[0].steps[1].text, "apt update && apt install -y python3");
  EXPECT_EQ(recipe.stages[0].steps[1].line, 3u);
}

TEST(Recipe, ContinuedLinesAreJoinedWithoutCommentsAndEmptyLines)
{
  const Instruction run = one("RUN a && \\\n  # why\n\n  b \\  \n  && c\n");
  EXPECT_EQ(run.text, "a &&   b   && c");
  EXPECT_EQ(run.line, 2u);
}

TEST(Recipe, CommentsOnlyAtTheBeginningOfALine)
{
  EXPECT_EQ(one("RUN echo '# no comment'").text, "echo '# no comment'");
  EXPECT_EQ(one("  # comment\nRUN x").line, 3u);
}

TEST(Recipe, WindowsLinesAndByteOrderMarkAreFine)
{
  const Recipe recipe = parse("\xef\xbb\xbf"
                              "FROM scratch\r\nRUN a \\\r\n b\r\n");
  EXPECT_EQ(recipe.stages[0].from.words, Strings{"scratch"});
  EXPECT_EQ(recipe.stages[0].steps[0].text, "a  b");
}

TEST(Recipe, EscapeCanBeABacktick)
{
  const Recipe recipe = parse("# syntax=x\n# escape=`\nFROM scratch\nRUN a `\n b\\\n");
  EXPECT_EQ(recipe.stages[0].steps[0].text, "a  b\\");
}

TEST(Recipe, KeywordsInAnyCase) { EXPECT_EQ(one("run true").verb, Verb::run); }

TEST(Recipe, ListsAreTakenLiterally)
{
  const Instruction cmd = one(R"(CMD ["sh", "-c", "echo $HOME \"x\""])");
  EXPECT_TRUE(cmd.exec_form);
  EXPECT_EQ(cmd.words, (Strings{"sh", "-c", "echo $HOME \"x\""}));
}

TEST(Recipe, ABracketMayBeTheShellsTest)
{
  const Instruction run = one("RUN [ -f /etc/passwd ] && echo yes");
  EXPECT_FALSE(run.exec_form);
  EXPECT_EQ(run.text, "[ -f /etc/passwd ] && echo yes");
}

TEST(Recipe, EnvHasTwoForms)
{
  const auto pairs = one(R"(ENV A=1 B="two words" C=three\ words)").pairs;
  ASSERT_EQ(pairs.size(), 3u);
  EXPECT_EQ(pairs[1].first, "B");
  EXPECT_EQ(*pairs[1].second, "\"two words\"");
  const auto old = one("ENV NAME the whole rest").pairs;
  ASSERT_EQ(old.size(), 1u);
  EXPECT_EQ(*old[0].second, "the whole rest");
}

TEST(Recipe, FlagsStandBeforeTheWords)
{
  const Instruction copy = one("COPY --chown=1:2 --chmod=755 a b /c/");
  EXPECT_EQ(copy.flags.at("chown"), "1:2");
  EXPECT_EQ(copy.flags.at("chmod"), "755");
  EXPECT_EQ(copy.words, (Strings{"a", "b", "/c/"}));
}

TEST(Recipe, StagesAndGlobalArguments)
{
  const Recipe recipe = parse("ARG V=12\nFROM debian:$V AS make\nRUN x\nFROM scratch\nCOPY --from=make /a /a\n");
  EXPECT_EQ(recipe.global.size(), 1u);
  ASSERT_EQ(recipe.stages.size(), 2u);
  EXPECT_EQ(recipe.stages[0].name, "make");
  EXPECT_EQ(recipe.stages[1].steps[0].flags.at("from"), "make");
}

struct Refusal {
  const char* text;
  const char* says;
};
class RecipeRefuses : public testing::TestWithParam<Refusal> {};
TEST_P(RecipeRefuses, WithFileAndLine) { EXPECT_EQ(refused(GetParam().text), GetParam().says); }
INSTANTIATE_TEST_SUITE_P(
    All, RecipeRefuses,
    testing::Values(
        Refusal{"FROM scratch\n\nRUNN x", "Conductorfile:3: unknown instruction 'RUNN' / did you mean 'RUN'?"},
        Refusal{"FROM scratch\nFROBNICATE x",
                "Conductorfile:2: unknown instruction 'FROBNICATE' / known are ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM "
                "LABEL MAINTAINER RUN SHELL STOPSIGNAL USER VOLUME WORKDIR"},
        Refusal{"FROM scratch\nADD a b", "Conductorfile:2: this version does not build ADD / COPY copies files and "
                                         "directories; unpack and fetch with RUN"},
        Refusal{"RUN x", "Conductorfile:1: RUN stands before the first FROM / begin with FROM debian:bookworm"},
        Refusal{"# nothing\n", "Conductorfile: there is no FROM / begin with FROM debian:bookworm"},
        Refusal{"FROM",
                "Conductorfile:1: FROM: one image is expected / FROM debian:bookworm, or FROM debian:bookworm AS name"},
        Refusal{"FROM scratch\nCOPY a",
                "Conductorfile:2: COPY: sources and a destination are expected / COPY SOURCE... DESTINATION"},
        Refusal{"FROM scratch\nCOPY --chwon=1 a b", "Conductorfile:2: COPY: this version does not know --chwon / "},
        Refusal{"FROM scratch\nRUN", "Conductorfile:2: RUN: a command is missing / "},
        Refusal{"FROM scratch\nCMD ['sh']",
                "Conductorfile:2: CMD: the list is no JSON / write double quotes: [\"a\", \"b\"]"},
        Refusal{"FROM scratch\nENV X", "Conductorfile:2: ENV: 'X' has no value / NAME=VALUE"},
        Refusal{"FROM scratch\nENV A=1 B",
                "Conductorfile:2: ENV: 'B' is no NAME=VALUE / a value with blanks needs quotes: NAME=\"a b\""},
        Refusal{"FROM scratch\nENV A=\"1", "Conductorfile:2: a double quote is not closed / "},
        Refusal{"FROM scratch\nRUN \\\n  cat <<EOF\\\n\nX", "accepted"},
        Refusal{"FROM scratch\nRUN <<EOF\nX\nEOF", "Conductorfile:2: RUN: this version does not build here-documents / "
                                                   "write the commands with && and \\"}));

TEST(Recipe, ControlCharactersDoNotReachTheMessage)
{
  EXPECT_EQ(refused("FROM scratch\n\x1b[31mRED x").find('\x1b'), std::string::npos);
}

// ---- words

TEST(Words, SplitOutsideQuotes)
{
  EXPECT_EQ(split_words(R"(a "b c" d\ e 'f g'h)", '\\'), (Strings{"a", "\"b c\"", "d\\ e", "'f g'h"}));
  EXPECT_EQ(split_words("", '\\'), Strings{});
  EXPECT_EQ(split_words("\"\"", '\\'), Strings{"\"\""});
}

struct Expansion {
  const char* word;
  const char* becomes;
};
class Expands : public testing::TestWithParam<Expansion> {};
TEST_P(Expands, To) { EXPECT_EQ(expand(GetParam().word, {"X=one", "EMPTY=", "LONG_1=two"}, '\\'), GetParam().becomes); }
INSTANTIATE_TEST_SUITE_P(
    All, Expands,
    testing::Values(Expansion{"$X", "one"}, Expansion{"a${X}b", "aoneb"}, Expansion{"$LONG_1/x", "two/x"},
                    Expansion{"$NONE", ""}, Expansion{"${NONE:-d}", "d"}, Expansion{"${EMPTY:-d}", "d"},
                    Expansion{"${EMPTY-d}", ""}, Expansion{"${NONE-d}", "d"}, Expansion{"${X:+o}", "o"},
                    Expansion{"${EMPTY:+o}", ""}, Expansion{"${EMPTY+o}", "o"}, Expansion{"${NONE:-${X}}", "one"},
                    Expansion{"${NONE:-\"a b\"}", "a b"}, Expansion{"'$X'", "$X"}, Expansion{"\"$X y\"", "one y"},
                    Expansion{"\\$X", "$X"}, Expansion{"\"\\$X\"", "$X"}, Expansion{"\"a\\nb\"", "a\\nb"},
                    Expansion{"a\\ b", "a b"}, Expansion{"$", "$"}, Expansion{"a$-b", "a$-b"}, Expansion{"x\\", "x\\"},
                    Expansion{"\"it's\"", "it's"}));

TEST(Words, WhatIsNotUnderstoodIsAnError)
{
  for (const char* word : {"${X", "${}", "${X:=y}", "${X:", "\"x", "'x", "${NONE:?wanted}", "${1}"})
    EXPECT_THROW(expand(word, {"X=1"}, '\\'), Error) << word;
}

TEST(Words, NoBombs)
{
  std::string nested = "x";
  for (int i = 0; i < 1000; ++i) nested = "${N:-" + nested + "}";
  EXPECT_THROW(expand(nested, {}, '\\'), Error);
  const Variables big{"B=" + std::string(600'000, 'b')};
  EXPECT_THROW(expand("$B$B", big, '\\'), Error);
}

TEST(Words, SettingKeepsThePlace)
{
  Variables variables{"A=1", "B=2"};
  set_variable(variables, "A", "3");
  set_variable(variables, "C", "4");
  EXPECT_EQ(variables, (Variables{"A=3", "B=2", "C=4"}));
}

} // namespace
} // namespace conductor::image
