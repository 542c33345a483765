#include "core/kernel/dev.h"

#include "core/base/error.h"
#include "core/kernel/call.h"
#include "core/kernel/mapped_root.h"
#include "core/kernel/masks.h"
#include "core/kernel/mount.h"

#include <algorithm>
#include <cerrno>
#include <string_view>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace conductor::kernel {
namespace {

// File systems of their own lie over these; a node below one would be hidden.
constexpr const char* mount_points[] = {"pts", "shm", "mqueue"};

// One that is there already, the same device, is as good: --device /dev/null, or the same device twice.
void make_node(Trace& trace, int dev, const std::string& name, mode_t mode, dev_t number)
{
  const char type = S_ISBLK(mode) ? 'b' : 'c';
  const auto result = perform(
      trace, "mknodat",
      [&] {
        return CallText{
            fmt::format("mknod(\"/dev/{}\", '{}', {}:{})", name, type, major(number), minor(number)),
            fmt::format("mknod -m {:o} dev/{} {} {} {}", mode & 07777, name, type, major(number), minor(number))};
      },
      [&] { return ::mknodat(dev, name.c_str(), mode, number); });
  struct stat there {};
  if (result.error == EEXIST && ::fstatat(dev, name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
      (there.st_mode & S_IFMT) == (mode & S_IFMT) && there.st_rdev == number)
    return;
  if (result.failed()) throw Error{fmt::format("make the device node /dev/{}", name), result.error};
}

// These two say where the entry will be: the mount is attached nowhere yet, so its own path would be that of the host.
void make_link(Trace& trace, int dev, const std::string& name, const std::string& target)
{
  const auto result = perform(
      trace, "symlinkat",
      [&] {
        return CallText{fmt::format("symlink(\"{}\", \"/dev/{}\")", target, name),
                        fmt::format("ln -s {} dev/{}", target, name)};
      },
      [&] { return ::symlinkat(target.c_str(), dev, name.c_str()); });
  if (result.failed()) throw Error{fmt::format("make the link /dev/{}", name), result.error};
}

void make_subdirectory(Trace& trace, int dev, const std::string& name)
{
  const auto result = perform(
      trace, "mkdirat",
      [&] {
        return CallText{fmt::format("mkdir(\"/dev/{}\", 0755)", name), fmt::format("mkdir -m 755 dev/{}", name)};
      },
      [&] { return ::mkdirat(dev, name.c_str(), 0755); });
  if (result.failed()) throw Error{fmt::format("make the directory /dev/{}", name), result.error};
}

// Where below /dev the node of a host's device belongs: "/dev/net/tun" -> {"net", "tun"}; one that lies elsewhere on
// the host gets its last name alone. "." and ".." are resolved here, so that none is left to lead out of /dev.
std::vector<std::string> place_of(const std::string& device)
{
  std::vector<std::string> names;
  for (size_t at = 0; at < device.size();) {
    const size_t slash = std::min(device.find('/', at), device.size());
    const std::string name = device.substr(at, slash - at);
    if (name == ".." && !names.empty()) names.pop_back();
    if (!name.empty() && name != "." && name != "..") names.push_back(name);
    at = slash + 1;
  }
  if (names.empty()) throw Error{fmt::format("pass in {}: no device", device), ENODEV};
  if (names.size() > 1 && names.front() == "dev")
    names.erase(names.begin());
  else
    names.erase(names.begin(), names.end() - 1);
  return names;
}

void pass_in(Trace& trace, int dev, const PassedDevice& passed)
{
  const std::string& device = passed.source;
  struct stat status {};
  if (::stat(device.c_str(), &status) < 0) throw Error{"pass in the device " + device, errno};
  if (!S_ISCHR(status.st_mode) && !S_ISBLK(status.st_mode)) throw Error{"pass in " + device + ": no device", ENODEV};
  const std::vector<std::string> place = place_of(passed.target.empty() ? device : passed.target);
  const auto is_first = [&](const auto& name) { return place.front() == name; };
  if (std::ranges::any_of(mount_points, is_first) || std::ranges::any_of(device_links(), is_first, &DeviceLink::name))
    throw Error{fmt::format("pass in the device {}: /dev/{} of a container is its own", device, place.front())};
  std::string path = place.front();
  for (size_t at = 1; at < place.size(); ++at) {
    struct stat there {};
    const bool is_made = ::fstatat(dev, path.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(there.st_mode);
    if (!is_made) make_subdirectory(trace, dev, path);
    path += "/" + place[at];
  }
  make_node(trace, dev, path, (status.st_mode & S_IFMT) | 0666, status.st_rdev);
}

} // namespace

Fd make_dev(Trace& trace, uint32_t owner, const std::vector<std::string>& devices)
{
  const AsMappedRoot as{owner};
  Fd dev = new_file_system(trace, "tmpfs",
                           {{"mode", "755"},
                            {"size", "64k"},
                            {"uid", std::to_string(owner)},
                            {"gid", std::to_string(owner)},
                            {"source", "dev"}},
                           MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, "dev");
  // The modes are meant as they stand in the table, whatever umask our caller has.
  const mode_t mask = ::umask(0);
  try {
    for (const auto& node : device_nodes())
      make_node(trace, dev.get(), node.name, S_IFCHR | node.mode, makedev(node.major, node.minor));
    for (const auto& device : devices) pass_in(trace, dev.get(), parse_device(device));
    for (const auto& link : device_links()) make_link(trace, dev.get(), link.name, link.target);
    for (const char* directory : mount_points) make_subdirectory(trace, dev.get(), directory);
  } catch (...) {
    ::umask(mask);
    throw;
  }
  ::umask(mask);
  return dev;
}

} // namespace conductor::kernel
