// Connections that end with a link: the sockets of this network namespace that talk through it.
//
// A link that goes tells nobody: whoever talked through it would wait until TCP gives up, a quarter of an hour later.
// SOCK_DESTROY (sock_diag(7), what `ss -K` uses) resets such a connection, and tells its other end while the link is
// still there.
#pragma once

#include "core/base/trace.h"
#include "net/netlink.h"

#include <string>
#include <vector>

namespace conductor::net {

enum class SocketEnd : char { own, other };

// Resets the TCP connections of the calling thread's namespace whose own (or other) address is one of `addresses`.
// Returns how many. A kernel that cannot do that (CONFIG_INET_DIAG_DESTROY) leaves them to TCP. Throws Error.
size_t reset_connections(Trace& trace, SocketEnd end, const std::vector<std::string>& addresses);

} // namespace conductor::net
