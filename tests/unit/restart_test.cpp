// Restart policies: what they say, and the pauses between two lives.
#include "core/base/error.h"
#include "core/container/restart.h"

#include <gtest/gtest.h>

namespace conductor {
namespace {

using When = RestartPolicy::When;
using std::chrono::milliseconds;

Status ended(int exit_code, unsigned restarts = 0)
{
  Status status;
  status.state = State::exited;
  status.exit_code = exit_code;
  status.restarts = restarts;
  return status;
}

TEST(RestartPolicy, WordsOfTheCommandLine)
{
  EXPECT_EQ(restart_policy("no").when, When::never);
  EXPECT_EQ(restart_policy("always").when, When::always);
  EXPECT_EQ(restart_policy("unless-stopped").when, When::unless_stopped);
  EXPECT_EQ(restart_policy("on-failure").when, When::on_failure);
  EXPECT_FALSE(restart_policy("on-failure").most);
  EXPECT_EQ(restart_policy("on-failure:3").most, 3u);
}

TEST(RestartPolicy, RefusesAllElse)
{
  for (const char* text : {"", "never", "on-failure:", "on-failure:x", "on-failure:-1", "on-failure:3 ", "always:3",
                           "no:1", "on-failure:99999999999", "ALWAYS"})
    EXPECT_THROW(restart_policy(text), Error) << text;
}

TEST(RestartPolicy, SaysWhoStartsAgain)
{
  EXPECT_FALSE(starts_again(restart_policy("no"), ended(1)));
  EXPECT_TRUE(starts_again(restart_policy("always"), ended(0)));
  EXPECT_TRUE(starts_again(restart_policy("unless-stopped"), ended(0, 1000)));
  EXPECT_FALSE(starts_again(restart_policy("on-failure"), ended(0)));
  EXPECT_TRUE(starts_again(restart_policy("on-failure"), ended(1, 1000)));
  EXPECT_TRUE(starts_again(restart_policy("on-failure:2"), ended(1, 1)));
  EXPECT_FALSE(starts_again(restart_policy("on-failure:2"), ended(1, 2)));
}

TEST(RestartPolicy, SaysWhoStartsWithTheHost)
{
  EXPECT_TRUE(starts_at_boot(restart_policy("always"), true));
  EXPECT_TRUE(starts_at_boot(restart_policy("unless-stopped"), false));
  EXPECT_FALSE(starts_at_boot(restart_policy("unless-stopped"), true));
  EXPECT_FALSE(starts_at_boot(restart_policy("on-failure"), false));
  EXPECT_FALSE(starts_at_boot(restart_policy("no"), false));
}

TEST(RestartPause, DoublesUpToAMinute)
{
  RestartPause pause;
  milliseconds expected{100};
  for (int life = 0; life < 20; ++life) {
    EXPECT_EQ(pause.after(milliseconds{5}), expected) << life;
    expected = std::min(expected * 2, milliseconds{60'000});
  }
}

TEST(RestartPause, BeginsAnewBehindALongLife)
{
  RestartPause pause;
  pause.after(milliseconds{5});
  pause.after(milliseconds{5});
  EXPECT_EQ(pause.after(milliseconds{9'999}).count(), 400);
  EXPECT_EQ(pause.after(milliseconds{10'000}).count(), 100);
  EXPECT_EQ(pause.after(milliseconds{5}).count(), 200);
}

} // namespace
} // namespace conductor
