// The network's operations: a container gets a link, permissions and peers, and loses them again. Each may be repeated
// without harm, works on containers that run and on others, and is told to the kernel at once for those that run.
#pragma once

#include "core/container/links.h"
#include "core/engine/engine.h"

#include <string>
#include <utility>
#include <vector>

namespace conductor {

Links links_of(const Context& context);

// Throws Error for a container that uses the host's network.
void need_own_network(const Spec& spec);
// Puts right what somebody else flushed or changed, and tells it. Costs little when all is well, and nothing fails
// because of it.
void mend(const Context& context);

struct NetworkRequest {
  bool internet = false;
  std::vector<PublishedPort> published;
  bool empty() const { return !internet && published.empty(); }
};
// Gives it a link and what is asked for. Throws Error: the host's network, a port that is taken.
void add_network(Context& context, const std::string& id, const NetworkRequest& request);
// Takes away what is named; an empty request takes everything, its peers too.
void remove_network(Context& context, const std::string& id, const NetworkRequest& request);
// Lets two talk to each other, or no more. One without a link gets one for it, and loses it with its last peer.
void add_peer(Context& context, const std::string& one, const std::string& other);
void remove_peer(Context& context, const std::string& one, const std::string& other);

struct ConnectedContainer {
  Container container;
  LinkView view;
};
// All that want a link, in order of creation.
std::vector<ConnectedContainer> connected(Context& context);

} // namespace conductor
