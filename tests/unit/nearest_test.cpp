// The nearest name to a mistyped one.
#include "core/base/nearest.h"

#include <gtest/gtest.h>

using namespace conductor;

TEST(Nearest, CountsEdits)
{
  EXPECT_EQ(edit_distance("web", "web", 3), 0U);
  EXPECT_EQ(edit_distance("wbe", "web", 3), 1U);
  EXPECT_EQ(edit_distance("kitten", "sitting", 5), 3U);
  EXPECT_EQ(edit_distance("", "abc", 5), 3U);
}

TEST(Nearest, StopsCountingAtTheLimit) { EXPECT_EQ(edit_distance("aaaaaaaa", "b", 2), 3U); }

TEST(Nearest, FindsASwap) { EXPECT_EQ(nearest("wbe", {"db", "web", "cache"}), "web"); }

TEST(Nearest, FindsABeginning) { EXPECT_EQ(nearest("cach", {"db", "cache-server-1"}), "cache-server-1"); }

TEST(Nearest, SaysNothingWhenNothingIsNear)
{
  EXPECT_FALSE(nearest("zebra", {"db", "web"}));
  EXPECT_EQ(nearest_hint("zebra", {"db", "web"}), "");
}

TEST(Nearest, SurvivesVeryLongWords) { EXPECT_FALSE(nearest(std::string(5000, 'a'), {"db", std::string(5001, 'b')})); }

TEST(Nearest, MakesAHint) { EXPECT_EQ(nearest_hint("sotp", {"start", "stop"}), "did you mean 'stop'?"); }
