#include "core/container/orphans.h"

#include "core/base/error.h"
#include "core/container/id_range.h"
#include "core/container/link_index.h"
#include "core/container/start.h"
#include "core/kernel/cgroup.h"
#include "core/kernel/files.h"
#include "core/store/containers.h"
#include "core/store/images.h"

#include <algorithm>
#include <optional>
#include <set>

namespace conductor {
namespace {

// Builds hold the layers shared from their first step to their last, so nobody builds while we own them.
std::optional<Fd> keep_builds_out(const Root& root)
{
  try {
    return Images{root}.own_layers(std::chrono::milliseconds{0});
  } catch (const Error&) {
    return std::nullopt;
  }
}

} // namespace

std::vector<std::string> find_orphans(const Root& root)
{
  std::set<std::string> owners;
  for (auto& leaf : kernel::cgroup_leaves(root.id()))
    if (leaf != kernel::keepers_leaf) owners.insert(std::move(leaf));
  if (kernel::exists(root.run(), "c"))
    for (auto& id : kernel::list_directory(root.run(), "c")) owners.insert(std::move(id));
  if (kernel::exists(root.run(), "ids"))
    for (const auto& slot : kernel::list_directory(root.run(), "ids"))
      if (auto owner = kernel::read_link(root.run(), "ids/" + slot)) owners.insert(std::move(*owner));
  for (auto& [index, owner] : link_indexes(root)) owners.insert(owner);
  const Containers containers{root};
  std::erase_if(owners, [&](const auto& id) { return kernel::exists(root.dir(), containers.path(id)); });
  return {owners.begin(), owners.end()};
}

size_t sweep_orphans(const Root& root, Links links)
{
  const auto alone = keep_builds_out(root);
  if (!alone) return 0;
  const auto orphans = find_orphans(root);
  for (const auto& id : orphans) {
    tear_down(root, id, 0);
    links.leave(id);
    links.release(id);
    kernel::remove_tree(root.trace(), root.run(), "c/" + id);
  }
  Containers{root}.leave_no_groups(std::chrono::milliseconds{0});
  return orphans.size();
}

} // namespace conductor
