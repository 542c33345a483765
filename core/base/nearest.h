// The nearest known name to a mistyped one: "no container 'wbe'" / hint: did you mean 'web'?
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace conductor {

// Number of single-letter edits (insert, delete, replace, swap of neighbours) between two words; `most` + 1 when there
// are more than `most` of them.
size_t edit_distance(std::string_view from, std::string_view to, size_t most);

// The candidate with the fewest edits to `wanted`, at most a third of its letters (but one at least); the first of
// equals. Also one that `wanted` is the beginning of. None when nothing is near.
std::optional<std::string> nearest(std::string_view wanted, const std::vector<std::string>& candidates);

// "did you mean 'web'?", or "" when nothing is near: the hint of an Error.
std::string nearest_hint(std::string_view wanted, const std::vector<std::string>& candidates);

} // namespace conductor
