#include "tui/console/written.h"

#include "core/base/trace.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace conductor::console {
namespace {

void add(int at, const char* name, std::uint64_t until_us, Written& sum, int depth)
{
  const int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR* directory = fd >= 0 ? fdopendir(fd) : nullptr;
  if (directory == nullptr) {
    if (fd >= 0) close(fd);
    return;
  }
  while (const dirent* entry = readdir(directory)) {
    const std::string_view each = entry->d_name;
    if (each == "." || each == "..") continue;
    if (monotonic_us() > until_us || depth > 200) {
      sum.whole = false;
      break;
    }
    struct stat about {};
    if (fstatat(fd, entry->d_name, &about, AT_SYMLINK_NOFOLLOW) != 0) continue;
    sum.bytes += static_cast<std::uint64_t>(about.st_blocks) * 512;
    if (S_ISDIR(about.st_mode)) add(fd, entry->d_name, until_us, sum, depth + 1);
  }
  closedir(directory);
}

} // namespace

Written written_below(const std::string& directory, int most_ms)
{
  Written sum;
  add(AT_FDCWD, directory.c_str(), monotonic_us() + static_cast<std::uint64_t>(most_ms) * 1000, sum, 0);
  return sum;
}

} // namespace conductor::console
