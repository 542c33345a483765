#include "tui/console/network_view.h"

#include "core/container/ports.h"
#include "tui/console/view.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

namespace conductor::console {
namespace {

template <class Match>
const ContainerPicture* find_if(const Snapshot& snapshot, Match&& match)
{
  const auto found = std::find_if(snapshot.containers.begin(), snapshot.containers.end(), match);
  return found == snapshot.containers.end() ? nullptr : &*found;
}

std::string name_of(const Snapshot& snapshot, const std::string& id)
{
  const ContainerPicture* container = find_picture(snapshot, id);
  return container != nullptr ? container->spec().name : id.substr(0, 12);
}

std::string times_text(std::uint64_t count)
{
  return count == 1 ? "once" : count == 2 ? "twice" : size_text(count) + " times";
}

bool is_peer(const ContainerPicture& container, const std::string& name)
{
  return container.link &&
         std::find(container.link->peers.begin(), container.link->peers.end(), name) != container.link->peers.end();
}

std::uint64_t refused_between(const Snapshot& snapshot, const std::string& one, const std::string& other)
{
  std::uint64_t packets = 0;
  for (const auto& each : snapshot.network.refusals)
    if ((each.from_id == one && each.to_id == other) || (each.from_id == other && each.to_id == one))
      packets += each.packets;
  return packets;
}

const PassagePicture* passage(const Snapshot& snapshot, const std::string& from, const std::string& to)
{
  for (const auto& each : snapshot.network.passages)
    if (each.from_id == from && (to.empty() ? each.to_internet : each.to_id == to)) return &each;
  return nullptr;
}

double rate_of(const PassagePicture* passage) { return passage != nullptr ? passage->rate : 0; }

// Through a range of published ports, counted by the container's own: "8000..8010", its protocol behind the other side.
double rate_through(const Snapshot& snapshot, const std::string& id, const PublishedRange& range)
{
  unsigned first = 0, last = 0;
  const char* const end = range.inner.data() + range.inner.size();
  const auto [behind, error] = std::from_chars(range.inner.data(), end, first);
  if (error != std::errc{}) return 0;
  constexpr std::string_view dots = "..";
  if (!std::string_view{behind, end}.starts_with(dots) ||
      std::from_chars(behind + dots.size(), end, last).ec != std::errc{})
    last = first;
  const std::string protocol = range.outer.ends_with("/udp") ? "udp" : "tcp";
  double rate = 0;
  for (const auto& each : snapshot.network.passages)
    if (each.from_id == id && each.port >= first && each.port <= last && each.protocol == protocol) rate += each.rate;
  return rate;
}

bool is_running(const ContainerPicture& container)
{
  return container.state == State::running || container.state == State::paused;
}

// From where a published port is reached besides this host's own programs.
std::string audience(const std::string& host_address)
{
  if (host_address.empty()) return "also from the LAN and the internet side";
  if (host_address.starts_with("127.")) return "from this host only";
  return "from whoever reaches " + host_address;
}

} // namespace

const ContainerPicture* find_picture(const Snapshot& snapshot, const std::string& id)
{
  return find_if(snapshot, [&](const auto& each) { return each.spec().id == id; });
}

const ContainerPicture* find_named(const Snapshot& snapshot, const std::string& name)
{
  return find_if(snapshot, [&](const auto& each) { return each.spec().name == name; });
}

// ---- refusals

bool is_containers_link(const std::string& link)
{
  constexpr std::string_view prefix = "cond";
  return link.starts_with(prefix) && link.size() > prefix.size() &&
         link.find_first_not_of("0123456789", prefix.size()) == link.npos;
}

bool is_allowed_now(const Snapshot& snapshot, const RefusalPicture& refusal)
{
  const ContainerPicture* from = find_picture(snapshot, refusal.from_id);
  if (from == nullptr || refusal.from_link == refusal.to_link) return false;
  if (!refusal.to_id.empty()) return is_peer(*from, name_of(snapshot, refusal.to_id));
  return !is_containers_link(refusal.to_link) && from->link && from->link->internet;
}

std::string refusal_text(const Snapshot& snapshot, const RefusalPicture& refusal, const std::string& selected)
{
  const std::string times = times_text(refusal.packets);
  const std::string from = name_of(snapshot, refusal.from_id), to = name_of(snapshot, refusal.to_id);
  // A key acts on what is selected.
  const bool here = selected.empty() || selected == refusal.from_id || selected == refusal.to_id;
  const auto key = [&](const char* letter, const std::string& on) { return here ? letter : letter + (" on " + on); };
  if (refusal.from_link == refusal.to_link)
    return fmt::format("{} sent under an address that is not its own {}: that never passes", from, times);
  if (!from.empty() && !to.empty())
    return fmt::format("{} was refused {} {}: {} peers them", from, to, times, key("p", from));
  if (is_containers_link(refusal.to_link) && to.empty())
    return fmt::format("{} was refused a container of another root {}", from, times);
  if (!from.empty()) return fmt::format("{} was refused the internet {}: {} lets it out", from, times, key("a", from));
  if (is_containers_link(refusal.from_link))
    return fmt::format("a container of another root was refused {} {}", to, times);
  return fmt::format("somebody behind {} was refused {} {}: {} publishes a port", refusal.from_link, to, times,
                     key("a", to));
}

std::vector<RefusalPicture> RefusalWatch::look(const NetworkPicture& picture, std::uint64_t now_us)
{
  std::vector<RefusalPicture> fresh;
  // What the kernel has forgotten, since it was an hour ago, is forgotten here too.
  const std::map<Way, Seen> before = std::exchange(seen_, {});
  for (const auto& each : picture.refusals) {
    const Way way{each.from_link, each.to_link};
    const auto known = before.find(way);
    const bool grew = known == before.end() || known->second.packets != each.packets;
    seen_[way] = grew ? Seen{each.packets, now_us} : known->second;
    if (known == before.end()) fresh.push_back(each);
  }
  return fresh;
}

std::vector<RefusalPicture> RefusalWatch::ordered(const Snapshot& snapshot, const std::string& id) const
{
  std::vector<RefusalPicture> all;
  for (const auto& each : snapshot.network.refusals)
    if (!is_allowed_now(snapshot, each)) all.push_back(each);
  const auto grown = [&](const RefusalPicture& each) {
    const auto found = seen_.find({each.from_link, each.to_link});
    return found == seen_.end() ? 0 : found->second.grown_us;
  };
  const auto concerns = [&](const RefusalPicture& each) { return each.from_id == id || each.to_id == id; };
  std::stable_sort(all.begin(), all.end(), [&](const auto& a, const auto& b) {
    if (concerns(a) != concerns(b)) return concerns(a);
    return grown(a) != grown(b) ? grown(a) > grown(b) : a.packets > b.packets;
  });
  return all;
}

// ---- what passes a container's link

std::vector<UseRow> use_rows(const Snapshot& snapshot, const ContainerPicture& container)
{
  std::vector<UseRow> rows;
  const std::string& id = container.spec().id;
  std::set<std::string> told; // containers that have a row
  if (container.link) {
    if (container.link->internet)
      rows.push_back({.what = "internet", .both = rate_text(rate_of(passage(snapshot, id, "")))});
    for (const std::string& name : container.link->peers) {
      const ContainerPicture* peer = find_named(snapshot, name);
      const std::string other = peer != nullptr ? peer->spec().id : "";
      told.insert(other);
      const bool counted = peer != nullptr && is_running(*peer);
      rows.push_back({.what = name,
                      .rx = counted ? rate_text(rate_of(passage(snapshot, other, id))) : "",
                      .tx = counted ? rate_text(rate_of(passage(snapshot, id, other))) : "",
                      .refused = other.empty() ? 0 : refused_between(snapshot, id, other)});
    }
    for (const PublishedRange& range : ranges_of(container.link->published))
      rows.push_back({.what = range.outer + " -> " + range.inner,
                      .both = is_running(container) ? rate_text(rate_through(snapshot, id, range)) : ""});
  }
  for (const auto& each : snapshot.network.refusals) {
    if (each.from_id != id && each.to_id != id) continue;
    const bool out = each.from_id == id;
    const std::string& other = out ? each.to_id : each.from_id;
    if (!other.empty()) {
      if (other == id || !told.insert(other).second) continue;
      rows.push_back(
          {.what = name_of(snapshot, other), .refused = refused_between(snapshot, id, other), .allowed = false});
      continue;
    }
    const bool internet = out && !is_containers_link(each.to_link);
    const std::string what = internet ? "internet" : (out ? "to " + each.to_link : "from " + each.from_link);
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const UseRow& one) { return one.what == what; });
    if (row != rows.end())
      row->refused += each.packets;
    else
      rows.push_back({.what = what, .refused = each.packets, .allowed = false});
  }
  return rows;
}

// ---- the map

namespace {

struct Target {
  std::string arrow, to, figure;
  bool refused = false;
};

// Whom a container reaches: the internet, its peers, and, broken, whom it was refused.
std::vector<Target> targets_of(const Snapshot& snapshot, const ContainerPicture& container)
{
  std::vector<Target> all;
  const std::string& id = container.spec().id;
  const auto rate = [&](double bytes) { return bytes < 1 ? std::string{} : rate_text(bytes) + "/s"; };
  if (container.link->internet) all.push_back({"-->", "internet", rate(rate_of(passage(snapshot, id, "")))});
  for (const std::string& name : container.link->peers) {
    const ContainerPicture* peer = find_named(snapshot, name);
    const std::string other = peer != nullptr ? peer->spec().id : std::string{"?"};
    all.push_back({"<->", name, rate(rate_of(passage(snapshot, id, other)) + rate_of(passage(snapshot, other, id)))});
  }
  for (const auto& each : snapshot.network.refusals) {
    if (each.from_id != id || each.from_link == each.to_link || is_allowed_now(snapshot, each)) continue;
    const std::string to = !each.to_id.empty()                ? name_of(snapshot, each.to_id)
                           : is_containers_link(each.to_link) ? each.to_link
                                                              : "internet";
    const auto same =
        std::find_if(all.begin(), all.end(), [&](const Target& one) { return one.refused && one.to == to; });
    if (same == all.end()) all.push_back({"-x-", to, size_text(each.packets) + " refused", true});
  }
  return all;
}

} // namespace

std::vector<MapRow> map_rows(const Snapshot& snapshot)
{
  std::vector<const ContainerPicture*> connected;
  for (const auto& each : snapshot.containers)
    if (each.link) connected.push_back(&each);
  std::sort(connected.begin(), connected.end(),
            [](const auto* a, const auto* b) { return a->spec().name < b->spec().name; });
  std::vector<MapRow> rows;
  for (const ContainerPicture* each : connected) {
    const auto ports = ranges_of(each->link->published);
    const auto targets = targets_of(snapshot, *each);
    const std::size_t count = std::max<std::size_t>({ports.size(), targets.size(), 1});
    for (std::size_t i = 0; i < count; ++i) {
      MapRow row{.id = each->spec().id, .running = is_running(*each)};
      if (i < ports.size()) {
        row.outer = ports[i].outer;
        row.inner = ports[i].inner;
      }
      if (i == 0) {
        row.name = each->spec().name;
        row.address = each->link->link ? each->link->link->subnet.address(each->link->link->index)
                      : row.running    ? ""
                                       : "(does not run)";
      }
      if (i < targets.size()) {
        row.arrow = targets[i].arrow;
        row.to = targets[i].to;
        row.figure = targets[i].figure;
        row.refused = targets[i].refused;
      }
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

std::vector<std::string> unconnected(const Snapshot& snapshot, const std::string& but)
{
  std::vector<std::string> names;
  for (const auto& each : snapshot.containers)
    if (!each.link && each.spec().id != but)
      names.push_back(each.spec().name + (each.spec().network == NetworkMode::host ? " (the host's network)" : ""));
  std::sort(names.begin(), names.end());
  return names;
}

// ---- before Enter

namespace {

void add_end(std::vector<ReachLine>& lines, const ContainerPicture& container)
{
  if (!is_running(container))
    lines.push_back({container.spec().name + " does not run: all this from its next start on", false});
}

} // namespace

std::vector<ReachLine> connect_preview(const Snapshot& snapshot, const std::string& id, bool internet,
                                       const std::vector<PublishedPort>& published)
{
  std::vector<ReachLine> lines;
  const ContainerPicture* container = find_picture(snapshot, id);
  if (container == nullptr) return lines;
  const std::string& name = container->spec().name;
  const LinkView before = container->link ? *container->link : LinkView{};
  std::vector<PublishedPort> fresh;
  for (const PublishedPort& port : published)
    if (std::find(before.published.begin(), before.published.end(), port) == before.published.end() &&
        std::find(fresh.begin(), fresh.end(), port) == fresh.end())
      fresh.push_back(port);
  // What is new first: it is what the question is about.
  const auto add_ports = [&](const std::vector<PublishedPort>& ports, bool is_fresh) {
    for (const PublishedRange& range : ranges_of(ports)) {
      // A range has one address for all of its ports.
      const auto colon = range.outer.rfind(':');
      std::string address = colon == std::string::npos ? "" : range.outer.substr(0, colon);
      if (address.starts_with('[')) address = address.substr(1, address.size() - 2);
      lines.push_back(
          {fmt::format("host {} -> {} {}, {}", range.outer, name, range.inner, audience(address)), is_fresh});
    }
  };
  if (!container->link) lines.push_back({fmt::format("host <-> {}, all ports", name), true});
  if (internet && !before.internet)
    lines.push_back({fmt::format("{} -> internet and LAN; nobody there reaches {} by that", name, name), true});
  add_ports(fresh, true);
  if (container->link) lines.push_back({fmt::format("host <-> {}, all ports", name), false});
  if (before.internet) lines.push_back({fmt::format("{} -> internet and LAN", name), false});
  add_ports(before.published, false);
  for (const std::string& peer : before.peers)
    lines.push_back({fmt::format("{} <-> {}, all ports", name, peer), false});
  add_end(lines, *container);
  return lines;
}

std::vector<ReachLine> peer_preview(const Snapshot& snapshot, const std::string& id, const std::string& other_id)
{
  std::vector<ReachLine> lines;
  const ContainerPicture* one = find_picture(snapshot, id);
  const ContainerPicture* other = find_picture(snapshot, other_id);
  if (one == nullptr || other == nullptr || one == other) return lines;
  const std::string &name = one->spec().name, &other_name = other->spec().name;
  const bool already = is_peer(*one, other_name);
  lines.push_back({fmt::format("{} <-> {}, all ports, each finds the other by name", name, other_name), !already});
  for (const ContainerPicture* each : {one, other})
    if (!each->link)
      lines.push_back({fmt::format("host <-> {}, all ports: it gets a link for this", each->spec().name), true});
  if (const auto refused = refused_between(snapshot, id, other_id); refused > 0 && !already)
    lines.push_back({fmt::format("between them was refused {} in the last hour", times_text(refused)), false});
  add_end(lines, *one);
  add_end(lines, *other);
  return lines;
}

std::string peer_complaint(const Snapshot& snapshot, const std::string& id, const std::string& other_name)
{
  const ContainerPicture* one = find_picture(snapshot, id);
  const ContainerPicture* other = find_named(snapshot, other_name);
  if (one == nullptr) return "the container is gone";
  if (other == nullptr) return "no container is called that";
  if (one == other) return "that is itself";
  if (is_peer(*one, other_name)) return "they are peers already";
  for (const ContainerPicture* each : {one, other})
    if (each->spec().network == NetworkMode::host)
      return each->spec().name + " has no network of its own: it uses the host's";
  return {};
}

} // namespace conductor::console
