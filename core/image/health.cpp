#include "core/image/health.h"

#include "core/base/error.h"
#include "core/container/health.h"
#include "core/container/spec.h"

#include <algorithm>
#include <charconv>
#include <strings.h>

namespace conductor::image {
namespace {

constexpr int64_t millisecond = 1'000'000;

int64_t duration_flag(const Instruction& instruction, const char* name)
{
  const auto text = flag(instruction, name);
  if (!text) return 0;
  int64_t value = 0;
  try {
    value = parse_duration(*text);
  } catch (const Error& error) {
    throw error.within(std::string{"--"} + name);
  }
  if (value != 0 && value < millisecond) throw Error{std::string{"--"} + name + " cannot be less than 1ms"};
  return value;
}

int retries_flag(const Instruction& instruction)
{
  const auto text = flag(instruction, "retries");
  if (!text) return 0;
  int retries = -1;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), retries);
  if (error != std::errc{} || end != text->data() + text->size() || retries < 0)
    throw Error{"--retries '" + visible(*text) + "' is no number"};
  return retries;
}

} // namespace

Healthcheck parse_health_check(const Instruction& instruction)
{
  std::string_view text = instruction.text;
  const std::string word{text.substr(0, text.find_first_of(" \t"))};
  text.remove_prefix(word.size());
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  Healthcheck check;
  if (strcasecmp(word.c_str(), "NONE") == 0) {
    if (!text.empty() || !instruction.flags.empty()) throw Error{"NONE stands alone"};
    check.test = {"NONE"};
    return check;
  }
  if (strcasecmp(word.c_str(), "CMD") != 0)
    throw Error{"'" + visible(word) + "' is neither CMD nor NONE", 0,
                "HEALTHCHECK --interval=30s CMD curl -f http://localhost/"};
  if (text.empty()) throw Error{"a command is missing behind CMD"};
  check.test = health_test(text);
  check.interval_ns = duration_flag(instruction, "interval");
  check.timeout_ns = duration_flag(instruction, "timeout");
  check.start_period_ns = duration_flag(instruction, "start-period");
  check.start_interval_ns = duration_flag(instruction, "start-interval");
  check.retries = retries_flag(instruction);
  return check;
}

} // namespace conductor::image
