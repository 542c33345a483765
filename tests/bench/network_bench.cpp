// The network's own cost, without the processes around it: attaching a container, one more element, one look at the
// counters. Everything happens in network namespaces of its own. Driven by network.py; prints one number a line,
// microseconds each.
//
//     conductor-bench-network attach COUNT          COUNT containers, one after the other
//     conductor-bench-network element COUNT PRESENT internet granted, beside PRESENT other elements
//     conductor-bench-network withdraw COUNT PRESENT ... and taken back
//     conductor-bench-network traffic COUNT LINKS   the counters of LINKS links
#include "core/base/error.h"
#include "core/base/handle.h"
#include "net/network.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
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
    else
      throw Error{"usage: conductor-bench-network attach|element|withdraw|traffic COUNT [MORE]"};
    return 0;
  } catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.sentence());
    return 1;
  }
}
