#include "core/snapshot/snapshot.h"

#include <algorithm>

namespace conductor {

void History::push(float value, size_t times)
{
  times = std::min(times, history_seconds);
  const auto shift = static_cast<std::ptrdiff_t>(times);
  std::move(values.begin() + shift, values.end(), values.begin());
  std::fill(values.end() - shift, values.end(), value);
  known = std::min(history_seconds, known + times);
}

} // namespace conductor
