#include "net/reconcile.h"

#include "core/base/error.h"
#include "core/base/undo.h"
#include "net/conntrack.h"
#include "net/forwarding.h"
#include "net/host_lock.h"
#include "net/inside.h"
#include "net/link_reader.h"
#include "net/link_writer.h"
#include "net/obstacles.h"
#include "net/permissions.h"
#include "net/sockets.h"
#include "net/subnet.h"
#include "net/table.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>

namespace conductor::net {
namespace {

constexpr const char* not_ours = "is somebody else's, conductor did not make it";
constexpr const char* remove_it = "nft delete table inet conductor";

// Opened per operation: a socket costs 6 us, and keepers close what they inherit.
struct Sockets {
  Netlink route{NETLINK_ROUTE}, nft{NETLINK_NETFILTER};
};

bool is_ours(const Link& link) { return link.group == link_group && link_index(link.name) != 0; }

bool is_gone(const Link& link)
{
  const auto mark = mark_from(link.alias);
  return mark && mark->gone;
}

// What the links say when the table is not there to say it: the host's end of any of them is 10.83.0.1 and fd..::1.
std::optional<Subnet> subnet_of_links(Netlink& route)
{
  std::optional<Subnet> subnet;
  const std::vector<Link> links = read_links(route, Counters::without);
  for (const Address& address : read_addresses(route)) {
    const auto owner =
        std::find_if(links.begin(), links.end(), [&](const Link& link) { return link.index == address.index; });
    if (owner == links.end() || !is_ours(*owner)) continue;
    const std::string text = address.text.substr(0, address.text.find('/'));
    const auto bytes = address_bytes(text);
    if (!subnet) subnet.emplace();
    if (bytes.size() == 4) subnet->ipv4 = big32_from(bytes) & 0xffff0000U;
    if (bytes.size() == 16 && text.ends_with("::1")) subnet->ipv6 = text.substr(0, text.size() - 1);
  }
  return subnet && subnet->ipv4 != 0 ? subnet : std::nullopt;
}

// What was switched on, when the table went without us.
SwitchedOn remembered_by_links(Netlink& route)
{
  for (const Link& link : read_links(route, Counters::without))
    if (const SwitchedOn switched = switched_on_by_mark(link.alias); is_ours(link) && switched.any()) return switched;
  return {};
}

Subnet ensure_table(Trace& trace, Sockets& sockets, std::string_view pool)
{
  const auto comment = read_table_comment(sockets.nft);
  std::optional<Subnet> subnet;
  if (comment) {
    subnet = subnet_from(*comment);
    if (!subnet) throw Error{fmt::format("the table inet conductor of nftables {}", not_ours), 0, remove_it};
    if (table_is_current(sockets.nft)) return *subnet;
  }
  if (!subnet) subnet = subnet_of_links(sockets.route);
  if (!subnet)
    subnet = choose_subnet(read_prefixes(sockets.route), machine_id(), pool,
                           host_has_ipv6() && forwarding6() != Forwarding6::none);
  install_table(trace, *subnet, comment ? switched_on(sockets.nft) : remembered_by_links(sockets.route),
                comment ? OldTable::there : OldTable::none);
  return *subnet;
}

// Nobody has a link any more: the host as it was. `leaving` is a link that counts as gone.
void tear_down_if_last(Trace& trace, Sockets& sockets, LinkIndex leaving)
{
  for (const Link& link : read_links(sockets.route, Counters::without))
    if (is_ours(link) && !is_gone(link) && link_index(link.name) != leaving) return;
  // Also not a table of that name that somebody else made.
  if (!subnet_in_use(sockets.nft)) return;
  withdraw_cures(trace, sockets.nft);
  switch_off(trace, sockets.route, sockets.nft);
  delete_table(trace, sockets.nft);
}

// The name is taken: by a link that is vanishing, or that a crash left half made (we hold the lock, so nobody is making
// it now)? Then it goes now.
bool remove_leftover(Trace& trace, Netlink& route, const LinkPlan& plan)
{
  const auto link = find_link(route, link_name(plan.index));
  if (!link) return true;
  if (!is_ours(*link)) return false;
  const auto mark = mark_from(link->alias);
  const bool is_leftover =
      !mark || mark->gone || (mark->root_id == plan.root_id && mark->container_id == plan.container_id);
  if (is_leftover) remove_link(trace, route, plan.index);
  return is_leftover;
}

void claim_link(Trace& trace, Netlink& route, const LinkPlan& plan, int namespace_fd)
{
  try {
    make_link(trace, route, plan, namespace_fd);
  } catch (const Error& error) {
    if (error.number() != EEXIST || !remove_leftover(trace, route, plan)) throw;
    try {
      make_link(trace, route, plan, namespace_fd);
    } catch (const Error& again) {
      // No number would be any better: it is the other end's name that is taken.
      if (again.number() != EEXIST || find_link(route, link_name(plan.index))) throw;
      throw Error{fmt::format("'{}' has an interface eth0 of its own making already", plan.name), 0,
                  "ip link delete eth0, or rename it, in the container"};
    }
  }
}

enum class Of : char { those_that_may, those_that_may_not };

// Flags of the links whose permissions begin or end with `difference`; route_localnet is the link's own matter.
struct Flags {
  const Standing& standing;
  const Difference& difference;
  LinkIndex index;
  const Subnet& subnet;
  std::optional<bool> forwards6; // of a link that has just been made

  void set(Trace& trace, Netlink& route, Of which) const
  {
    const bool localnet = leads_from_loopback(after(standing.own, difference));
    const bool had_localnet = leads_from_loopback(standing.own);
    for (const LinkIndex link : links_in(difference, index)) {
      const auto before = standing.counts.find(link);
      const bool forwarded = before != standing.counts.end() && before->second.permissions != 0;
      const bool forwards = count_after(standing, difference, link, subnet) != 0;
      const bool is_it = link == index;
      if (forwards != (which == Of::those_that_may)) continue;
      if (forwards == forwarded && !(is_it && localnet != had_localnet)) continue;
      set_reach(trace, route, link,
                {.forwards = forwards,
                 .localnet = is_it ? std::optional{localnet} : std::nullopt,
                 .forwards6_now = is_it ? forwards6 : std::nullopt});
    }
  }
};

// UDP clients of ports that have just been published, who have heard nothing from the host so far.
void hear_early_askers(Trace& trace, Sockets& sockets, const Difference& difference)
{
  constexpr size_t part = 4; // protocol and port, each padded
  std::set<uint16_t> ports;
  for (const Permission& each : difference.missing) {
    const Bytes key{each.element.key.bytes};
    if (!each.set.starts_with("published") || key.size() < 2 * part) continue;
    if (std::to_integer<int>(key[key.size() - 2 * part]) != IPPROTO_UDP) continue;
    ports.insert(ntohs(structure_from<uint16_t>(key.last(part))));
  }
  if (ports.empty()) return;
  std::vector<std::string> addresses;
  for (const Address& address : read_addresses(sockets.route))
    addresses.push_back(address.text.substr(0, address.text.find('/')));
  for (const uint16_t port : ports) forget_early_askers(trace, sockets.nft, port, addresses);
}

// From how things stand to what `difference` makes of it. Flags that are needed come before, those that are not go
// after.
void grant_and_withdraw(Trace& trace, Sockets& sockets, const Standing& standing, const Difference& difference,
                        LinkIndex index, const Subnet& subnet, const std::string& what,
                        std::optional<bool> forwards6 = {})
{
  Difference whole = difference;
  add_routed(whole, standing, links_in(difference, index), subnet);
  if (whole.empty()) return;
  const Flags flags{standing, difference, index, subnet, forwards6};
  flags.set(trace, sockets.route, Of::those_that_may);
  apply(trace, sockets.nft, whole, what);
  flags.set(trace, sockets.route, Of::those_that_may_not);
  hear_early_askers(trace, sockets, difference);
}

// What the host must do for this container, beyond the rules. Peers need nothing: forwarding is a matter of their
// links.
void open_ways(Trace& trace, Sockets& sockets, const WantedLink& wanted, SwitchedOn switched, const Subnet& subnet)
{
  const Firewalls others = read_firewalls(sockets.nft);
  if (wanted.internet || !wanted.published.empty())
    switched = switch_on(trace, sockets.route, sockets.nft, others, switched, !subnet.ipv6.empty());
  yield_to_others(trace, sockets.nft, others, switched);
  cure_obstacles(trace, sockets.nft, others, subnet, Uncured::told);
}

void forget_all_connections(Trace& trace, Netlink& nft, LinkIndex index, const Subnet& subnet)
{
  using Side = ConnectionFilter::Side;
  for (const std::string& address : {subnet.address(index), subnet.address6(index)})
    for (const Side side : {Side::original, Side::reply})
      forget_connections(trace, nft, {.side = side, .address = address});
}

// A connection that was translated goes on without its permission: it is forgotten. All others end by themselves.
void forget_withdrawn(Trace& trace, Netlink& nft, const Difference& difference, LinkIndex index, const Subnet& subnet)
{
  using Side = ConnectionFilter::Side;
  for (const Permission& each : difference.extra) {
    const Bytes key{each.element.key.bytes}, data{each.element.data.bytes};
    if (each.set == "internet")
      for (const std::string& address : {subnet.address(index), subnet.address6(index)})
        forget_connections(trace, nft, {.side = Side::original, .address = address});
    constexpr size_t part = 4; // protocol and port, each padded
    if (!each.set.starts_with("published") || key.size() < 2 * part || data.size() < 2 * part) continue;
    forget_connections(trace, nft,
                       {.side = Side::reply,
                        .address = data.size() == 2 * part ? subnet.address(index) : subnet.address6(index),
                        .protocol = std::to_integer<uint8_t>(key[key.size() - 2 * part]),
                        .port = ntohs(structure_from<uint16_t>(data.last(part))),
                        .asked = ntohs(structure_from<uint16_t>(key.last(part)))});
  }
}

} // namespace

std::optional<Subnet> subnet_in_use(Netlink& nft)
{
  const auto comment = read_table_comment(nft);
  return comment ? subnet_from(*comment) : std::nullopt;
}

Subnet attach(Trace& trace, std::string_view root_id, const WantedLink& wanted, int namespace_fd, std::string_view pool)
{
  const HostLock lock{trace};
  Sockets sockets;
  Undo undo{trace};
  LinkPlan plan{.index = wanted.index,
                .root_id = std::string{root_id},
                .container_id = wanted.container_id,
                .name = wanted.name,
                .host_has_ipv6 = kernel_has_ipv6()};
  plan.subnet = ensure_table(trace, sockets, pool);
  const SwitchedOn switched = switched_on(sockets.nft);
  plan.memory = forwarding_mark(switched);
  const Subnet& subnet = plan.subnet;
  const std::optional<bool> forwards6 = subnet.ipv6.empty() ? std::nullopt : new_links_forward_ipv6();
  // A link of that number is somebody else's until it is claimed; and ours goes before the table does.
  undo.push("remove the table inet conductor if nobody else uses it", [&] { tear_down_if_last(trace, sockets, 0); });

  claim_link(trace, sockets.route, plan, namespace_fd);
  undo.push("remove the link " + link_name(wanted.index), [&] { remove_link(trace, sockets.route, wanted.index); });
  set_up_host_end(trace, sockets.route, plan);
  run_inside(trace, namespace_fd, namespace_of(namespace_fd), [&] {
    Netlink inside;
    set_up_inside(trace, inside, plan);
  });

  // An earlier container of this index may have left elements, and this one would inherit them.
  const Standing standing = standing_of(sockets.nft, wanted, wanted, subnet);
  const Difference missing = difference(standing.own, permissions_of(root_id, wanted, subnet));
  refuse_taken(missing, standing.near);
  if (!standing.own.empty()) forget_all_connections(trace, sockets.nft, wanted.index, subnet);
  if (is_routed(wanted)) open_ways(trace, sockets, wanted, switched, subnet);
  grant_and_withdraw(trace, sockets, standing, missing, wanted.index, subnet,
                     "write the permissions of '" + wanted.name + "'", forwards6);
  undo.commit();
  return subnet;
}

bool change(Trace& trace, std::string_view root_id, const WantedLink& wanted, const WantedLink& had)
{
  const HostLock lock{trace};
  Sockets sockets;
  // It may have stopped since it was looked at. A table made for nobody would stay for good.
  const auto link = find_link(sockets.route, link_name(wanted.index));
  const auto mark = link ? mark_from(link->alias) : std::nullopt;
  if (!mark || !is_ours(*link) || mark->gone || mark->root_id != root_id || mark->container_id != wanted.container_id)
    return false;
  const Subnet subnet = ensure_table(trace, sockets, {});
  const Standing standing = standing_of(sockets.nft, had, wanted, subnet);
  const Difference changes = difference(standing.own, permissions_of(root_id, wanted, subnet));
  refuse_taken(changes, standing.near);
  if (is_routed(wanted)) open_ways(trace, sockets, wanted, switched_on(sockets.nft), subnet);
  grant_and_withdraw(trace, sockets, standing, changes, wanted.index, subnet,
                     "change the permissions of '" + wanted.name + "'");
  forget_withdrawn(trace, sockets.nft, changes, wanted.index, subnet);
  return true;
}

// By the counter of the permission; published ports have none.
static bool may_have_talked(const Permission& permission)
{
  return permission.element.packets != 0 || permission.set.starts_with("published");
}

void detach(Trace& trace, std::string_view root_id, const WantedLink& had, LinkEnd end, int namespace_fd)
{
  const LinkIndex index = had.index;
  const HostLock lock{trace};
  Sockets sockets;
  const auto link = find_link(sockets.route, link_name(index));
  // Somebody else has this number by now; what belongs to it is his.
  if (link && !is_ours(*link)) return;
  if (link)
    if (const auto mark = mark_from(link->alias);
        mark && !(mark->container_id == had.container_id && (mark->gone || mark->root_id == root_id)))
      return;

  auto subnet = subnet_in_use(sockets.nft);
  bool talked = true;
  // While permissions and link are there, so that the other ends hear of it.
  if (subnet && link && namespace_fd >= 0)
    run_inside(trace, namespace_fd, namespace_of(namespace_fd), [&] {
      reset_connections(trace, SocketEnd::own, {subnet->address(index), subnet->address6(index)});
    });
  if (subnet) {
    const Standing standing =
        standing_of(sockets.nft, had, {.container_id = had.container_id, .name = had.name, .index = index}, *subnet);
    talked = std::any_of(standing.own.begin(), standing.own.end(), may_have_talked);
    grant_and_withdraw(trace, sockets, standing, difference(standing.own, {}), index, *subnet,
                       "take the permissions of " + link_name(index) + " away");
  } else {
    subnet = subnet_of_links(sockets.route);
  }
  // To look for connections takes the kernel 20 ms on a host with large tables. Those with the host itself are not
  // translated, and hurt nobody who gets the address later.
  if (subnet && talked) forget_all_connections(trace, sockets.nft, index, *subnet);
  if (link && end == LinkEnd::now) remove_link(trace, sockets.route, index);
  if (link && end == LinkEnd::with_its_namespace) mark_gone(trace, sockets.route, index, had.container_id);
  tear_down_if_last(trace, sockets, index);
}

// ---- repair

namespace {

// Elements of this root on links that are not there: a container was killed together with whoever watched it.
bool is_left_over(const Permission& permission, const std::vector<LinkIndex>& live, std::string_view root_id,
                  const Subnet& subnet)
{
  if (permission.element.comment.find(root_id) == std::string::npos) return false;
  return std::none_of(live.begin(), live.end(),
                      [&](LinkIndex index) { return !permissions_on(index, {permission}, subnet).empty(); });
}

std::string mend_permissions(Trace& trace, Sockets& sockets, std::string_view root_id,
                             const std::vector<WantedLink>& all, const std::vector<LinkIndex>& live,
                             const Subnet& subnet)
{
  const std::vector<Permission> there = read_permissions(sockets.nft);
  std::vector<Permission> now, wanted;
  for (const WantedLink& each : all) {
    for (Permission& permission : permissions_on(each.index, there, subnet)) now.push_back(std::move(permission));
    for (Permission& permission : permissions_of(root_id, each, subnet)) wanted.push_back(std::move(permission));
  }
  for (const Permission& each : there)
    if (is_left_over(each, live, root_id, subnet)) now.push_back(each);
  // A pair of peers belongs to both of them, and was met twice.
  Difference changes = difference(now, wanted), once;
  once.missing = std::move(changes.missing);
  once.extra = difference({}, changes.extra).missing;
  refuse_taken(once, there);
  std::vector<LinkIndex> links = live;
  for (const Permission& each : there)
    if (const LinkIndex link = link_index(link_in(each.element.key, 0));
        each.set == "routed" && std::find(links.begin(), links.end(), link) == links.end())
      links.push_back(link);
  add_routed(once, standing_among(there, links, subnet), links, subnet);
  if (once.empty()) return {};
  apply(trace, sockets.nft, once, "mend the permissions of containers");
  return fmt::format("permissions of containers: {} were missing, {} should not have been there", once.missing.size(),
                     once.extra.size());
}

// A container with CAP_NET_ADMIN deleted its own link. Whoever sends to it is refused by the rules (strays), but for
// two that they cannot tell: the host, when no link is left that has its address; those are reset here. And the host by
// a published port: returns the links whose connections must be forgotten once nothing leads to them any more.
std::vector<LinkIndex> reset_lost(Trace& trace, Netlink& nft, const std::vector<WantedLink>& all,
                                  const std::vector<LinkIndex>& live, const Subnet& subnet)
{
  std::vector<LinkIndex> lost;
  std::vector<std::string> addresses;
  for (const WantedLink& each : all) {
    if (std::find(live.begin(), live.end(), each.index) != live.end()) continue;
    lost.push_back(each.index);
    addresses.insert(addresses.end(), {subnet.address(each.index), subnet.address6(each.index)});
  }
  if (lost.empty()) return lost;
  reset_connections(trace, SocketEnd::other, addresses);
  const std::vector<Permission> there = read_permissions(nft);
  std::erase_if(lost, [&](LinkIndex index) { return !has_ports(permissions_on(index, there, subnet)); });
  return lost;
}

} // namespace

std::vector<std::string> repair(Trace& trace, std::string_view root_id, const std::vector<WantedLink>& all)
{
  const HostLock lock{trace};
  Sockets sockets;
  std::vector<std::string> mended;
  const auto comment = read_table_comment(sockets.nft);
  if (!comment && all.empty()) return mended;

  const std::vector<Link> links = read_links(sockets.route, Counters::without);
  std::vector<LinkIndex> live;
  for (const Link& link : links)
    if (is_ours(link) && !is_gone(link)) live.push_back(link_index(link.name));
  const auto subnet_before = subnet_from(comment.value_or(""));
  std::vector<LinkIndex> lost;
  if (subnet_before) lost = reset_lost(trace, sockets.nft, all, live, *subnet_before);
  const auto forget_lost = [&] {
    for (const LinkIndex index : lost) forget_all_connections(trace, sockets.nft, index, *subnet_before);
  };
  if (live.empty()) {
    if (!subnet_before) return mended;
    tear_down_if_last(trace, sockets, 0);
    forget_lost();
    mended.emplace_back("the table inet conductor of nftables served nobody any more");
    return mended;
  }
  // Those whose link is there; nobody but a start can make another one.
  std::vector<WantedLink> running;
  for (const WantedLink& each : all)
    if (std::find(live.begin(), live.end(), each.index) != live.end()) running.push_back(each);

  if (!comment)
    mended.emplace_back("the table inet conductor of nftables was gone");
  else if (!table_is_current(sockets.nft))
    mended.emplace_back("the rules of the table inet conductor were of an older version");
  const Subnet subnet = ensure_table(trace, sockets, {});
  if (mended.empty() && !rules_are_whole(sockets.nft)) {
    install_table(trace, subnet, switched_on(sockets.nft), OldTable::there);
    mended.emplace_back("rules of the table inet conductor were missing or too many");
  }

  bool needs_host = false;
  for (const WantedLink& each : running) needs_host = needs_host || each.internet || !each.published.empty();
  const Firewalls others = read_firewalls(sockets.nft);
  SwitchedOn switched = switched_on(sockets.nft);
  if (needs_host && !forwarding_is_on(!subnet.ipv6.empty())) {
    switched = switch_on(trace, sockets.route, sockets.nft, others, switched, !subnet.ipv6.empty());
    mended.emplace_back("forwarding was switched off");
  }
  yield_to_others(trace, sockets.nft, others, switched);
  const bool needs_ways = std::any_of(running.begin(), running.end(), is_routed);
  if (needs_ways && cure_obstacles(trace, sockets.nft, others, subnet, Uncured::silent))
    mended.emplace_back("the rules that let containers' links pass another firewall were missing");

  if (const std::string done = mend_permissions(trace, sockets, root_id, running, live, subnet); !done.empty())
    mended.push_back(done);
  forget_lost();
  const std::vector<int> forwarding = links_forwarding(sockets.route);
  for (const WantedLink& each : running) {
    const auto link =
        std::find_if(links.begin(), links.end(), [&](const Link& one) { return one.name == link_name(each.index); });
    const bool now = std::find(forwarding.begin(), forwarding.end(), link->index) != forwarding.end();
    if (now == is_routed(each)) continue;
    const bool localnet = leads_from_loopback(permissions_of(root_id, each, subnet));
    set_reach(trace, sockets.route, each.index, {.forwards = is_routed(each), .localnet = localnet});
    mended.push_back(fmt::format("forwarding of {} was {}", link->name, now ? "on" : "off"));
  }
  return mended;
}

// ---- looking

namespace {

// Of a set that may not be there, like its table.
std::vector<Element> elements_or_none(Netlink& nft, std::string_view set)
{
  try {
    return read_elements(nft, set);
  } catch (const Error& error) {
    if (error.number() != ENOENT) throw;
    return {};
  }
}

// Who wanted more connections than a container may have.
void remark_on_crowds(Netlink& nft, const std::vector<Link>& links, std::vector<NetworkRemark>& remarks)
{
  for (const Element& each : elements_or_none(nft, "crowded")) {
    const std::string name = link_in(each.key, 0);
    const auto link = std::find_if(links.begin(), links.end(), [&](const Link& one) { return one.name == name; });
    const auto mark = link == links.end() ? std::nullopt : mark_from(link->alias);
    if (!mark || mark->gone) continue;
    remarks.push_back({.kind = NetworkRemark::Kind::obstacle,
                       .cured = false,
                       .place = fmt::format("link {} ({})", name, mark->name),
                       .sentence = fmt::format("wanted more connections at once than a container may have: {} packets "
                                               "refused within an hour",
                                               each.packets),
                       .hint = "each may fill a quarter of the host's table (net.netfilter.nf_conntrack_max), 16384 at "
                               "most; old connections are forgotten by themselves"});
  }
}

} // namespace

NetworkState state(Trace& trace)
{
  Sockets sockets;
  NetworkState state;
  state.subnet = subnet_in_use(sockets.nft);
  const bool ipv6 = state.subnet ? !state.subnet->ipv6.empty() : host_has_ipv6();
  state.ipv6_internet = ipv6 && forwarding6() != Forwarding6::none;
  if (host_has_ipv6() && forwarding6() == Forwarding6::none)
    state.remarks.push_back(
        {.kind = NetworkRemark::Kind::obstacle,
         .cured = false,
         .place = "net.ipv6.conf.all.forwarding",
         .sentence =
             "this kernel forwards IPv6 for all links or for none (before Linux 6.17), and it is off: containers "
             "have IPv4 only",
         .hint =
             "sysctl net.ipv6.conf.all.forwarding=1 (router advertisements are ignored then), and start them anew"});
  if (!state.subnet && read_table_comment(sockets.nft))
    state.remarks.push_back({.kind = NetworkRemark::Kind::obstacle,
                             .cured = false,
                             .place = "table inet conductor",
                             .sentence = std::string{not_ours} + ": no container gets a network",
                             .hint = remove_it});
  if (!state.subnet) return state;
  for (NetworkRemark& remark : forwarding_remarks(sockets.nft)) state.remarks.push_back(std::move(remark));
  for (NetworkRemark& remark : obstacle_remarks(trace, sockets.nft, read_firewalls(sockets.nft), *state.subnet))
    state.remarks.push_back(std::move(remark));

  std::vector<int> ours;
  const std::vector<Link> links = read_links(sockets.route, Counters::without);
  for (const Link& link : links)
    if (is_ours(link)) ours.push_back(link.index);
  remark_on_crowds(sockets.nft, links, state.remarks);
  const std::vector<Prefix> used = prefixes_of(*state.subnet);
  for (const Prefix& each : read_prefixes(sockets.route)) {
    if (std::find(ours.begin(), ours.end(), each.link) != ours.end()) continue;
    const std::string text = each.text(), address = text.substr(0, text.find('/'));
    if (address == state.subnet->host() || address == state.subnet->host6()) continue;
    if (std::none_of(used.begin(), used.end(), [&](const Prefix& mine) { return overlap(mine, each); })) continue;
    state.remarks.push_back({.kind = NetworkRemark::Kind::clash,
                             .cured = false,
                             .place = "route or rule " + text,
                             .sentence = "lies in the addresses of containers: where both are in use, containers win",
                             .hint = "stop all containers with a network; the next one gets another subnet"});
  }
  return state;
}

std::vector<Refusal> refusals()
{
  Netlink nft{NETLINK_NETFILTER};
  std::vector<Refusal> all;
  for (const Element& each : elements_or_none(nft, "blocked"))
    all.push_back({.from = link_in(each.key, 0), .to = link_in(each.key, 1), .packets = each.packets});
  // Before the routing nft knows the other link by its number only.
  for (const Element& each : elements_or_none(nft, "blocked_early")) {
    const Bytes key{each.key.bytes};
    std::array<char, IFNAMSIZ> name{};
    if (key.size() > IFNAMSIZ) ::if_indextoname(structure_from<unsigned>(key.subspan(IFNAMSIZ)), name.data());
    all.push_back({.from = link_in(each.key, 0), .to = name.data(), .packets = each.packets});
  }
  return all;
}

std::vector<Passage> passages()
{
  Netlink nft{NETLINK_NETFILTER};
  std::vector<Passage> all;
  for (const char* set : {"internet", "peers"})
    for (const Element& each : elements_or_none(nft, set))
      all.push_back({.from = link_index(link_in(each.key, 0)),
                     .to = link_index(link_in(each.key, 1)),
                     .port = 0,
                     .protocol = {},
                     .bytes = each.bytes,
                     .packets = each.packets});
  constexpr size_t part = 4; // protocol and port, each padded
  for (const Element& each : elements_or_none(nft, "through")) {
    const Bytes key{each.key.bytes};
    if (key.size() < IFNAMSIZ + 2 * part) continue;
    all.push_back({.from = link_index(link_in(each.key, 0)),
                   .to = 0,
                   .port = ntohs(structure_from<uint16_t>(key.subspan(IFNAMSIZ + part))),
                   .protocol = std::to_integer<int>(key[IFNAMSIZ]) == IPPROTO_UDP ? "udp" : "tcp",
                   .bytes = each.bytes,
                   .packets = each.packets});
  }
  return all;
}

} // namespace conductor::net
