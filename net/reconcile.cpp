#include "net/reconcile.h"

#include "core/base/error.h"
#include "core/base/undo.h"
#include "net/conntrack.h"
#include "net/forwarding.h"
#include "net/host_lock.h"
#include "net/inside.h"
#include "net/link_reader.h"
#include "net/link_writer.h"
#include "net/permissions.h"
#include "net/subnet.h"
#include "net/table.h"

#include <algorithm>
#include <cerrno>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/netlink.h>
#include <netinet/in.h>

namespace conductor::net {
namespace {

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

Subnet ensure_table(Trace& trace, Sockets& sockets, std::string_view pool)
{
  const auto comment = read_table_comment(sockets.nft);
  std::optional<Subnet> subnet;
  if (comment) {
    subnet = subnet_from(*comment);
    if (!subnet)
      throw Error{"there is a table inet conductor of nftables that conductor did not make", 0,
                  "nft delete table inet conductor"};
    if (table_is_current(sockets.nft)) return *subnet;
  }
  if (!subnet) subnet = subnet_of_links(sockets.route);
  if (!subnet)
    subnet = choose_subnet(read_prefixes(sockets.route), machine_id(), pool,
                           host_has_ipv6() && forwarding6() != Forwarding6::none);
  install_table(trace, *subnet, comment ? switched_on(sockets.nft) : SwitchedOn{},
                comment ? OldTable::there : OldTable::none);
  return *subnet;
}

// Nobody has a link any more: the host as it was. `leaving` is a link that counts as gone.
void tear_down_if_last(Trace& trace, Sockets& sockets, LinkIndex leaving)
{
  for (const Link& link : read_links(sockets.route, Counters::without))
    if (is_ours(link) && !is_gone(link) && link_index(link.name) != leaving) return;
  if (!read_table_comment(sockets.nft)) return;
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
    make_link(trace, route, plan, namespace_fd);
  }
}

Reach reach_of(const WantedLink& wanted)
{
  return {.forwards = is_routed(wanted), .localnet = !wanted.published.empty()};
}

// What the host must do for this container, beyond the rules. Peers need nothing: forwarding is a matter of their
// links.
void open_ways(Trace& trace, Sockets& sockets, const WantedLink& wanted, const Subnet& subnet)
{
  if (wanted.internet || !wanted.published.empty()) switch_on(trace, sockets.route, sockets.nft, !subnet.ipv6.empty());
  yield_to_others(trace, sockets.nft);
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
  const Subnet& subnet = plan.subnet;
  undo.push("remove the table inet conductor if nobody else uses it",
            [&] { tear_down_if_last(trace, sockets, wanted.index); });

  claim_link(trace, sockets.route, plan, namespace_fd);
  undo.push("remove the link " + link_name(wanted.index), [&] { remove_link(trace, sockets.route, wanted.index); });
  set_up_host_end(trace, sockets.route, plan);
  run_inside(trace, namespace_fd, namespace_of(namespace_fd), "ip netns exec '" + wanted.name + "' sh", [&] {
    Netlink inside;
    set_up_inside(trace, inside, plan);
  });

  // An earlier container of this index may have left elements, and this one would inherit them.
  const std::vector<Permission> all = read_permissions(sockets.nft);
  const auto left = permissions_on(wanted.index, all, subnet);
  const Difference missing = difference(left, permissions_of(root_id, wanted, subnet));
  refuse_taken(missing, all);
  if (!left.empty()) forget_all_connections(trace, sockets.nft, wanted.index, subnet);
  if (is_routed(wanted)) {
    open_ways(trace, sockets, wanted, subnet);
    set_reach(trace, sockets.route, wanted.index, reach_of(wanted));
  }
  apply(trace, sockets.nft, missing, "write the permissions of '" + wanted.name + "'");
  undo.commit();
  return subnet;
}

void change(Trace& trace, std::string_view root_id, const WantedLink& wanted)
{
  const HostLock lock{trace};
  Sockets sockets;
  const Subnet subnet = ensure_table(trace, sockets, {});
  const std::vector<Permission> all = read_permissions(sockets.nft);
  const Difference changes =
      difference(permissions_on(wanted.index, all, subnet), permissions_of(root_id, wanted, subnet));
  refuse_taken(changes, all);
  if (is_routed(wanted)) open_ways(trace, sockets, wanted, subnet);
  const Reach reach = reach_of(wanted);
  if (!changes.missing.empty()) set_reach(trace, sockets.route, wanted.index, reach);
  apply(trace, sockets.nft, changes, "change the permissions of '" + wanted.name + "'");
  forget_withdrawn(trace, sockets.nft, changes, wanted.index, subnet);
  if (changes.missing.empty() && !changes.extra.empty()) set_reach(trace, sockets.route, wanted.index, reach);
}

void detach(Trace& trace, std::string_view root_id, std::string_view container_id, LinkIndex index, LinkEnd end)
{
  const HostLock lock{trace};
  Sockets sockets;
  const auto link = find_link(sockets.route, link_name(index));
  // Somebody else has this number by now; what belongs to it is his.
  if (link && !is_ours(*link)) return;
  if (link)
    if (const auto mark = mark_from(link->alias);
        mark && !(mark->container_id == container_id && (mark->gone || mark->root_id == root_id)))
      return;

  auto subnet = subnet_in_use(sockets.nft);
  if (subnet) {
    const Difference all = difference(permissions_on(index, read_permissions(sockets.nft), *subnet), {});
    apply(trace, sockets.nft, all, "take the permissions of " + link_name(index) + " away");
  } else {
    subnet = subnet_of_links(sockets.route);
  }
  if (subnet) forget_all_connections(trace, sockets.nft, index, *subnet);
  if (link && end == LinkEnd::now) remove_link(trace, sockets.route, index);
  if (link && end == LinkEnd::with_its_namespace) mark_gone(trace, sockets.route, index, container_id);
  tear_down_if_last(trace, sockets, index);
}

} // namespace conductor::net
