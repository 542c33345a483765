#include "core/base/nearest.h"

#include <algorithm>
#include <array>

namespace conductor {
namespace {

// Names are at most 63 letters, options and verbs fewer; longer words are never near to anything.
constexpr size_t longest_word = 80;
using Row = std::array<size_t, longest_word + 1>;

} // namespace

size_t edit_distance(std::string_view from, std::string_view to, size_t most)
{
  const size_t gap = from.size() > to.size() ? from.size() - to.size() : to.size() - from.size();
  if (gap > most || from.size() > longest_word || to.size() > longest_word) return most + 1;
  // Optimal string alignment: three rows of the table of distances between all beginnings are enough.
  Row before_last{}, last{}, row{};
  for (size_t j = 0; j <= to.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= from.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= to.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (from[i - 1] == to[j - 1] ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1];
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    before_last = last;
    last = row;
  }
  return std::min(last[to.size()], most + 1);
}

std::optional<std::string> nearest(std::string_view wanted, const std::vector<std::string>& candidates)
{
  const size_t allowed = std::max<size_t>(1, wanted.size() / 3);
  size_t best = allowed + 1;
  std::optional<std::string> found;
  for (const std::string& candidate : candidates) {
    const size_t distance = edit_distance(wanted, candidate, allowed);
    if (distance < best) {
      best = distance;
      found = candidate;
    }
  }
  if (found || wanted.size() < 2) return found;
  for (const std::string& candidate : candidates)
    if (candidate.starts_with(wanted)) return candidate;
  return std::nullopt;
}

std::string nearest_hint(std::string_view wanted, const std::vector<std::string>& candidates)
{
  const auto found = nearest(wanted, candidates);
  return found ? "did you mean '" + *found + "'?" : std::string{};
}

} // namespace conductor
