// The recipes: a container's link and permissions as they are wanted, made so, and taken away again.
//
// Each holds the lock of the host's network. Opening the door is the last act of attaching: elements come after link,
// addresses and forwarding; taking away goes the other way round.
#pragma once

#include "core/network.h"
#include "net/netlink.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace conductor::net {

// As the functions of Network of the same names (core/network.h).
Subnet attach(Trace& trace, std::string_view root_id, const WantedLink& wanted, int namespace_fd,
              std::string_view pool);
bool change(Trace& trace, std::string_view root_id, const WantedLink& wanted, const WantedLink& had);
void detach(Trace& trace, std::string_view root_id, const WantedLink& had, LinkEnd end, int namespace_fd);
std::vector<std::string> repair(Trace& trace, std::string_view root_id, const std::vector<WantedLink>& all);
NetworkState state(Trace& trace);
std::vector<Refusal> refusals();
std::vector<Passage> passages();

// The subnet by the comment of our table, none without a table. Throws Error.
std::optional<Subnet> subnet_in_use(Netlink& nft);

} // namespace conductor::net
