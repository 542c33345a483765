#include "net/judge.h"

#include "net/link_writer.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/xt_conntrack.h>
#include <net/if.h>

namespace conductor::net {
namespace {

constexpr unsigned most_jumps = 16; // NFT_JUMP_STACK_SIZE of the kernel
constexpr const char* loopback = "lo";
constexpr unsigned most_rules = 20'000; // what a chain of jumps may make of them

enum class Answer3 : char { no, maybe, yes };

// Bytes of which some bits are known.
struct Partly {
  std::vector<std::byte> value, known;

  static Partly unknown(size_t size) { return {std::vector<std::byte>(size), std::vector<std::byte>(size)}; }
  static Partly whole(Bytes bytes)
  {
    return {{bytes.begin(), bytes.end()}, std::vector<std::byte>(bytes.size(), std::byte{0xff})};
  }
  template <class Number>
  static Partly number(Number number)
  {
    return whole(bytes_of(number));
  }
  size_t size() const { return value.size(); }
  Partly part(size_t offset, size_t length) const
  {
    Partly cut = unknown(length);
    for (size_t i = 0; i < length && offset + i < size(); ++i) {
      cut.value[i] = value[offset + i];
      cut.known[i] = known[offset + i];
    }
    return cut;
  }
  void put(size_t offset, const Partly& other)
  {
    for (size_t i = 0; i < other.size() && offset + i < size(); ++i) {
      value[offset + i] = other.value[i];
      known[offset + i] = other.known[i];
    }
  }
};

Answer3 equals(const Partly& partly, Bytes other)
{
  if (other.size() > partly.size()) return Answer3::maybe;
  bool all = true;
  for (size_t i = 0; i < other.size(); ++i) {
    if (((partly.value[i] ^ other[i]) & partly.known[i]) != std::byte{0}) return Answer3::no;
    all = all && partly.known[i] == std::byte{0xff};
  }
  return all ? Answer3::yes : Answer3::maybe;
}

Answer3 negated(Answer3 answer)
{
  return answer == Answer3::maybe ? answer : answer == Answer3::yes ? Answer3::no : Answer3::yes;
}

// The first `bits` of an address are known.
Partly within(Bytes address, size_t bits)
{
  Partly partly = Partly::whole(address);
  for (size_t i = 0; i < partly.size(); ++i)
    if (i * 8 >= bits) partly.known[i] = std::byte{0};
  return partly;
}

// ---- the packet, as expressions load it

constexpr size_t ipv4_header = 20, ipv6_header = 40;

Partly network_header(const Packet& packet, const Subnet& subnet)
{
  const bool is4 = packet.family == NFPROTO_IPV4;
  Partly header = Partly::unknown(is4 ? ipv4_header : ipv6_header);
  const Partly ours = within(address_bytes(is4 ? subnet.address(0) : subnet.host6()), is4 ? 16 : 64);
  const size_t source = is4 ? 12 : 8, target = is4 ? 16 : 24;
  if (packet.in.kind == PacketEnd::Kind::ours) header.put(source, ours);
  if (packet.out.kind == PacketEnd::Kind::ours) header.put(target, ours);
  return header;
}

Partly link_name_of(const PacketEnd& end)
{
  Partly name = Partly::unknown(IFNAMSIZ);
  const std::string_view known = end.kind == PacketEnd::Kind::ours ? std::string_view{link_prefix} : end.link;
  // All of an uplink's name is known, with its end; of ours there are many.
  if (end.kind == PacketEnd::Kind::uplink) name = Partly::whole(link_value(known).bytes);
  if (end.kind == PacketEnd::Kind::ours) name.put(0, Partly::whole(std::as_bytes(std::span{known})));
  return name;
}

Partly meta(const Packet& packet, uint32_t key)
{
  const auto group = [](const PacketEnd& end) {
    return end.kind == PacketEnd::Kind::ours ? Partly::number(uint32_t{link_group}) : Partly::unknown(sizeof(uint32_t));
  };
  const auto index = [](const PacketEnd& end) {
    return end.kind == PacketEnd::Kind::uplink ? Partly::number(end.index) : Partly::unknown(sizeof(uint32_t));
  };
  switch (key) {
  case NFT_META_IIFNAME: return link_name_of(packet.in);
  case NFT_META_OIFNAME: return link_name_of(packet.out);
  case NFT_META_IIF: return index(packet.in);
  case NFT_META_OIF: return index(packet.out);
  case NFT_META_IIFGROUP: return group(packet.in);
  case NFT_META_OIFGROUP: return group(packet.out);
  case NFT_META_NFPROTO: return Partly::number(static_cast<uint8_t>(packet.family));
  case NFT_META_PROTOCOL:
    return Partly::number(
        __builtin_bswap16(static_cast<uint16_t>(packet.family == NFPROTO_IPV4 ? ETH_P_IP : ETH_P_IPV6)));
  default: return Partly::unknown(IFNAMSIZ);
  }
}

uint32_t state_of(const Packet& packet)
{
  const unsigned about = packet.is_answer ? IP_CT_ESTABLISHED : IP_CT_NEW;
  return 1U << (about % IP_CT_IS_REPLY + 1); // NF_CT_STATE_BIT()
}

Partly conntrack(const Packet& packet, uint32_t key)
{
  switch (key) {
  case NFT_CT_STATE: return Partly::number(state_of(packet));
  case NFT_CT_DIRECTION: return Partly::number(static_cast<uint8_t>(packet.is_answer ? 1 : 0));
  case NFT_CT_STATUS: {
    Partly status = Partly::number(packet.is_translated ? uint32_t{IPS_DST_NAT} : 0U);
    const uint32_t known = IPS_DST_NAT;
    std::memcpy(status.known.data(), &known, sizeof known);
    return status;
  }
  default: return Partly::unknown(IFNAMSIZ);
  }
}

// ---- the walk

class Walk {
public:
  Walk(const Rulebook& book, const Packet& packet, const Subnet& subnet, Ours ours)
      : book_(book), packet_(packet), header_(network_header(packet, subnet)), ours_(ours)
  {}

  Judgement through(const Chain& base)
  {
    const End end = walk(base.name, Answer3::yes, 0);
    if (end == End::falls_off && base.drops) refuse(Answer3::yes, base.name, 0);
    return found_;
  }

private:
  enum class End : char { falls_off, decided };
  enum class After : char { goes_on, leaves, is_decided }; // behind a verdict, in its chain

  void refuse(Answer3 sure, const std::string& chain, uint64_t rule)
  {
    const auto word = sure == Answer3::yes ? Judgement::Word::is_refused : Judgement::Word::may_be_refused;
    if (found_.word < word) found_ = {word, chain, rule};
  }

  // How a packet leaves the chain when it comes there. sure: that it does. What an earlier rule may have accepted does
  // not count, since the others come; but what may have left the chain may never come to its refusals.
  End walk(const std::string& chain, Answer3 sure, unsigned depth)
  {
    if (depth > most_jumps) return End::falls_off;
    bool some_left = false;
    for (const Rule& rule : book_.rules(chain)) {
      if (ours_ == Ours::passed_over && rule.comment == our_mark) continue;
      if (++visited_ > most_rules) {
        refuse(Answer3::maybe, chain, rule.handle);
        return End::decided;
      }
      const Outcome outcome = run(rule);
      if (outcome.matches == Answer3::no) continue;
      const Answer3 this_one = outcome.verdicts.size() > 1 ? Answer3::maybe : outcome.matches;
      for (const Verdict& verdict : outcome.verdicts) {
        const After after = follow(verdict, {chain, rule.handle, std::min(sure, this_one), depth});
        if (this_one == Answer3::yes && after == After::is_decided) return some_left ? End::falls_off : End::decided;
        if (this_one == Answer3::yes && after == After::leaves) return End::falls_off;
        if (after != After::leaves) continue;
        some_left = true;
        sure = Answer3::maybe;
      }
    }
    return End::falls_off;
  }

  struct Place {
    const std::string& chain;
    uint64_t rule;
    Answer3 sure;
    unsigned depth;
  };
  After follow(const Verdict& verdict, const Place& place)
  {
    const auto behind = [&] { return walk(verdict.chain, place.sure, place.depth + 1); };
    switch (verdict.code) {
    case NF_ACCEPT: return After::is_decided;
    case NF_DROP: refuse(place.sure, place.chain, place.rule); return After::is_decided;
    case NFT_RETURN: return After::leaves;
    case NFT_JUMP: return behind() == End::decided ? After::is_decided : After::goes_on;
    case NFT_GOTO: return behind() == End::decided ? After::is_decided : After::leaves;
    case NFT_CONTINUE: return After::goes_on;
    default: refuse(Answer3::maybe, place.chain, place.rule); return After::is_decided; // another program (NF_QUEUE)
    }
  }

  struct Outcome {
    Answer3 matches = Answer3::yes;
    std::vector<Verdict> verdicts; // several: it is not known which
  };

  Outcome run(const Rule& rule)
  {
    Outcome outcome;
    registers_ = Partly::unknown(register_file);
    for (const Expression& each : rule.expressions) {
      const auto known =
          std::find_if(steps.begin(), steps.end(), [&](const Step& step) { return each.name == step.name; });
      const Answer3 so = known == steps.end() ? unknown() : (this->*known->run)(each.data, outcome);
      outcome.matches = std::min(outcome.matches, so);
      if (outcome.matches == Answer3::no) break;
    }
    return outcome;
  }

  // ---- expressions; each says whether the rule goes on behind it

  Answer3 unknown()
  {
    registers_ = Partly::unknown(register_file);
    return Answer3::maybe;
  }

  Answer3 nothing(Bytes, Outcome&) { return Answer3::yes; }

  Answer3 load_meta(Bytes data, Outcome&)
  {
    const Bytes to = attribute_in(data, NFTA_META_DREG);
    if (to.empty()) return Answer3::yes; // it sets a mark
    const uint32_t key = big32_from(attribute_in(data, NFTA_META_KEY));
    store(to, meta(packet_, key));
    // Of our links the number is not known; but which number is no link of ours.
    last_end_ = nullptr;
    if (key == NFT_META_IIF || key == NFT_META_IIFNAME) last_end_ = &packet_.in;
    if (key == NFT_META_OIF || key == NFT_META_OIFNAME) last_end_ = &packet_.out;
    last_is_number_ = key == NFT_META_IIF || key == NFT_META_OIF;
    return Answer3::yes;
  }

  Answer3 load_conntrack(Bytes data, Outcome&)
  {
    const Bytes to = attribute_in(data, NFTA_CT_DREG);
    if (!to.empty()) store(to, conntrack(packet_, big32_from(attribute_in(data, NFTA_CT_KEY))));
    return Answer3::yes;
  }

  Answer3 load_payload(Bytes data, Outcome&)
  {
    const Bytes to = attribute_in(data, NFTA_PAYLOAD_DREG);
    if (to.empty()) return Answer3::yes; // it changes the packet
    const size_t offset = big32_from(attribute_in(data, NFTA_PAYLOAD_OFFSET));
    const size_t length = std::min<size_t>(big32_from(attribute_in(data, NFTA_PAYLOAD_LEN)), register_file);
    const bool is_network = big32_from(attribute_in(data, NFTA_PAYLOAD_BASE)) == NFT_PAYLOAD_NETWORK_HEADER;
    store(to, is_network ? header_.part(offset, length) : Partly::unknown(length));
    return Answer3::yes;
  }

  Answer3 bitwise(Bytes data, Outcome&)
  {
    const size_t length = std::min<size_t>(big32_from(attribute_in(data, NFTA_BITWISE_LEN)), register_file);
    const Bytes mask = attribute_in(attribute_in(data, NFTA_BITWISE_MASK), NFTA_DATA_VALUE);
    const Bytes flip = attribute_in(attribute_in(data, NFTA_BITWISE_XOR), NFTA_DATA_VALUE);
    if (big32_from(attribute_in(data, NFTA_BITWISE_OP)) != NFT_BITWISE_BOOL || mask.size() < length ||
        flip.size() < length)
      return unknown();
    Partly value = loaded(attribute_in(data, NFTA_BITWISE_SREG), length);
    for (size_t i = 0; i < length; ++i) {
      value.value[i] = (value.value[i] & mask[i]) ^ flip[i];
      value.known[i] |= ~mask[i];
    }
    store(attribute_in(data, NFTA_BITWISE_DREG), value);
    return Answer3::yes;
  }

  Answer3 compare(Bytes data, Outcome&)
  {
    const Bytes with = attribute_in(attribute_in(data, NFTA_CMP_DATA), NFTA_DATA_VALUE);
    const uint32_t operation = big32_from(attribute_in(data, NFTA_CMP_OP));
    if (operation != NFT_CMP_EQ && operation != NFT_CMP_NEQ) return Answer3::maybe;
    const Answer3 same =
        is_of_others(with) ? Answer3::no : equals(loaded(attribute_in(data, NFTA_CMP_SREG), with.size()), with);
    return operation == NFT_CMP_EQ ? same : negated(same);
  }

  // What is compared with the end that was loaded just before is no such end: another's link with one of ours, by its
  // number; the loopback, over which nothing is forwarded, with one that is not known.
  bool is_of_others(Bytes link) const
  {
    if (last_end_ == nullptr) return false;
    const std::string name = last_is_number_ ? book_.link_name(structure_from<int>(link)) : text_from(link);
    if (last_end_->kind == PacketEnd::Kind::unknown) return name == loopback;
    return last_end_->kind == PacketEnd::Kind::ours && last_is_number_ && !name.empty() && link_index(name) == 0;
  }

  Answer3 look_up(Bytes data, Outcome& outcome)
  {
    const bool inverted = big32_from(attribute_in(data, NFTA_LOOKUP_FLAGS)) != 0;
    const bool is_map = !attribute_in(data, NFTA_LOOKUP_DREG).empty();
    const Bytes from = attribute_in(data, NFTA_LOOKUP_SREG);
    Answer3 found = Answer3::no;
    std::vector<Verdict> possible;
    bool has_values = false;
    for (const Element& element : book_.elements(text_from(attribute_in(data, NFTA_LOOKUP_SET)))) {
      const Bytes key{element.key.bytes};
      const Answer3 same = !element.is_single || key.empty() ? Answer3::maybe
                           : is_of_others(key)               ? Answer3::no
                                                             : equals(loaded(from, key.size()), key);
      found = std::max(found, same);
      if (same != Answer3::no && element.verdict) possible.push_back(*element.verdict);
      has_values = has_values || !element.data.bytes.empty();
    }
    if (is_map && has_values) return std::min(found, unknown());
    for (Verdict& each : possible) outcome.verdicts.push_back(std::move(each));
    return inverted ? negated(found) : found;
  }

  Answer3 decide(Bytes data, Outcome& outcome)
  {
    const Bytes given = attribute_in(data, NFTA_IMMEDIATE_DATA);
    if (auto verdict = verdict_from(given))
      outcome.verdicts.push_back(std::move(*verdict));
    else
      store(attribute_in(data, NFTA_IMMEDIATE_DREG), Partly::whole(attribute_in(given, NFTA_DATA_VALUE)));
    return Answer3::yes;
  }

  Answer3 reject(Bytes, Outcome& outcome)
  {
    outcome.verdicts.push_back({NF_DROP, {}});
    return Answer3::yes;
  }

  // iptables-nft keeps what nftables has no word for as the modules of iptables.
  Answer3 match(Bytes data, Outcome&)
  {
    const std::string name = text_from(attribute_in(data, NFTA_MATCH_NAME));
    if (name == "comment") return Answer3::yes;
    const auto told = structure_from<xt_conntrack_mtinfo3>(attribute_in(data, NFTA_MATCH_INFO));
    constexpr unsigned states = XT_CONNTRACK_STATE | XT_CONNTRACK_STATE_ALIAS;
    if (name != "conntrack" || big32_from(attribute_in(data, NFTA_MATCH_REV)) != 3 || (told.match_flags & ~states) != 0)
      return Answer3::maybe;
    // DNAT stands among the states there.
    const unsigned state = state_of(packet_) | (packet_.is_translated ? XT_CONNTRACK_STATE_DNAT : 0U);
    const bool is_in = (told.state_mask & state) != 0;
    return is_in != ((told.invert_flags & XT_CONNTRACK_STATE) != 0) ? Answer3::yes : Answer3::no;
  }

  Answer3 target(Bytes data, Outcome& outcome)
  {
    const std::string name = text_from(attribute_in(data, NFTA_TARGET_NAME));
    if (name == "REJECT" || name == "DROP") outcome.verdicts.push_back({NF_DROP, {}});
    return Answer3::yes; // LOG, MARK ...
  }

  // ---- registers: four of 16 bytes, which are also sixteen of 4

  static constexpr size_t register_file = 64;

  static size_t place(Bytes number)
  {
    const size_t which = big32_from(number);
    if (which >= NFT_REG32_00) return std::min<size_t>((which - NFT_REG32_00) * 4, register_file);
    return which >= NFT_REG_1 ? (which - NFT_REG_1) * 16 : register_file;
  }
  void store(Bytes number, const Partly& value)
  {
    last_end_ = nullptr;
    // The rest of the last 4 bytes is zero.
    Partly padded = Partly::whole(std::vector<std::byte>((value.size() + 3) / 4 * 4));
    padded.put(0, value);
    registers_.put(place(number), padded);
  }
  Partly loaded(Bytes number, size_t length) const { return registers_.part(place(number), length); }

  struct Step {
    const char* name;
    Answer3 (Walk::*run)(Bytes data, Outcome& outcome);
  };
  static const std::array<Step, 19> steps;

  const Rulebook& book_;
  const Packet& packet_;
  Partly header_, registers_;
  const PacketEnd* last_end_ = nullptr; // whose name or number was loaded just before
  bool last_is_number_ = false;
  Ours ours_;
  unsigned visited_ = 0;
  Judgement found_;
};

const std::array<Walk::Step, 19> Walk::steps{{
    {"meta", &Walk::load_meta},   {"ct", &Walk::load_conntrack},    {"payload", &Walk::load_payload},
    {"bitwise", &Walk::bitwise},  {"cmp", &Walk::compare},          {"lookup", &Walk::look_up},
    {"immediate", &Walk::decide}, {"reject", &Walk::reject},        {"match", &Walk::match},
    {"target", &Walk::target},    {"counter", &Walk::nothing},      {"log", &Walk::nothing},
    {"dynset", &Walk::nothing},   {"objref", &Walk::nothing},       {"last", &Walk::nothing},
    {"notrack", &Walk::nothing},  {"flow_offload", &Walk::nothing}, {"dup", &Walk::nothing},
    {"masq", &Walk::nothing},
}};

} // namespace

Judgement judge(const Rulebook& book, const Chain& base, const Packet& packet, const Subnet& subnet, Ours ours)
{
  return Walk{book, packet, subnet, ours}.through(base);
}

} // namespace conductor::net
