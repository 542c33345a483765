// What a control group says of its container: CPU time, memory, processes, throttling, disk.
#pragma once

#include "core/base/handle.h"
#include "core/snapshot/read_text.h"
#include "core/snapshot/snapshot.h"

#include <cstdint>
#include <optional>
#include <string_view>

namespace conductor {

// The counters at one moment.
struct GroupReading {
  uint64_t time_us = 0; // CLOCK_MONOTONIC
  uint64_t cpu_us = 0;
  uint64_t periods = 0, throttled_periods = 0, throttled_us = 0;
  Figures figures; // memory, pids, limits, disk; no rates yet
};

// Keeps the files of one group open and reads them in place: a tenth of the cost of opening them each time.
class GroupReader {
public:
  GroupReader() = default;
  // Opens what is there; a group without some controller lacks some figures.
  GroupReader(std::string_view root_id, std::string_view leaf);
  explicit operator bool() const { return static_cast<bool>(cpu_stat_) || static_cast<bool>(pids_); }
  // None when the group is gone.
  std::optional<GroupReading> read(TextReader& text) const;

private:
  Fd cpu_stat_, throttling_; // of v2; of v1's cpu controller where limits come from there
  Fd memory_, memory_stat_, memory_limit_;
  Fd pids_, pids_limit_;
  Fd io_stat_;
  std::string_view droppable_ = "inactive_file"; // of v1 "total_inactive_file"
};

// The figures of `now` with the rates since `before`.
Figures figures_between(const GroupReading& before, const GroupReading& now);

} // namespace conductor
