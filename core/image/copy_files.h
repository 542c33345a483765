// cp: files between this host and a container, whatever the container does meanwhile.
//
// One side packs, the other unpacks (tar.h, copy_target.h), and between them is a socket. The container's side is a
// process of its own whose "/" is the container's (Visitor), so no race of the container can lead it outside
// (CVE-2018-15664), and on this side nothing is followed that came from there.
#pragma once

#include "core/engine/engine.h"

#include <cstdint>
#include <string>

namespace conductor::image {

struct CopyRequest {
  std::string id;       // of the container
  std::string inside;   // the path in it
  std::string outside;  // an absolute path on this host; "-": a tar archive on stdin or stdout
  bool into = false;    // into the container; else out of it
  bool archive = false; // owners are kept; else what comes in is root's, and what goes out the caller's
  bool follow = false;  // of a link that is named: copy what it leads to
};
struct Copied {
  uint64_t entries = 0, bytes = 0; // none of what went to stdout but its bytes
};
// Throws Error; then the target is as it was.
Copied copy_files(Context& context, const CopyRequest& request);

} // namespace conductor::image
