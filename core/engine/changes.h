// What a container has changed of its image's files: read off its own layer, in which overlayfs keeps what differs.
#pragma once

#include "core/engine/engine.h"

#include <string>
#include <vector>

namespace conductor {

enum class ChangeKind : char { added = 'A', changed = 'C', deleted = 'D' };

struct Change {
  std::string path; // absolute, inside; any bytes but 0
  ChangeKind kind = ChangeKind::changed;
  bool operator==(const Change&) const = default;
};

// By path. As docker has it: a directory that something changed in is changed too, of what was deleted only the top is
// told, the root never is. What lies in volumes is no part of it, nor are the empty places on which we mount something.
// Takes as long as what was changed, not as the image. Throws Error.
std::vector<Change> changes(Context& context, const std::string& id);
// The document of `diff --json`: [{"path", "change": "added|changed|deleted"}].
std::string changes_json(const std::vector<Change>& changes);

} // namespace conductor
