// What is wanted of a container's network: a value, its JSON, its place beside the spec.
//
// The store holds the wish, the kernel its picture (NET.md 8): after a flush, a crash or a reboot this is what is made
// again. A peer counts only if both name each other, so a crash between the two writes allows nothing.
#pragma once

#include "core/network.h"
#include "core/store/root.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace conductor {

struct NetworkWish {
  bool attached = false; // addnetwork was asked for; a peer alone needs a link as well
  bool internet = false;
  std::vector<PublishedPort> published;
  std::vector<std::string> peers; // ids of containers of the same root
  LinkIndex index = 0;            // the one it had last; 0: none yet

  bool needs_link() const { return attached || internet || !published.empty() || !peers.empty(); }
  bool names(std::string_view id) const;
  bool operator==(const NetworkWish&) const = default;
};

std::string to_json(const NetworkWish& wish);
// Throws Error naming the field when the text is not one of ours.
NetworkWish network_wish_from_json(std::string_view text);

// Throws Error: two of its ports claim the same port of the host, or there are too many. `name`: the container's.
void check_wish(const NetworkWish& wish, std::string_view name);

// network.json of a container, or of a step of a build (in its run directory, since it has no other). None when there
// is none; Error naming the file when it is damaged.
std::optional<NetworkWish> find_network_wish(const Root& root, const std::string& id);
void save_network_wish(const Root& root, const std::string& id, const NetworkWish& wish);
void save_network_wish_of_step(const Root& root, const std::string& id, const NetworkWish& wish);
void remove_network_wish(const Root& root, const std::string& id);

} // namespace conductor
