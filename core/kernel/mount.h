// Mounts by descriptor: a tree is made detached, set up, and put in place, so that no path string of an image is ever
// handed to the kernel. fsopen(2), open_tree(2), mount_setattr(2), move_mount(2): see each man page.
#pragma once

#include "core/base/handle.h"
#include "core/base/trace.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace conductor::kernel {

// Options of a new file system: {"mode", "755"}; an empty value is a flag ("newinstance").
using MountOptions = std::vector<std::pair<std::string, std::string>>;

// fsopen + fsconfig + fsmount: a detached mount of a new file system. attributes: MOUNT_ATTR_*.
// by_hand_target is only for the text. Throws Error with what the file system itself said (its message queue).
Fd new_file_system(Trace& trace, const char* type, const MountOptions& options, unsigned attributes,
                   const std::string& by_hand_target);

struct OverlayRequest {
  int tree = -1;                  // descriptor of the directory (usually an id-mapped mount) all paths are relative to
  std::vector<std::string> lower; // base first; handed over top first
  std::string upper, work;        // empty: a read-only overlay
  bool is_volatile = false;       // no sync at unmount: for what is thrown away or committed by rename
  uint32_t owner = 0;             // host uid and gid that the mapped root has; the mount is made with that fsuid
  unsigned attributes = 0;        // MOUNT_ATTR_*
};
// A detached overlay. Throws Error; says the cure when the file system below refuses.
Fd overlay(Trace& trace, const OverlayRequest& request);

// open_tree(OPEN_TREE_CLONE): a detached copy of the mount at (at, path). recursive: with what is mounted below.
Fd clone_tree(Trace& trace, int at, const std::string& path, bool recursive);
// Nothing mounted below it here shows elsewhere, nor the other way round: mount_setattr(2) with MS_PRIVATE, and all
// that is mounted below. Throws Error.
void make_private(Trace& trace, int mount);
// mount_setattr(2) on a mount descriptor.
void set_attributes(Trace& trace, int mount, uint64_t set, bool recursive);
// mount_setattr(MOUNT_ATTR_IDMAP) with the mapping of a user namespace. shown_source: what the mount is a clone of, for
// messages; attached nowhere, it has no path of its own. recursive: with what is mounted below. Throws Error.
void map_ids(Trace& trace, int mount, int user_namespace, const std::string& shown_source, bool recursive = false);
// move_mount(2) of a detached mount onto what `target` (a descriptor) is.
void attach(Trace& trace, int mount, int target, const std::string& shown_target);

// Takes an attached mount away again, by a descriptor of its top: umount2(MNT_DETACH).
void detach(Trace& trace, int mount, const std::string& shown_target);
// The same for whoever has entered a mount namespace whose /proc knows nothing of him. own_descriptors: a descriptor of
// /proc/self/fd that he opened before; the working directory is that afterwards.
void detach_by(Trace& trace, int own_descriptors, int mount, const std::string& shown_target);

// mount(2) of a new file system at a path, for kernels and cases that know no other way. Throws Error.
void mount_at(Trace& trace, const char* source, const char* target, const char* type, const std::string& options);

// All propagation of this mount namespace set to slave: what the host unmounts goes here too, nothing goes back.
void make_slave(Trace& trace);
// Overlays of ours (overlay() names their source) that are attached below a directory in our own mount namespace, the
// last one first. Containers have theirs in namespaces of their own, so none is needed here.
std::vector<std::string> overlays_below(const std::string& directory);

// pivot_root(".", ".") into the mount `new_root`, the old root detached, working directory "/".
void change_root(Trace& trace, int new_root);

} // namespace conductor::kernel
