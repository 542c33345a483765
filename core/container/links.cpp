#include "core/container/links.h"

#include "core/base/error.h"
#include "core/base/undo.h"
#include "core/container/link_index.h"
#include "core/container/name_files.h"
#include "core/container/ports.h"
#include "core/kernel/files.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <set>

#include <arpa/inet.h>
#include <fmt/format.h>

namespace conductor {
namespace {

constexpr unsigned most_tries = 4096; // numbers that other roots have

std::string mark_of(const std::string& id) { return "c/" + id + "/link"; }

// A wish that cannot be read allows nothing, and keeps nobody from ending.
std::optional<NetworkWish> readable_wish(const Root& root, const std::string& id)
{
  try {
    return find_network_wish(root, id);
  } catch (const Error& error) {
    root.trace().notice(error.sentence());
    return std::nullopt;
  }
}

std::optional<Container> readable_container(const Root& root, const std::string& id)
{
  try {
    return Containers{root}.find(id);
  } catch (const Error&) { // damaged: whoever lists containers says so
    return std::nullopt;
  }
}

// The sentence says it already; the number is for who reads JSON.
Error taken(const std::string& sentence, std::string hint)
{
  return Error::relayed(sentence, EADDRINUSE, std::move(hint), 1);
}

LinkOwner owner_of(const Root& root, const std::string& id)
{
  if (const auto container = readable_container(root, id)) return LinkOwner::of(container->spec);
  return {.id = id, .name = "build", .hostname = "build", .is_step = true};
}

} // namespace

std::string link_outside(LinkIndex index) { return fmt::format("cond{}", index); }

std::optional<Link> find_link(const Root& root, const std::string& id)
{
  const auto mark = kernel::read_link(root.run(), mark_of(id));
  if (!mark) return std::nullopt;
  const size_t first = mark->find(' ');
  const size_t second = mark->find(' ', first == std::string::npos ? first : first + 1);
  if (second == std::string::npos) return std::nullopt;
  Link link;
  in_addr address{};
  const auto [end, error] = std::from_chars(mark->data(), mark->data() + first, link.index);
  if (error != std::errc{} || end != mark->data() + first) return std::nullopt;
  if (::inet_pton(AF_INET, mark->substr(first + 1, second - first - 1).c_str(), &address) != 1) return std::nullopt;
  link.subnet = {.ipv4 = ntohl(address.s_addr), .ipv6 = mark->substr(second + 1)};
  return link;
}

std::optional<LinkView> view_link(const Root& root, const Spec& spec)
{
  if (!spec.networked) return std::nullopt;
  const auto wish = readable_wish(root, spec.id);
  if (!wish || !wish->needs_link()) return std::nullopt;
  LinkView view{
      .link = find_link(root, spec.id), .internet = wish->internet, .published = wish->published, .peers = {}};
  for (const std::string& id : wish->peers) {
    const auto peer = readable_container(root, id);
    const auto theirs = peer && peer->spec.networked ? readable_wish(root, id) : std::nullopt;
    if (theirs && theirs->names(spec.id)) view.peers.push_back(peer->spec.name);
  }
  std::sort(view.peers.begin(), view.peers.end());
  return view;
}

Links::Links(const Root& root, Network& network, std::string pool, std::string verb)
    : root_(root), network_(network), pool_(std::move(pool)), verb_(std::move(verb))
{}

Lock Links::lock() const
{
  return Lock{root_.run(), "lock", verb_, std::chrono::seconds{10}, "the network of these containers"};
}

std::vector<Links::Peer> Links::peers_of(const std::string& id, const NetworkWish& wish) const
{
  std::vector<Peer> peers;
  for (const std::string& other : wish.peers) {
    const auto link = find_link(root_, other);
    if (!link) continue;
    const auto theirs = readable_wish(root_, other);
    const auto container = readable_container(root_, other);
    if (!theirs || !theirs->names(id) || !container) continue;
    peers.push_back({other, container->spec.name, container->spec.hostname, link->index});
  }
  return peers;
}

std::vector<Links::Peer> Links::linked(const std::vector<std::string>& ids) const
{
  std::vector<Peer> peers;
  for (const std::string& id : ids)
    if (const auto link = find_link(root_, id)) peers.push_back({id, {}, {}, link->index});
  return peers;
}

WantedLink Links::wanted(const LinkOwner& owner, const NetworkWish& wish, const std::vector<Peer>& peers) const
{
  WantedLink link{.container_id = owner.id,
                  .name = owner.name,
                  .index = wish.index,
                  .internet = wish.internet,
                  .published = wish.published,
                  .peers = {}};
  for (const Peer& peer : peers) link.peers.push_back({.index = peer.index, .name = peer.name});
  return link;
}

// ---- names

std::string Links::resolver_for(const LinkOwner& owner, const NetworkWish& wish, const Subnet& subnet)
{
  const std::string host = read_host_resolver();
  // The question costs a look at the whole host, so it is asked only where the answer matters.
  const bool ipv6 = wish.internet && !subnet.ipv6.empty() && has_ipv6_server(host) && network_.state().ipv6_internet;
  Resolver resolver = resolver_text(host, wish.internet, ipv6);
  if (!wish.internet || resolver.servers != 0) return std::move(resolver.text);
  // The host's own server, where it listens for containers too. Bound to exactly this address: one that is bound to all
  // may hear them and not answer (dnsmasq's local-service).
  const auto server = network_.listener({.protocol = "udp", .host_address = subnet.host(), .outer = 53, .inner = 53});
  if (server && server->address == subnet.host()) return resolver.text + "nameserver " + subnet.host() + "\n";
  root_.trace().notice(fmt::format(
      "'{}' reaches the internet, but finds no names there: this host's resolv.conf has no name server that a "
      "container "
      "reaches. Let the host's own listen at {} too (unbound: interface, access-control, ip-freebind; dnsmasq: "
      "listen-address, bind-dynamic; systemd-resolved: DNSStubListenerExtra), then conductor addnetwork {} -i",
      owner.name, subnet.host(), owner.name));
  return std::move(resolver.text);
}

void Links::write_hosts(const LinkOwner& owner, const Link& link, const std::vector<Peer>& peers) const
{
  std::vector<NamedPeer> named;
  for (const Peer& peer : peers) named.push_back({peer.name, peer.hostname, peer.index});
  write_name_file(root_, owner.id, name_files[0],
                  hosts_text(link.subnet, {owner.name, owner.hostname, link.index}, named));
}

void Links::write_names(const LinkOwner& owner, const NetworkWish& wish, const Link& link,
                        const std::vector<Peer>& peers)
{
  write_hosts(owner, link, peers);
  write_name_file(root_, owner.id, name_files[1], resolver_for(owner, wish, link.subnet));
}

void Links::tell(const std::vector<std::string>& ids)
{
  for (const std::string& id : ids) {
    const auto link = find_link(root_, id);
    const auto wish = readable_wish(root_, id);
    if (!link || !wish) continue;
    NetworkWish now = *wish;
    now.index = link->index;
    const LinkOwner owner = owner_of(root_, id);
    const std::vector<Peer> peers = peers_of(id, now);
    // Not by the peer's elements alone: whether a link forwards is its own.
    const WantedLink link_now = wanted(owner, now, peers);
    network_.change(root_.id(), link_now, link_now);
    write_hosts(owner, *link, peers);
  }
}

// ---- the link

void Links::attach(const LinkOwner& owner, NetworkWish wish, int namespace_fd)
{
  Trace& trace = root_.trace();
  Undo undo{trace};
  Step step{trace, fmt::format("connect '{}'", owner.name), "its link, its addresses, its permissions, its names"};
  const auto save = [&] {
    owner.is_step ? save_network_wish_of_step(root_, owner.id, wish) : save_network_wish(root_, owner.id, wish);
  };
  LinkIndex first = wish.index != 0 ? wish.index : preferred_link_index(owner.is_step ? owner.id : owner.name);
  const std::vector<Peer> peers = peers_of(owner.id, wish);
  Link link;
  for (unsigned tried = 0; link.index == 0; ++tried) {
    const LinkIndex taken = take_link_index(root_, owner.id, first);
    // Written down before there is a link: whoever tidies up behind us must know its number.
    if (taken != wish.index) {
      release_link_index(root_, owner.id, wish.index);
      wish.index = taken;
      save();
    }
    try {
      link.subnet = network_.attach(root_.id(), wanted(owner, wish, peers), namespace_fd, pool_);
      link.index = taken;
    } catch (const Error& error) {
      if (error.number() != EEXIST || tried >= most_tries) throw;
      release_link_index(root_, owner.id, taken); // another root has it
      first = next_link_index(taken);
    }
  }
  undo.push("take the link away", [&, link, peers] {
    NetworkWish made = wish;
    made.index = link.index;
    network_.detach(root_.id(), wanted(owner, made, peers), LinkEnd::now, -1);
  });
  kernel::replace_symlink(trace, fmt::format("{} {} {}", link.index, link.subnet.address(0), link.subnet.ipv6),
                          root_.run(), mark_of(owner.id));
  undo.push("forget the link", [&] { kernel::remove_file(trace, root_.run(), mark_of(owner.id)); });
  write_names(owner, wish, link, peers);
  std::vector<std::string> ids;
  for (const Peer& peer : peers) ids.push_back(peer.id);
  tell(ids);
  undo.commit();
  step.done();
}

bool Links::change(const LinkOwner& owner, const NetworkWish& wish, const NetworkWish& before)
{
  const auto link = find_link(root_, owner.id);
  if (!link) return false;
  NetworkWish now = wish;
  now.index = link->index;
  NetworkWish had = before;
  had.index = link->index;
  const std::vector<Peer> peers = peers_of(owner.id, now);
  if (!network_.change(root_.id(), wanted(owner, now, peers), wanted(owner, had, linked(had.peers)))) return false;
  write_names(owner, now, *link, peers);
  return true;
}

void Links::detach(const std::string& id, LinkEnd end, int namespace_fd)
{
  Trace& trace = root_.trace();
  const auto link = find_link(root_, id);
  const auto wish = readable_wish(root_, id);
  std::set<LinkIndex> indexes;
  if (link) indexes.insert(link->index);
  if (wish && wish->index != 0) indexes.insert(wish->index);
  if (indexes.empty())
    for (const LinkIndex index : link_indexes_of(root_, id)) indexes.insert(index);
  NetworkWish had = wish.value_or(NetworkWish{});
  const LinkOwner owner = owner_of(root_, id);
  for (const LinkIndex index : indexes) {
    had.index = index;
    network_.detach(root_.id(), wanted(owner, had, linked(had.peers)), end, namespace_fd);
  }
  kernel::remove_file(trace, root_.run(), mark_of(id));
  if (wish) tell(wish->peers);
}

void Links::leave(const std::string& id)
{
  try {
    const Lock held = lock();
    detach(id, LinkEnd::with_its_namespace);
  } catch (const Error& error) {
    root_.trace().notice(error.sentence());
  }
}

void Links::release(const std::string& id)
{
  for (const LinkIndex index : link_indexes_of(root_, id)) release_link_index(root_, id, index);
}

// ---- the whole root

void Links::check_ports(const LinkOwner& owner, const std::vector<PublishedPort>& ports)
{
  if (ports.empty()) return;
  for (const auto& [index, id] : link_indexes(root_)) {
    if (id == owner.id) continue;
    const auto wish = readable_wish(root_, id);
    if (!wish) continue;
    for (const PublishedPort& port : ports) {
      const auto other = std::find_if(wish->published.begin(), wish->published.end(),
                                      [&](const PublishedPort& each) { return collide(each, port); });
      if (other == wish->published.end()) continue;
      const auto container = readable_container(root_, id);
      const std::string name = container ? container->spec.name : id;
      if (find_link(root_, id))
        throw taken(fmt::format("port {} of the host leads to '{}' (process {}) already", outer_text(*other), name,
                                container ? container->status.pid : 0),
                    fmt::format("take another, or conductor delnetwork {} -e {}", name, port_text(*other)));
      root_.trace().notice(fmt::format("'{}', which does not run now, publishes port {} too: only one of both can run",
                                       name, outer_text(*other)));
      break;
    }
  }
  std::set<std::string> addresses;
  for (const PublishedPort& port : ports) addresses.insert(port.host_address);
  for (const std::string& address : addresses)
    if (!address.empty() && !has_address(address))
      root_.trace().notice(
          fmt::format("no interface of this host has the address {} now: nobody reaches a port there", address));
  for (const PublishedPort& port : ports) {
    const auto listener = network_.listener(port);
    if (!listener) continue;
    const std::string who =
        listener->pid == 0
            ? std::string{"a process that is not to be seen from here"}
            : fmt::format("'{}' (process {})", visible(listener->name.empty() ? "?" : listener->name), listener->pid);
    throw taken(fmt::format("port {} of the host is taken: {} listens on {}", outer_text(port), who, listener->address),
                "take another port of the host, or end that process");
  }
}

std::vector<std::string> Links::repair()
{
  std::vector<WantedLink> all;
  for (const auto& [index, id] : link_indexes(root_)) {
    const auto link = find_link(root_, id);
    if (!link || link->index != index) continue;
    auto wish = readable_wish(root_, id);
    if (!wish) continue;
    wish->index = index;
    all.push_back(wanted(owner_of(root_, id), *wish, peers_of(id, *wish)));
  }
  return network_.repair(root_.id(), all);
}

std::map<LinkIndex, std::string> Links::unnoted() const
{
  std::map<LinkIndex, std::string> all;
  for (const Traffic& link : network_.traffic(root_.id()))
    if (!find_link(root_, link.container_id))
      for (const LinkIndex index : link_indexes_of(root_, link.container_id)) all.emplace(index, link.container_id);
  return all;
}

void Links::remove_unnoted()
{
  // By the numbers that were taken, since one that was just made does not have its mark yet.
  for (const auto& [index, id] : link_indexes(root_))
    if (!find_link(root_, id)) detach(id, LinkEnd::now);
}

bool Links::any() const
{
  const auto all = link_indexes(root_);
  return std::any_of(all.begin(), all.end(), [&](const auto& each) { return find_link(root_, each.second); });
}

} // namespace conductor
