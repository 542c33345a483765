// What the kernel answers by netlink: messages made as it makes them, and recorded ones, damaged.
#include "fuzz/fuzzing.h"
#include "net/netlink.h"

#include <linux/netlink.h>

namespace conductor::fuzz {
namespace {

using namespace conductor::net;

std::vector<std::byte> noise(Random& random, std::size_t most)
{
  std::vector<std::byte> bytes(random() % (most + 1));
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

} // namespace

std::string invent(Random& random, const Seeds& seeds)
{
  constexpr std::string_view pieces[] = {
      "\xff\xff", {"\0\0", 2}, {"\4\0\1\0", 4}, {"\x14\0\0\0\2\0\0\0", 8}, "conductor"};
  if (!seeds.empty() && one_in(random, 2)) return changed(random, one_of(random, seeds), pieces);
  constexpr std::uint16_t types[] = {NLMSG_ERROR, NLMSG_DONE, 16, 20, 24, 92, 0x0a03, 0x0a0c, 0x0100};
  constexpr std::uint16_t flags[] = {0, NLM_F_DUMP_INTR, NLM_F_ACK_TLVS, NLM_F_ACK_TLVS | NLM_F_CAPPED, NLM_F_MULTI};
  std::string all;
  for (std::size_t count = 1 + random() % 4; count > 0; --count) {
    Message message{types[random() % std::size(types)], flags[random() % std::size(flags)]};
    message.fixed_bytes(noise(random, 32));
    put_attributes(random, message, 4);
    const Bytes bytes = message.finished(static_cast<std::uint32_t>(random() % 5));
    all.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  for (std::size_t damage = random() % 4; damage > 0 && !all.empty(); --damage) {
    const std::size_t at = random() % all.size();
    if (random() % 4 == 0)
      all.resize(at);
    else
      all[at] = static_cast<char>(random());
  }
  return all;
}

} // namespace conductor::fuzz
