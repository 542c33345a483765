// The kernel's texts of /proc and of control groups, taken apart. Pure: a text in, values out; a text that is cut or
// odd gives zeros or nothing, never an error, since a file may end at any moment.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace conductor {

// The number at the beginning of a text, after blanks; none when there is none or it is too large.
std::optional<uint64_t> number_at(std::string_view text);
// The number behind `key` at the beginning of a line: "usage_usec 1533", "MemTotal:  100 kB".
std::optional<uint64_t> number_of(std::string_view text, std::string_view key);
// A limit: none for "max", and for what v1 says when there is none (more than any machine has).
std::optional<uint64_t> limit_at(std::string_view text);

// /proc/PID/stat (proc_pid_stat(5)). The name may hold anything, also ") R 1": it ends at the last parenthesis.
struct ProcessStat {
  std::string name;
  char state = '?';
  int ppid = 0;
  uint64_t cpu_ticks = 0; // user and system
  uint64_t start_ticks = 0;
  uint64_t rss_pages = 0;
};
std::optional<ProcessStat> process_stat(std::string_view text);

// /proc/PID/status: effective uid, and the pid in the namespace below the one of this /proc (0 when there is none).
struct ProcessIdentity {
  uint32_t uid = 0;
  int pid_inside = 0;
};
ProcessIdentity process_identity(std::string_view text);

// /proc/PID/cmdline -> words with spaces between; "" for kernel threads and zombies.
std::string command_of(std::string_view cmdline);

// cpu line of /proc/stat, in ticks: busy and all of them together (iowait is idle).
struct CpuTimes {
  uint64_t busy = 0, total = 0;
};
CpuTimes cpu_times(std::string_view text);

// Bytes read and written: io.stat of v2 ("8:0 rbytes=1 wbytes=2 ...").
struct IoBytes {
  uint64_t read = 0, written = 0;
};
IoBytes io_bytes(std::string_view text);

} // namespace conductor
