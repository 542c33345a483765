// What the listeners make of the event stream: the narration, the progress of a build, decisions of a gate, errors.
#include "core/base/error.h"
#include "tui/command/explain.h"
#include "tui/command/progress.h"
#include "tui/command/report.h"
#include "tui/command/stream.h"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace conductor::command {
namespace {

Event step(uint32_t id, uint32_t parent, std::string topic, std::string why = {})
{
  return {
      .kind = EventKind::step_began, .id = id, .parent = parent, .topic = std::move(topic), .detail = std::move(why)};
}
Event end(uint32_t id, uint64_t duration, Outcome outcome = Outcome::done)
{
  return {.kind = EventKind::step_ended, .id = id, .duration_us = duration, .outcome = outcome};
}
Event call(EventKind kind, std::string text, std::string by_hand = {}, int error = 0)
{
  return {.kind = kind,
          .topic = "mount",
          .detail = std::move(text),
          .by_hand = std::move(by_hand),
          .error = error,
          .duration_us = 14};
}

std::string explained(const std::vector<Event>& events)
{
  ExplainListener listener{-1, false};
  std::string text;
  for (const Event& event : events) text += listener.tell(event);
  return text;
}

TEST(Explain, StepsAreNumberedIndentedAndReasoned)
{
  EXPECT_EQ(explained({step(1, 0, "start 'web'", "because"), step(2, 1, "make the root"), end(2, 120),
                       step(3, 1, "run it"), end(3, 7), end(1, 1500)}),
            "1  start 'web'\n"
            "   why   because\n"
            "   1.1  make the root\n"
            "      done in 120 us\n"
            "   1.2  run it\n"
            "      done in 7 us\n"
            "   done in 1.50 ms\n");
}

TEST(Explain, CallsHaveResultTimeAndWhatAPersonWouldType)
{
  EXPECT_EQ(explained({step(1, 0, "mount"), call(EventKind::call_began, "mount(...)", "mount -t proc"),
                       call(EventKind::call_ended, "mount(...)", "mount -t proc")}),
            "1  mount\n"
            "   ok            14 us  mount(...)\n"
            "                        $ mount -t proc\n");
}

TEST(Explain, FailedAndSkippedCallsSayItInFront)
{
  Event skipped = call(EventKind::call_ended, "b()");
  skipped.skipped = true;
  EXPECT_EQ(explained({call(EventKind::call_ended, "a()", "", EBUSY), skipped}), "EBUSY         14 us  a()\n"
                                                                                 "skipped              b()\n");
}

TEST(Explain, LongCallIsToldBeforeWhatItPrints)
{
  const Event output{.kind = EventKind::output, .detail = "fetching\n"};
  EXPECT_EQ(explained({call(EventKind::call_began, "execve(...)"), output, call(EventKind::call_ended, "execve(...)")}),
            "...                  execve(...)\n"
            "| fetching\n"
            "ok            14 us  mount ended\n");
}

TEST(Explain, StepsOfAChildProgramLieBelowTheStepThatMadeIt)
{
  const std::string text = explained({step(1, 0, "start"), step(10'001, 1, "in the child"), end(10'001, 1), end(1, 2)});
  EXPECT_NE(text.find("   1.1  in the child\n"), std::string::npos) << text;
}

TEST(Explain, ForeignTextCannotSteerTheTerminal)
{
  EXPECT_EQ(explained({step(1, 0, "\x1b[2J"), call(EventKind::call_ended, "\x1b]0;x\a")}).find('\x1b'),
            std::string::npos);
}

std::string progressed(const std::vector<Event>& events, bool terminal = false)
{
  ProgressListener listener{-1, terminal, false};
  std::string text;
  for (const Event& event : events) text += listener.tell(event);
  return text;
}

TEST(Progress, ShowsTheLevelBelowTheVerbAndLiveOutput)
{
  const Event output{.kind = EventKind::output, .detail = "one\ntwo\r\nhalf"};
  const Event rest{.kind = EventKind::output, .detail = " done\n"};
  EXPECT_EQ(progressed({step(1, 0, "conductor build web"), step(2, 1, "stage 1"), step(3, 2, "RUN make"),
                        step(4, 3, "mount"), output, rest, end(4, 1), end(3, 2'000'000), end(2, 3), end(1, 4)}),
            "stage 1\n"
            "  | one\n"
            "  | two\n"
            "  | half done\n");
}

TEST(Progress, RewrittenLineIsShownAsItWasLeft)
{
  const Event output{.kind = EventKind::output, .detail = "10%\r50%\r100%\n"};
  EXPECT_EQ(progressed({output}), "  | 100%\n");
}

TEST(Progress, BarsAreForTerminalsOnly)
{
  const Event half{.kind = EventKind::progress, .time_us = 1'000'000, .done = 50, .total = 100, .unit = "files"};
  EXPECT_EQ(progressed({half}), "");
  EXPECT_NE(progressed({half}, true).find("###"), std::string::npos);
}

TEST(Progress, StepsSideBySideHaveALineEach)
{
  Event first = step(2, 1, "layer 1/2"), second = step(3, 1, "layer 2/2");
  Event a{.kind = EventKind::progress, .time_us = 1'000'000, .id = 2, .done = 50, .total = 100, .unit = "bytes"};
  Event b{.kind = EventKind::progress, .time_us = 2'000'000, .id = 3, .done = 10, .total = 100, .unit = "bytes"};
  const std::vector<Event> events{step(1, 0, "conductor pull web"), first, second, a, b};
  const std::string drawn = progressed(events, true);
  EXPECT_TRUE(drawn.starts_with("layer 1/2\nlayer 2/2\n")) << drawn;
  EXPECT_NE(drawn.find("layer 1/2                    [############............]"), std::string::npos) << drawn;
  EXPECT_NE(drawn.find("\n  layer 2/2                    [##......................]"), std::string::npos) << drawn;
  // What is told next wipes both lines, and says which layer it was.
  ProgressListener listener{-1, true, false};
  for (const Event& event : events) listener.tell(event);
  EXPECT_EQ(listener.tell(end(2, 2'000'000)), "\r\x1b[K\x1b[A\r\x1b[Klayer 1/2: done in 2.00 s\n");
}

TEST(Gate, DecisionsInEverySpelling)
{
  for (const char* go : {"go", "\"go\"", R"({"decision":"go"})"}) EXPECT_EQ(parse_decision(go), Decision::go);
  EXPECT_EQ(parse_decision(R"({"decision":"skip"})"), Decision::skip);
  EXPECT_EQ(parse_decision("abort"), Decision::abort);
  EXPECT_EQ(parse_decision("fail ENOSPC"), fail_with(ENOSPC));
  EXPECT_EQ(failure_in(parse_decision(R"({"decision":"fail EIO"})")), EIO);
  for (const char* wrong :
       {"", "yes", "{}", "{", "[1]", "{\"decision\":1}", "fail", "fail ", "fail ENOSUCH", "fail 28"})
    EXPECT_THROW(parse_decision(wrong), Error);
}

TEST(Gate, ReadsOneLineACallAndAbortsAtTheEnd)
{
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  ASSERT_TRUE(write_all(ends[1], "go\n{\"decision\":\"skip\"}\n"));
  ::close(ends[1]);
  GateFd gate{ends[0], false};
  EXPECT_EQ(gate.before({}), Decision::go);
  EXPECT_EQ(gate.before({}), Decision::skip);
  EXPECT_EQ(gate.before({}), Decision::abort);
  ::close(ends[0]);
}

TEST(Stream, BeginsWithTheHelloUnlessItHasBegun)
{
  for (const bool begun : {false, true}) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    StreamListener{ends[1], begun}.on(step(1, 0, "x"));
    ::close(ends[1]);
    std::array<char, 4096> text{};
    const ssize_t count = ::read(ends[0], text.data(), text.size());
    ASSERT_GT(count, 0);
    const std::string_view read{text.data(), static_cast<size_t>(count)};
    EXPECT_EQ(read.starts_with(R"({"event":"hello","schema":1})"), !begun);
    EXPECT_NE(read.find("step_began"), std::string_view::npos);
    ::close(ends[0]);
  }
}

TEST(Report, ErrorForPeopleHasSentenceHintAndUsage)
{
  Arguments arguments;
  arguments.verb = find_verb("rm");
  EXPECT_EQ(error_text(usage_error("no", "yes"), arguments, false),
            "conductor: no\nhint: yes\nusage: conductor rm NAME... [options]\n");
  EXPECT_EQ(error_text(Error{"mount", EBUSY}, arguments, false), "conductor: mount: Device or resource busy\n");
}

TEST(Report, ErrorForProgramsIsOneObject)
{
  Arguments arguments;
  arguments.verb = find_verb("rm");
  EXPECT_EQ(error_text(Error{"mount", ENOSPC, "free some"}, arguments, true),
            R"({"error":{"message":"mount: No space left on device","hint":"free some","errno":"ENOSPC"}})"
            "\n");
}

TEST(Report, ExitStatusFollowsTheContract)
{
  Arguments run, rm;
  run.verb = find_verb("run");
  rm.verb = find_verb("rm");
  EXPECT_EQ(exit_status(Error{"x"}, rm), 1);
  EXPECT_EQ(exit_status(Error{"x"}.with_status(127), rm), 1);
  EXPECT_EQ(exit_status(usage_error("x"), rm), 2);
  EXPECT_EQ(exit_status(Error{"x"}, run), 125);
  EXPECT_EQ(exit_status(Error{"x"}.with_status(127), run), 127);
  EXPECT_EQ(exit_status(usage_error("x"), run), 2);
  EXPECT_EQ(exit_status(Error{"x"}.with_status(no_root_status), run), 1);
}

} // namespace
} // namespace conductor::command
