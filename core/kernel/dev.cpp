#include "core/kernel/dev.h"

#include "core/base/error.h"
#include "core/kernel/call.h"
#include "core/kernel/mapped_root.h"
#include "core/kernel/masks.h"
#include "core/kernel/mount.h"

#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace conductor::kernel {
namespace {

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

void make_mount_point(Trace& trace, int dev, const std::string& name)
{
  const auto result = perform(
      trace, "mkdirat",
      [&] {
        return CallText{fmt::format("mkdir(\"/dev/{}\", 0755)", name), fmt::format("mkdir -m 755 dev/{}", name)};
      },
      [&] { return ::mkdirat(dev, name.c_str(), 0755); });
  if (result.failed()) throw Error{fmt::format("make the directory /dev/{}", name), result.error};
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
    for (const auto& device : devices) {
      struct stat status {};
      if (::stat(device.c_str(), &status) < 0) throw Error{"pass in the device " + device, errno};
      if (!S_ISCHR(status.st_mode) && !S_ISBLK(status.st_mode))
        throw Error{"pass in " + device + ": no device", ENODEV};
      const size_t slash = device.rfind('/');
      make_node(trace, dev.get(), device.substr(slash + 1), (status.st_mode & S_IFMT) | 0666, status.st_rdev);
    }
    for (const auto& link : device_links()) make_link(trace, dev.get(), link.name, link.target);
    for (const char* directory : {"pts", "shm", "mqueue"}) make_mount_point(trace, dev.get(), directory);
  } catch (...) {
    ::umask(mask);
    throw;
  }
  ::umask(mask);
  return dev;
}

} // namespace conductor::kernel
