// The build file's parser: lines, instructions, words, variables, and the sentences for what is wrong.
#include "core/base/error.h"
#include "core/container/health.h"
#include "core/image/file_mode.h"
#include "core/image/health.h"
#include "core/image/recipe.h"
#include "core/image/run_mount.h"
#include "core/image/words.h"
#include "core/store/configuration.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

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
  EXPECT_EQ(flag(copy, "chown"), "1:2");
  EXPECT_EQ(flag(copy, "chmod"), "755");
  EXPECT_EQ(flag(copy, "link"), std::nullopt);
  EXPECT_EQ(copy.words, (Strings{"a", "b", "/c/"}));
}

TEST(Recipe, StagesAndGlobalArguments)
{
  const Recipe recipe = parse("ARG V=12\nFROM debian:$V AS make\nRUN x\nFROM scratch\nCOPY --from=make /a /a\n");
  EXPECT_EQ(recipe.global.size(), 1u);
  ASSERT_EQ(recipe.stages.size(), 2u);
  EXPECT_EQ(recipe.stages[0].name, "make");
  EXPECT_EQ(flag(recipe.stages[1].steps[0], "from"), "make");
}

struct Refusal {
  const char* text;
  std::string says;
};
class RecipeRefuses : public testing::TestWithParam<Refusal> {};
TEST_P(RecipeRefuses, WithFileAndLine) { EXPECT_EQ(refused(GetParam().text), GetParam().says); }
INSTANTIATE_TEST_SUITE_P(
    All, RecipeRefuses,
    testing::Values(
        Refusal{"FROM scratch\n\nRUNN x", "Conductorfile:3: unknown instruction 'RUNN' / did you mean 'RUN'?"},
        Refusal{
            "FROM scratch\nFROBNICATE x",
            "Conductorfile:2: unknown instruction 'FROBNICATE' / known are ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM "
            "HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL STOPSIGNAL USER VOLUME WORKDIR"},
        Refusal{"RUN x", "Conductorfile:1: RUN stands before the first FROM / begin with FROM debian:bookworm"},
        Refusal{"# nothing\n", "Conductorfile: there is no FROM / begin with FROM debian:bookworm"},
        Refusal{"FROM",
                "Conductorfile:1: FROM: one image is expected / FROM debian:bookworm, or FROM debian:bookworm AS name"},
        Refusal{"FROM scratch\nCOPY a",
                "Conductorfile:2: COPY: sources and a destination are expected / COPY SOURCE... DESTINATION"},
        Refusal{"FROM scratch\nCOPY --chwon=1 a b",
                "Conductorfile:2: COPY: there is no --chwon / did you mean '--chown'?"},
        Refusal{"FROM scratch\nCOPY --checksum=1 a b",
                "Conductorfile:2: COPY: there is no --checksum / it knows --from "
                "--chown --chmod --exclude --parents --link"},
        Refusal{"FROM scratch\nCOPY --chmod=1 --chmod=2 a b", "Conductorfile:2: COPY: --chmod stands there twice / "},
        Refusal{"FROM scratch\nENV --x a=b", "Conductorfile:2: ENV: there is no --x / ENV has no flags"},
        Refusal{
            "FROM scratch\nRUN --security=insecure x",
            "Conductorfile:2: RUN: --security is not possible: a step never gets more rights than a container has by "
            "default / "},
        Refusal{
            "FROM scratch\nRUN --mount=type=ssh x",
            "Conductorfile:2: RUN: --mount=type=ssh: type=ssh is not possible: no agent of the host is reachable from "
            "a step / give a key as a secret: --mount=type=secret,id=key"},
        Refusal{"FROM scratch\nRUN --mount=type=cach,target=/x x",
                "Conductorfile:2: RUN: --mount=type=cach,target=/x: there is no mount of type 'cach' / did you mean "
                "'cache'?"},
        Refusal{
            "FROM scratch\nRUN --mount=type=cache,targt=/x x",
            "Conductorfile:2: RUN: --mount=type=cache,targt=/x: a mount of type cache has no 'targt' / did you mean "
            "'target'?"},
        Refusal{"FROM scratch\nRUN --mount=type=cache x",
                "Conductorfile:2: RUN: --mount=type=cache: a target is missing / "
                "--mount=type=cache,target=/path"},
        Refusal{"FROM scratch AS 1st", "Conductorfile:1: FROM: '1st' is no name of a stage / a letter, then letters, "
                                       "digits, '-', '_' and '.'"},
        Refusal{"FROM scratch\nONBUILD FROM x", "Conductorfile:2: ONBUILD: FROM cannot be a trigger / "},
        Refusal{"FROM scratch\nONBUILD ONBUILD RUN x", "Conductorfile:2: ONBUILD: ONBUILD cannot be a trigger / "},
        Refusal{"FROM scratch\nONBUILD RNU x", "Conductorfile:2: unknown instruction 'RNU' / did you mean 'RUN'?"},
        Refusal{"FROM scratch\nHEALTHCHECK curl",
                "Conductorfile:2: HEALTHCHECK: 'curl' is neither CMD nor NONE / HEALTHCHECK --interval=30s CMD curl -f "
                "http://localhost/"},
        Refusal{"FROM scratch\nHEALTHCHECK --interval=5 CMD x",
                "Conductorfile:2: HEALTHCHECK: --interval: '5' is no duration / 30s, 1m30s, 500ms"},
        Refusal{"FROM scratch\nHEALTHCHECK NONE x", "Conductorfile:2: HEALTHCHECK: NONE stands alone / "},
        Refusal{"FROM scratch\nCOPY a <<EOF\nx\nEOF",
                "Conductorfile:2: COPY: a here-document cannot be the destination / "},
        Refusal{"FROM scratch\nCOPY <<../x /y\n../x",
                "Conductorfile:2: COPY: '../x' is no name of a file / COPY <<EOF /path"},
        Refusal{"# escape=x\nFROM scratch",
                "Conductorfile:1: the directive 'escape' cannot be 'x' / # escape=\\ or # escape=`"},
        Refusal{"FROM scratch\nRUN", "Conductorfile:2: RUN: a command is missing / "},
        Refusal{"FROM scratch\nCMD ['sh']", "accepted"},
        Refusal{"FROM scratch\nENV X", "Conductorfile:2: ENV: 'X' has no value / NAME=VALUE"},
        Refusal{"FROM scratch\nENV A=1 B",
                "Conductorfile:2: ENV: 'B' is no NAME=VALUE / a value with blanks needs quotes: NAME=\"a b\""},
        Refusal{"FROM scratch\nENV A=\"1", "Conductorfile:2: a double quote is not closed / "},
        Refusal{"FROM scratch\nRUN \\\n  cat <<EOF\\\n\nX",
                "Conductorfile:2: the here-document <<EOFX is not closed / a line that is just EOFX ends it"},
        Refusal{"FROM scratch\nRUN <<EOF\nX\nEOF", "accepted"}));

// A value without a variable is looked at before any step is run; with one it can be told only then.
INSTANTIATE_TEST_SUITE_P(
    Values, RecipeRefuses,
    testing::Values(
        Refusal{"FROM scratch\nEXPOSE a", "Conductorfile:2: EXPOSE: 'a' is no port / 80, 53/udp or 8000-8010/tcp"},
        Refusal{"FROM scratch\nEXPOSE 80 \"70-60\"",
                "Conductorfile:2: EXPOSE: '70-60' is no port / 80, 53/udp or 8000-8010/tcp"},
        Refusal{"FROM scratch\nEXPOSE $PORT 80/UDP \"81\"", "accepted"},
        Refusal{"FROM scratch\nCOPY --chmod=999 a b",
                "Conductorfile:2: COPY: --chmod: '999' is no mode / --chmod=755, or --chmod=u=rwX,go=rX"},
        Refusal{"FROM scratch\nADD --chmod=u+q a b",
                "Conductorfile:2: ADD: --chmod: 'u+q' is no mode / --chmod=755, or --chmod=u=rwX,go=rX"},
        Refusal{"FROM scratch\nCOPY --chmod=u+x --chown=$WHO a b", "accepted"},
        Refusal{"FROM scratch\nCOPY --chmod=$MODE a b", "accepted"},
        Refusal{"FROM scratch\nCOPY --chown=1: a b",
                "Conductorfile:2: COPY: --chown=1:: cannot run as user '1:': '' is no group id / "},
        Refusal{"FROM scratch\nCOPY --chown=www-data:5 a b", "accepted"},
        Refusal{"FROM scratch\nCOPY --link=maybe a b",
                "Conductorfile:2: COPY: --link=maybe is neither true nor false / "},
        Refusal{"FROM scratch\nCOPY a \"\"", "Conductorfile:2: COPY: the destination is empty / "},
        Refusal{"FROM scratch\nADD --checksum=md5:1 http://example.com/a /a",
                "Conductorfile:2: ADD: --checksum 'md5:1' is no digest / --checksum=sha256: and 64 hex digits"},
        Refusal{"FROM scratch\nADD --checksum=$SUM http://example.com/a /a", "accepted"},
        Refusal{
            "FROM scratch\nADD git@example.com:a /a",
            "Conductorfile:2: ADD: 'git@example.com:a' is a git repository, and those are not fetched / clone it into "
            "the context, and COPY it"},
        Refusal{"FROM scratch\nRUN --network=foo x",
                "Conductorfile:2: RUN: --network=foo is not possible / default, internet, none or host"},
        Refusal{"FROM scratch\nSTOPSIGNAL SIGNOTHING",
                "Conductorfile:2: STOPSIGNAL: 'SIGNOTHING' is no signal / STOPSIGNAL SIGTERM"},
        Refusal{"FROM scratch\nSTOPSIGNAL 999", "Conductorfile:2: STOPSIGNAL: '999' is no signal / STOPSIGNAL SIGTERM"},
        Refusal{"FROM scratch\nSTOPSIGNAL ${S:-x}", "accepted"},
        Refusal{"FROM scratch\nENV \"A B\"=1", "Conductorfile:2: ENV: 'A B' is no name / "},
        Refusal{"FROM scratch\nARG \"\"=1", "Conductorfile:2: ARG: '' is no name / "},
        Refusal{"FROM scratch\nUSER \"\"", "Conductorfile:2: USER: the value is empty / "},
        Refusal{"FROM scratch\nVOLUME [\"\"]", "Conductorfile:2: VOLUME: the value is empty / "},
        Refusal{"FROM scratch\nONBUILD EXPOSE a",
                "Conductorfile:2: EXPOSE: 'a' is no port / 80, 53/udp or 8000-8010/tcp"},
        Refusal{"FROM --platform=riscv99 x\nFROM scratch",
                "Conductorfile:1: FROM: --platform=riscv99 is another than this machine's / only linux/" +
                    machine_architecture() + " can be built here"},
        Refusal{"FROM scratch\nFROM $X\nFROM 0\nFROM A/../b",
                "Conductorfile:4: 'A/../b' is no name of an image / names of images look like web, web:2 or "
                "team/web:latest"},
        Refusal{"FROM scratch\nCOPY --from=Late /a /a\nFROM scratch AS late",
                "Conductorfile:2: COPY: the stage 'Late' stands further down / a stage can take from those above it"},
        Refusal{"FROM scratch\nRUN --mount=from=late,target=/a x\nFROM scratch AS late",
                "Conductorfile:2: RUN: the stage 'late' stands further down / a stage can take from those above it"},
        Refusal{"FROM scratch AS early\nFROM scratch\nCOPY --from=EARLY /a /a\nCOPY --from=0 /a /a", "accepted"},
        Refusal{"FROM scratch\nCOPY --from=$X /a /a",
                "Conductorfile:2: COPY: no variable can stand in --from / name a stage: FROM $IMAGE AS name"}));

// ---- here-documents

TEST(Heredoc, TakesTheLinesUpToItsName)
{
  const Recipe recipe = parse("FROM scratch\nRUN <<EOF\nfirst\n# second\n\nEOFX\nEOF\nRUN after\n");
  ASSERT_EQ(recipe.stages[0].steps.size(), 2u);
  const Instruction& run = recipe.stages[0].steps[0];
  ASSERT_EQ(run.heredocs.size(), 1u);
  EXPECT_EQ(run.heredocs[0].content, "first\n# second\n\nEOFX\n");
  EXPECT_EQ(recipe.stages[0].steps[1].line, 8u);
}

TEST(Heredoc, TabsGoWithADash)
{
  const Instruction run = one("RUN <<-EOF\n\ta\n\t\tb\tc\n\tEOF");
  EXPECT_EQ(chomped(run.heredocs.at(0)), "a\nb\tc\n");
}

TEST(Heredoc, SeveralAndQuoted)
{
  const Instruction copy = one("COPY <<one <<\"two\" a /x/\n1\none\n$2\ntwo");
  ASSERT_EQ(copy.heredocs.size(), 2u);
  EXPECT_TRUE(copy.heredocs[0].expand);
  EXPECT_FALSE(copy.heredocs[1].expand);
  EXPECT_EQ(copy.heredocs[1].name, "two");
  EXPECT_EQ(copy.heredocs[1].word, 1u);
  EXPECT_EQ(copy.heredocs[1].content, "$2\n");
}

TEST(Heredoc, NotInListsAndNotInTheMiddleOfAWord)
{
  EXPECT_TRUE(one("RUN [\"echo\", \"<<EOF\"]").heredocs.empty());
  EXPECT_TRUE(one("RUN cat<<EOF").heredocs.empty());
  EXPECT_TRUE(one("RUN echo $((1 << 2))").heredocs.empty());
  EXPECT_TRUE(one("RUN cat <<<here").heredocs.empty());
}

TEST(Heredoc, OnBuildKeepsIt)
{
  const Instruction trigger = one("ONBUILD RUN <<EOF\na\nEOF");
  EXPECT_EQ(trigger.text, "RUN <<EOF\na\nEOF");
  EXPECT_EQ(parse_trigger(trigger.text).heredocs.at(0).content, "a\n");
}

TEST(Recipe, AnEscapedEscapeDoesNotContinue)
{
  EXPECT_EQ(parse("FROM scratch\nRUN a \\\\\nRUN b").stages[0].steps.size(), 2u);
}

TEST(Recipe, AListThatIsNoJsonIsTheShellsAndWarns)
{
  const Recipe recipe = parse("FROM scratch\nCMD ['sh']");
  EXPECT_FALSE(recipe.stages[0].steps[0].exec_form);
  ASSERT_EQ(recipe.warnings.size(), 1u);
  EXPECT_TRUE(recipe.warnings[0].starts_with("Conductorfile:2: CMD: the list is no JSON"));
}

TEST(Recipe, FlagsMayBeQuotedAndSomeRepeated)
{
  const Instruction run = one("RUN --mount=type=tmpfs,target=/a --mount=\"type=tmpfs,target=/b c\" x");
  EXPECT_EQ(flags(run, "mount"), (Strings{"type=tmpfs,target=/a", "type=tmpfs,target=/b c"}));
  EXPECT_EQ(run.text, "x");
}

// ---- --chmod

TEST(FileMode, DigitsAndSymbols)
{
  struct Case {
    const char* text;
    mode_t before, after;
  };
  for (const auto& [text, before, after] : std::initializer_list<Case>{{"755", S_IFREG | 0644, S_IFREG | 0755},
                                                                       {"0", S_IFREG | 0644, S_IFREG},
                                                                       {"1777", S_IFDIR | 0755, S_IFDIR | 01777},
                                                                       {"u+x", S_IFREG | 0644, S_IFREG | 0744},
                                                                       {"a-w", S_IFREG | 0666, S_IFREG | 0444},
                                                                       {"+x", S_IFREG | 0644, S_IFREG | 0755},
                                                                       {"+w", S_IFREG | 0444, S_IFREG | 0644},
                                                                       {"=r", S_IFREG | 0777, S_IFREG | 0444},
                                                                       {"u=rwX,go=rX", S_IFREG | 0600, S_IFREG | 0644},
                                                                       {"u=rwX,go=rX", S_IFREG | 0700, S_IFREG | 0755},
                                                                       {"u=rwX,go=rX", S_IFDIR | 0600, S_IFDIR | 0755},
                                                                       {"g=u", S_IFREG | 0640, S_IFREG | 0660},
                                                                       {"u+s,o+t", S_IFREG | 0755, S_IFREG | 05755},
                                                                       {"go=", S_IFREG | 0755, S_IFREG | 0700},
                                                                       {"u-x+w", S_IFREG | 0555, S_IFREG | 0655}})
    EXPECT_EQ(FileMode{text}.applied(before), after) << text;
}

TEST(FileMode, WhatIsNoneIsRefused)
{
  for (const char* text : {"", "999", "10000", "0o755", "x", "u", "u+q", "u+x,", ",u+x", "g=uw", "u=a", "+-755"})
    EXPECT_THROW(FileMode{text}, Error) << text;
}

// ---- mounts and health

TEST(RunMount, TypesAndDefaults)
{
  const RunMount bind = parse_mount("target=/x");
  EXPECT_EQ(bind.kind, MountKind::bind);
  EXPECT_FALSE(bind.writable);
  const RunMount cache = parse_mount("type=cache,dst=/x,sharing=private,mode=0700,uid=5");
  EXPECT_TRUE(cache.writable);
  EXPECT_EQ(cache.id, "/x");
  EXPECT_EQ(cache.sharing, Sharing::exclusive);
  EXPECT_EQ(cache.mode, 0700u);
  EXPECT_EQ(cache.uid, 5u);
  EXPECT_EQ(parse_mount("type=secret,id=key").target, "/run/secrets/key");
  EXPECT_EQ(parse_mount("type=secret,target=/a/key").id, "key");
  EXPECT_EQ(parse_mount("type=secret,id=key,env=KEY").target, "");
  EXPECT_EQ(parse_mount("type=tmpfs,target=/t,size=2m").size_bytes, 2u << 20);
  EXPECT_TRUE(parse_mount("rw,target=/x").writable);
}

TEST(RunMount, WhatIsWrongIsSaid)
{
  for (const char* text : {"type=cache,target=/x,mode=9", "type=cache,target=/x,uid=-1", "type=tmpfs,target=/x,size=1x",
                           "target=/x,required=true", "type=cache,target=/x,sharing=never", "target=/x,ro=maybe",
                           "type=tmpfs,target=/x,size=99999999t"})
    EXPECT_THROW(parse_mount(text), Error) << text;
}

TEST(Health, DurationsOfGo)
{
  EXPECT_EQ(parse_duration("1m30s"), 90'000'000'000);
  EXPECT_EQ(parse_duration("1.5h"), 5'400'000'000'000);
  EXPECT_EQ(parse_duration("250ms"), 250'000'000);
  for (const char* text : {"", "5", "s", "1x", "-1s", "1s2", "99999999999h", ".", "1e3s"})
    EXPECT_THROW(parse_duration(text), Error) << text;
}

TEST(Health, OptionsAndCommand)
{
  const auto check = parse_health_check(one("HEALTHCHECK --interval=5s --retries=2 CMD [\"a\", \"b\"]"));
  EXPECT_EQ(check.test, (Strings{"CMD", "a", "b"}));
  EXPECT_EQ(check.interval_ns, 5'000'000'000);
  EXPECT_EQ(check.retries, 2);
  EXPECT_EQ(parse_health_check(one("HEALTHCHECK cmd a | b")).test, (Strings{"CMD-SHELL", "a | b"}));
  EXPECT_EQ(parse_health_check(one("HEALTHCHECK NONE")).test, Strings{"NONE"});
}

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
TEST_P(Expands, To)
{
  EXPECT_EQ(expand(GetParam().word, {"X=one", "EMPTY=", "LONG_1=two", "P=a/b/c.tar.gz", "LINE=1/2/3"}, '\\'),
            GetParam().becomes);
}
INSTANTIATE_TEST_SUITE_P(
    All, Expands,
    testing::Values(Expansion{"$X", "one"}, Expansion{"a${X}b", "aoneb"}, Expansion{"$LONG_1/x", "two/x"},
                    Expansion{"$NONE", ""}, Expansion{"${NONE:-d}", "d"}, Expansion{"${EMPTY:-d}", "d"},
                    Expansion{"${EMPTY-d}", ""}, Expansion{"${NONE-d}", "d"}, Expansion{"${X:+o}", "o"},
                    Expansion{"${EMPTY:+o}", ""}, Expansion{"${EMPTY+o}", "o"}, Expansion{"${NONE:-${X}}", "one"},
                    Expansion{"${NONE:-\"a b\"}", "a b"}, Expansion{"'$X'", "$X"}, Expansion{"\"$X y\"", "one y"},
                    Expansion{"\\$X", "$X"}, Expansion{"\"\\$X\"", "$X"}, Expansion{"\"a\\nb\"", "a\\nb"},
                    Expansion{"a\\ b", "a b"}, Expansion{"$", "$"}, Expansion{"a$-b", "ab"}, Expansion{"x\\", "x"},
                    Expansion{"\"it's\"", "it's"}, Expansion{"he$1x", "hex"}, Expansion{"he$.x", "he$.x"},
                    Expansion{"${1}", ""}, Expansion{"he${NONE:-\\$X:}xx", "he$X:xx"},
                    Expansion{"he${NONE:-\\${X}z}xx", "he${Xz}xx"}, Expansion{"he${X:+${X}:}xx", "heone:xx"},
                    Expansion{"'\\$X'", "\\$X"}, Expansion{"\\${}", "${}"}, Expansion{"${X?}", "one"},
                    Expansion{"${EMPTY?}", ""}, Expansion{"${P#*/}", "b/c.tar.gz"}, Expansion{"${P##*/}", "c.tar.gz"},
                    Expansion{"${P%.*}", "a/b/c.tar"}, Expansion{"${P%%.*}", "a/b/c"},
                    Expansion{"${P#x}", "a/b/c.tar.gz"}, Expansion{"${P/b/B}", "a/B/c.tar.gz"},
                    Expansion{"${P//[/x}", "a/b/c.tar.gz"}, Expansion{"${LINE//\\//-}", "1-2-3"},
                    Expansion{"${LINE/\\/?/}", "1/3"}, Expansion{"${NONE#x}", ""}));

TEST(Words, TextOfHereDocumentsKeepsItsQuotes)
{
  EXPECT_EQ(expand_text("\"$X\" '$X' \\$X it's", {"X=1"}, '\\'), "\"1\" '1' $X it's");
}

TEST(Words, WhatIsNotUnderstoodIsAnError)
{
  for (const char* word :
       {"${X", "${}", "${X:=y}", "${X:", "\"x", "'x", "${NONE:?wanted}", "${.}", "${X:#y}", "${X/a}"})
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
