// What the engine knows of networks: an interface, implemented by net/.
//
// What is wanted of a container's network lies in its directory (core/container/network_wish.h); the kernel is its
// picture. So every operation here is told the whole of what is wanted of one container and makes the kernel agree: all
// are idempotent, and roll back what they began when they fail. Names never get into a rule: a container is its index.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace conductor {

struct PublishedPort {
  std::string protocol;     // "tcp", "udp"
  std::string host_address; // "" every address of the host; "127.0.0.1", "2001:db8::1"
  uint16_t outer = 0, inner = 0;
  bool operator==(const PublishedPort&) const = default;
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

// The number that is everything: link cond7, 10.83.0.7, fd...::7, 02:c0:00:00:00:07. 0: none.
using LinkIndex = uint16_t;
inline constexpr LinkIndex first_link_index = 2, last_link_index = 65534; // .0.1 is the host's end, .255.255 broadcast

// The addresses of conductor's links on this host (core/network.cpp).
struct Subnet {
  uint32_t ipv4 = 0;         // of the /16, host byte order: 10.83.0.0
  std::string ipv6;          // of the /64: "fd12:3456:789a::"; empty where the host has no IPv6
  std::string host() const;  // "10.83.0.1"
  std::string host6() const; // "fd12:3456:789a::1", empty without IPv6
  std::string address(LinkIndex index) const;
  std::string address6(LinkIndex index) const;
};

struct LinkPeer {
  LinkIndex index = 0;
  std::string name; // for comments only
};

// What is wanted of the link of one container.
struct WantedLink {
  std::string container_id, name;
  LinkIndex index = 0;
  bool internet = false;
  std::vector<PublishedPort> published;
  std::vector<LinkPeer> peers; // those that have a link now
};

// Packets that the rules refused between two links since an hour or less.
struct Refusal {
  std::string from, to; // names of the host's links: "cond7", "eth0"
  uint64_t packets = 0;
};

// What passed one permission, both directions of a connection counted where they pass.
struct Passage {
  LinkIndex from = 0;
  LinkIndex to = 0;     // 0: the internet
  uint16_t port = 0;    // of a published one, as it is in the container `from`; `to` says nothing then
  std::string protocol; // of a published port
  uint64_t bytes = 0, packets = 0;
};

// Why something that the rules allow may not work, or what was changed on this host for it.
struct NetworkRemark {
  enum class Kind : char { changed, obstacle, clash };
  Kind kind = Kind::obstacle;
  bool cured = false; // of an obstacle: our two rules are there
  std::string
      place; // "table ip filter, chain FORWARD, policy drop"; "net.ipv4.ip_forward"; "route 10.83.0.0/16 dev wg0"
  std::string sentence; // what it does
  std::string hint;     // what to type; "" when nothing is to be done
};

struct NetworkState {
  std::optional<Subnet> subnet; // none while no container has a link
  bool ipv6_internet = false;   // IPv6 gets out too; else only host and peers
  std::vector<NetworkRemark> remarks;
};

// Who listens on a port of the host.
struct PortListener {
  int pid = 0;      // 0: not to be seen (another PID namespace)
  std::string name; // of the process
  std::string address;
};

// How a link goes: by itself behind the last process of its namespace, which nobody need wait for; or now, from a
// container that runs on without it (some 20 ms: RCU).
enum class LinkEnd : char { with_its_namespace, now };

class Network {
public:
  virtual ~Network() = default;

  // Looking. None of these changes anything; all throw Error.

  // The interfaces inside the network namespace of a process, read by rtnetlink. ESRCH when the process is gone.
  virtual std::vector<Interface> interfaces(int pid) = 0;
  // Counters of all containers of a root in one reading, from the host's side: no namespace is entered. Containers
  // without a link of their own are not in it.
  virtual std::vector<Traffic> traffic(std::string_view root_id) = 0;
  virtual std::vector<Refusal> refusals() = 0;
  virtual std::vector<Passage> passages() = 0;
  // The subnet in use, none when there is no table of ours. One question to the kernel.
  virtual std::optional<Subnet> subnet() = 0;
  // Everything that doctor and networks tell of this host.
  virtual NetworkState state() = 0;
  // A process of the host that would be shadowed by publishing this port; none when the port is free.
  virtual std::optional<PortListener> listener(const PublishedPort& port) = 0;

  // Changing. `root_id` goes into every mark.

  // Gives the container whose network namespace is open at `namespace_fd` its link cond<index> / eth0, addresses,
  // default route, sysctls, and last the permissions. Makes the table, subnet and forwarding where they are missing;
  // what an earlier container of this index left is taken away first. `pool`: the configured pool to take the subnet
  // from ("10.83.0.0/16"), empty for the built-in walk. A link of the same container that is still vanishing is waited
  // for. Error EEXIST when cond<index> is another's: the caller takes the next index.
  virtual Subnet attach(std::string_view root_id, const WantedLink& wanted, int namespace_fd,
                        std::string_view pool) = 0;
  // Makes the permissions of a running container equal to `wanted`; what is withdrawn ends at once, running connections
  // too. `had`: what it was given before, as far as the store knows; it only makes the looking short. Nothing is done
  // for one whose link is not there any more; false then.
  virtual bool change(std::string_view root_id, const WantedLink& wanted, const WantedLink& had) = 0;
  // Takes permissions, counters and the running connections of the link `had` away, whatever of `had` is true besides
  // container and index. With the last link of all roots the table, the rules elsewhere and the forwarding that we
  // switched on go too. Gone already is success. `namespace_fd`: of a container that runs on without its link, whose
  // connections are reset while their other ends can still be told; -1 otherwise.
  virtual void detach(std::string_view root_id, const WantedLink& had, LinkEnd end, int namespace_fd) = 0;
  // Table, rules elsewhere, sysctls and permissions as they ought to be for the running containers of this root, after
  // somebody else flushed or changed them. Connections of the host with a container whose link has gone are reset.
  // Returns what had to be mended, in words; empty when all was well, which costs one question to the kernel.
  virtual std::vector<std::string> repair(std::string_view root_id, const std::vector<WantedLink>& all) = 0;
};

} // namespace conductor
