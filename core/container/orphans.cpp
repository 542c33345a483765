#include "core/container/orphans.h"

#include "core/base/error.h"
#include "core/container/id_range.h"
#include "core/container/link_index.h"
#include "core/container/start.h"
#include "core/kernel/cgroup.h"
#include "core/kernel/files.h"
#include "core/kernel/mount.h"
#include "core/store/containers.h"
#include "core/store/images.h"

#include <algorithm>
#include <optional>
#include <set>

#include <fcntl.h>
#include <fmt/format.h>

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

struct Marked {
  Leftover thing;
  std::string owner;
};

// Everything that carries the id of a container which the store does not have.
std::vector<Marked> find_marked(const Root& root)
{
  std::vector<Marked> all;
  for (const auto& leaf : kernel::cgroup_leaves(root.id()))
    if (leaf != kernel::keepers_leaf)
      all.push_back({{"control group", fmt::format("conductor/{}/{}", root.id(), leaf)}, leaf});
  if (kernel::exists(root.run(), "c"))
    for (const auto& id : kernel::list_directory(root.run(), "c"))
      all.push_back({{"run directory", root.run_path() + "/c/" + id}, id});
  if (kernel::exists(root.run(), "ids"))
    for (const auto& slot : kernel::list_directory(root.run(), "ids"))
      if (auto owner = kernel::read_link(root.run(), "ids/" + slot))
        all.push_back({{"range of user ids", slot}, std::move(*owner)});
  for (const auto& [index, owner] : link_indexes(root))
    all.push_back({{"number of a link", std::to_string(index)}, owner});
  const Containers containers{root};
  std::erase_if(all, [&](const Marked& each) { return kernel::exists(root.dir(), containers.path(each.owner)); });
  return all;
}

std::vector<std::string> overlays_of(const Root& root)
{
  std::vector<std::string> all = kernel::overlays_below(root.path());
  for (auto& place : kernel::overlays_below(root.run_path())) all.push_back(std::move(place));
  return all;
}

} // namespace

std::vector<Leftover> find_leftovers(const Root& root, const Links& links)
{
  std::vector<Leftover> all;
  for (Marked& each : find_marked(root)) all.push_back(std::move(each.thing));
  for (const auto& [index, owner] : links.unnoted()) all.push_back({"link", link_outside(index)});
  for (std::string& place : overlays_of(root)) all.push_back({"mount", std::move(place)});
  return all;
}

void remove_overlays(const Root& root)
{
  for (const std::string& place : overlays_of(root)) {
    const Fd mount{::open(place.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC)};
    if (mount) kernel::detach(root.trace(), mount.get(), place);
  }
}

std::vector<std::string> find_orphans(const Root& root)
{
  std::set<std::string> owners;
  for (Marked& each : find_marked(root)) owners.insert(std::move(each.owner));
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
