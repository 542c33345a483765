#include "core/snapshot/watch.h"

#include "core/base/error.h"

#include <array>
#include <cstring>

#include <sys/inotify.h>
#include <unistd.h>

namespace conductor {
namespace {

constexpr uint32_t directory_changes =
    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR | IN_DONT_FOLLOW;
// Files are written to a temporary name and renamed: that is the moment they are whole. What is only opened (a lock)
// wakes nobody.
constexpr uint32_t files_renamed = IN_MOVED_TO | IN_ONLYDIR | IN_DONT_FOLLOW;
constexpr uint32_t appended = IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_ONLYDIR | IN_DONT_FOLLOW;

} // namespace

Watch::Watch(const Root& root) : root_(root), inotify_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC))
{
  if (!inotify_) return; // too many instances on this host: the sampler looks at everything then
  add(root.dir(), "containers/id", directory_changes, "list");
  add(root.dir(), "images/id", directory_changes, "images");
  add(root.dir(), "images/name", directory_changes, "images");
  add(root.run(), ".", appended, "run");
}

bool Watch::add(int at, const std::string& path, uint32_t mask, std::string key)
{
  const std::string whole = "/proc/self/fd/" + std::to_string(at) + "/" + path;
  const int watch = ::inotify_add_watch(inotify_.get(), whole.c_str(), mask);
  if (watch < 0) return false;
  keys_[watch] = std::move(key);
  return true;
}

void Watch::follow(const std::string& id)
{
  if (!inotify_ || followed_.contains(id)) return;
  if (add(root_.dir(), "containers/id/" + id, files_renamed, id)) followed_.insert(id);
}

void Watch::note(int watch, uint32_t mask, const char* name, Changes& changes)
{
  if ((mask & IN_Q_OVERFLOW) != 0) changes.everything = true;
  const auto found = keys_.find(watch);
  if (found == keys_.end()) return;
  const std::string& key = found->second;
  if ((mask & IN_IGNORED) != 0) { // the directory is gone, and its watch with it
    followed_.erase(key);
    keys_.erase(found);
    return;
  }
  if (key == "list")
    changes.list = true;
  else if (key == "images")
    changes.images = true;
  else if (key == "run")
    changes.journal = changes.journal || std::strcmp(name, "journal") == 0;
  else if (std::strcmp(name, "spec.json") == 0 || std::strcmp(name, "status.json") == 0 ||
           std::strcmp(name, "network.json") == 0)
    changes.containers.insert(key);
}

Watch::Changes Watch::drain()
{
  Changes changes;
  if (!inotify_) {
    changes.everything = true;
    return changes;
  }
  alignas(inotify_event) std::array<char, 4096> buffer;
  while (true) {
    const ssize_t got = ::read(inotify_.get(), buffer.data(), buffer.size());
    if (got <= 0) return changes;
    for (ssize_t at = 0; at < got;) {
      inotify_event event{};
      std::memcpy(&event, buffer.data() + at, sizeof event);
      note(event.wd, event.mask, event.len > 0 ? buffer.data() + at + sizeof event : "", changes);
      at += static_cast<ssize_t>(sizeof event + event.len);
    }
  }
}

} // namespace conductor
