// For a while, files are made as the root of a container's user range.
//
// While an overlay on id-mapped layers is made, the maker must look like the mapped root: overlayfs keeps the maker's
// credentials for what it does itself, and an id that the mount does not map makes it read-only without a word.
// Changing the fsuid away from 0 drops the file capabilities from the effective set (capabilities(7)), so they are
// raised again. It also takes back the wish to die with the parent (PR_SET_PDEATHSIG, prctl(2)), which is renewed.
#pragma once

#include <cstdint>

namespace conductor::kernel {

class AsMappedRoot {
public:
  // owner: host uid and gid of the mapped root; 0 changes nothing. Throws Error.
  explicit AsMappedRoot(uint32_t owner);
  ~AsMappedRoot();
  AsMappedRoot(const AsMappedRoot&) = delete;
  AsMappedRoot& operator=(const AsMappedRoot&) = delete;

private:
  bool active_;
  int death_signal_ = 0;
};

} // namespace conductor::kernel
