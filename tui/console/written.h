// How much a container has written: what is lost with it.
#pragma once

#include <cstdint>
#include <string>

namespace conductor::console {

struct Written {
  std::uint64_t bytes = 0; ///< on disk
  bool whole = true;       ///< false: time ran out, there is more
};

/// Sums up a directory tree, for at most so many milliseconds: it is asked while the user waits for a question.
Written written_below(const std::string& directory, int most_ms);

} // namespace conductor::console
