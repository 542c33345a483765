#include "core/snapshot/process_reader.h"

#include "core/base/trace.h"
#include "core/kernel/cgroup.h"
#include "core/snapshot/parse.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <ctime>

namespace conductor {
namespace {

constexpr uint32_t rounds_between_looks = 5;
constexpr size_t longest_command = 1024;
constexpr uint32_t range_of_ids = 65536;
constexpr uint32_t nobody = 65534; // how the kernel shows an id that has no name inside (user_namespaces(7))

uint64_t boottime_us()
{
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

uint64_t ticks_per_second()
{
  static const auto ticks = static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
  return ticks;
}

uint64_t page_size()
{
  static const auto size = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

double percent(uint64_t ticks, uint64_t microseconds)
{
  if (microseconds == 0) return 0;
  return 100.0 * static_cast<double>(ticks) * 1e6 / static_cast<double>(ticks_per_second()) /
         static_cast<double>(microseconds);
}

// "123/stat", without allocation.
struct ProcPath {
  std::array<char, 32> text;
  ProcPath(int pid, const char* name) { std::snprintf(text.data(), text.size(), "%d/%s", pid, name); }
};

} // namespace

ProcessReader::ProcessReader(std::string_view root_id, std::string_view leaf, uint32_t first_id)
    : proc_(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC)), first_id_(first_id)
{
  const kernel::CgroupHost& host = kernel::cgroup_host();
  const std::string path =
      (host.v2.empty() ? host.v1("pids") : host.v2) + "/" + kernel::cgroup_path(root_id, leaf) + "/cgroup.procs";
  group_ = Fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
}

std::vector<int> ProcessReader::members(TextReader& text, uint64_t& left_out) const
{
  std::vector<int> pids;
  left_out = 0;
  std::string_view list = text.read(group_);
  while (!list.empty()) {
    int pid = 0;
    const auto [end, error] = std::from_chars(list.data(), list.data() + list.size(), pid);
    // A number at the very end was cut by the buffer's.
    if (error != std::errc{} || end == list.data() + list.size()) break;
    list.remove_prefix(static_cast<size_t>(end - list.data()) + 1);
    if (pid <= 0) continue; // of another pid namespace than /proc's
    if (pids.size() < most_processes)
      pids.push_back(pid);
    else
      ++left_out;
  }
  return pids;
}

std::string ProcessReader::user_name(uint32_t host_uid) const
{
  uint32_t uid = host_uid;
  if (first_id_ != 0)
    uid = host_uid >= first_id_ && host_uid - first_id_ < range_of_ids ? host_uid - first_id_ : nobody;
  return uid == 0 ? "root" : std::to_string(uid);
}

void ProcessReader::look_closely(int pid, const std::string& name, TextReader& text, Known& known) const
{
  known.looked_at = round_;
  const ProcessIdentity identity = process_identity(text.read_path(proc_.get(), ProcPath{pid, "status"}.text.data()));
  known.info.pid = identity.pid_inside;
  known.info.user = user_name(identity.uid);
  // The command line lies in the process's own memory. One that hangs in the kernel may hold the lock of that memory,
  // and reading would hang with it: then the name has to do until it goes on.
  const bool hangs = known.info.state == 'D';
  std::string_view cmdline;
  if (!hangs) cmdline = text.read_path(proc_.get(), ProcPath{pid, "cmdline"}.text.data());
  if (hangs && !known.info.command.empty()) return;
  known.info.command = command_of(cmdline.substr(0, longest_command));
  if (known.info.command.empty()) known.info.command = "[" + name + "]";
}

bool ProcessReader::refresh(int pid, TextReader& text)
{
  const auto stat = process_stat(text.read_path(proc_.get(), ProcPath{pid, "stat"}.text.data()));
  if (!stat) return false;
  Known& known = known_[pid];
  const uint64_t now = boottime_us();
  if (known.start_ticks != stat->start_ticks) {
    known = Known{.start_ticks = stat->start_ticks, .time_us = stat->start_ticks * 1'000'000 / ticks_per_second()};
    known.info.host_pid = pid;
  }
  known.info.cpu_percent =
      percent(stat->cpu_ticks - std::min(stat->cpu_ticks, known.cpu_ticks), now - std::min(now, known.time_us));
  known.cpu_ticks = stat->cpu_ticks;
  known.time_us = now;
  known.seen = round_;
  known.ppid_host = stat->ppid;
  known.info.state = stat->state;
  known.info.rss_bytes = stat->rss_pages * page_size();
  if (known.looked_at == 0 || round_ - known.looked_at >= rounds_between_looks)
    look_closely(pid, stat->name, text, known);
  const bool waits = stat->state == 'S' || stat->state == 'D';
  known.info.wchan = waits ? text.read_path(proc_.get(), ProcPath{pid, "wchan"}.text.data()) : std::string_view{};
  if (known.info.wchan == "0") known.info.wchan.clear();
  return true;
}

std::vector<ProcessInfo> ProcessReader::read(TextReader& text, uint64_t& left_out)
{
  ++round_;
  for (const int pid : members(text, left_out)) refresh(pid, text);
  std::erase_if(known_, [&](const auto& entry) { return entry.second.seen != round_; });
  std::vector<ProcessInfo> processes;
  processes.reserve(known_.size());
  for (auto& [pid, known] : known_) {
    const auto parent = known_.find(known.ppid_host);
    known.info.ppid = parent == known_.end() ? 0 : parent->second.info.pid;
    processes.push_back(known.info);
  }
  std::sort(processes.begin(), processes.end(), [](const ProcessInfo& a, const ProcessInfo& b) {
    return a.pid != b.pid ? a.pid < b.pid : a.host_pid < b.host_pid;
  });
  return processes;
}

} // namespace conductor
