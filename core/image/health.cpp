#include "core/image/health.h"

#include "core/base/error.h"
#include "core/container/spec.h"

#include <algorithm>
#include <charconv>
#include <strings.h>

#include <nlohmann/json.hpp>

namespace conductor::image {
namespace {

constexpr int64_t millisecond = 1'000'000;

struct Unit {
  std::string_view name;
  double ns;
};
constexpr Unit units[] = {{"ns", 1}, {"us", 1e3}, {"µs", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};

bool is_number(char c) { return (c >= '0' && c <= '9') || c == '.'; }

double take_number(std::string_view& text)
{
  double number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc{} || !is_number(text.front())) return -1;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return number;
}

double take_unit(std::string_view& text)
{
  const size_t length = static_cast<size_t>(std::find_if(text.begin(), text.end(), is_number) - text.begin());
  for (const Unit& unit : units) {
    if (unit.name != text.substr(0, length)) continue;
    text.remove_prefix(length);
    return unit.ns;
  }
  return -1;
}

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

std::vector<std::string> test_of(std::string_view command)
{
  if (command.starts_with('[')) {
    const auto list = nlohmann::json::parse(command, nullptr, false);
    if (list.is_array() && std::all_of(list.begin(), list.end(), [](const auto& e) { return e.is_string(); })) {
      std::vector<std::string> test{"CMD"};
      for (const auto& word : list) test.push_back(word.template get<std::string>());
      if (test.size() == 1) throw Error{"the list is empty"};
      return test;
    }
  }
  return {"CMD-SHELL", std::string{command}};
}

} // namespace

int64_t parse_duration(std::string_view text)
{
  const Error wrong{"'" + visible(text) + "' is no duration", 0, "30s, 1m30s, 500ms"};
  if (text == "0") return 0;
  if (text.empty()) throw Error{wrong};
  double total = 0;
  while (!text.empty()) {
    const double number = take_number(text);
    const double unit = take_unit(text);
    if (number < 0 || unit < 0) throw Error{wrong};
    total += number * unit;
    if (total > 9e18) throw Error{wrong};
  }
  return static_cast<int64_t>(total);
}

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
  check.test = test_of(text);
  check.interval_ns = duration_flag(instruction, "interval");
  check.timeout_ns = duration_flag(instruction, "timeout");
  check.start_period_ns = duration_flag(instruction, "start-period");
  check.start_interval_ns = duration_flag(instruction, "start-interval");
  check.retries = retries_flag(instruction);
  return check;
}

} // namespace conductor::image
