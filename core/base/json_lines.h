// On which line of a JSON text each key stands: for messages about files that people write.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace conductor {

struct JsonKey {
  std::vector<std::string> path; // the names of the objects around it, then its own
  size_t line = 0;               // from 1
};

struct JsonLines {
  bool good = false;     // false: no JSON, or nested too deep
  size_t error_line = 1; // where that is seen
  std::vector<JsonKey> keys;
};

// // and /* */ comments are allowed. Keys inside of arrays are left out.
JsonLines json_lines(std::string_view text);

// The text with a comma before a closing bracket made a blank, as people leave one when they take a line out. Nothing
// else moves. Comments are understood.
std::string without_last_commas(std::string_view text);

} // namespace conductor
