// The table of limits: each value as v1 and as v2 write it, there and back.
#include "core/kernel/group_limits.h"

#include <string>

#include <gtest/gtest.h>

namespace conductor::kernel {
namespace {

const LimitRow& row(std::string_view option)
{
  for (const LimitRow& each : limit_rows())
    if (each.option == option) return each;
  throw std::runtime_error{"no such row"};
}

// What is written to set it on a group that has no limits yet; "" for nothing.
std::string written(std::string_view option, Hierarchy hierarchy, const Limits& limits, std::string_view file = {})
{
  const auto changes = limit_changes(row(option), hierarchy, file, {}, limits);
  return changes.empty() ? "" : changes.at(0).value;
}

Limits read_back(std::string_view option, Hierarchy hierarchy, std::string_view text, std::string_view file = {})
{
  Limits limits{.memory_bytes = 100 << 20};
  read_limit(row(option), hierarchy, file, text, limits);
  return limits;
}

std::string refusal(const Limits& limits)
{
  try {
    check_limits(limits);
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), 2);
    return std::string{error.sentence()};
  }
  return "";
}

constexpr auto v1 = Hierarchy::v1, v2 = Hierarchy::v2;

TEST(GroupLimits, swap_is_counted_with_memory_by_v1_and_alone_by_v2)
{
  const Limits limits{.memory_bytes = 100, .memory_swap_bytes = 150};
  EXPECT_EQ(written("memory-swap", v1, limits), "150");
  EXPECT_EQ(written("memory-swap", v2, limits), "50");
}

TEST(GroupLimits, memory_alone_allows_as_much_swap_again)
{
  EXPECT_EQ(written("memory-swap", v1, {.memory_bytes = 100}), "200");
  EXPECT_EQ(written("memory-swap", v2, {.memory_bytes = 100}), "100");
  EXPECT_EQ(written("memory-swap", v2, {.memory_bytes = 100, .memory_swap_bytes = 100}), "0");
  EXPECT_FALSE(row("memory-swap").asks({.memory_bytes = 100})) << "a host that cannot count it is no reason to refuse";
}

TEST(GroupLimits, all_the_swap_there_is)
{
  const Limits before{.memory_bytes = 100}, after{.memory_bytes = 100, .memory_swap_bytes = no_limit};
  EXPECT_EQ(limit_changes(row("memory-swap"), v1, "", before, after).at(0).value, "-1");
  EXPECT_EQ(limit_changes(row("memory-swap"), v2, "", before, after).at(0).value, "max");
}

TEST(GroupLimits, v1_raises_memory_and_swap_before_memory_and_lowers_it_after)
{
  const Limits little{.memory_bytes = 100}, much{.memory_bytes = 1000};
  EXPECT_TRUE(goes_first(row("memory-swap"), v1, little, much));
  EXPECT_TRUE(goes_first(row("memory-swap"), v1, little, {}));
  EXPECT_FALSE(goes_first(row("memory-swap"), v1, much, little));
  EXPECT_FALSE(goes_first(row("memory-swap"), v1, {}, little));
  EXPECT_FALSE(goes_first(row("memory-swap"), v2, little, much));
}

TEST(GroupLimits, cpus_are_a_quota_of_the_period)
{
  EXPECT_EQ(written("cpus", v1, {.cpus = 0.5}), "50000");
  EXPECT_EQ(written("cpus", v2, {.cpus = 2.25}), "225000 100000");
  EXPECT_EQ(written("cpus", v2, {.cpus = 0.01}), "1000 100000");
}

TEST(GroupLimits, weights_keep_their_relation)
{
  EXPECT_EQ(written("cpu-weight", v1, {.cpu_weight = 200}), "2048");
  EXPECT_EQ(written("cpu-weight", v1, {.cpu_weight = 100}), "") << "what everybody has";
  EXPECT_EQ(written("cpu-weight", v2, {.cpu_weight = 200}), "200");
  EXPECT_EQ(written("io-weight", v2, {.io_weight = 500}, "io.weight"), "default 500");
  EXPECT_EQ(written("io-weight", v1, {.io_weight = 50}, "blkio.bfq.weight"), "50");
  EXPECT_EQ(written("io-weight", v1, {.io_weight = 10'000}, "blkio.bfq.weight"), "1000");
}

TEST(GroupLimits, what_was_written_is_read_back)
{
  EXPECT_EQ(read_back("memory", v2, "max\n").memory_bytes, std::nullopt);
  EXPECT_EQ(read_back("memory", v1, "9223372036854771712\n").memory_bytes, std::nullopt);
  EXPECT_EQ(read_back("memory-swap", v2, "50\n").memory_swap_bytes, (100U << 20) + 50);
  EXPECT_EQ(read_back("memory-swap", v1, "150\n").memory_swap_bytes, 150U);
  EXPECT_EQ(read_back("memory-swap", v2, "max\n").memory_swap_bytes, no_limit);
  EXPECT_EQ(read_back("cpus", v2, "25000 50000\n").cpus, 0.5);
  EXPECT_EQ(read_back("cpus", v2, "max 100000\n").cpus, std::nullopt);
  EXPECT_EQ(read_back("cpus", v1, "-1\n").cpus, std::nullopt);
  EXPECT_EQ(read_back("cpu-weight", v1, "512\n").cpu_weight, 50U);
  EXPECT_EQ(read_back("cpuset", v1, "0-1\n").cpuset, "0-1");
  EXPECT_EQ(read_back("cpuset", v2, "\n").cpuset, std::nullopt);
  EXPECT_EQ(read_back("io-weight", v2, "default 500\n", "io.weight").io_weight, 500U);
  EXPECT_EQ(read_back("io-weight", v1, "1000\n", "blkio.bfq.weight").io_weight, 10'000U);
}

TEST(GroupLimits, rates_are_lines_of_disks)
{
  const auto in_v2 =
      read_back("io-write-bps", v2, "9999:7 rbps=1 wbps=20 riops=max wiops=max\n9999:8 rbps=5 wbps=max\n");
  EXPECT_EQ(in_v2.io_write_bps, (std::vector<DeviceRate>{{"9999:7", 20}}));
  const auto in_v1 = read_back("io-read-iops", v1, "9999:7 100\n9999:8 200\n");
  EXPECT_EQ(in_v1.io_read_iops, (std::vector<DeviceRate>{{"9999:7", 100}, {"9999:8", 200}}));
}

TEST(GroupLimits, a_change_knows_its_way_back)
{
  const auto changes = limit_changes(row("pids"), v2, "", {.pids = 10}, {.pids = 20});
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes[0].value + " " + changes[0].back, "20 10");
  EXPECT_EQ(limit_changes(row("pids"), v2, "", {.pids = 10}, {}).at(0).value, "max");
  EXPECT_TRUE(limit_changes(row("pids"), v2, "", {.pids = 10}, {.pids = 10}).empty());
}

TEST(GroupLimits, what_cannot_be_is_refused_with_its_reason)
{
  EXPECT_EQ(refusal({}), "");
  EXPECT_NE(refusal({.memory_swap_bytes = 1 << 20}).find("without --memory"), std::string::npos);
  EXPECT_EQ(refusal({.memory_swap_bytes = no_limit}), "");
  EXPECT_NE(refusal({.memory_bytes = 2 << 20, .memory_swap_bytes = 1 << 20}).find("cannot be less"), std::string::npos);
  EXPECT_NE(refusal({.memory_bytes = 2 << 20, .memory_reservation_bytes = 3 << 20}).find("above"), std::string::npos);
  EXPECT_NE(refusal({.cpu_weight = 0}).find("between 1 and 10000"), std::string::npos);
  EXPECT_NE(refusal({.io_weight = 10'001}).find("between 1 and 10000"), std::string::npos);
  EXPECT_NE(refusal({.io_read_bps = {{"/dev/vda", 0}}}).find("io-read-bps"), std::string::npos);
}

TEST(GroupLimits, a_controller_is_a_whole_word)
{
  constexpr std::string_view text = "cpuset cpu io memory hugetlb pids\n";
  for (const char* there : {"cpuset", "cpu", "io", "pids"}) EXPECT_TRUE(names_controller(text, there)) << there;
  for (const char* absent : {"cp", "set", "rdma", "blkio"}) EXPECT_FALSE(names_controller(text, absent)) << absent;
  EXPECT_FALSE(names_controller("cpuset io\n", "cpu"));
  EXPECT_FALSE(names_controller("", "cpu"));
}

TEST(GroupLimits, lists_of_cpus)
{
  EXPECT_EQ(parse_cpu_list("0-2,5"), (std::vector<unsigned>{0, 1, 2, 5}));
  EXPECT_EQ(parse_cpu_list("7"), std::vector<unsigned>{7});
  for (const char* wrong : {"", ",", "1,", "-1", "3-1", "a", "1-", "0-99999", "1 2", "1-2-3"})
    EXPECT_EQ(parse_cpu_list(wrong), std::nullopt) << wrong;
}

} // namespace
} // namespace conductor::kernel
