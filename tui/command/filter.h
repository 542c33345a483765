// --filter KEY=VALUE of ps and images. Several of one key: any of them; several keys: all of them.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace conductor::command {

class Filter {
public:
  // A word without "=" filters by name. Throws a usage Error for another key than `keys`, naming them.
  Filter(const std::vector<std::string>& texts, std::span<const std::string_view> keys);

  bool names(std::string_view key) const { return wanted_.find(key) != wanted_.end(); }

  // values_of: (key) -> the row's texts for it. name and image match when they contain the value, others when they are
  // it.
  template <class ValuesOf>
  bool accepts(ValuesOf&& values_of) const
  {
    for (const auto& [key, wanted] : wanted_)
      if (!matches(key, wanted, values_of(key))) return false;
    return true;
  }

private:
  static bool matches(std::string_view key, const std::vector<std::string>& wanted,
                      const std::vector<std::string>& values);
  std::map<std::string, std::vector<std::string>, std::less<>> wanted_;
};

} // namespace conductor::command
