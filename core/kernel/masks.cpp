// The tables of hidden paths and device nodes, and the device rules that follow from them.

#include "core/kernel/masks.h"

#include "core/base/error.h"
#include "core/base/nearest.h"
#include "core/container/spec.h" // visible()

#include <algorithm>
#include <array>
#include <cerrno>

#include <fmt/format.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace conductor::kernel {
namespace {

// Much of this is guarded by capabilities of the host as well, but not all of it, and a reader inside learns about the
// host and its other containers (timer_list, sched_debug) or can disturb it (sysrq-trigger, irq).
constexpr std::array hidden = {
    HiddenPath{"proc/acpi", Hide::masked},
    HiddenPath{"proc/asound", Hide::masked},
    HiddenPath{"proc/interrupts", Hide::masked},
    HiddenPath{"proc/kcore", Hide::masked},
    HiddenPath{"proc/keys", Hide::masked},
    HiddenPath{"proc/latency_stats", Hide::masked},
    HiddenPath{"proc/sched_debug", Hide::masked},
    HiddenPath{"proc/scsi", Hide::masked},
    HiddenPath{"proc/timer_list", Hide::masked},
    HiddenPath{"proc/timer_stats", Hide::masked},
    // How hot a CPU is tells what others do on it. This one costs a mount for each CPU that has it.
    HiddenPath{"sys/devices/system/cpu/cpu*/thermal_throttle", Hide::masked},
    HiddenPath{"sys/devices/virtual/powercap", Hide::masked},
    HiddenPath{"sys/firmware", Hide::masked},
    HiddenPath{"sys/fs/selinux", Hide::masked},
    HiddenPath{"proc/bus", Hide::read_only},
    HiddenPath{"proc/fs", Hide::read_only},
    HiddenPath{"proc/irq", Hide::read_only},
    HiddenPath{"proc/sys", Hide::read_only},
    HiddenPath{"proc/sysrq-trigger", Hide::read_only},
};

// Numbers: Documentation/admin-guide/devices.txt of the kernel.
constexpr std::array nodes = {
    DeviceNode{"null", 1, 3, 0666},   DeviceNode{"zero", 1, 5, 0666},    DeviceNode{"full", 1, 7, 0666},
    DeviceNode{"random", 1, 8, 0666}, DeviceNode{"urandom", 1, 9, 0666}, DeviceNode{"tty", 5, 0, 0666},
};

constexpr std::array links = {
    DeviceLink{"fd", "/proc/self/fd"},       DeviceLink{"stdin", "/proc/self/fd/0"},
    DeviceLink{"stdout", "/proc/self/fd/1"}, DeviceLink{"stderr", "/proc/self/fd/2"},
    DeviceLink{"ptmx", "pts/ptmx"},
};

std::string number_text(int64_t number) { return number < 0 ? "*" : std::to_string(number); }

} // namespace

std::span<const HiddenPath> hidden_paths() { return hidden; }

bool is_unmasked(std::string_view path, const std::vector<std::string>& patterns)
{
  const std::string whole = "/" + std::string{path};
  return std::ranges::any_of(patterns, [&](const std::string& pattern) {
    return pattern == "ALL" || ::fnmatch(pattern.c_str(), whole.c_str(), FNM_PATHNAME) == 0;
  });
}

void check_unmask(const std::string& pattern)
{
  if (std::ranges::any_of(hidden, [&](const HiddenPath& each) { return is_unmasked(each.path, {pattern}); })) return;
  std::vector<std::string> known;
  for (const HiddenPath& each : hidden) known.push_back("/" + std::string{each.path});
  std::string hint = nearest_hint(pattern, known);
  if (hint.empty()) hint = "conductor inspect of a container that runs lists what is";
  throw usage_error(fmt::format("--unmask '{}': nothing there is masked", visible(pattern)), std::move(hint));
}
std::span<const DeviceNode> device_nodes() { return nodes; }
std::span<const DeviceLink> device_links() { return links; }

std::string DeviceRule::text() const
{
  return fmt::format("{} {}:{} {}", type, number_text(major), number_text(minor), access);
}

std::vector<DeviceRule> default_device_rules()
{
  // A node may be made of anything, as tar and mknod in a build do: it opens nothing by itself.
  std::vector<DeviceRule> rules = {{.type = 'c', .access = "m"}, {.type = 'b', .access = "m"}};
  for (const DeviceNode& node : nodes) rules.push_back({.type = 'c', .major = node.major, .minor = node.minor});
  rules.push_back({.type = 'c', .major = 5, .minor = 2});    // ptmx
  rules.push_back({.type = 'c', .major = 136, .minor = -1}); // the PTYs behind it; a devpts numbers from 0
  return rules;
}

PassedDevice parse_device(std::string_view text)
{
  const auto refused = [&](std::string_view why) {
    return usage_error(fmt::format("--device '{}': {}", text, why),
                       "--device /dev/fuse, /dev/sdc:/dev/disk or /dev/sdc:/dev/disk:r");
  };
  std::vector<std::string> parts{""};
  for (const char letter : text)
    if (letter == ':')
      parts.emplace_back();
    else
      parts.back() += letter;
  PassedDevice device{.source = parts[0], .target = {}};
  if (!device.source.starts_with('/')) throw refused("the device is not an absolute path");
  size_t next = 1;
  if (parts.size() > next && parts[next].starts_with('/')) device.target = parts[next++];
  if (parts.size() > next) device.access = parts[next++];
  if (parts.size() > next) throw refused("there is more than device, place and access");
  const bool is_below = device.target.starts_with("/dev/") && device.target.size() > 5 &&
                        (device.target + "/").find("/../") == std::string::npos;
  if (!device.target.empty() && !is_below) throw refused("its place must be below /dev");
  if (device.access.empty() || device.access.find_first_not_of("rwm") != std::string::npos)
    throw refused("what may be done with it is some of r, w and m");
  return device;
}

DeviceRule device_rule_of(const PassedDevice& device)
{
  struct stat about {};
  if (::stat(device.source.c_str(), &about) < 0) throw Error{"look at the device " + device.source, errno};
  if (!S_ISCHR(about.st_mode) && !S_ISBLK(about.st_mode))
    throw Error{device.source + " is no device", 0, "--device takes a node such as /dev/fuse; --volume is for files"};
  return {.type = S_ISCHR(about.st_mode) ? 'c' : 'b',
          .major = major(about.st_rdev),
          .minor = minor(about.st_rdev),
          .access = device.access};
}

} // namespace conductor::kernel
