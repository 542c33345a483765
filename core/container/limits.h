// What a container may use of the host: a value. The kernel's part is core/kernel/group_limits.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace conductor {

// Bytes or operations per second on one disk.
struct DeviceRate {
  std::string device; // "/dev/vda": a whole disk
  uint64_t rate = 0;
  bool operator==(const DeviceRate&) const = default;
};

inline constexpr uint64_t no_limit = UINT64_MAX;

// Empty is unlimited, or the kernel's default for a weight.
struct Limits {
  std::optional<uint64_t> memory_bytes;
  std::optional<double> cpus; // 0.5 is half a core
  std::optional<uint64_t> pids;
  // Memory and swap together, as docker counts; no_limit: as much swap as there is. Empty: twice memory_bytes.
  std::optional<uint64_t> memory_swap_bytes;
  std::optional<uint64_t> memory_reservation_bytes;
  std::optional<uint64_t> cpu_weight; // 1 to 10000, 100 is everybody's
  std::optional<std::string> cpuset;  // "0-3,5"
  std::optional<std::string> cpuset_mems;
  std::optional<uint64_t> io_weight; // as cpu_weight
  std::vector<DeviceRate> io_read_bps, io_write_bps, io_read_iops, io_write_iops;
};

} // namespace conductor
