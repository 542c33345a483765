// rename: another name leads to the same container. What knows it by its id (files, groups, address, permissions) stays
// as it is; what tells its name, /etc/hosts of itself and of its peers, is told the new one.
#include "core/engine/launch.h"

#include "core/base/error.h"
#include "core/base/undo.h"
#include "core/container/network_wish.h"
#include "core/engine/networks.h"
#include "core/store/journal.h"

#include <fmt/format.h>

namespace conductor {
namespace {

void tell_names(const Context& context, const std::string& id)
{
  const Spec spec = Containers{context.root}.load(id).spec;
  const auto wish = spec.networked ? find_network_wish(context.root, id) : std::nullopt;
  if (!wish) return;
  Links links = links_of(context);
  const Lock lock = links.lock();
  links.change(LinkOwner::of(spec), *wish, *wish);
  links.tell(wish->peers);
}

} // namespace

void rename(Context& context, const std::string& id, const std::string& to)
{
  check_name(to);
  const Containers containers{context.root};
  const Lock lock = lock_container(context, id, containers.load(id).spec.name);
  const std::string from = settle_locked(context, id).spec.name;
  if (from == to) throw Error{fmt::format("'{}' is called that already", from)};
  Step step{context.trace, fmt::format("rename '{}' to '{}'", from, to), "the new name leads to the same directory"};
  Undo undo{context.trace};
  containers.rename(id, from, to);
  undo.push("give it its old name back", [&] {
    containers.rename(id, to, from);
    tell_names(context, id);
  });
  tell_names(context, id);
  append(context.root, {.id = id, .name = to, .verb = context.verb, .outcome = "was " + from});
  undo.commit();
  step.done();
}

} // namespace conductor
