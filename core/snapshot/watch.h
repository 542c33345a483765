// Tells that something stored has changed, by inotify(7): containers, images, the journal.
#pragma once

#include "core/base/handle.h"
#include "core/store/root.h"

#include <map>
#include <set>
#include <string>

namespace conductor {

class Watch {
public:
  struct Changes {
    bool everything = false;          // events were lost: look at all again
    bool list = false;                // containers came or went
    std::set<std::string> containers; // ids whose spec, status or wanted network was written
    bool images = false;
    bool journal = false;
    bool any() const { return everything || list || images || journal || !containers.empty(); }
  };

  explicit Watch(const Root& root);
  // Readable when drain() has something to tell; -1 when the host gives no inotify.
  int fd() const { return inotify_.get(); }
  // What changed since the last call; never blocks.
  Changes drain();
  // Follows this container's files too, until its directory is gone.
  void follow(const std::string& id);

private:
  bool add(int at, const std::string& path, uint32_t mask, std::string key);
  void note(int watch, uint32_t mask, const char* name, Changes& changes);
  const Root& root_;
  Fd inotify_;
  std::map<int, std::string> keys_; // watch -> "list", "images", "run" or a container's id
  std::set<std::string> followed_;
};

} // namespace conductor
