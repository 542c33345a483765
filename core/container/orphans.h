// What is left in the kernel and the run directory of containers that are in no store: the step of a build that was
// killed, a removal that was killed half-way. All of it carries the id of its root and of its container.
#pragma once

#include "core/container/links.h"
#include "core/store/root.h"

#include <string>
#include <vector>

namespace conductor {

// One thing that carries the id of this root and of a container that is not in its store.
struct Leftover {
  std::string kind; // "control group"
  std::string what; // which one: a path or a name
};
// What sweep_orphans() and Links::remove_unnoted() would take away, and overlays of ours on the host. Steps of builds
// that run now are among it.
std::vector<Leftover> find_leftovers(const Root& root, const Links& links);
// Those overlays, off the host. A busy one goes when its last user does.
void remove_overlays(const Root& root);

// Ids of containers that own a group, a run directory, a range of ids or a link and are not in the store. The steps of
// builds that run now are among them.
std::vector<std::string> find_orphans(const Root& root);

// Takes down what find_orphans() finds, and the groups of a root without containers. Nothing is touched while a build
// or a `create` runs. Returns how many there were.
size_t sweep_orphans(const Root& root, Links links);

} // namespace conductor
