// The kernel's texts, taken apart: ordinary, hostile and cut ones.
#include "core/snapshot/parse.h"

#include <gtest/gtest.h>

using namespace conductor;

namespace {

constexpr std::string_view stat_line =
    "71231 (nginx: worker) R 71204 71204 71204 0 -1 4194624 1000 0 3 0 120 34 0 0 20 0 4 0 987654 12345678 2661 "
    "18446744073709551615 1 1 0 0 0 0 0 4096 81920 0 0 0 17 1 0 0 0 0 0\n";

} // namespace

TEST(ParseProcessStat, TakesTheFieldsOfTheManualPage)
{
  const auto stat = process_stat(stat_line);
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->name, "nginx: worker");
  EXPECT_EQ(stat->state, 'R');
  EXPECT_EQ(stat->ppid, 71204);
  EXPECT_EQ(stat->cpu_ticks, 154U);
  EXPECT_EQ(stat->start_ticks, 987654U);
  EXPECT_EQ(stat->rss_pages, 2661U);
}

TEST(ParseProcessStat, ANameMayHoldParenthesesSpacesAndNewlines)
{
  const auto stat = process_stat("5 (a) R 1 (\n) b) S 1 5 5 0 -1 0 0 0 0 0 7 8 0 0 20 0 1 0 42 0 9 0");
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->name, "a) R 1 (\n) b");
  EXPECT_EQ(stat->state, 'S');
  EXPECT_EQ(stat->ppid, 1);
  EXPECT_EQ(stat->cpu_ticks, 15U);
}

TEST(ParseProcessStat, ACutLineIsNoProcess)
{
  for (size_t length = 0; length < 100; ++length)
    EXPECT_FALSE(process_stat(std::string{stat_line.substr(0, length)})) << length;
}

TEST(ParseProcessIdentity, TakesTheEffectiveUserAndTheInnerPid)
{
  const auto identity = process_identity(
      "Name:\tsh\nPid:\t4711\nUid:\t100000\t100033\t100000\t100000\nNSpid:\t4711\t29\t1\nThreads:\t1\n");
  EXPECT_EQ(identity.uid, 100033U);
  EXPECT_EQ(identity.pid_inside, 29);
}

TEST(ParseProcessIdentity, AProcessOutsideHasNoInnerPid)
{
  EXPECT_EQ(process_identity("NSpid:\t4711\n").pid_inside, 0);
  EXPECT_EQ(process_identity("").pid_inside, 0);
}

TEST(ParseProcessIdentity, ANameCannotForgeAField)
{
  // The kernel escapes newlines in Name; a tab or colon stays.
  EXPECT_EQ(process_identity("Name:\tUid:\t0\nUid:\t5\t6\t5\t5\n").uid, 6U);
}

TEST(ParseCommand, WordsAreJoined)
{
  EXPECT_EQ(command_of(std::string_view{"/bin/sh\0-c\0a b\0", 15}), "/bin/sh -c a b");
  EXPECT_EQ(command_of(std::string_view{"\0\0\0", 3}), "");
  EXPECT_EQ(command_of("\x1b]0;x\x07"), "\x1b]0;x\x07"); // raw here, visible() where it is shown
}

TEST(ParseNumbers, BehindTheirKey)
{
  constexpr std::string_view text = "usage_usec 1533\nuser_usec 1500\nnr_periods 10\nnr_throttled 4\n";
  EXPECT_EQ(number_of(text, "usage_usec"), 1533U);
  EXPECT_EQ(number_of(text, "nr_throttled"), 4U);
  EXPECT_EQ(number_of(text, "usage"), std::nullopt);
  EXPECT_EQ(number_of("MemTotal:        8028740 kB\n", "MemTotal:"), 8028740U);
  EXPECT_EQ(number_of("inactive_file_x 1\ninactive_file 2\n", "inactive_file"), 2U);
  EXPECT_EQ(number_of("", "x"), std::nullopt);
}

TEST(ParseNumbers, TooLargeOnesAreNone)
{
  EXPECT_EQ(number_at("99999999999999999999999"), std::nullopt);
  EXPECT_EQ(number_at("-1"), std::nullopt);
}

TEST(ParseLimits, BothWaysToSayNoLimit)
{
  EXPECT_EQ(limit_at("max\n"), std::nullopt);
  EXPECT_EQ(limit_at("9223372036854771712\n"), std::nullopt);
  EXPECT_EQ(limit_at("268435456\n"), 268435456U);
}

TEST(ParseCpuTimes, WaitingForDisksIsIdle)
{
  const CpuTimes times = cpu_times("cpu  10 1 5 100 20 2 3 4 99 99\ncpu0 1 1 1 1 1 1 1 1 0 0\n");
  EXPECT_EQ(times.busy, 25U);
  EXPECT_EQ(times.total, 145U);
}

TEST(ParseIo, AllDisksAreAdded)
{
  const IoBytes io =
      io_bytes("8:0 rbytes=100 wbytes=200 rios=1 wios=2 dbytes=0 dios=0\n253:1 rbytes=1 wbytes=2\n8:16\n");
  EXPECT_EQ(io.read, 101U);
  EXPECT_EQ(io.written, 202U);
}
