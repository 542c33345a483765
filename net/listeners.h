// Who listens on a port of the host: a published port is translated before any socket is looked up, so it would shadow
// a process that listens there already.
#pragma once

#include "core/network.h"
#include "net/netlink.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace conductor::net {

// A socket that waits for others, as sock_diag(7) tells it.
struct Socket {
  std::vector<std::byte> address; // 4 or 16 bytes; all zero: every address
  uint16_t port = 0;
  uint32_t inode = 0;
};
std::optional<Socket> socket_from(Bytes payload);

// Does publishing at `host_address` ("" is every one) take packets that this socket would have got? Pure.
bool shadows(const PublishedPort& port, const Socket& socket);

// The process behind a socket's inode, by /proc; pid 0 when it is not to be seen.
PortListener owner_of(const Socket& socket);

// Throws Error.
std::optional<PortListener> find_listener(const PublishedPort& port);

} // namespace conductor::net
