// What the engine knows of networks: an interface, implemented by net/.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace conductor {

struct PublishedPort {
  std::string protocol; // "tcp", "udp"
  std::string host_address;
  uint16_t outer = 0, inner = 0;
};

// One interface of a container as it sees it itself.
struct Interface {
  std::string name;                   // inside: "eth0"
  std::string host_interface;         // "condN", empty for lo
  std::vector<std::string> addresses; // with prefix length: "10.83.0.7/32"
  bool up = false;
  uint64_t rx_bytes = 0, tx_bytes = 0, rx_packets = 0, tx_packets = 0, rx_dropped = 0, tx_dropped = 0;
};

// What passed a container's own link since it was made, as the container sees it (its rx is what it received).
struct Traffic {
  std::string container_id;
  uint64_t rx_bytes = 0, tx_bytes = 0;
};

class Network {
public:
  virtual ~Network() = default;
  // The interfaces inside the network namespace of a process, read by rtnetlink. Changes nothing. Throws Error; ESRCH
  // when the process is gone.
  virtual std::vector<Interface> interfaces(int pid) = 0;
  // Counters of all containers of a root in one reading, from the host's side: no namespace is entered. Containers
  // without a link of their own are not in it. Throws Error.
  virtual std::vector<Traffic> traffic(std::string_view root_id) = 0;
};

} // namespace conductor
