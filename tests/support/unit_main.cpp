// The main of the unit tests: GoogleTest's own, plus the rule that a skip is loud. A run in which a test skipped itself
// ends with status 77, which ctest reports as "Skipped" by name; with CI=true it is a failure.
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <gtest/gtest.h>

namespace {

// Takes the place of GoogleTest's printer where a skip is a failure: ctest believes the printer's "[  SKIPPED ]" more
// than the exit status.
class Failures : public testing::EmptyTestEventListener {
  void OnTestPartResult(const testing::TestPartResult& result) override
  {
    if (result.passed()) return;
    const char* file = result.file_name() != nullptr ? result.file_name() : "?";
    std::printf("%s:%d: %s%s\n", file, result.line_number(),
                result.skipped() ? "skipped, a failure with CI=true: " : "", result.message());
  }
};

} // namespace

int main(int count, char** arguments)
{
  testing::InitGoogleTest(&count, arguments);
  const char* ci = std::getenv("CI");
  const bool may_skip = ci == nullptr || std::string_view(ci) != "true";
  auto& listeners = testing::UnitTest::GetInstance()->listeners();
  if (!may_skip && !testing::GTEST_FLAG(list_tests)) {
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new Failures);
  }
  const int status = RUN_ALL_TESTS();
  if (status != 0 || testing::UnitTest::GetInstance()->skipped_test_count() == 0) return status;
  return may_skip ? 77 : 1;
}
