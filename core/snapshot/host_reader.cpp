#include "core/snapshot/host_reader.h"

#include <algorithm>
#include <ctime>

#include <sys/utsname.h>
#include <unistd.h>

namespace conductor {

HostReader::HostReader()
    : stat_(::open("/proc/stat", O_RDONLY | O_CLOEXEC)), memory_(::open("/proc/meminfo", O_RDONLY | O_CLOEXEC)),
      cpus_(static_cast<int>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN))))
{}

HostPicture HostReader::read(TextReader& text)
{
  HostPicture host{.cpus = cpus_};
  timespec uptime{};
  ::clock_gettime(CLOCK_BOOTTIME, &uptime);
  host.uptime_seconds = static_cast<uint64_t>(uptime.tv_sec);
  utsname names{};
  if (::uname(&names) == 0) host.name = names.nodename;

  const CpuTimes now = cpu_times(text.read(stat_));
  if (before_.total != 0 && now.total > before_.total)
    host.cpu_percent = 100.0 * static_cast<double>(now.busy - std::min(now.busy, before_.busy)) /
                       static_cast<double>(now.total - before_.total);
  before_ = now;

  constexpr uint64_t kib = 1024;
  const std::string_view memory = text.read(memory_);
  host.memory_total_bytes = number_of(memory, "MemTotal:").value_or(0) * kib;
  const uint64_t available = number_of(memory, "MemAvailable:").value_or(0) * kib;
  host.memory_used_bytes = host.memory_total_bytes - std::min(available, host.memory_total_bytes);
  return host;
}

} // namespace conductor
