// Drives the fuzz target of netlink without libFuzzer: it makes messages as the kernel does, and damages them.
//
//     conductor-fuzz-netlink SECONDS [SEED] [FILE...]     files are run first, as they are
#include "net/netlink.h"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

#include <linux/netlink.h>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using namespace conductor::net;
using Random = std::mt19937_64;
using Datagram = std::vector<std::byte>;

Datagram noise(Random& random, std::size_t most)
{
  Datagram bytes(random() % (most + 1));
  for (std::byte& each : bytes) each = static_cast<std::byte>(random());
  return bytes;
}

void put_attributes(Random& random, Message& message, int depth)
{
  for (std::size_t count = random() % 5; count > 0; --count) {
    const auto type = static_cast<std::uint16_t>(random() % 24);
    switch (depth > 0 ? random() % 5 : random() % 4) {
    case 0: message.bytes(type, noise(random, 20)); break;
    case 1: message.value(type, static_cast<std::uint32_t>(random() % 300)); break;
    case 2: message.text(type, random() % 2 == 0 ? "counter" : "conductor gone 1"); break;
    case 3: message.big64(type, random()); break;
    default: message.nest(type, [&] { put_attributes(random, message, depth - 1); }); break;
    }
  }
}

Datagram invent(Random& random)
{
  constexpr std::uint16_t types[] = {NLMSG_ERROR, NLMSG_DONE, 16, 20, 24, 92, 0x0a03, 0x0a0c, 0x0100};
  constexpr std::uint16_t flags[] = {0, NLM_F_DUMP_INTR, NLM_F_ACK_TLVS, NLM_F_ACK_TLVS | NLM_F_CAPPED, NLM_F_MULTI};
  Datagram all;
  for (std::size_t count = 1 + random() % 4; count > 0; --count) {
    Message message{types[random() % std::size(types)], flags[random() % std::size(flags)]};
    message.fixed_bytes(noise(random, 32));
    put_attributes(random, message, 4);
    const Bytes bytes = message.finished(static_cast<std::uint32_t>(random() % 5));
    all.insert(all.end(), bytes.begin(), bytes.end());
  }
  for (std::size_t damage = random() % 4; damage > 0 && !all.empty(); --damage) {
    const std::size_t at = random() % all.size();
    if (random() % 4 == 0)
      all.resize(at);
    else
      all[at] = static_cast<std::byte>(random());
  }
  return all;
}

void run(const Datagram& bytes)
{
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

} // namespace

int main(int argc, char** argv)
{
  const int seconds = argc > 1 ? std::atoi(argv[1]) : 5;
  Random random{argc > 2 ? std::strtoull(argv[2], nullptr, 10) : std::random_device{}()};
  for (int i = 3; i < argc; ++i) {
    std::ifstream file{argv[i], std::ios::binary};
    const std::vector<char> content{std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}};
    const Bytes bytes = std::as_bytes(std::span{content});
    run({bytes.begin(), bytes.end()});
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{seconds};
  unsigned long runs = 0;
  for (; std::chrono::steady_clock::now() < end; ++runs) run(invent(random));
  std::printf("%lu inputs\n", runs);
  return 0;
}
