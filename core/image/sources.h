// What a COPY takes: the files that its words name, looked at and hashed, then planned onto the image's root.
//
// The fingerprint of an entry covers all that reaches the image: type, mode, owner, link target, attributes, content;
// with its name it is part of the step's key. Times are left out, so that a fresh check-out of the same files is a hit.
#pragma once

#include "core/image/content_index.h"
#include "core/image/digest.h"
#include "core/image/file_mode.h"
#include "core/image/ignore.h"
#include "core/kernel/copy.h"

#include <optional>
#include <string>
#include <vector>

namespace conductor::image {

struct SourceEntry {
  std::string path; // below the source root
  std::string tail; // below the source itself; empty for it
  kernel::FileFacts facts;
  std::string twin;        // tail of the entry that this one is a hard link to
  std::string fingerprint; // 64 hex digits
};
struct Source {
  std::string name;   // last component; "" for the whole context
  std::string parent; // with --parents: the directories that come along, below the source root from `pivot` on
  std::string pivot;
  bool directory = false;
  std::vector<SourceEntry> entries; // itself first, parents before their content
};

struct SourceRoot {
  int fd = -1;
  std::string shown;              // for messages: "the context /home/me/web"
  const Ignore* ignore = nullptr; // none for another stage's files
  ContentIndex* index = nullptr;  // what is known of the content; none: all is read
  bool owners = false;            // the files keep their owners (another stage's), else they are root's
};

struct Selection {
  std::vector<std::string> words; // wildcards allowed
  Ignore exclude;                 // --exclude
  bool parents = false;           // --parents
  std::optional<FileMode> mode;   // --chmod
  bool chown = false;             // the owner is given, so that of the files is no matter
};
// Looks at everything that the words name. Throws Error: not there, nothing matches, leaves the root, a device or
// socket.
std::vector<Source> look_at_sources(const SourceRoot& root, const Selection& selection);

// A file that is not in any directory: a here-document, a download.
struct LooseFile {
  std::string name;
  std::string content; // all of it, or:
  std::string path;    // where it lies below the source root
  kernel::FileFacts facts;
};

// Where it goes, by the rules of Dockerfiles: the content of a directory goes into the destination; a file goes into it
// when it ends in '/', is a directory, or there are several; else the destination is its name.
struct Target {
  int image_root = -1;
  kernel::LayerView* layers = nullptr;          // given: instead of the root, where the image is not mounted
  std::string destination;                      // absolute
  std::optional<std::pair<uid_t, gid_t>> owner; // of all that is copied, and of directories that are made on the way
  std::optional<FileMode> mode;                 // of all that is copied
  timespec now{};                               // of directories that are made on the way
  bool as_it_is = false;                        // what is copied keeps owners and modes of its own (an archive's)
};
kernel::CopyPlan plan_copy(const SourceRoot& from, const std::vector<Source>& sources, const Target& target,
                           const std::vector<LooseFile>& loose = {});
// The same onto target.layers; image_root is the layer that is being made. None where only the mounted image can tell
// (kernel::fits_onto()).
std::optional<kernel::CopyPlan> plan_copy_onto_layers(const SourceRoot& from, const std::vector<Source>& sources,
                                                      const Target& target, const std::vector<LooseFile>& loose = {});

} // namespace conductor::image
