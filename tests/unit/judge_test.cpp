// What somebody else's rules do with a packet of which only some things are known.
#include "net/judge.h"
#include "net/link_writer.h"

#include <gtest/gtest.h>

#include <map>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netlink.h>
#include <net/if.h>

using namespace conductor;
using namespace conductor::net;

namespace {

using Word = Judgement::Word;
constexpr auto ours = PacketEnd::Kind::ours, unknown = PacketEnd::Kind::unknown;
const Subnet subnet{.ipv4 = 10U << 24 | 83U << 16, .ipv6 = "fd12:3456:789a::"};

template <class Fill>
Expression expression(const char* name, Fill fill)
{
  Message message{1};
  fill(message);
  const Bytes bytes = message.finished(1).subspan(sizeof(nlmsghdr));
  return {name, {bytes.begin(), bytes.end()}};
}

Expression meta(uint32_t key)
{
  return expression("meta", [&](Message& m) { m.big32(NFTA_META_DREG, NFT_REG_1).big32(NFTA_META_KEY, key); });
}

Expression compare(Bytes with, uint32_t operation = NFT_CMP_EQ)
{
  return expression("cmp", [&](Message& m) {
    m.big32(NFTA_CMP_SREG, NFT_REG_1).big32(NFTA_CMP_OP, operation);
    m.nest(NFTA_CMP_DATA, [&] { m.bytes(NFTA_DATA_VALUE, with); });
  });
}

Expression compare_text(std::string_view with) { return compare(std::as_bytes(std::span{with})); }

Expression payload(uint32_t base, uint32_t offset, uint32_t length)
{
  return expression("payload", [&](Message& m) {
    m.big32(NFTA_PAYLOAD_DREG, NFT_REG_1).big32(NFTA_PAYLOAD_BASE, base);
    m.big32(NFTA_PAYLOAD_OFFSET, offset).big32(NFTA_PAYLOAD_LEN, length);
  });
}

Expression verdict(int code, const std::string& chain = {})
{
  return expression("immediate", [&](Message& m) {
    m.big32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT).nest(NFTA_IMMEDIATE_DATA, [&] {
      m.nest(NFTA_DATA_VERDICT, [&] {
        m.big32(NFTA_VERDICT_CODE, static_cast<uint32_t>(code));
        if (!chain.empty()) m.text(NFTA_VERDICT_CHAIN, chain);
      });
    });
  });
}

Expression look_up(const char* set)
{
  return expression("lookup", [&](Message& m) {
    m.text(NFTA_LOOKUP_SET, set).big32(NFTA_LOOKUP_SREG, NFT_REG_1).big32(NFTA_LOOKUP_DREG, NFT_REG_VERDICT);
  });
}

const Expression port = payload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2), reject{"reject", {}};
const std::array<std::byte, 2> smtp{std::byte{0}, std::byte{25}};

// Chains by name; the handle of a rule is its number, from 1.
struct Firewall {
  std::map<std::string, std::vector<Rule>> chains;
  std::map<std::string, std::vector<Element>> sets;
  bool drops = false;

  Firewall& rule(const std::string& chain, std::vector<Expression> expressions, const std::string& comment = {})
  {
    chains[chain].push_back({chains[chain].size() + 1, comment, std::move(expressions)});
    return *this;
  }
  Judgement judge(const Packet& packet, Ours counted = Ours::counted)
  {
    const Rulebook book{[&](const std::string& name) -> const std::vector<Rule>& { return chains[name]; },
                        [&](const std::string& name) { return sets[name]; },
                        [](int index) { return index == 1   ? "lo"
                                               : index == 7 ? "cond7"
                                                            : "virbr0"; }};
    const Chain base{.table = "t", .name = "forward", .is_base = true, .drops = drops};
    return net::judge(book, base, packet, subnet, counted);
  }
};

const Packet outward{NFPROTO_IPV4, {.kind = ours}, {.kind = PacketEnd::Kind::uplink, .link = "eth0", .index = 3}};

} // namespace

TEST(Judgement, OfAPolicyAndOfRulesForAll)
{
  EXPECT_EQ(Firewall{}.judge(outward).word, Word::passes);
  const Judgement policy = Firewall{.chains = {}, .sets = {}, .drops = true}.judge(outward);
  EXPECT_EQ(policy.word, Word::is_refused);
  EXPECT_EQ(policy.rule, 0U);
  const Judgement rule = Firewall{}.rule("forward", {{"counter", {}}, reject}).judge(outward);
  EXPECT_EQ(rule.word, Word::is_refused);
  EXPECT_EQ(rule.rule, 1U);
  EXPECT_EQ(Firewall{}.rule("forward", {verdict(NF_ACCEPT)}).rule("forward", {reject}).judge(outward).word,
            Word::passes);
}

TEST(Judgement, FollowsJumpsAndReturns)
{
  Firewall firewall;
  firewall.rule("forward", {verdict(NFT_JUMP, "first")}).rule("forward", {verdict(NFT_GOTO, "second")});
  firewall.rule("first", {verdict(NFT_RETURN)}).rule("first", {reject});
  EXPECT_EQ(firewall.judge(outward).word, Word::passes);
  firewall.drops = true; // behind a goto comes the policy
  EXPECT_EQ(firewall.judge(outward).rule, 0U);
  firewall.rule("second", {reject});
  const Judgement found = firewall.judge(outward);
  EXPECT_EQ(found.chain, "second");
  EXPECT_EQ(found.rule, 1U);
  Firewall endless; // which the kernel refuses
  endless.rule("forward", {verdict(NFT_JUMP, "forward")}).rule("forward", {verdict(NFT_JUMP, "forward")});
  endless.judge(outward);
}

TEST(Judgement, KnowsLinksByNameAndNumber)
{
  const auto refuses = [](std::vector<Expression> tests, const Packet& packet) {
    tests.push_back(reject);
    return Firewall{}.rule("forward", std::move(tests)).judge(packet).word;
  };
  const int virtual_bridge = 9, of_ours = 7;
  EXPECT_EQ(refuses({meta(NFT_META_IIFNAME), compare_text("cond")}, outward), Word::is_refused);
  EXPECT_EQ(refuses({meta(NFT_META_IIFNAME), compare_text(std::string_view{"cond7\0", 6})}, outward),
            Word::may_be_refused);
  EXPECT_EQ(refuses({meta(NFT_META_IIFNAME), compare_text("virbr0")}, outward), Word::passes);
  EXPECT_EQ(refuses({meta(NFT_META_OIFNAME), compare_text(std::string_view{"eth0\0", 5})}, outward), Word::is_refused);
  EXPECT_EQ(refuses({meta(NFT_META_IIF), compare(bytes_of(virtual_bridge))}, outward), Word::passes);
  EXPECT_EQ(refuses({meta(NFT_META_IIF), compare(bytes_of(virtual_bridge), NFT_CMP_NEQ)}, outward), Word::is_refused);
  EXPECT_EQ(refuses({meta(NFT_META_IIF), compare(bytes_of(of_ours))}, outward), Word::may_be_refused);
  EXPECT_EQ(refuses({meta(NFT_META_OIFNAME), compare_text("eth0")}, {NFPROTO_IPV4, {.kind = ours}, {.kind = unknown}}),
            Word::may_be_refused);
}

TEST(Judgement, KnowsTheAddressesOfContainers)
{
  const auto from = [](const char* address, uint32_t length) {
    return Firewall{}
        .rule("forward", {payload(NFT_PAYLOAD_NETWORK_HEADER, 12, length),
                          compare(Bytes{address_bytes(address)}.first(length)), reject})
        .judge(outward)
        .word;
  };
  EXPECT_EQ(from("10.83.0.0", 2), Word::is_refused);
  EXPECT_EQ(from("10.83.7.0", 3), Word::may_be_refused);
  EXPECT_EQ(from("192.168.0.0", 2), Word::passes);
}

TEST(Judgement, IsUnsureWhereTheRuleHangsOnMore)
{
  Firewall firewall;
  firewall.rule("forward", {port, compare(smtp), reject});
  EXPECT_EQ(firewall.judge(outward).word, Word::may_be_refused);
  // Who may have been accepted before does not help the others; who may have left the chain was not refused there.
  EXPECT_EQ(Firewall{}
                .rule("forward", {port, compare(smtp), verdict(NF_ACCEPT)})
                .rule("forward", {reject})
                .judge(outward)
                .word,
            Word::is_refused);
  Firewall leaves;
  leaves.rule("forward", {verdict(NFT_JUMP, "some")}).rule("forward", {verdict(NF_ACCEPT)});
  leaves.rule("some", {port, compare(smtp), verdict(NFT_RETURN)}).rule("some", {reject});
  EXPECT_EQ(leaves.judge(outward).word, Word::may_be_refused);
  EXPECT_EQ(Firewall{}.rule("forward", {{"no such thing", {}}, reject}).judge(outward).word, Word::may_be_refused);
}

TEST(Judgement, LooksIntoVerdictMaps)
{
  Firewall firewall;
  firewall.rule("forward", {meta(NFT_META_IIFNAME), look_up("map")});
  firewall.sets["map"] = {{.key = link_value("virbr0"), .verdict = Verdict{NF_DROP, {}}}};
  EXPECT_EQ(firewall.judge(outward).word, Word::passes);
  firewall.sets["map"].push_back({.key = link_value("cond7"), .verdict = Verdict{NF_DROP, {}}});
  EXPECT_EQ(firewall.judge(outward).word, Word::may_be_refused);
}

TEST(Judgement, PassesOverOursWhenAskedTo)
{
  Firewall firewall;
  firewall.drops = true;
  firewall.rule("forward", {meta(NFT_META_IIFNAME), compare_text("cond"), verdict(NF_ACCEPT)}, std::string{our_mark});
  EXPECT_EQ(firewall.judge(outward).word, Word::passes);
  EXPECT_EQ(firewall.judge(outward, Ours::passed_over).word, Word::is_refused);
}
