// What is decided without the kernel: the subnet, the text of the table, permissions as elements.
#include "core/base/error.h"
#include "net/link_writer.h"
#include "net/permissions.h"
#include "net/subnet.h"
#include "net/table.h"

#include <gtest/gtest.h>

using namespace conductor;
using namespace conductor::net;

namespace {

Prefix prefix(const char* address, unsigned length) { return {.address = address_bytes(address), .length = length}; }

const Subnet subnet{.ipv4 = 10U << 24 | 83U << 16, .ipv6 = "fd12:3456:789a::"};

std::vector<std::string> texts(const std::vector<Permission>& all)
{
  std::vector<std::string> lines;
  for (const Permission& each : all)
    lines.push_back(each.set + " " + each.element.key.text +
                    (each.element.data.text.empty() ? "" : " : " + each.element.data.text));
  return lines;
}

} // namespace

TEST(Prefixes, Overlap)
{
  EXPECT_TRUE(overlap(prefix("10.83.0.0", 16), prefix("10.83.7.0", 24)));
  EXPECT_TRUE(overlap(prefix("10.83.7.0", 24), prefix("10.83.0.0", 16)));
  EXPECT_TRUE(overlap(prefix("10.0.0.0", 8), prefix("10.83.0.0", 16)));
  EXPECT_TRUE(overlap(prefix("10.82.0.0", 15), prefix("10.83.0.0", 16)));
  EXPECT_FALSE(overlap(prefix("10.84.0.0", 15), prefix("10.83.0.0", 16)));
  EXPECT_FALSE(overlap(prefix("fd00::", 8), prefix("10.83.0.0", 16)));
  EXPECT_TRUE(overlap(prefix("fd00::", 8), prefix("fd12::", 64)));
}

TEST(ChosenSubnet, StaysWithTheMachineAndAvoidsWhatIsTaken)
{
  const Subnet first = choose_subnet({}, "a machine", "", true);
  EXPECT_EQ(choose_subnet({}, "a machine", "", true).host(), first.host());
  EXPECT_NE(choose_subnet({}, "another machine", "", true).ipv6, first.ipv6);
  EXPECT_EQ(choose_subnet({}, "a machine", "", false).ipv6, "");
  std::vector<Prefix> taken = prefixes_of(first);
  const Subnet second = choose_subnet(taken, "a machine", "", true);
  EXPECT_NE(second.ipv4, first.ipv4);
  EXPECT_NE(second.ipv6, first.ipv6);
  const Subnet far = choose_subnet({prefix("10.0.0.0", 8)}, "a machine", "", true);
  EXPECT_TRUE(far.host().starts_with("172.")) << far.host();
  EXPECT_THROW(choose_subnet({prefix("10.0.0.0", 8), prefix("172.16.0.0", 12)}, "a machine", "", true), Error);
}

TEST(ChosenSubnet, ComesFromThePool)
{
  EXPECT_EQ(choose_subnet({}, "x", "10.99.0.0/16", false).host(), "10.99.0.1");
  EXPECT_TRUE(choose_subnet({}, "x", "172.16.0.0/12", false).host().starts_with("172."));
  EXPECT_THROW(choose_subnet({prefix("10.99.1.0", 24)}, "x", "10.99.0.0/16", false), Error);
  for (const char* bad : {"10.99.0.0", "10.99.0.0/24", "10.99.0.0/x", "fd00::/16", "/16", "10.99.0.0/7", "127.0.0.0/8",
                          "224.0.0.0/8", "0.0.0.0/8"})
    EXPECT_THROW(choose_subnet({}, "x", bad, false), Error) << bad;
}

TEST(Table, KeepsTheSubnetInItsComment)
{
  const auto back = subnet_from(table_comment(subnet));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->ipv4, subnet.ipv4);
  EXPECT_EQ(back->ipv6, subnet.ipv6);
  for (const char* other : {"", "conductor", "conductor 10.83.0.0", "conductor x/16", "mine 10.83.0.0/16"})
    EXPECT_FALSE(subnet_from(other)) << other;
}

TEST(Table, RemembersForwardingOnEachLink)
{
  for (const bool ipv4 : {false, true})
    for (const bool ipv6 : {false, true}) {
      const auto back = switched_on_by_mark("conductor r c web" + forwarding_mark({ipv4, ipv6}));
      EXPECT_EQ(back.ipv4, ipv4);
      EXPECT_EQ(back.ipv6, ipv6);
    }
  EXPECT_FALSE(switched_on_by_mark("conductor r c forwarding=4x").any());
}

TEST(Table, ClosesOthersOnlyWhenForwardingWasSwitchedOn)
{
  EXPECT_EQ(others_text({}).find("drop"), std::string::npos);
  EXPECT_NE(others_text({.ipv4 = true}).find("ipv4 iifname != @forwarded drop"), std::string::npos);
  const std::string whole = ruleset(subnet, {}, OldTable::none, 100);
  EXPECT_EQ(whole.find('$'), std::string::npos);
  EXPECT_FALSE(whole.starts_with("flush"));
  EXPECT_TRUE(ruleset(subnet, {}, OldTable::there, 100).starts_with("flush table inet conductor\n"));
}

TEST(Table, LimitsTheConnectionsOfAContainer)
{
  EXPECT_EQ(connection_limit(65536), 16384U);
  EXPECT_EQ(connection_limit(8192), 2048U);
  EXPECT_EQ(connection_limit(1 << 20), 16384U);
  EXPECT_EQ(connection_limit(0), 16384U);
  EXPECT_NE(connection_limit(1), no_limit);
  EXPECT_NE(ruleset(subnet, {}, OldTable::none, 100).find("ct count over 100"), std::string::npos);
  EXPECT_EQ(ruleset(subnet, {}, OldTable::none, no_limit).find("ct count"), std::string::npos);
}

TEST(Permissions, AreElements)
{
  const WantedLink wanted{
      .container_id = "c",
      .name = "web",
      .index = 7,
      .internet = true,
      .published = {{"tcp", "", 8080, 80}, {"udp", "127.0.0.1", 53, 53}, {"tcp", "fd00::1", 81, 80}},
      .peers = {{9, "db"}}};
  EXPECT_EQ(texts(permissions_of("r", wanted, subnet)),
            (std::vector<std::string>{
                "internet cond7", "peers cond7 . cond9", "peers cond9 . cond7", "published tcp . 8080 : 10.83.0.7 . 80",
                "published6 tcp . 8080 : fd12:3456:789a::7 . 80", "published_at 127.0.0.1 . udp . 53 : 10.83.0.7 . 53",
                "published_at6 fd00::1 . tcp . 81 : fd12:3456:789a::7 . 80", "through cond7 . tcp . 80",
                "through cond7 . udp . 53"}));
}

TEST(Permissions, ThatTheKernelCannotKeepAreRefused)
{
  WantedLink wanted{.name = "web", .index = 7, .published = {{"tcp", "::1", 8080, 80}}};
  EXPECT_THROW(permissions_of("r", wanted, subnet), Error);
  wanted.published = {{"tcp", "fd00::1", 8080, 80}};
  EXPECT_THROW(permissions_of("r", wanted, {.ipv4 = subnet.ipv4}), Error);
  wanted.published = {{"tcp", "nonsense", 8080, 80}};
  EXPECT_THROW(permissions_of("r", wanted, subnet), Error);
}

TEST(Permissions, DifferByWhatIsMissingAndExtra)
{
  const WantedLink before{.name = "web", .index = 7, .internet = true, .peers = {{9, "db"}}};
  const WantedLink later{.name = "web", .index = 7, .published = {{"tcp", "", 8080, 80}}, .peers = {{9, "db"}}};
  const auto now = permissions_of("r", before, subnet);
  const Difference changes = difference(now, permissions_of("r", later, subnet));
  EXPECT_EQ(texts(changes.extra), std::vector<std::string>{"internet cond7"});
  EXPECT_EQ(changes.missing.size(), 3U);
  EXPECT_TRUE(difference(now, now).empty());
  EXPECT_EQ(links_in(changes, 7), std::vector<LinkIndex>{7});

  // The other end of a pair may forward as long as it has any permission itself.
  const Difference alone = difference(now, {});
  const Standing standing = standing_among(now, {7, 9}, subnet);
  EXPECT_EQ(standing.counts.at(9).permissions, 2U);
  EXPECT_EQ(count_after(standing, alone, 9, subnet), 0U);
  EXPECT_EQ(count_after(standing, changes, 7, subnet), 5U);
  EXPECT_TRUE(has_ports(after(now, changes)));
  EXPECT_FALSE(has_ports(now));
  for (const auto& [address, leads] :
       {std::pair{"", true}, {"127.0.0.5", true}, {"192.0.2.1", false}, {"2001:db8::1", false}}) {
    const WantedLink at{
        .name = "web", .index = 7, .published = {{.protocol = "tcp", .host_address = address, .outer = 1, .inner = 1}}};
    EXPECT_EQ(leads_from_loopback(permissions_of("r", at, subnet)), leads) << address;
  }
}

TEST(Permissions, AreCountedInTheSetOfThoseThatForward)
{
  const auto pair = permissions_of("r", {.name = "web", .index = 7, .peers = {{9, "db"}}}, subnet);
  Difference first = difference({}, pair);
  add_routed(first, {}, {7, 9}, subnet);
  ASSERT_EQ(first.missing.size(), 4U);
  EXPECT_EQ(first.missing[2].element.comment, "conductor 2");
  EXPECT_TRUE(first.extra.empty());

  Difference more = difference(
      pair, permissions_of("r", {.name = "web", .index = 7, .internet = true, .peers = {{9, "db"}}}, subnet));
  add_routed(more, standing_among(first.missing, {7, 9}, subnet), {7, 9}, subnet);
  ASSERT_EQ(more.extra.size(), 1U);
  EXPECT_EQ(more.extra[0].set, "routed");
  EXPECT_EQ(more.missing[1].element.comment, "conductor 3");

  Difference none = difference(pair, {});
  add_routed(none, standing_among(first.missing, {7, 9}, subnet), {7, 9}, subnet);
  EXPECT_EQ(none.extra.size(), 4U);
  EXPECT_TRUE(none.missing.empty());
}

TEST(Permissions, OfOthersAreNotTaken)
{
  const auto theirs = permissions_of("r", {.name = "db", .index = 9, .published = {{"tcp", "", 8080, 80}}}, subnet);
  const auto mine = permissions_of("r", {.name = "web", .index = 7, .published = {{"tcp", "", 8080, 80}}}, subnet);
  try {
    refuse_taken(difference({}, mine), theirs);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(error.sentence().find("'db'"), std::string::npos);
  }
  EXPECT_TRUE(permissions_on(7, theirs, subnet).empty());
  EXPECT_EQ(permissions_on(9, theirs, subnet).size(), 3U);
}
