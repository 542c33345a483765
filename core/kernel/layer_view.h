// What layers that lie one on top of the other show at a path: found by looking into them, without a mount.
//
// As overlayfs merges them (Documentation/filesystems/overlayfs.rst in the kernel): the topmost layer that has a name
// decides what it is. Where that is a directory, the directories of that name further down show through, until a
// whiteout, an opaque mark or something that is no directory ends it. No link is followed: what lies beyond one has a
// meaning only in the whole tree, so it is an answer of its own.
#pragma once

#include "core/base/handle.h"

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace conductor::kernel {

class LayerView {
public:
  // layers: directories below `at`, base first; none: an empty tree. They must not change. Throws Error.
  LayerView(int at, const std::vector<std::string>& layers);

  enum class Kind : char { nothing, directory, link, other, beyond_link };
  // path: relative and clean; empty is the top. Throws Error.
  Kind find(const std::string& path);
  // A directory as the topmost layer has it, for reading: whose mode, owner, times and attributes the tree shows. path:
  // find() called it a directory. Throws Error.
  Fd open_directory(const std::string& path);
  // Whatever the tree shows under that name, a link itself; flags as open(2). None where find() says nothing or
  // beyond_link. Throws Error.
  std::optional<Fd> open(const std::string& path, int flags);
  // The names that the tree shows in a directory, sorted. path: find() called it a directory. Throws Error.
  std::set<std::string> list(const std::string& path);

private:
  using Shares = std::vector<size_t>; // the layers that show something of a directory, the topmost first

  Kind look(const std::string& directory, const std::string& name, Shares& shares);
  void enter(const std::string& directory);

  std::vector<Fd> tops_;
  std::map<std::string, Shares> directories_;
  std::string missing_; // found last: nothing is there, so nothing is below it
  std::string entered_; // names of one directory come one after the other, so its descriptors are kept
  std::vector<Fd> here_;
};

} // namespace conductor::kernel
