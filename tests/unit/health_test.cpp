// The health of a container: how results are judged, what wins over what, and the place that it is written into.
#include "core/base/error.h"
#include "core/container/health.h"

#include <gtest/gtest.h>

namespace conductor {
namespace {

constexpr int64_t second = 1'000'000'000;

HealthResult failed(std::string output = "no")
{
  return {.start_ns = 1, .end_ns = 2, .exit_code = 1, .output = std::move(output)};
}

TEST(Health, UnhealthyAfterSoManyFailuresInARow)
{
  const Healthcheck check{.test = {"CMD", "x"}, .retries = 2};
  Health health;
  judge(health, check, failed(), false);
  EXPECT_EQ(health.state, HealthState::starting);
  judge(health, check, failed(), false);
  EXPECT_EQ(health.state, HealthState::unhealthy);
  EXPECT_EQ(health.failing_streak, 2);
  judge(health, check, {}, false);
  EXPECT_EQ(health.state, HealthState::healthy);
  EXPECT_EQ(health.failing_streak, 0);
  judge(health, check, failed(), false);
  EXPECT_EQ(health.state, HealthState::healthy);
}

TEST(Health, ThreeFailuresWhereNobodySaysHowMany)
{
  Health health;
  for (int count = 0; count < 2; ++count) judge(health, {}, failed(), false);
  EXPECT_EQ(health.state, HealthState::starting);
  judge(health, {}, failed(), false);
  EXPECT_EQ(health.state, HealthState::unhealthy);
}

TEST(Health, FailuresInTheStartPeriodDoNotCountUntilItWasHealthyOnce)
{
  const Healthcheck check{.test = {"CMD", "x"}, .retries = 1};
  Health health;
  judge(health, check, failed(), true);
  EXPECT_EQ(health.state, HealthState::starting);
  EXPECT_EQ(health.failing_streak, 0);
  judge(health, check, {}, true);
  judge(health, check, failed(), true);
  EXPECT_EQ(health.state, HealthState::unhealthy);
}

TEST(Health, ChecksComeFasterInTheStartPeriod)
{
  const Healthcheck check{.interval_ns = 20 * second, .start_period_ns = 60 * second, .start_interval_ns = second};
  EXPECT_EQ(pause_before_check(check, HealthState::starting, 0), second);
  EXPECT_EQ(pause_before_check(check, HealthState::healthy, 0), 20 * second);
  EXPECT_EQ(pause_before_check(check, HealthState::starting, 60 * second), 20 * second);
  EXPECT_EQ(pause_before_check({}, HealthState::starting, 0), 30 * second);
}

TEST(Health, WhatTheUserLeavesOpenComesFromTheImage)
{
  const Healthcheck image{.test = {"CMD-SHELL", "a"}, .interval_ns = second, .retries = 7};
  const auto merged = merge_health(Healthcheck{.interval_ns = 5 * second}, image, {"/bin/ash", "-c"});
  ASSERT_TRUE(merged);
  EXPECT_EQ(merged->interval_ns, 5 * second);
  EXPECT_EQ(merged->retries, 7);
  EXPECT_EQ(health_command(*merged), (std::vector<std::string>{"/bin/ash", "-c", "a"}));
  EXPECT_EQ(health_command(*merge_health(Healthcheck{.test = {"CMD", "b", "c"}}, image, {})),
            (std::vector<std::string>{"b", "c"}));
}

TEST(Health, AnImageCannotAskForChecksWithoutAPause)
{
  const Healthcheck image{.test = {"CMD-SHELL", "a"}, .interval_ns = 1, .timeout_ns = -second, .retries = -1};
  EXPECT_EQ(*merge_health({}, image, {}), (Healthcheck{.test = {"CMD-SHELL", "a"}}));
}

TEST(Health, NoneIsNone)
{
  const Healthcheck image{.test = {"CMD-SHELL", "a"}};
  EXPECT_FALSE(merge_health(Healthcheck{.test = {"NONE"}}, image, {}));
  EXPECT_FALSE(merge_health({}, Healthcheck{.test = {"NONE"}}, {}));
  EXPECT_FALSE(merge_health({}, {}, {}));
  EXPECT_THROW(merge_health(Healthcheck{.retries = 2}, {}, {}), Error);
  EXPECT_THROW(merge_health({}, Healthcheck{.test = {"CMD"}}, {}), Error);
  EXPECT_THROW(merge_health({}, Healthcheck{.test = {"x", "y"}}, {}), Error);
}

TEST(Health, ThePlaceHoldsTheLastFiveResultsWhateverTheySaid)
{
  Health health;
  for (int count = 0; count < 7; ++count)
    judge(health, {}, failed(std::string(health_output_bytes, '\x01') + std::to_string(count)), false);
  const std::string text = to_text(health);
  const auto back = health_from_text(text);
  ASSERT_TRUE(back);
  EXPECT_EQ(text.size(), to_text({}).size());
  EXPECT_EQ(back->state, HealthState::unhealthy);
  EXPECT_EQ(back->failing_streak, 7);
  ASSERT_EQ(back->log.size(), health_results);
  EXPECT_TRUE(back->log.back().output.ends_with("\x01"
                                                "6"));
}

TEST(Health, HalfWrittenIsNothing)
{
  Health health;
  judge(health, {}, failed(), false);
  const std::string text = to_text(health);
  EXPECT_TRUE(health_from_text(text));
  EXPECT_FALSE(health_from_text(text.substr(0, 60)));
  EXPECT_FALSE(health_from_text(text.substr(0, 160)));
  EXPECT_FALSE(health_from_text(""));
  EXPECT_FALSE(health_from_text("{}\n[]"));
}

} // namespace
} // namespace conductor
