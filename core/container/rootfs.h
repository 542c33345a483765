// The root of a container, made by two processes at once.
//
// The parent, root of the host, makes the mounts that need it: the overlay on id-mapped layers, /dev with its nodes,
// the volumes. It hands them over as descriptors. The child, in its new namespaces, makes its own /proc, /sys and
// pseudo-terminals, puts everything in place below the new root through guarded look-ups only, hides what is to be
// hidden, and changes into it. Both know the same plan, so the order of the descriptors is fixed by it.
#pragma once

#include "core/base/handle.h"
#include "core/base/trace.h"
#include "core/container/pty.h"
#include "core/container/spec.h"
#include "core/store/root.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace conductor {

// A directory or file of the host to appear inside.
struct BindPlan {
  std::string source; // absolute, on the host
  std::string target; // absolute, inside
  bool read_only = false;
  bool map_ids = true; // files keep their owners' numbers inside; off for files of our own
  bool directory = true;
};

// What a step of a build sees besides its layers (RUN --mount).
struct StepMount {
  enum class Kind : char {
    directory, // `source`, a directory of the host, or what `below` names in it
    layers,    // what `below` names in a tree of `layers`
    memory,    // an empty file system of its own
    file       // a file with this content, that is never on a disk
  };
  Kind kind = Kind::directory;
  std::string target; // absolute, inside
  bool read_only = true;
  std::string source;              // absolute, on the host
  std::vector<std::string> layers; // relative to the root directory, base first
  std::string below;               // empty: all
  std::string rw;      // of layers: a directory (relative to it) that gets what is written; empty: read-only
  std::string content; // of a file
  uid_t uid = 0;
  gid_t gid = 0;
  mode_t mode = 0400;
  uint64_t size_bytes = 0; // of memory; 0: the kernel's own limit
  // Made by the parent, with the host's rights; the others by the child.
  bool is_handed() const { return kind == Kind::directory || kind == Kind::layers; }
};

struct RootfsPlan {
  std::vector<std::string> lower; // relative to the root directory, base first
  std::string rw;                 // relative to it: the directory of upper/ and work/
  bool is_volatile = false;
  bool host_network = false; // then /sys must come from the host's side, whose network it shows
  bool named = false;        // its name files are among the binds
  bool host_ipc = false;     // then /dev/shm and /dev/mqueue are the host's
  uint64_t shm_bytes = default_shm_bytes;
  std::vector<BindPlan> binds;
  std::vector<StepMount> step_mounts;
};

// What the spec asks for, with the sources of volumes checked. Throws Error.
// names: its name files (name_files.h) are there, and are to be seen inside.
RootfsPlan plan_rootfs(const Root& root, const Spec& spec, const std::string& rw, bool is_volatile, bool names);

// Parent: makes upper/ and work/ where they are missing; the root of the upper takes mode and owner from the layer
// below.
void prepare_rw(const Root& root, const RootfsPlan& plan);
struct HostMounts {
  std::vector<Fd> handed; // to the child, in the plan's order
  // The id-mapped clone of the root directory that the overlay was made on. Closing it waits for an RCU grace period.
  Fd mapped;
};
// Parent: all mounts of the plan. user_namespace: descriptor, -1 without one; first_id: its root on the host.
HostMounts make_mounts(const Root& root, const RootfsPlan& plan, const Spec& spec, int user_namespace,
                       uint32_t first_id);

// Child: what it mounts itself in its namespaces, made while the parent still makes its part.
struct PseudoMounts {
  Fd proc, pts;
  Fd shm, mqueue; // not with the host's IPC
  Fd sys;         // not with the host's network
};
PseudoMounts make_pseudo_mounts(Trace& trace, const RootfsPlan& plan);

// Child, in all its namespaces: takes over `mounts`, which make_mounts() made, puts everything in place and changes
// into the new root. The PTY when one is wanted. Throws Error.
struct PlacedRoot {
  std::optional<Pty> terminal;
};
PlacedRoot place_root(Trace& trace, PseudoMounts pseudo, std::vector<Fd> mounts, const RootfsPlan& plan,
                      const Spec& spec, const WindowSize& size);

// Whoever looks after the files of a container that does not run: in a mount namespace of its own, changes into the
// tree of its layers with its volumes, ids as they lie on the disk. rw as in RootfsPlan. Throws Error.
void change_into_tree(const Root& root, const Spec& spec, const std::string& rw);

} // namespace conductor
