// Volumes of this root: directories with a name, that containers share and that outlive them.
#pragma once

#include "core/container/spec.h"
#include "core/store/root.h"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace conductor {

class Volumes {
public:
  explicit Volumes(const Root& root) : root_(root) {}

  // Names, sorted.
  std::vector<std::string> list() const;
  bool exists(const std::string& name) const;
  // Where the content of a container's volume lies on this host: absolute.
  std::string source(const std::string& container_id, const Volume& volume) const;
  // The same relative to the root directory; only of one with a name.
  static std::string path(const std::string& container_id, const Volume& volume);
  // Puts a finished directory (root-relative) in place. False when somebody else was first. Throws Error.
  bool commit(const std::string& made, const std::string& container_id, const Volume& volume) const;
  // Out of sight at one stroke, then taken apart. Gone already is success.
  void remove(const std::string& name) const;
  // Held while volumes come and go. Throws Error when it is held for longer than `patience`.
  Lock lock(std::string_view verb, std::chrono::milliseconds patience) const;

private:
  const Root& root_;
};

} // namespace conductor
