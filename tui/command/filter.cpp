// Filters of lists.
#include "tui/command/filter.h"

#include "core/base/error.h"
#include "core/container/spec.h"

#include <algorithm>

namespace conductor::command {

Filter::Filter(const std::vector<std::string>& texts, std::span<const std::string_view> keys)
{
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    const std::string key = equals == std::string::npos ? "name" : text.substr(0, equals);
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      std::string known;
      for (const std::string_view each : keys) known += (known.empty() ? "" : ", ") + std::string{each};
      throw usage_error("no filter '" + visible(key) + "'", "filters are " + known);
    }
    wanted_[key].push_back(equals == std::string::npos ? text : text.substr(equals + 1));
  }
}

bool Filter::matches(std::string_view key, const std::vector<std::string>& wanted,
                     const std::vector<std::string>& values)
{
  const bool part = key == "name" || key == "image" || key == "base" || key == "outcome";
  return std::any_of(wanted.begin(), wanted.end(), [&](const std::string& text) {
    return std::any_of(values.begin(), values.end(), [&](const std::string& value) {
      return part ? value.find(text) != std::string::npos : value == text;
    });
  });
}

} // namespace conductor::command
