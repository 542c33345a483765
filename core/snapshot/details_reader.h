// What is shown of the selected container only: its processes and interfaces.
#pragma once

#include "core/network.h"
#include "core/snapshot/process_reader.h"
#include "core/snapshot/read_text.h"
#include "core/snapshot/snapshot.h"

#include <cstdint>
#include <map>
#include <string>

namespace conductor {

class DetailsReader {
public:
  DetailsReader(std::string_view root_id, const Container& container);
  // Is it still about this container, in the same life?
  bool is_of(const Container& container) const;
  // Reads both anew; what cannot be read is said in `problem`.
  void read(Network& network, TextReader& text);
  const Details& details() const { return details_; }

private:
  struct Before {
    uint64_t rx_bytes = 0, tx_bytes = 0;
    History rx_history;
  };
  void read_interfaces(Network& network);
  int pid_ = 0;
  uint64_t pid_start_ = 0;
  ProcessReader processes_;
  Details details_;
  std::map<std::string, Before> before_; // by name of the interface
  uint64_t interfaces_us_ = 0;           // when they were read, 0: never
};

// Bytes per second between two values of a counter; 0 when it began anew.
double rate_between(uint64_t before, uint64_t now, uint64_t microseconds);
// Whole seconds in a time, one at least: how many entries of a History it fills.
size_t history_steps(uint64_t microseconds);

} // namespace conductor
