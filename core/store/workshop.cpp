// The lock of root/tmp itself is held between mkdir and flock, or a sweeper could take the new directory for a
// leftover in just that moment.
#include "core/store/workshop.h"

#include "core/base/error.h"
#include "core/container/spec.h"
#include "core/kernel/files.h"
#include "core/store/containers.h"

#include <cerrno>
#include <ctime>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

namespace conductor {
namespace {

Fd lock_shop(const Root& root)
{
  kernel::make_directory(root.trace(), root.dir(), "tmp", 0700);
  Fd shop = kernel::open_directory(root.dir(), "tmp");
  while (flock(shop.get(), LOCK_EX) != 0)
    if (errno != EINTR) throw Error("lock " + kernel::path_of(shop.get()), errno);
  return shop;
}

// Needs the shop's lock.
Fd make_held(const Root& root, const std::string& path)
{
  kernel::make_directory(root.trace(), root.dir(), path, 0700);
  Fd made = kernel::open_directory(root.dir(), path);
  if (flock(made.get(), LOCK_EX | LOCK_NB) != 0) throw Error("lock " + root.path() + "/" + path, errno);
  return made;
}

// Directories whose lock nobody holds, each with the lock that we hold now.
struct Leftover {
  std::string name;
  Fd lock;
};
std::vector<Leftover> leftovers(int shop)
{
  std::vector<Leftover> found;
  for (const std::string& name : kernel::list_directory(shop, ".")) {
    Fd entry{openat(shop, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
    if (entry && flock(entry.get(), LOCK_EX | LOCK_NB) == 0) found.push_back({name, std::move(entry)});
  }
  return found;
}

void remove_all(const Root& root, int shop, const std::vector<Leftover>& found)
{
  for (const Leftover& leftover : found) kernel::remove_tree(root.trace(), shop, leftover.name);
}

} // namespace

namespace {

constexpr int64_t temporary_seconds = 60; // writing and renaming takes microseconds

// Files of a writer that was killed between making and renaming (kernel::write_file, replace_symlink).
void sweep_temporaries(const Root& root, int at, const std::string& path)
{
  const auto directory = kernel::find_directory(at, path);
  if (!directory) return;
  for (const std::string& name : kernel::list_directory(directory->get(), ".")) {
    if (!name.starts_with('.') || !name.ends_with(".tmp")) continue;
    struct stat status {};
    if (fstatat(directory->get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        status.st_mtim.tv_sec + temporary_seconds < time(nullptr))
      kernel::remove_file(root.trace(), directory->get(), name);
  }
}

} // namespace

void sweep_workshops(const Root& root)
{
  for (const char* path : {".", "images/id", "images/name", "containers/name", "cache"})
    sweep_temporaries(root, root.dir(), path);
  for (const char* path : {".", "ids"}) sweep_temporaries(root, root.run(), path);
  for (const std::string& id : Containers{root}.ids()) sweep_temporaries(root, root.dir(), "containers/id/" + id);
  const auto tmp = kernel::find_directory(root.dir(), "tmp");
  if (!tmp) return;
  std::vector<Leftover> found;
  {
    const Fd shop = lock_shop(root);
    found = leftovers(shop.get());
  }
  remove_all(root, tmp->get(), found);
}

Fd make_being_made(const Root& root, const std::string& path)
{
  const Fd shop = lock_shop(root);
  return make_held(root, path);
}

Workshop::Workshop(const Root& root) : root_(root), path_("tmp/" + random_hex(32))
{
  std::vector<Leftover> found;
  Fd shop = lock_shop(root);
  found = leftovers(shop.get());
  dir_ = make_held(root, path_);
  // Closing gives the shop's lock back; the leftovers are ours by their own locks, and removing may take a while.
  shop.reset();
  if (found.empty()) return;
  const Fd again = kernel::open_directory(root.dir(), "tmp");
  remove_all(root, again.get(), found);
}

Workshop::~Workshop()
{
  try {
    kernel::remove_tree(root_.trace(), root_.dir(), path_);
  } catch (const Error& error) {
    root_.trace().notice(error.sentence());
  }
}

} // namespace conductor
