#include "net/nft.h"

#include "core/base/error.h"
#include "net/link_writer.h"

#include <array>
#include <cerrno>
#include <utility>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>

namespace conductor::net {
namespace {

// How nft keeps a comment in the user data of a rule, an element (type 0) or a table (type 0): {type, length, text, 0}.
constexpr std::byte comment_type{0};
constexpr size_t most_comment = 127;
// An attribute holds 64 KiB; elements with comments are a few hundred bytes each.
constexpr size_t elements_per_message = 128;

constexpr uint16_t nft_type(int message) { return static_cast<uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | message); }

nfgenmsg header_for(int family, uint16_t resource = 0)
{
  return {.nfgen_family = static_cast<__u8>(family), .version = NFNETLINK_V0, .res_id = htons(resource)};
}

Message nft_message(int type, int family, uint16_t flags)
{
  Message message{nft_type(type), flags};
  message.fixed(header_for(family));
  return message;
}

Message boundary(uint16_t type)
{
  Message message{type};
  message.fixed(header_for(AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
  return message;
}

// The messages of one transaction: the last one is acknowledged, for all.
std::vector<Message> transaction_of(std::vector<Message> inner)
{
  std::vector<Message> all;
  all.push_back(boundary(NFNL_MSG_BATCH_BEGIN));
  for (Message& each : inner) all.push_back(std::move(each));
  all.push_back(boundary(NFNL_MSG_BATCH_END));
  return all;
}

std::vector<std::byte> user_data(std::string_view comment)
{
  comment = comment.substr(0, most_comment);
  std::vector<std::byte> bytes{comment_type, static_cast<std::byte>(comment.size() + 1)};
  for (const char each : comment) bytes.push_back(static_cast<std::byte>(each));
  bytes.push_back(std::byte{0});
  return bytes;
}

std::string comment_from(Bytes data)
{
  while (data.size() >= 2) {
    const size_t length = std::to_integer<size_t>(data[1]);
    if (length > data.size() - 2) return {};
    if (data[0] == comment_type) return text_from(data.subspan(2, length));
    data = data.subspan(2 + length);
  }
  return {};
}

// The payload behind the header that all messages of nfnetlink have; empty when it is too short.
Bytes body_of(Bytes payload) { return payload.size() < sizeof(nfgenmsg) ? Bytes{} : payload.subspan(sizeof(nfgenmsg)); }

std::vector<std::byte> copy_of(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

void take_counter(Bytes expression, Element& element)
{
  if (text_from(attribute_in(expression, NFTA_EXPR_NAME)) != "counter") return;
  const Bytes data = attribute_in(expression, NFTA_EXPR_DATA);
  element.packets = big64_from(attribute_in(data, NFTA_COUNTER_PACKETS));
  element.bytes = big64_from(attribute_in(data, NFTA_COUNTER_BYTES));
}

Element element_from(Bytes attributes)
{
  Element element;
  for (const Attribute& attribute : Attributes{attributes}) {
    switch (attribute.type) {
    case NFTA_SET_ELEM_KEY: element.key.bytes = copy_of(attribute_in(attribute.value, NFTA_DATA_VALUE)); break;
    case NFTA_SET_ELEM_DATA:
      element.data.bytes = copy_of(attribute_in(attribute.value, NFTA_DATA_VALUE));
      element.verdict = verdict_from(attribute.value);
      break;
    case NFTA_SET_ELEM_KEY_END:
    case NFTA_SET_ELEM_FLAGS: element.is_single = false; break;
    case NFTA_SET_ELEM_USERDATA: element.comment = comment_from(attribute.value); break;
    case NFTA_SET_ELEM_EXPR: take_counter(attribute.value, element); break;
    case NFTA_SET_ELEM_EXPRESSIONS:
      for (const Attribute& each : Attributes{attribute.value}) take_counter(each.value, element);
      break;
    default: break;
    }
  }
  return element;
}

std::string family_name(int family)
{
  switch (family) {
  case NFPROTO_INET: return "inet";
  case NFPROTO_IPV4: return "ip";
  case NFPROTO_IPV6: return "ip6";
  default: return fmt::format("family {}", family);
  }
}

} // namespace

// ---- values

Value operator+(Value left, const Value& right)
{
  left.bytes.insert(left.bytes.end(), right.bytes.begin(), right.bytes.end());
  left.text += " . " + right.text;
  return left;
}

Value link_value(std::string_view name)
{
  Value value{std::vector<std::byte>(IFNAMSIZ), std::string{name}};
  std::memcpy(value.bytes.data(), name.data(), std::min(name.size(), size_t{IFNAMSIZ - 1}));
  return value;
}

Value protocol_value(std::string_view name)
{
  const auto number = static_cast<std::byte>(name == "udp" ? IPPROTO_UDP : IPPROTO_TCP);
  return {{number, std::byte{0}, std::byte{0}, std::byte{0}}, std::string{name}};
}

Value port_value(uint16_t port)
{
  return {{static_cast<std::byte>(port >> 8), static_cast<std::byte>(port & 0xff), std::byte{0}, std::byte{0}},
          std::to_string(port)};
}

Value address_value(std::string_view address) { return {address_bytes(address), std::string{address}}; }

std::string link_in(const Value& key, size_t part)
{
  const Bytes bytes{key.bytes};
  if (bytes.size() < (part + 1) * IFNAMSIZ) return {};
  return text_from(bytes.subspan(part * IFNAMSIZ, IFNAMSIZ));
}

// ---- reading

std::vector<Element> elements_from(Bytes payload)
{
  std::vector<Element> all;
  for (const Attribute& each : Attributes{attribute_in(body_of(payload), NFTA_SET_ELEM_LIST_ELEMENTS)})
    if (each.type == NFTA_LIST_ELEM) all.push_back(element_from(each.value));
  return all;
}

std::vector<Element> read_elements(Netlink& nft, std::string_view set)
{
  return read_elements(nft, NFPROTO_INET, our_table, set);
}

std::vector<Element> read_elements(Netlink& nft, int family, std::string_view table, std::string_view set)
{
  std::vector<Element> all;
  Message request = nft_message(NFT_MSG_GETSETELEM, family, NLM_F_DUMP);
  request.text(NFTA_SET_ELEM_LIST_TABLE, table).text(NFTA_SET_ELEM_LIST_SET, set);
  nft.dump(
      fmt::format("read the set {} of the table {} {}", set, family_name(family), table), request, [&] { all.clear(); },
      [&](uint16_t type, Bytes payload) {
        if (type != nft_type(NFT_MSG_NEWSETELEM)) return;
        for (Element& each : elements_from(payload)) all.push_back(std::move(each));
      });
  return all;
}

std::optional<Element> find_element(Netlink& nft, std::string_view set, const Value& key)
{
  std::optional<Element> found;
  const std::string what = fmt::format("look into the set {} of the table inet {}", set, our_table);
  Message request = nft_message(NFT_MSG_GETSETELEM, NFPROTO_INET, NLM_F_ACK);
  request.text(NFTA_SET_ELEM_LIST_TABLE, our_table).text(NFTA_SET_ELEM_LIST_SET, set);
  request.nest(NFTA_SET_ELEM_LIST_ELEMENTS, [&] {
    request.nest(NFTA_LIST_ELEM,
                 [&] { request.nest(NFTA_SET_ELEM_KEY, [&] { request.bytes(NFTA_DATA_VALUE, key.bytes); }); });
  });
  const int error = nft.ask(what, request, [&](uint16_t type, Bytes payload) {
    if (type != nft_type(NFT_MSG_NEWSETELEM)) return;
    for (Element& each : elements_from(payload)) found = std::move(each);
  });
  if (error != 0 && error != ENOENT) throw Error{what, error};
  return found;
}

std::string Chain::family_name() const { return net::family_name(family); }

std::optional<Chain> chain_from(Bytes payload)
{
  if (payload.size() < sizeof(nfgenmsg)) return std::nullopt;
  Chain chain{.family = structure_from<nfgenmsg>(payload).nfgen_family};
  for (const Attribute& attribute : Attributes{body_of(payload)}) {
    switch (attribute.type) {
    case NFTA_CHAIN_TABLE: chain.table = text_from(attribute.value); break;
    case NFTA_CHAIN_NAME: chain.name = text_from(attribute.value); break;
    case NFTA_CHAIN_TYPE: chain.type = text_from(attribute.value); break;
    case NFTA_CHAIN_POLICY: chain.drops = big32_from(attribute.value) == NF_DROP; break;
    case NFTA_CHAIN_HOOK:
      chain.is_base = true;
      chain.hook = big32_from(attribute_in(attribute.value, NFTA_HOOK_HOOKNUM));
      chain.priority = static_cast<int>(big32_from(attribute_in(attribute.value, NFTA_HOOK_PRIORITY)));
      break;
    default: break;
    }
  }
  if (!chain.is_base) chain.drops = false;
  if (chain.table.empty() || chain.name.empty()) return std::nullopt;
  return chain;
}

std::vector<Chain> read_chains(Netlink& nft)
{
  std::vector<Chain> all;
  Message request = nft_message(NFT_MSG_GETCHAIN, AF_UNSPEC, NLM_F_DUMP);
  nft.dump(
      "read the chains of nftables", request, [&] { all.clear(); },
      [&](uint16_t type, Bytes payload) {
        if (type != nft_type(NFT_MSG_NEWCHAIN)) return;
        if (auto chain = chain_from(payload)) all.push_back(std::move(*chain));
      });
  return all;
}

bool has_chain(Netlink& nft, std::string_view chain)
{
  Message request = nft_message(NFT_MSG_GETCHAIN, NFPROTO_INET, NLM_F_ACK);
  request.text(NFTA_CHAIN_TABLE, our_table).text(NFTA_CHAIN_NAME, chain);
  const int error = nft.ask("look for our chains", request, {});
  if (error != 0 && error != ENOENT) throw Error{"look for our chains", error};
  return error == 0;
}

std::optional<Verdict> verdict_from(Bytes data)
{
  const Bytes verdict = attribute_in(data, NFTA_DATA_VERDICT);
  const Bytes code = attribute_in(verdict, NFTA_VERDICT_CODE);
  if (code.empty()) return std::nullopt;
  return Verdict{static_cast<int>(big32_from(code)), text_from(attribute_in(verdict, NFTA_VERDICT_CHAIN))};
}

std::optional<Rule> rule_from(Bytes payload)
{
  if (payload.size() < sizeof(nfgenmsg)) return std::nullopt;
  Rule rule;
  for (const Attribute& attribute : Attributes{body_of(payload)}) {
    if (attribute.type == NFTA_RULE_HANDLE) rule.handle = big64_from(attribute.value);
    if (attribute.type == NFTA_RULE_USERDATA) rule.comment = comment_from(attribute.value);
    if (attribute.type != NFTA_RULE_EXPRESSIONS) continue;
    for (const Attribute& each : Attributes{attribute.value})
      rule.expressions.push_back(
          {text_from(attribute_in(each.value, NFTA_EXPR_NAME)), copy_of(attribute_in(each.value, NFTA_EXPR_DATA))});
  }
  return rule;
}

std::vector<Rule> read_rules(Netlink& nft, const Chain& chain)
{
  std::vector<Rule> all;
  Message request = nft_message(NFT_MSG_GETRULE, chain.family, NLM_F_DUMP);
  request.text(NFTA_RULE_TABLE, chain.table).text(NFTA_RULE_CHAIN, chain.name);
  try {
    nft.dump(
        fmt::format("read the rules of {} {} {}", chain.family_name(), chain.table, chain.name), request,
        [&] { all.clear(); },
        [&](uint16_t type, Bytes payload) {
          if (type != nft_type(NFT_MSG_NEWRULE)) return;
          if (auto rule = rule_from(payload)) all.push_back(std::move(*rule));
        });
  } catch (const Error& error) {
    if (error.number() != ENOENT) throw;
    all.clear();
  }
  return all;
}

std::optional<std::string> read_table_comment(Netlink& nft)
{
  std::string comment;
  Message request = nft_message(NFT_MSG_GETTABLE, NFPROTO_INET, NLM_F_ACK);
  request.text(NFTA_TABLE_NAME, our_table);
  const int error = nft.ask("look for our table", request, [&](uint16_t, Bytes payload) {
    comment = comment_from(attribute_in(body_of(payload), NFTA_TABLE_USERDATA));
  });
  // A kernel that has no nf_tables at all has no table of ours either.
  if (error == ENOENT || error == EOPNOTSUPP || error == EINVAL) return std::nullopt;
  if (error != 0) throw Error{"look for our table", error};
  return comment;
}

uint32_t read_generation(Netlink& nft)
{
  uint32_t generation = 0;
  Message request = nft_message(NFT_MSG_GETGEN, AF_UNSPEC, NLM_F_ACK);
  const int error = nft.ask("ask nftables for its generation", request, [&](uint16_t, Bytes payload) {
    generation = big32_from(attribute_in(body_of(payload), NFTA_GEN_ID));
  });
  if (error != 0) throw Error{"ask nftables for its generation", error};
  return generation;
}

// ---- changing

std::string Transaction::by_hand() const
{
  std::string lines;
  for (const Entry& entry : entries_) {
    const Element& element = entry.element;
    if (!lines.empty()) lines += "; ";
    lines += fmt::format("nft {} element inet {} {} '{{ {}", entry.kind == Kind::add ? "add" : "delete", our_table,
                         entry.set, element.key.text);
    if (entry.kind == Kind::add && !element.comment.empty()) lines += fmt::format(" comment \"{}\"", element.comment);
    if (entry.kind == Kind::add && !element.data.bytes.empty()) lines += " : " + element.data.text;
    lines += " }'";
  }
  return lines;
}

void Transaction::commit(Trace& trace, Netlink& nft, const std::string& what)
{
  if (entries_.empty()) return;
  std::vector<Message> messages;
  for (size_t begin = 0; begin < entries_.size();) {
    const Entry& first = entries_[begin];
    size_t end = begin;
    while (end < entries_.size() && end - begin < elements_per_message && entries_[end].kind == first.kind &&
           entries_[end].set == first.set)
      ++end;
    const bool adds = first.kind == Kind::add;
    const auto flags = static_cast<uint16_t>((adds ? NLM_F_CREATE : 0) | (end == entries_.size() ? NLM_F_ACK : 0));
    Message message = nft_message(adds ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, NFPROTO_INET, flags);
    message.text(NFTA_SET_ELEM_LIST_TABLE, our_table).text(NFTA_SET_ELEM_LIST_SET, first.set);
    message.nest(NFTA_SET_ELEM_LIST_ELEMENTS, [&] {
      for (size_t i = begin; i < end; ++i) {
        const Element& element = entries_[i].element;
        message.nest(NFTA_LIST_ELEM, [&] {
          message.nest(NFTA_SET_ELEM_KEY, [&] { message.bytes(NFTA_DATA_VALUE, element.key.bytes); });
          if (!adds) return;
          if (!element.data.bytes.empty())
            message.nest(NFTA_SET_ELEM_DATA, [&] { message.bytes(NFTA_DATA_VALUE, element.data.bytes); });
          if (!element.comment.empty()) message.bytes(NFTA_SET_ELEM_USERDATA, user_data(element.comment));
        });
      }
    });
    messages.push_back(std::move(message));
    begin = end;
  }
  messages = transaction_of(std::move(messages));
  nft.change(
      trace, "nftables",
      [&] {
        return Told{what, fmt::format("a transaction of nf_tables: {} elements", entries_.size()), by_hand()};
      },
      messages);
}

namespace {

// One message as a transaction. Returns errno.
int change_one(Trace& trace, Netlink& nft, Message message, const std::function<Told()>& describe)
{
  std::vector<Message> inner;
  inner.push_back(std::move(message));
  auto messages = transaction_of(std::move(inner));
  return nft.try_change(trace, "nftables", describe, messages);
}

} // namespace

void delete_table(Trace& trace, Netlink& nft)
{
  Message message = nft_message(NFT_MSG_DELTABLE, NFPROTO_INET, NLM_F_ACK);
  message.text(NFTA_TABLE_NAME, our_table);
  const auto describe = [] {
    return Told{"delete our table of nftables", "NFT_MSG_DELTABLE inet conductor", "nft delete table inet conductor"};
  };
  const int error = change_one(trace, nft, std::move(message), describe);
  if (error != 0 && error != ENOENT) throw Error{describe().what, error};
}

namespace {

void put_expression(Message& message, std::string_view name, const std::function<void()>& data)
{
  message.nest(NFTA_LIST_ELEM, [&] { message.text(NFTA_EXPR_NAME, name).nest(NFTA_EXPR_DATA, data); });
}

} // namespace

void insert_accept(Trace& trace, Netlink& nft, const Chain& chain, Direction direction)
{
  const bool in = direction == Direction::in;
  // NLM_F_APPEND is not set: at the top.
  Message message = nft_message(NFT_MSG_NEWRULE, chain.family, NLM_F_CREATE | NLM_F_ACK);
  message.text(NFTA_RULE_TABLE, chain.table).text(NFTA_RULE_CHAIN, chain.name);
  message.nest(NFTA_RULE_EXPRESSIONS, [&] {
    put_expression(message, "meta", [&] {
      message.big32(NFTA_META_DREG, NFT_REG_1).big32(NFTA_META_KEY, in ? NFT_META_IIFNAME : NFT_META_OIFNAME);
    });
    // Only the prefix is compared: iptables shows it as -i cond+, nft as iifname "cond*".
    put_expression(message, "cmp", [&] {
      message.big32(NFTA_CMP_SREG, NFT_REG_1).big32(NFTA_CMP_OP, NFT_CMP_EQ).nest(NFTA_CMP_DATA, [&] {
        message.bytes(NFTA_DATA_VALUE, std::as_bytes(std::span{std::string_view{link_prefix}}));
      });
    });
    put_expression(message, "counter", [&] { message.big64(NFTA_COUNTER_BYTES, 0).big64(NFTA_COUNTER_PACKETS, 0); });
    put_expression(message, "immediate", [&] {
      message.big32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT).nest(NFTA_IMMEDIATE_DATA, [&] {
        message.nest(NFTA_DATA_VERDICT, [&] { message.big32(NFTA_VERDICT_CODE, NF_ACCEPT); });
      });
    });
  });
  message.bytes(NFTA_RULE_USERDATA, user_data(our_mark));
  const auto describe = [&] {
    return Told{fmt::format("insert a rule into {} {} {}", chain.family_name(), chain.table, chain.name),
                fmt::format("NFT_MSG_NEWRULE {} {} {}", chain.family_name(), chain.table, chain.name),
                fmt::format("nft insert rule {} {} {} {} '\"{}*\"' counter accept comment {}", chain.family_name(),
                            chain.table, chain.name, in ? "iifname" : "oifname", link_prefix, our_mark)};
  };
  const int error = change_one(trace, nft, std::move(message), describe);
  if (error != 0) throw Error{describe().what, error};
}

void delete_rule(Trace& trace, Netlink& nft, const Chain& chain, uint64_t handle)
{
  Message message = nft_message(NFT_MSG_DELRULE, chain.family, NLM_F_ACK);
  message.text(NFTA_RULE_TABLE, chain.table).text(NFTA_RULE_CHAIN, chain.name).big64(NFTA_RULE_HANDLE, handle);
  const auto describe = [&] {
    const std::string place = fmt::format("{} {} {}", chain.family_name(), chain.table, chain.name);
    return Told{"delete our rule in " + place, fmt::format("NFT_MSG_DELRULE {} handle {}", place, handle),
                fmt::format("nft delete rule {} handle {}", place, handle)};
  };
  const int error = change_one(trace, nft, std::move(message), describe);
  if (error != 0 && error != ENOENT) throw Error{describe().what, error};
}

} // namespace conductor::net
