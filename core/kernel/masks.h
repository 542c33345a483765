// Tables: what of /proc and /sys a container does not see or cannot write, and what is in its /dev.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace conductor::kernel {

enum class Hide : char { masked, read_only };
// A path below the root, without a leading slash ("proc/kcore"). Those a kernel does not have are passed over. Masked
// files get /dev/null of the container's own /dev, masked directories an empty read-only tmpfs.
struct HiddenPath {
  const char* path;
  Hide how;
};
// A '*' stands for a number: such a directory is there once for each CPU.
std::span<const HiddenPath> hidden_paths();
// For so many CPUs that is made: beyond, the mounts would take longer than the rest of a start, and each mount
// namespace carry them.
inline constexpr long most_masked_cpus = 128;

// Is this path of the table (or one that stands for it) named by one of these: "ALL", a path, a pattern as in a shell?
bool is_unmasked(std::string_view path, const std::vector<std::string>& patterns);
// Throws a usage Error when it names nothing of the table.
void check_unmask(const std::string& pattern);

struct DeviceNode {
  const char* name; // in /dev
  unsigned major, minor;
  mode_t mode; // permission bits; all are character devices
};
std::span<const DeviceNode> device_nodes();

struct DeviceLink {
  const char* name; // in /dev
  const char* target;
};
std::span<const DeviceLink> device_links();

// One line of the device controller: type 'c' or 'b', number or -1 for any, access some of "rwm".
struct DeviceRule {
  char type = 'c';
  int64_t major = -1, minor = -1;
  std::string access = "rwm";
  // As devices.allow takes it (cgroup v1): "c 1:3 rwm", "c 136:* rwm".
  std::string text() const;
};
// What every container may use: mknod of anything (harmless without access), the nodes above, ptmx and the PTYs.
std::vector<DeviceRule> default_device_rules();

// A device of the host that is passed in.
struct PassedDevice {
  std::string source;         // its path on the host
  std::string target;         // where it belongs below /dev; empty: where it is on the host
  std::string access = "rwm"; // what the container may do with it: read, write, make its node
};
// PATH[:DST][:ACCESS], as --device takes it. Throws a usage Error.
PassedDevice parse_device(std::string_view text);
// Its rule. Throws Error when the source is no device.
DeviceRule device_rule_of(const PassedDevice& device);

} // namespace conductor::kernel
