// The main of the unit tests: GoogleTest's own, plus the rule that a skip is loud. A run in which a test skipped itself
// ends with status 77, which ctest reports as "Skipped" by name; with CI=true it is a failure.
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <gtest/gtest.h>

int main(int count, char** arguments)
{
  testing::InitGoogleTest(&count, arguments);
  const int status = RUN_ALL_TESTS();
  if (status != 0 || testing::UnitTest::GetInstance()->skipped_test_count() == 0) return status;
  const char* ci = std::getenv("CI");
  if (ci == nullptr || std::string_view(ci) != "true") return 77;
  std::fputs("a test was skipped, and CI=true turns that into a failure\n", stderr);
  return 1;
}
