// Fuzz target for what the kernel answers by netlink: datagrams that are cut, lie about lengths, are interrupted.
//
// The properties: nothing crashes or reads outside of the datagram; an answer ends or says that it is damaged; what was
// read is no longer than what it was read from.
#include "fuzz/fuzzing.h"
#include "net/conntrack.h"
#include "net/judge.h"
#include "net/link_reader.h"
#include "net/listeners.h"
#include "net/netlink.h"
#include "net/nft.h"
#include "net/subnet.h"

#include <linux/netfilter.h>

namespace {

using namespace conductor::fuzz;
using namespace conductor::net;

// A firewall of one rule, in which every jump comes back to it.
void judge_it(const Rule& rule, const std::vector<Element>& elements)
{
  const std::vector<Rule> rules{rule, rule};
  const Rulebook book{[&](const std::string&) -> const std::vector<Rule>& { return rules; },
                      [&](const std::string&) { return elements; }, [](int) { return std::string{"eth0"}; }};
  const conductor::Subnet subnet{.ipv4 = 10U << 24, .ipv6 = "fd00::"};
  const PacketEnd ours{.kind = PacketEnd::Kind::ours};
  for (const int family : {NFPROTO_IPV4, NFPROTO_IPV6})
    judge(book, {.name = "forward", .is_base = true}, {family, ours, {}}, subnet, Ours::counted);
}

void read_payload(Bytes payload)
{
  if (const auto link = link_from(payload); link && link->name.size() + link->alias.size() > payload.size())
    fail("a link has more text than its message");
  if (const auto link = link_from(payload)) mark_from(link->alias);
  address_from(payload);
  counters_from(payload);
  route_from(payload);
  for (const Prefix& each : rule_from_payload(payload)) each.text();
  for (const Element& each : elements_from(payload)) {
    if (each.key.bytes.size() + each.comment.size() > payload.size()) fail("an element is larger than its message");
    link_in(each.key, 0);
    link_in(each.key, 1);
  }
  if (const auto chain = chain_from(payload)) chain->family_name();
  if (const auto rule = rule_from(payload)) judge_it(*rule, elements_from(payload));
  socket_from(payload);
  is_meant({.address = "fd00::7", .protocol = 6, .port = 80, .asked = 8080}, payload);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  const Bytes all = std::as_bytes(std::span{data, size});
  // A copy of just that size, so that a sanitizer sees every step outside.
  const std::vector<std::byte> datagram{all.begin(), all.end()};
  for (const auto kind : {Answer::Kind::dump, Answer::Kind::acknowledgement}) {
    Answer answer{kind, 1, 3, [&](std::uint16_t, Bytes payload) {
                    if (!payload.empty() && (payload.data() < datagram.data() ||
                                             payload.data() + payload.size() > datagram.data() + datagram.size()))
                      fail("a payload lies outside of its datagram");
                    read_payload(payload);
                  }};
    answer.feed(datagram);
    if (answer.explanation().size() > datagram.size()) fail("more words than bytes");
    if (answer.error() < 0) fail("a negative errno");
  }
  read_payload(datagram);
  return 0;
}
