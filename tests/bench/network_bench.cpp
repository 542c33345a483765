// The network's own cost, without the processes around it: attaching a container, one more element, one look at the
// counters. Everything happens in network namespaces of its own. Driven by network.py; prints one number a line,
// microseconds each.
//
//     conductor-bench-network attach COUNT          COUNT containers, one after the other
//     conductor-bench-network element COUNT PRESENT internet granted, beside PRESENT other elements
//     conductor-bench-network withdraw COUNT PRESENT ... and taken back
//     conductor-bench-network traffic COUNT LINKS   the counters of LINKS links
//     conductor-bench-network peers COUNT [1]       a packet from container to container and one back; 1: without the
//                                                   chains that count (arrivals, departures); as for the next ones
//     conductor-bench-network host COUNT [1]        ... from container to host
//     conductor-bench-network published COUNT [1]   ... from outside of the host through a published port
//     conductor-bench-network bridge COUNT          ... between two namespaces on a bridge, beside which all that is
#include "core/base/error.h"
#include "core/base/handle.h"
#include "net/network.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace conductor;

namespace {

constexpr const char* root_id = "00000000000000000000000000000bad";

Fd new_namespace()
{
  Fd fd;
  std::thread{[&] {
    if (::unshare(CLONE_NEWNET) == 0) fd = Fd{::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)};
  }}.join();
  if (!fd) throw Error{"make a network namespace", errno};
  return fd;
}

void measure(const std::function<void()>& work)
{
  const auto begin = std::chrono::steady_clock::now();
  work();
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
  fmt::print("{:.1f}\n", took.count());
}

WantedLink container(unsigned number)
{
  return {.container_id = fmt::format("{:032x}", number),
          .name = fmt::format("box{}", number),
          .index = static_cast<LinkIndex>(first_link_index + number)};
}

void attach_many(Network& network, std::vector<Fd>& spaces, unsigned count, bool tell)
{
  for (unsigned i = 0; i < count; ++i) {
    spaces.push_back(new_namespace());
    WantedLink wanted = container(i);
    wanted.internet = true;
    wanted.published = {{.protocol = "tcp", .outer = static_cast<uint16_t>(10'000 + i % 50'000), .inner = 80}};
    if (i > 0) wanted.peers = {{.index = container(i - 1).index, .name = container(i - 1).name}};
    const auto attach = [&] { network.attach(root_id, wanted, spaces.back().get(), ""); };
    if (tell && i > 0) // the first makes the table
      measure(attach);
    else
      attach();
  }
}

enum class Half : char { grant, withdraw };

void grant_and_take_back(Network& network, std::vector<Fd>& spaces, unsigned count, unsigned present, Half which)
{
  attach_many(network, spaces, 1, false);
  std::string elements;
  for (unsigned i = 0; i < present; ++i)
    elements += fmt::format("add element inet conductor internet {{ \"cond{}\" }}\n", 20'000 + i);
  std::FILE* nft = ::popen("nft -f -", "w");
  if (nft == nullptr || std::fputs(elements.c_str(), nft) < 0 || ::pclose(nft) != 0) throw Error{"fill the set"};
  const WantedLink without = container(0);
  WantedLink with = without;
  with.internet = true;
  network.change(root_id, without, with);
  for (unsigned i = 0; i < count; ++i) {
    const auto grant = [&] { network.change(root_id, with, without); };
    const auto take_back = [&] { network.change(root_id, without, with); };
    if (which == Half::grant) {
      measure(grant);
      take_back();
    } else {
      grant();
      measure(take_back);
    }
  }
}

void look_at_counters(Network& network, std::vector<Fd>& spaces, unsigned count, unsigned links)
{
  attach_many(network, spaces, links, false);
  for (unsigned i = 0; i < count; ++i)
    measure([&] {
      if (network.traffic(root_id).size() != links) throw Error{"not all links were seen"};
    });
}

// ---- round trips

void run(const std::string& command)
{
  std::FILE* shell = ::popen(command.c_str(), "w");
  if (shell == nullptr || ::pclose(shell) != 0) throw Error{"run " + command};
}

std::string path_of(const Fd& space) { return fmt::format("/proc/{}/fd/{}", ::getpid(), space.get()); }

// A UDP socket of a namespace; of this one for an empty `space`.
Fd socket_in(const Fd& space)
{
  Fd made;
  std::thread{[&] {
    if (!space || ::setns(space.get(), CLONE_NEWNET) == 0) made = Fd{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  }}.join();
  if (!made) throw Error{"open a socket", errno};
  const timeval patience{.tv_sec = 0, .tv_usec = 500'000};
  ::setsockopt(made.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return made;
}

sockaddr_in place(const std::string& address, uint16_t port)
{
  sockaddr_in made{};
  made.sin_family = AF_INET;
  made.sin_port = htons(port);
  ::inet_pton(AF_INET, address.c_str(), &made.sin_addr);
  return made;
}

constexpr uint16_t inner_port = 80, outer_port = 8080;

// One thread is both ends, so nothing but the packet's way is in the figure: a veth delivers before send() returns.
void measure_round_trips(const Fd& client, const Fd& server, const sockaddr_in& target, unsigned count)
{
  const sockaddr_in every = place("0.0.0.0", inner_port);
  if (::bind(server.get(), reinterpret_cast<const sockaddr*>(&every), sizeof every) < 0) throw Error{"bind", errno};
  if (::connect(client.get(), reinterpret_cast<const sockaddr*>(&target), sizeof target) < 0)
    throw Error{"connect", errno};
  std::array<char, 64> packet{};
  const auto trip = [&] {
    sockaddr_in from{};
    socklen_t size = sizeof from;
    return ::send(client.get(), packet.data(), packet.size(), 0) >= 0 &&
           ::recvfrom(server.get(), packet.data(), packet.size(), 0, reinterpret_cast<sockaddr*>(&from), &size) >= 0 &&
           ::sendto(server.get(), packet.data(), packet.size(), 0, reinterpret_cast<sockaddr*>(&from), size) >= 0 &&
           ::recv(client.get(), packet.data(), packet.size(), 0) >= 0;
  };
  // The first ones are lost while the kernel has not noticed yet that the link is up (its link watch).
  constexpr unsigned most_lost = 20, warm = 1000, together = 200;
  for (unsigned lost = 0; !trip(); ++lost)
    if (lost == most_lost) throw Error{"a round trip", errno};
  for (unsigned i = 0; i < warm; ++i) trip();
  for (unsigned i = 0; i < count; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    for (unsigned each = 0; each < together; ++each)
      if (!trip()) throw Error{"a round trip", errno};
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
    fmt::print("{:.4f}\n", took.count() / together);
  }
}

void across_a_bridge(unsigned count)
{
  const Fd one = new_namespace(), other = new_namespace();
  run("ip link add br0 type bridge && ip link set br0 up");
  for (const auto* space : {&one, &other}) {
    const int number = space == &one ? 1 : 2;
    run(fmt::format("ip link add v{0} type veth peer name eth0 netns {1} && ip link set v{0} master br0 up && "
                    "nsenter --net={1} sh -ec 'ip address add 192.0.2.{0}/24 dev eth0; ip link set eth0 up'",
                    number, path_of(*space)));
  }
  measure_round_trips(socket_in(one), socket_in(other), place("192.0.2.2", inner_port), count);
}

void through_our_links(Network& network, const std::string& what, unsigned count, bool without_counting)
{
  const Fd one = new_namespace(), other = new_namespace(), outside = new_namespace();
  WantedLink first = container(1), second = container(2);
  if (what == "published")
    first.published = {{.protocol = "udp", .host_address = {}, .outer = outer_port, .inner = inner_port}};
  if (what == "peers") second.peers = {{.index = first.index, .name = first.name}};
  const Subnet subnet = network.attach(root_id, first, one.get(), "");
  network.attach(root_id, second, other.get(), "");
  if (without_counting) run("nft 'flush chain inet conductor arrivals; flush chain inet conductor departures'");
  if (what == "peers") {
    measure_round_trips(socket_in(other), socket_in(one), place(subnet.address(first.index), inner_port), count);
  } else if (what == "host") {
    measure_round_trips(socket_in(other), socket_in(Fd{}), place(subnet.host(), inner_port), count);
  } else {
    run(fmt::format("ip link add out0 type veth peer name eth0 netns {0} && ip address add 192.0.2.1/24 dev out0 && "
                    "ip link set out0 up && nsenter --net={0} sh -ec 'ip address add 192.0.2.2/24 dev eth0; "
                    "ip link set eth0 up'",
                    path_of(outside)));
    measure_round_trips(socket_in(outside), socket_in(one), place("192.0.2.1", outer_port), count);
  }
}

} // namespace

int main(int argc, char** argv)
{
  const std::string what = argc > 2 ? argv[1] : "";
  const unsigned count = argc > 2 ? static_cast<unsigned>(std::stoul(argv[2])) : 0;
  const unsigned more = argc > 3 ? static_cast<unsigned>(std::stoul(argv[3])) : 0;
  try {
    if (::unshare(CLONE_NEWNET) < 0) throw Error{"make a network namespace", errno};
    Trace trace;
    const auto network = make_network(trace);
    std::vector<Fd> spaces;
    if (what == "attach")
      attach_many(*network, spaces, count + 1, true);
    else if (what == "element")
      grant_and_take_back(*network, spaces, count, more, Half::grant);
    else if (what == "withdraw")
      grant_and_take_back(*network, spaces, count, more, Half::withdraw);
    else if (what == "traffic")
      look_at_counters(*network, spaces, count, more);
    else if (what == "bridge")
      across_a_bridge(count);
    else if (what == "peers" || what == "host" || what == "published")
      through_our_links(*network, what, count, more != 0);
    else
      throw Error{"usage: conductor-bench-network attach|element|withdraw|traffic|peers|host|published|bridge COUNT "
                  "[MORE]"};
    return 0;
  } catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.sentence());
    return 1;
  }
}
