// The processes of one container, out of /proc. Only members of its control group are ever looked at.
//
// The names and command lines are the container's own choice: they are bounded here and made visible where they are
// shown. A process may end, or its number come back as another's, between any two reads.
#pragma once

#include "core/base/handle.h"
#include "core/snapshot/read_text.h"
#include "core/snapshot/snapshot.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace conductor {

class ProcessReader {
public:
  // first_id: the first host id of the container's range, 0 without a user namespace.
  ProcessReader(std::string_view root_id, std::string_view leaf, uint32_t first_id);

  // Most processes that are read at all; a container with more shows the first of them.
  static constexpr size_t most_processes = 512;

  // By pid inside. CPU is that since the call before; at a process's first sight its average over its life. left_out:
  // how many more there are.
  std::vector<ProcessInfo> read(TextReader& text, uint64_t& left_out);

private:
  // What changes seldom, looked at every few rounds.
  struct Known {
    uint64_t start_ticks = 0;
    uint64_t cpu_ticks = 0;
    uint64_t time_us = 0;
    uint32_t looked_at = 0; // round in which name and identity were read
    uint32_t seen = 0;      // last round it was there
    int ppid_host = 0;
    ProcessInfo info;
  };
  std::vector<int> members(TextReader& text, uint64_t& left_out) const;
  bool refresh(int pid, TextReader& text);
  void look_closely(int pid, const std::string& name, TextReader& text, Known& known) const;
  std::string user_name(uint32_t host_uid) const;

  Fd proc_, group_;
  uint32_t first_id_ = 0;
  uint32_t round_ = 0;
  std::map<int, Known> known_; // by host pid
};

} // namespace conductor
