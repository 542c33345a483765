#include "core/snapshot/group_reader.h"

#include "core/base/trace.h"
#include "core/kernel/cgroup.h"
#include "core/snapshot/parse.h"

#include <algorithm>
#include <string>

namespace conductor {
namespace {

Fd open_group(const std::string& hierarchy, std::string_view path)
{
  if (hierarchy.empty()) return Fd{};
  const std::string whole = hierarchy + "/" + std::string{path};
  return Fd{::open(whole.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)};
}

Fd open_in(const Fd& group, const char* name)
{
  return group ? Fd{::openat(group.get(), name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)} : Fd{};
}

double share(uint64_t part, uint64_t whole)
{
  return whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

uint64_t grown(uint64_t before, uint64_t now) { return now > before ? now - before : 0; }

} // namespace

GroupReader::GroupReader(std::string_view root_id, std::string_view leaf)
{
  const kernel::CgroupHost& host = kernel::cgroup_host();
  const std::string path = kernel::cgroup_path(root_id, leaf);
  const Fd v2 = open_group(host.v2, path);
  cpu_stat_ = open_in(v2, "cpu.stat");
  if (host.v2_has_controllers) {
    memory_ = open_in(v2, "memory.current");
    memory_stat_ = open_in(v2, "memory.stat");
    memory_limit_ = open_in(v2, "memory.max");
    pids_ = open_in(v2, "pids.current");
    pids_limit_ = open_in(v2, "pids.max");
    io_stat_ = open_in(v2, "io.stat");
    return;
  }
  const Fd memory = open_group(host.v1("memory"), path);
  memory_ = open_in(memory, "memory.usage_in_bytes");
  memory_stat_ = open_in(memory, "memory.stat");
  memory_limit_ = open_in(memory, "memory.limit_in_bytes");
  droppable_ = "total_inactive_file";
  const Fd pids = open_group(host.v1("pids"), path);
  pids_ = open_in(pids, "pids.current");
  pids_limit_ = open_in(pids, "pids.max");
  throttling_ = open_in(open_group(host.v1("cpu"), path), "cpu.stat");
}

std::optional<GroupReading> GroupReader::read(TextReader& text) const
{
  GroupReading reading{.time_us = monotonic_us()};
  const std::string_view cpu = text.read(cpu_stat_);
  reading.cpu_us = number_of(cpu, "usage_usec").value_or(0);
  const bool there = !cpu.empty();
  const std::string_view throttling = throttling_ ? text.read(throttling_) : cpu;
  reading.periods = number_of(throttling, "nr_periods").value_or(0);
  reading.throttled_periods = number_of(throttling, "nr_throttled").value_or(0);
  reading.throttled_us = number_of(throttling, "throttled_usec").value_or(0);
  if (const auto ns = number_of(throttling, "throttled_time")) reading.throttled_us = *ns / 1000; // of v1

  Figures& figures = reading.figures;
  const auto pids = number_at(text.read(pids_));
  if (!there && !pids) return std::nullopt;
  figures.pids = pids.value_or(0);
  figures.pids_limit = limit_at(text.read(pids_limit_));
  figures.memory_bytes = number_at(text.read(memory_)).value_or(0);
  figures.memory_limit_bytes = limit_at(text.read(memory_limit_));
  const uint64_t droppable = number_of(text.read(memory_stat_), droppable_).value_or(0);
  figures.memory_bytes -= std::min(droppable, figures.memory_bytes);
  if (io_stat_) {
    const IoBytes io = io_bytes(text.read(io_stat_));
    figures.io_read_bytes = io.read;
    figures.io_write_bytes = io.written;
  }
  return reading;
}

Figures figures_between(const GroupReading& before, const GroupReading& now)
{
  Figures figures = now.figures;
  figures.cpu_percent = share(grown(before.cpu_us, now.cpu_us), grown(before.time_us, now.time_us));
  figures.throttled_percent =
      share(grown(before.throttled_periods, now.throttled_periods), grown(before.periods, now.periods));
  return figures;
}

} // namespace conductor
