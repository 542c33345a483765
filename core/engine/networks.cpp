#include "core/engine/networks.h"

#include "core/base/error.h"
#include "core/base/undo.h"
#include "core/container/name_files.h"
#include "core/container/ports.h"
#include "core/engine/launch.h"
#include "core/kernel/files.h"
#include "core/kernel/namespaces.h"
#include "core/kernel/process.h"
#include "core/store/journal.h"

#include <algorithm>
#include <functional>
#include <set>

#include <fmt/format.h>

namespace conductor {
namespace {

bool is_active(const Container& container)
{
  return container.status.state == State::running || container.status.state == State::paused;
}

// One container that an operation changes: under its lock, with what it wanted before.
struct Member {
  Container container;
  NetworkWish before, after;
  const Spec& spec() const { return container.spec; }
};

// The locks of several containers, in order of id, so that nobody waits for somebody who waits for him.
std::vector<Lock> lock_all(const Context& context, const std::set<std::string>& ids)
{
  std::vector<Lock> locks;
  for (const std::string& id : ids)
    if (const auto container = Containers{context.root}.find(id))
      locks.push_back(lock_container(context, id, container->spec.name));
  return locks;
}

Member member(const Context& context, const std::string& id)
{
  Member made{.container = settle_locked(context, id), .before = {}, .after = {}};
  if (made.spec().networked) made.before = find_network_wish(context.root, id).value_or(NetworkWish{});
  // Those that were removed since are nobody's peers.
  std::erase_if(made.before.peers,
                [&](const std::string& peer) { return !kernel::exists(context.root.dir(), "containers/id/" + peer); });
  made.after = made.before;
  return made;
}

// Also a wish for nothing, until that is carried out: whoever finds the container after a crash must look at its link.
void store(const Context& context, const Spec& spec, const NetworkWish& wish)
{
  save_network_wish(context.root, spec.id, wish);
  Spec now = Containers{context.root}.load(spec.id).spec;
  if (now.networked) return;
  now.networked = true;
  Containers{context.root}.save_spec(now);
}

// Behind that: as if it had never had a network.
void forget(const Context& context, Links& links, const Spec& spec)
{
  links.release(spec.id);
  Spec now = spec;
  now.networked = false;
  Containers{context.root}.save_spec(now);
  remove_network_wish(context.root, spec.id);
}

// The network namespace of a container, none when it has just ended.
std::optional<Fd> space_of(const Container& container)
{
  try {
    Fd space = kernel::open_namespace(container.status.pid, "net");
    if (kernel::is_alive(container.status.pid, container.status.pid_start)) return space;
  } catch (const Error& error) {
    if (error.number() != ENOENT && error.number() != ESRCH) throw;
  }
  return std::nullopt;
}

// Makes the kernel agree with the wish of a container that runs. Its wish is stored. Whose process has just ended is
// left to its keeper.
void carry_out(const Context& context, Links& links, const Container& container, const NetworkWish& wish,
               const NetworkWish& before)
{
  const Root& root = context.root;
  const LinkOwner owner = LinkOwner::of(container.spec);
  const bool linked = find_link(root, owner.id).has_value();
  if (wish.needs_link()) {
    if (linked && links.change(owner, wish, before)) return;
    const auto space = space_of(container);
    if (!space) return;
    if (!linked) make_name_files(root, owner.id);
    links.attach(owner, wish, space->get());
    if (!linked) show_name_files(root, container);
  } else if (linked) {
    hide_name_files(root, container);
    const auto space = space_of(container);
    links.detach(owner.id, LinkEnd::now, space ? space->get() : -1);
  }
}

void make_so(const Context& context, const std::vector<Member>& members)
{
  Links links = links_of(context);
  const Lock lock = links.lock();
  Undo undo{context.trace};
  const auto carry_out_all = [&](NetworkWish Member::*wish, NetworkWish Member::*before) {
    for (const Member& each : members)
      if (is_active(each.container)) {
        // Its number may be another by now.
        NetworkWish now = each.*wish;
        if (const auto stored = find_network_wish(context.root, each.spec().id)) now.index = stored->index;
        carry_out(context, links, each.container, now, each.*before);
      }
  };
  undo.push("put the network back as it was", [&, carry_out_all] {
    for (const Member& each : members) store(context, each.spec(), each.before);
    carry_out_all(&Member::before, &Member::after);
    for (const Member& each : members)
      if (!each.before.needs_link()) forget(context, links, each.spec());
  });
  for (const Member& each : members) store(context, each.spec(), each.after);
  carry_out_all(&Member::after, &Member::before);
  for (const Member& each : members)
    if (!each.after.needs_link()) forget(context, links, each.spec());
  for (const Member& each : members)
    append(context.root, {.id = each.spec().id, .name = each.spec().name, .verb = context.verb, .outcome = "done"});
  undo.commit();
}

// A container with all that it names as peers: taking everything away changes them too.
std::set<std::string> with_peers(const Context& context, const std::string& id)
{
  std::set<std::string> ids{id};
  const Container container = Containers{context.root}.load(id);
  if (!container.spec.networked) return ids;
  if (const auto wish = find_network_wish(context.root, id)) ids.insert(wish->peers.begin(), wish->peers.end());
  return ids;
}

} // namespace

Links links_of(const Context& context)
{
  return Links{context.root, context.network, context.config.network_pool, context.verb};
}

void need_own_network(const Spec& spec)
{
  if (spec.network != NetworkMode::host) return;
  throw Error{fmt::format("'{}' has no network of its own: it uses the host's (--network host)", spec.name), 0,
              "it reaches all that the host reaches, and listens on the host's own ports"};
}

void mend(const Context& context)
{
  try {
    Links links = links_of(context);
    if (!links.any()) return;
    const Lock lock = links.lock();
    for (const std::string& mended : links.repair()) context.trace.notice("mended: " + mended);
  } catch (const Error& error) {
    if (error.number() == EINTR || error.number() == ECANCELED) throw;
    context.trace.notice("the network could not be looked at: " + std::string{error.sentence()});
  }
}

void add_network(Context& context, const std::string& id, const NetworkRequest& request)
{
  const Lock lock = lock_container(context, id, Containers{context.root}.load(id).spec.name);
  std::vector<Member> members{member(context, id)};
  Member& one = members.front();
  need_own_network(one.spec());
  mend(context);
  one.after.attached = true;
  one.after.internet = one.before.internet || request.internet;
  std::vector<PublishedPort> fresh;
  for (const PublishedPort& port : request.published) {
    auto& all = one.after.published;
    if (std::find(all.begin(), all.end(), port) != all.end()) continue;
    all.push_back(port);
    fresh.push_back(port);
  }
  check_wish(one.after, one.spec().name);
  Step step{context.trace, fmt::format("connect '{}' further", one.spec().name),
            "what is wanted goes into its directory, then to the kernel"};
  links_of(context).check_ports(LinkOwner::of(one.spec()), fresh);
  make_so(context, members);
  step.done();
}

void remove_network(Context& context, const std::string& id, const NetworkRequest& request)
{
  const std::set<std::string> ids = request.empty() ? with_peers(context, id) : std::set<std::string>{id};
  const std::vector<Lock> locks = lock_all(context, ids);
  std::vector<Member> members{member(context, id)};
  if (request.empty() && with_peers(context, id) != ids)
    throw Error{fmt::format("'{}' got or lost a peer meanwhile", members.front().spec().name), EAGAIN, "try it again"};
  need_own_network(members.front().spec());
  mend(context);
  NetworkWish& wish = members.front().after;
  if (request.empty()) {
    wish = {.attached = false, .published = {}, .peers = {}, .index = wish.index};
    for (const std::string& other : ids) {
      if (other == id || !Containers{context.root}.find(other)) continue;
      members.push_back(member(context, other));
      std::erase(members.back().after.peers, id);
    }
  } else {
    if (request.internet) wish.internet = false;
    for (const PublishedPort& port : request.published)
      if (std::erase(wish.published, port) == 0)
        context.trace.notice(fmt::format("'{}' does not publish {}", members.front().spec().name, port_text(port)));
  }
  Step step{context.trace, fmt::format("disconnect '{}'", members.front().spec().name),
            "running connections that are no longer allowed end at once"};
  make_so(context, members);
  step.done();
}

namespace {

void change_peers(Context& context, const std::string& one, const std::string& other, const char* what,
                  const std::function<void(NetworkWish&, const std::string&)>& change)
{
  const std::vector<Lock> locks = lock_all(context, {one, other});
  std::vector<Member> members{member(context, one), member(context, other)};
  for (const Member& each : members) need_own_network(each.spec());
  mend(context);
  change(members[0].after, other);
  change(members[1].after, one);
  Step step{context.trace, fmt::format("{} '{}' and '{}'", what, members[0].spec().name, members[1].spec().name),
            "both must name each other, then both directions are allowed"};
  make_so(context, members);
  step.done();
}

} // namespace

void add_peer(Context& context, const std::string& one, const std::string& other)
{
  if (one == other) throw usage_error("a container needs no permission to talk to itself", "name two containers");
  change_peers(context, one, other, "peer", [](NetworkWish& wish, const std::string& id) {
    if (!wish.names(id)) wish.peers.push_back(id);
  });
}

void remove_peer(Context& context, const std::string& one, const std::string& other)
{
  if (one == other) throw usage_error("a container is not its own peer", "name two containers");
  change_peers(context, one, other, "unpeer",
               [](NetworkWish& wish, const std::string& id) { std::erase(wish.peers, id); });
}

std::vector<ConnectedContainer> connected(Context& context)
{
  std::vector<ConnectedContainer> all;
  for (Container& container : settle_all(context)) {
    auto view = view_link(context.root, container.spec);
    if (view) all.push_back({std::move(container), std::move(*view)});
  }
  return all;
}

} // namespace conductor
