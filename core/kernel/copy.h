// Copying files of the host below the root of an image, through the waist: one call for the whole copy.
//
// The caller says what (a flat plan); this says how: sources are opened below their directory, targets are reached
// below the image's root only, and nothing is ever written through a link or into a file that was there before.
#pragma once

#include "core/base/handle.h"
#include "core/base/trace.h"
#include "core/kernel/layer_view.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

namespace conductor::kernel {

using Xattrs = std::vector<std::pair<std::string, std::string>>;

// What lies at one place: enough to make another one like it, and to notice that it changed since.
struct FileFacts {
  mode_t mode = 0; // with the type, as st_mode
  uint64_t size = 0;
  timespec modified{};
  timespec changed{}; // st_ctim
  uint64_t device = 0, inode = 0;
  uint64_t links = 1; // names that it has
  uid_t uid = 0;
  gid_t gid = 0;
  std::string link; // where a symlink points
  Xattrs xattrs;    // user.* and security.capability
};
// Only what a file system of ours may carry from elsewhere: user.* and security.capability, never trusted.* and
// user.overlay.*, which overlayfs uses for itself.
bool is_carried(std::string_view attribute);
// Those of an open file, sorted. Throws Error.
Xattrs read_xattrs(int fd, const std::string& what);
// Facts of an open file (O_PATH is enough for all but xattrs). Throws Error.
FileFacts facts_of(int fd, const std::string& what);

struct CopyItem {
  std::string source; // below the source root; empty: it has none (a directory, a file of which `content` is all)
  std::string target; // below the image's root, without a leading '/'
  FileFacts facts;    // the mode may have been changed by the caller
  uid_t uid = 0;
  gid_t gid = 0;
  bool dress = false;  // a directory that is there gets these facts too
  std::string twin;    // another item's target that this one is a hard link to; empty: a file of its own
  std::string content; // of a file without a source
};
// Hears of all that a layer gets, in the order of its archive (each directory before its content, names of one
// directory as bytes), while it is written: so that nobody has to read it again.
class CopyWatcher {
public:
  virtual ~CopyWatcher() = default;
  // name: below the root, empty for itself. status: what it has when the copy is complete. link: where a symlink
  // points; of another name of a file, its first one.
  virtual void node(const std::string& name, const struct stat& status, const Xattrs& xattrs,
                    const std::string& link) = 0;
  virtual void content(std::string_view bytes) = 0; // of the file that was told last
};
struct CopyPlan {
  int source_root = -1;           // paths are looked up below it, links that climb stay in it
  int root = -1;                  // the image's
  LayerView* below = nullptr;     // given: root is a layer that is being made, still empty, and lies on top of these
  CopyWatcher* watcher = nullptr; // with `below`
  std::string text;               // for messages and by-hand text: "cp -a ... ..."
  std::vector<CopyItem> items;    // parents before their content
};
// Directories that are there stay as they are, unless dressed; files and links are replaced; a directory in the way of
// a file, or the other way round, is an Error. So is a source that changed since its facts were taken. progress counts
// bytes in step.
// Returns whether the watcher heard the whole truth; else the layer must be read: the plan names something twice or out
// of order, or the file system keeps something otherwise than it was asked to.
bool copy_into_root(Trace& trace, const CopyPlan& plan, Step& step);
// Can the plan be written onto these layers (plan.below) with the same outcome as into their mounted tree? Not where a
// link is on the way, and not where the tree refuses something.
bool fits_onto(const CopyPlan& plan, LayerView& layers);

// Gives every file, link and directory of a tree that is newer than `newest` (seconds since 1970) that time. Told as
// one call. Throws Error.
void clamp_times(Trace& trace, int at, const std::string& path, int64_t newest);

} // namespace conductor::kernel
