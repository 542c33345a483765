#include "core/kernel/group_limits.h"

#include "core/base/error.h"
#include "core/kernel/cgroup.h"
#include "core/kernel/files.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <set>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace conductor::kernel {
namespace {

using Text = std::optional<std::string>;

constexpr uint64_t smallest_memory = 512 * 1024; // less, and not even an empty program starts
constexpr uint64_t cpu_period_us = 100'000;      // the one everybody uses
constexpr uint64_t normal_weight = 100, largest_weight = 10'000;

std::optional<uint64_t> number_in(std::string_view text)
{
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  uint64_t value = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc{}) return std::nullopt;
  return value;
}

// v2 says "max", v1 -1 or more than any machine has.
std::optional<uint64_t> limit_in(std::string_view text)
{
  const auto value = number_in(text);
  return value && *value < (1ULL << 62) ? value : std::nullopt;
}

std::string_view first_line(std::string_view text) { return text.substr(0, text.find('\n')); }

template <class Value>
Text text_of(const std::optional<Value>& value)
{
  return value ? Text{fmt::format("{}", *value)} : std::nullopt;
}

// ---- memory and swap

// v1 counts both together, v2 the swap alone.
Text swap_text(const Limits& limits, Hierarchy hierarchy)
{
  if (!limits.memory_bytes) return std::nullopt;
  const uint64_t together = limits.memory_swap_bytes.value_or(2 * *limits.memory_bytes);
  if (together == no_limit) return hierarchy == Hierarchy::v1 ? "-1" : "max";
  return std::to_string(hierarchy == Hierarchy::v1 ? together : together - *limits.memory_bytes);
}

void read_swap(Limits& limits, Hierarchy hierarchy, std::string_view, std::string_view text)
{
  if (!limits.memory_bytes) return;
  const auto value = limit_in(text);
  const uint64_t memory = hierarchy == Hierarchy::v1 ? 0 : *limits.memory_bytes;
  limits.memory_swap_bytes = value ? *value + memory : no_limit;
}

// ---- CPU

Text cpu_text(const Limits& limits, Hierarchy hierarchy)
{
  if (!limits.cpus) return std::nullopt;
  // The kernel refuses a quota below 1 ms.
  const long quota = std::max(1000L, static_cast<long>(*limits.cpus * static_cast<double>(cpu_period_us) + 0.5));
  return hierarchy == Hierarchy::v1 ? fmt::format("{}", quota) : fmt::format("{} {}", quota, cpu_period_us);
}

// The period is ours in v1, where it stands in a file of its own.
void read_cpu(Limits& limits, Hierarchy, std::string_view, std::string_view text)
{
  const auto quota = limit_in(text);
  const size_t blank = text.find(' ');
  const auto period = blank == std::string_view::npos ? cpu_period_us : number_in(text.substr(blank));
  if (quota && period.value_or(0) > 0) limits.cpus = static_cast<double>(*quota) / static_cast<double>(*period);
}

// 100 and 1024 are what everybody has.
Text weight_text(const Limits& limits, Hierarchy hierarchy)
{
  if (!limits.cpu_weight || hierarchy == Hierarchy::v2) return text_of(limits.cpu_weight);
  return std::to_string(std::max<uint64_t>(2, *limits.cpu_weight * 1024 / normal_weight));
}

void read_weight(Limits& limits, Hierarchy hierarchy, std::string_view, std::string_view text)
{
  const auto value = number_in(text);
  if (!value) return;
  const uint64_t shares = hierarchy == Hierarchy::v1 ? (*value * normal_weight + 512) / 1024 : *value;
  limits.cpu_weight = std::clamp<uint64_t>(shares, 1, largest_weight);
}

template <std::optional<std::string> Limits::*list>
void read_list(Limits& limits, Hierarchy, std::string_view, std::string_view text)
{
  if (const auto line = first_line(text); !line.empty()) limits.*list = line;
}

// ---- disks

// BFQ's weights end at 1000; below 100 both scales are the same, above they are stretched.
constexpr uint64_t largest_bfq_weight = 1000;

Text io_weight_text(const Limits& limits, Hierarchy, std::string_view file)
{
  if (!limits.io_weight) return std::nullopt;
  if (file == "io.weight") return fmt::format("default {}", *limits.io_weight);
  const uint64_t weight = *limits.io_weight;
  if (weight <= normal_weight) return std::to_string(weight);
  return std::to_string(normal_weight + (weight - normal_weight) * (largest_bfq_weight - normal_weight) /
                                            (largest_weight - normal_weight));
}

// "100", or "default 100".
void read_io_weight(Limits& limits, Hierarchy, std::string_view file, std::string_view text)
{
  constexpr std::string_view common = "default ";
  if (text.starts_with(common)) text.remove_prefix(common.size());
  const auto value = number_in(text);
  if (!value) return;
  const bool stretched = file != "io.weight" && *value > normal_weight;
  limits.io_weight = stretched ? normal_weight + (*value - normal_weight) * (largest_weight - normal_weight) /
                                                     (largest_bfq_weight - normal_weight)
                               : *value;
}

// "254:0" of a whole disk: the kernel limits no partitions.
std::string numbers_of_disk(const std::string& device)
{
  struct stat about {};
  if (::stat(device.c_str(), &about) < 0) throw Error{"look at the disk " + device, errno};
  if (!S_ISBLK(about.st_mode)) throw Error{device + " is no disk", ENOTBLK, "name one that lsblk shows: /dev/sda"};
  const std::string numbers = fmt::format("{}:{}", major(about.st_rdev), minor(about.st_rdev));
  const std::string place = "/sys/dev/block/" + numbers;
  if (!exists(AT_FDCWD, place + "/partition")) return numbers;
  std::string disk = read_link(AT_FDCWD, place).value_or(""); // ".../block/sda/sda1"
  disk = disk.substr(0, disk.rfind('/'));
  throw Error{device + " is a partition, and the kernel limits whole disks only", EINVAL,
              "its disk is /dev/" + disk.substr(disk.rfind('/') + 1)};
}

std::string disk_of_numbers(std::string_view numbers)
{
  const std::string target = read_link(AT_FDCWD, fmt::format("/sys/dev/block/{}", numbers)).value_or("");
  return target.empty() ? std::string{numbers} : "/dev/" + target.substr(target.rfind('/') + 1);
}

// v1: "254:0 1048576" a line; v2: "254:0 rbps=1048576 wbps=max riops=max wiops=max".
void read_rates(const LimitRow& row, Hierarchy hierarchy, std::string_view text, Limits& limits)
{
  while (!text.empty()) {
    const std::string_view line = first_line(text);
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const size_t blank = line.find(' ');
    if (blank == std::string_view::npos) continue;
    std::string_view value = line.substr(blank);
    if (hierarchy == Hierarchy::v2) {
      const std::string key = fmt::format(" {}=", row.key);
      const size_t at = value.find(key);
      if (at == std::string_view::npos) continue;
      value.remove_prefix(at + key.size());
    }
    if (const auto rate = limit_in(value))
      (limits.*row.rates).push_back({disk_of_numbers(line.substr(0, blank)), *rate});
  }
}

std::string rate_text(const LimitRow& row, Hierarchy hierarchy, const std::string& disk, std::optional<uint64_t> rate)
{
  const std::string value = rate ? std::to_string(*rate) : std::string{row.place(hierarchy).none};
  return hierarchy == Hierarchy::v1 ? fmt::format("{} {}", disk, value) : fmt::format("{} {}={}", disk, row.key, value);
}

std::optional<uint64_t> rate_on(const std::vector<DeviceRate>& rates, const std::string& device)
{
  const auto found = std::ranges::find(rates, device, &DeviceRate::device);
  return found == rates.end() ? std::nullopt : std::optional{found->rate};
}

std::vector<LimitChange> rate_changes(const LimitRow& row, Hierarchy hierarchy, const std::vector<DeviceRate>& before,
                                      const std::vector<DeviceRate>& wanted)
{
  std::vector<LimitChange> changes;
  std::set<std::string> devices;
  for (const auto* rates : {&before, &wanted})
    for (const DeviceRate& each : *rates) devices.insert(each.device);
  for (const std::string& device : devices) {
    const auto old = rate_on(before, device), now = rate_on(wanted, device);
    if (old == now) continue;
    std::string disk;
    try {
      disk = numbers_of_disk(device);
    } catch (const Error&) {
      if (now) throw;
      continue; // a disk that is gone has taken its limit along
    }
    changes.push_back({rate_text(row, hierarchy, disk, now), rate_text(row, hierarchy, disk, old)});
  }
  return changes;
}

constexpr LimitRow rate_row(std::string_view option, std::string_view v1_file, std::string_view key,
                            std::vector<DeviceRate> Limits::*rates)
{
  return {.option = option,
          .v1 = {"blkio", {v1_file}, "0"},
          .v2 = {"io", {"io.max"}, "max"},
          .rates = rates,
          .key = key,
          .absent = "this kernel throttles no disks (CONFIG_BLK_DEV_THROTTLING)"};
}

// ---- the table

constexpr LimitRow rows[] = {
    {.option = "memory",
     .v1 = {"memory", {"memory.limit_in_bytes"}, "-1"},
     .v2 = {"memory", {"memory.max"}, "max"},
     .text = [](const Limits& l, Hierarchy, std::string_view) { return text_of(l.memory_bytes); },
     .read = [](Limits& l, Hierarchy, std::string_view, std::string_view text) { l.memory_bytes = limit_in(text); }},
    {.option = "memory-swap",
     .v1 = {"memory", {"memory.memsw.limit_in_bytes"}, "-1"},
     .v2 = {"memory", {"memory.swap.max"}, "max"},
     .text = [](const Limits& l, Hierarchy h, std::string_view) { return swap_text(l, h); },
     .read = read_swap,
     .is_asked = [](const Limits& l) { return l.memory_swap_bytes.has_value(); },
     .absent = "this kernel does not count swap: boot it with swapaccount=1"},
    {.option = "memory-reservation",
     .v1 = {"memory", {"memory.soft_limit_in_bytes"}, "-1"},
     .v2 = {"memory", {"memory.low"}, "0"},
     .text = [](const Limits& l, Hierarchy, std::string_view) { return text_of(l.memory_reservation_bytes); },
     .read =
         [](Limits& l, Hierarchy, std::string_view, std::string_view text) {
           l.memory_reservation_bytes = limit_in(text);
           if (l.memory_reservation_bytes == 0U) l.memory_reservation_bytes.reset();
         }},
    {.option = "cpus",
     .v1 = {"cpu", {"cpu.cfs_quota_us"}, "-1"},
     .v2 = {"cpu", {"cpu.max"}, "max 100000"},
     .text = [](const Limits& l, Hierarchy h, std::string_view) { return cpu_text(l, h); },
     .read = read_cpu,
     .absent = "this kernel has no CPU quotas (CONFIG_CFS_BANDWIDTH)"},
    {.option = "cpu-weight",
     .v1 = {"cpu", {"cpu.shares"}, "1024"},
     .v2 = {"cpu", {"cpu.weight"}, "100"},
     .text = [](const Limits& l, Hierarchy h, std::string_view) { return weight_text(l, h); },
     .read = read_weight},
    // Nothing may run in a group without CPUs: the parent's are what no limit is.
    {.option = "cpuset",
     .v1 = {"cpuset", {"cpuset.cpus"}, {}},
     .v2 = {"cpuset", {"cpuset.cpus"}, {}},
     .text = [](const Limits& l, Hierarchy, std::string_view) { return l.cpuset; },
     .read = read_list<&Limits::cpuset>},
    {.option = "cpuset-mems",
     .v1 = {"cpuset", {"cpuset.mems"}, {}},
     .v2 = {"cpuset", {"cpuset.mems"}, {}},
     .text = [](const Limits& l, Hierarchy, std::string_view) { return l.cpuset_mems; },
     .read = read_list<&Limits::cpuset_mems>},
    {.option = "pids",
     .v1 = {"pids", {"pids.max"}, "max"},
     .v2 = {"pids", {"pids.max"}, "max"},
     .text = [](const Limits& l, Hierarchy, std::string_view) { return text_of(l.pids); },
     .read = [](Limits& l, Hierarchy, std::string_view, std::string_view text) { l.pids = limit_in(text); }},
    {.option = "io-weight",
     .v1 = {"blkio", {"blkio.bfq.weight", "blkio.weight"}, "100"},
     .v2 = {"io", {"io.bfq.weight", "io.weight"}, "100"},
     .text = io_weight_text,
     .read = read_io_weight,
     .absent = "this kernel has no scheduler of disks that keeps weights: modprobe bfq"},
    rate_row("io-read-bps", "blkio.throttle.read_bps_device", "rbps", &Limits::io_read_bps),
    rate_row("io-write-bps", "blkio.throttle.write_bps_device", "wbps", &Limits::io_write_bps),
    rate_row("io-read-iops", "blkio.throttle.read_iops_device", "riops", &Limits::io_read_iops),
    rate_row("io-write-iops", "blkio.throttle.write_iops_device", "wiops", &Limits::io_write_iops),
};

// ---- what this host has

std::string content(const std::string& path)
{
  return std::string{first_line(find_content(AT_FDCWD, path).value_or(""))};
}

void check_list_here(std::string_view option, const std::optional<std::string>& wanted, const char* file,
                     const char* what)
{
  if (!wanted) return;
  const std::string online = exists(AT_FDCWD, file) ? content(file) : "0"; // no nodes: memory is one
  const auto there = parse_cpu_list(online).value_or(std::vector<unsigned>{});
  for (const unsigned number : parse_cpu_list(*wanted).value_or(std::vector<unsigned>{}))
    if (std::ranges::find(there, number) == there.end())
      throw Error{fmt::format("--{} {}: this host has the {} {}", option, *wanted, what, online), ERANGE};
}

bool has_controller(const LimitRow& row)
{
  const CgroupHost& host = cgroup_host();
  return !host.v1(row.v1.controller).empty() || host.v2_offers(row.v2.controller);
}

// A weight counts only on disks whose scheduler looks at it.
bool disks_keep_weights()
{
  if (cgroup_host().v2_offers("io") && content(cgroup_host().v2 + "/io.cost.qos").find("enable=1") != std::string::npos)
    return true;
  for (const std::string& disk : list_directory(AT_FDCWD, "/sys/block"))
    if (content("/sys/block/" + disk + "/queue/scheduler").find("[bfq]") != std::string::npos) return true;
  return false;
}

void check_weight(std::string_view option, const std::optional<uint64_t>& weight)
{
  if (weight && (*weight < 1 || *weight > largest_weight))
    throw usage_error(
        fmt::format("--{} must lie between 1 and {}: {} is what everybody has", option, largest_weight, normal_weight));
}

void check_list(std::string_view option, const std::optional<std::string>& list)
{
  if (list && !parse_cpu_list(*list))
    throw usage_error(fmt::format("--{} is a list of numbers and ranges", option), "as in 0-3,5");
}

void check_memory(const Limits& limits)
{
  const auto& memory = limits.memory_bytes;
  const auto& together = limits.memory_swap_bytes;
  if (memory && *memory < smallest_memory)
    throw usage_error("a memory limit of " + std::to_string(*memory) + " bytes is too small", "512K is the least");
  if (together && *together != no_limit && !memory)
    throw usage_error("--memory-swap is memory and swap together, and says nothing without --memory",
                      "--memory 256M --memory-swap 512M");
  if (together && memory && *together < *memory)
    throw usage_error("--memory-swap is memory and swap together, so it cannot be less than --memory",
                      "the same as --memory for no swap at all");
  if (limits.memory_reservation_bytes && memory && *limits.memory_reservation_bytes > *memory)
    throw usage_error("--memory-reservation is above --memory, which it would never reach");
}

} // namespace

bool LimitRow::asks(const Limits& limits) const { return is_asked != nullptr ? is_asked(limits) : follows(limits); }

bool LimitRow::follows(const Limits& limits) const
{
  return rates != nullptr ? !(limits.*rates).empty() : text(limits, Hierarchy::v2, {}).has_value();
}

std::span<const LimitRow> limit_rows() { return rows; }

std::vector<LimitChange> limit_changes(const LimitRow& row, Hierarchy hierarchy, std::string_view file,
                                       const Limits& before, const Limits& wanted)
{
  if (row.rates != nullptr) return rate_changes(row, hierarchy, before.*row.rates, wanted.*row.rates);
  const std::string none{row.place(hierarchy).none};
  const std::string old = row.text(before, hierarchy, file).value_or(none);
  const std::string now = row.text(wanted, hierarchy, file).value_or(none);
  if (old == now) return {};
  return {{now, old}};
}

bool goes_first(const LimitRow& row, Hierarchy hierarchy, const Limits& before, const Limits& wanted)
{
  if (row.option != "memory-swap" || hierarchy != Hierarchy::v1) return false;
  const auto together = [&](const Limits& limits) {
    return limit_in(swap_text(limits, hierarchy).value_or("-1")).value_or(no_limit);
  };
  return together(wanted) > together(before);
}

void read_limit(const LimitRow& row, Hierarchy hierarchy, std::string_view file, std::string_view text, Limits& limits)
{
  if (row.rates != nullptr)
    read_rates(row, hierarchy, text, limits);
  else
    row.read(limits, hierarchy, file, text);
}

Error cannot_keep(const LimitRow& row, bool has_controller)
{
  if (!has_controller || row.absent.empty())
    return Error{fmt::format("this host has no {} controller, so --{} cannot be kept", row.v2.controller, row.option),
                 ENOENT};
  return Error{fmt::format("--{} cannot be kept: {}", row.option, row.absent), ENOENT};
}

void check_limits(const Limits& limits)
{
  check_memory(limits);
  if (limits.cpus && !(*limits.cpus >= 0.01 && *limits.cpus <= 8192))
    throw usage_error("the number of CPUs must lie between 0.01 and 8192");
  if (limits.pids && *limits.pids == 0) throw usage_error("a limit of 0 processes lets nothing start");
  check_weight("cpu-weight", limits.cpu_weight);
  check_weight("io-weight", limits.io_weight);
  check_list("cpuset", limits.cpuset);
  check_list("cpuset-mems", limits.cpuset_mems);
  for (const LimitRow& row : rows)
    if (row.rates != nullptr)
      for (const DeviceRate& each : limits.*row.rates)
        if (each.rate == 0) throw usage_error(fmt::format("--{}: with a rate of 0 nothing would move", row.option));
}

void check_limits_here(const Limits& limits)
{
  for (const LimitRow& row : rows) {
    if (!row.asks(limits)) continue;
    if (!has_controller(row)) throw cannot_keep(row, false);
    if (row.rates != nullptr)
      for (const DeviceRate& each : limits.*row.rates) numbers_of_disk(each.device);
  }
  check_list_here("cpuset", limits.cpuset, "/sys/devices/system/cpu/online", "CPUs");
  check_list_here("cpuset-mems", limits.cpuset_mems, "/sys/devices/system/node/online", "memory nodes");
}

std::vector<std::string> limit_remarks(const Limits& limits)
{
  if (!limits.io_weight || disks_keep_weights()) return {};
  return {
      "--io-weight has no effect now: no disk of this host has the scheduler bfq, which alone looks at weights (echo "
      "bfq > /sys/block/DISK/queue/scheduler)"};
}

bool names_controller(std::string_view text, std::string_view controller)
{
  // Whole words: "cpuset" is no "cpu".
  while (!text.empty()) {
    const size_t end = std::min(text.find_first_of(" \n"), text.size());
    if (text.substr(0, end) == controller) return true;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return false;
}

std::optional<std::vector<unsigned>> parse_cpu_list(std::string_view text)
{
  constexpr unsigned most = 8191;
  std::vector<unsigned> numbers;
  if (text.empty()) return std::nullopt;
  const auto number = [&]() -> std::optional<unsigned> {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || value > most) return std::nullopt;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    return value;
  };
  for (;;) {
    const auto first = number();
    if (!first) return std::nullopt;
    unsigned last = *first;
    if (text.starts_with('-')) {
      text.remove_prefix(1);
      const auto end = number();
      if (!end || *end < *first) return std::nullopt;
      last = *end;
    }
    for (unsigned each = *first; each <= last; ++each) numbers.push_back(each);
    if (text.empty()) return numbers;
    if (!text.starts_with(',')) return std::nullopt;
    text.remove_prefix(1);
  }
}

} // namespace conductor::kernel
