// What a COPY takes: the files that its words name, looked at and hashed, then planned onto the image's root.
//
// The hash covers all that reaches the image: names, types, modes, link targets, attributes, content. Times are left
// out, so that a fresh check-out of the same files is a hit.
#pragma once

#include "core/image/digest.h"
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
};
struct Source {
  std::string name; // last component; "" for the whole context
  bool directory = false;
  std::vector<SourceEntry> entries; // itself first, parents before their content
};

struct SourceRoot {
  int fd = -1;
  std::string shown;              // for messages: "the context /home/me/web"
  const Ignore* ignore = nullptr; // none for another stage's files
};

// Looks at everything that `words` name (wildcards allowed) and adds it to `digest`. mode: --chmod. Throws Error: not
// there, nothing matches, leaves the root, a device or socket.
std::vector<Source> look_at_sources(const SourceRoot& root, const std::vector<std::string>& words,
                                    std::optional<mode_t> mode, Digest& digest);

// Where it goes, by the rules of Dockerfiles: the content of a directory goes into the destination; a file goes into it
// when it ends in '/', is a directory, or there are several; else the destination is its name. destination: absolute.
kernel::CopyPlan plan_copy(const SourceRoot& from, const std::vector<Source>& sources, int image_root,
                           const std::string& destination, uid_t uid, gid_t gid, std::optional<mode_t> mode);

} // namespace conductor::image
