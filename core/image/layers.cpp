#include "core/image/layers.h"

#include "core/base/error.h"
#include "core/container/spec.h"
#include "core/kernel/files.h"

#include <cerrno>
#include <set>

#include <fcntl.h>
#include <sys/stat.h>

namespace conductor::image {
namespace {

void count(int directory, std::set<ino_t>& linked, uint64_t& bytes, int depth)
{
  // A descriptor a level: what lies deeper counts nothing.
  if (depth > 400) return;
  for (const std::string& name : kernel::list_directory(directory, ".")) {
    struct stat status {};
    if (fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) continue;
    if (S_ISREG(status.st_mode) && (status.st_nlink == 1 || linked.insert(status.st_ino).second))
      bytes += static_cast<uint64_t>(status.st_size);
    if (!S_ISDIR(status.st_mode)) continue;
    const Fd below{openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    if (below) count(below.get(), linked, bytes, depth + 1);
  }
}

} // namespace

uint64_t tree_size(int at, const std::string& path)
{
  std::set<ino_t> linked;
  uint64_t bytes = 0;
  const Fd top = kernel::open_directory(at, path);
  count(top.get(), linked, bytes, 0);
  return bytes;
}

Layer commit_made(const Root& root, const Workshop& shop, const std::string& parent, const std::string& made_by)
{
  const std::string made = shop.path() + "/made";
  const Layer layer{.id = random_hex(64),
                    .parent = parent,
                    .made_by = made_by,
                    .size_bytes = tree_size(root.dir(), made + "/diff"),
                    .created_ns = realtime_ns()};
  Images{root}.commit_layer(made, layer);
  return layer;
}

} // namespace conductor::image
