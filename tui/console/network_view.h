// Who may talk to whom, who was refused, and what a change would make reachable: from a picture of the world to rows
// and sentences. Pure, as view.h.
#pragma once

#include "core/snapshot/snapshot.h"
#include "tui/console/theme.h"

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace conductor::console {

// ---- refusals

/// A link of a container, of whatever root; all others lead out of this host.
bool is_containers_link(const std::string& link);
/// May this pass by now? What was refused before the permission came stays in the kernel's count for a while.
bool is_allowed_now(const Snapshot& snapshot, const RefusalPicture& refusal);
/// "web was refused db 12 times: p peers them"; "p on web" where another one than `selected` is meant.
std::string refusal_text(const Snapshot& snapshot, const RefusalPicture& refusal, const std::string& selected = {});

/// Knows which refusals grew last, which the kernel's counters do not tell.
class RefusalWatch {
public:
  /// Takes in the next picture. Returns what it had not seen refused before.
  std::vector<RefusalPicture> look(const NetworkPicture& picture, std::uint64_t now_us);
  /// What is refused still: what concerns `id` first, of these the last that grew first.
  std::vector<RefusalPicture> ordered(const Snapshot& snapshot, const std::string& id) const;

private:
  struct Seen {
    std::uint64_t packets = 0, grown_us = 0;
  };
  using Way = std::pair<std::string, std::string>; ///< of links, from and to
  std::map<Way, Seen> seen_;
};

// ---- what passes a container's link

struct UseRow {
  std::string what;          ///< "internet", "db", "8080 -> 80", "from eth0"
  std::string rx, tx;        ///< per second, as the container sees it; empty where that is not counted
  std::string both;          ///< per second, where only both directions together are counted
  std::uint64_t refused = 0; ///< packets in the last hour, either direction
  bool allowed = true;
};
/// The internet, each peer, each published port, and whom it was refused.
std::vector<UseRow> use_rows(const Snapshot& snapshot, const ContainerPicture& container);

// ---- the map

/// A line of the map: how one gets in, the container, whom it reaches.
struct MapRow {
  std::string id;            ///< the container's
  std::string outer, inner;  ///< a port of the host and the container's port behind it; empty: none in this line
  std::string name, address; ///< in its first line
  std::string arrow, to;     ///< "-->" "internet", "<->" "db", "-x-" "cache"; empty: nothing in this line
  std::string figure;        ///< what passes ("1.2M/s"), or how often it was refused
  bool refused = false, running = true;
};
/// Of all that are connected, by name.
std::vector<MapRow> map_rows(const Snapshot& snapshot);
/// Names of those that are not, without the container `but`.
std::vector<std::string> unconnected(const Snapshot& snapshot, const std::string& but);

// ---- before Enter

/// A line of what will be reachable; `fresh`: not now, but then.
struct ReachLine {
  std::string text;
  bool fresh = false;
};
/// After addnetwork with these permissions.
std::vector<ReachLine> connect_preview(const Snapshot& snapshot, const std::string& id, bool internet,
                                       const std::vector<PublishedPort>& published);
/// After these two are peers.
std::vector<ReachLine> peer_preview(const Snapshot& snapshot, const std::string& id, const std::string& other_id);
/// Why these two cannot become peers; empty: they can.
std::string peer_complaint(const Snapshot& snapshot, const std::string& id, const std::string& other_name);

/// Null when there is none.
const ContainerPicture* find_picture(const Snapshot& snapshot, const std::string& id);
const ContainerPicture* find_named(const Snapshot& snapshot, const std::string& name);

} // namespace conductor::console
