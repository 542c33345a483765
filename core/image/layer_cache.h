// What a step of a build made before: root/cache/<key> is a symlink to the layer's id.
//
// The key says everything that the step depends on, so a hit needs no look at the layer's content. A step that is being
// made now is locked by its key: a second build waits, and then finds the layer.
#pragma once

#include "core/store/root.h"

#include <optional>
#include <string>

namespace conductor::image {

// The layer of a step; "" for a step that changed nothing; none when it was not made before, or its layer is gone.
std::optional<std::string> find_cached(const Root& root, const std::string& key);
void remember(const Root& root, const std::string& key, const std::string& layer);

// Held while the step of that key is being made. Waits as long as the other build runs, telling once that it waits;
// throws Error when interrupted.
class StepLock {
public:
  StepLock(const Root& root, const std::string& key);
  StepLock(const StepLock&) = delete;
  StepLock& operator=(const StepLock&) = delete;
  ~StepLock();

private:
  const Root& root_;
  std::string path_;
  Fd fd_;
};

} // namespace conductor::image
