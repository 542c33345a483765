// nf_tables by netlink: elements in and out of the sets of our table, and what chains and rules there are.
//
// The rules themselves are static (net/table.h); what is allowed is elements of sets. All changes of one operation are
// one transaction: either every element is there, or none. Nothing that a user typed becomes a key: links are known by
// their number. Formats: linux/netfilter/nf_tables.h.
#pragma once

#include "net/netlink.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace conductor::net {

// A key or a value of a set: its bytes for the kernel and how nft writes it. Parts are put together by `+`:
// "tcp . 8080", each padded to 4 bytes.
struct Value {
  std::vector<std::byte> bytes;
  std::string text;
  bool operator==(const Value& other) const { return bytes == other.bytes; }
};
Value operator+(Value left, const Value& right);
Value link_value(std::string_view name);     // an interface name
Value protocol_value(std::string_view name); // "tcp", "udp"
Value port_value(uint16_t port);
Value address_value(std::string_view address);

// What a rule or a verdict map decides: NF_ACCEPT, NF_DROP, NFT_JUMP to a chain ...
struct Verdict {
  int code = 0;
  std::string chain;
};

struct Element {
  Value key, data; // data: of a map, else empty. Of elements that were read only the bytes are set.
  std::string comment;
  uint64_t packets = 0, bytes = 0; // of its counter
  std::optional<Verdict> verdict;  // of a verdict map
  bool is_single = true;           // not one end of a range, nor what stands for all others
};

// The text of the link in one part of a key that was read: ifname number `part`.
std::string link_in(const Value& key, size_t part);

// The elements of a set of our table. ENOENT when there is no such set (or table). Throws Error.
std::vector<Element> read_elements(Netlink& nft, std::string_view set);
// ... of a set of anybody's. family: NFPROTO_INET ...
std::vector<Element> read_elements(Netlink& nft, int family, std::string_view table, std::string_view set);
// One of them, none when the set (or the table) does not have it. Costs the same however long the set is. Throws Error.
std::optional<Element> find_element(Netlink& nft, std::string_view set, const Value& key);
// What NFT_MSG_NEWSETELEM holds. Pure.
std::vector<Element> elements_from(Bytes payload);

// A chain of anybody's.
struct Chain {
  int family = 0; // NFPROTO_INET, NFPROTO_IPV4, NFPROTO_IPV6 ...
  std::string table, name, type;
  bool is_base = false;
  uint32_t hook = 0; // NF_INET_FORWARD ...
  int priority = 0;
  bool drops = false;              // policy drop
  std::string family_name() const; // "inet", "ip", "ip6"
};
std::optional<Chain> chain_from(Bytes payload);
std::vector<Chain> read_chains(Netlink& nft);         // of all families. Throws Error.
bool has_chain(Netlink& nft, std::string_view chain); // in our table

// One step of a rule: "meta", "cmp", "immediate" ... with its own attributes.
struct Expression {
  std::string name;
  std::vector<std::byte> data;
};
struct Rule {
  uint64_t handle = 0;
  std::string comment;
  std::vector<Expression> expressions;
};
std::optional<Verdict> verdict_from(Bytes data); // what NFTA_IMMEDIATE_DATA or NFTA_SET_ELEM_DATA holds
std::optional<Rule> rule_from(Bytes payload);
// Of one chain, ENOENT and a chain that is gone read as none. Throws Error.
std::vector<Rule> read_rules(Netlink& nft, const Chain& chain);

// The comment of our table, none when there is no table.
std::optional<std::string> read_table_comment(Netlink& nft);
// The number that changes with every transaction of anybody's.
uint32_t read_generation(Netlink& nft);

// One transaction.
class Transaction {
public:
  void add(std::string_view set, Element element)
  {
    entries_.push_back({Kind::add, std::string{set}, std::move(element)});
  }
  void remove(std::string_view set, Element element)
  {
    entries_.push_back({Kind::remove, std::string{set}, std::move(element)});
  }
  bool empty() const { return entries_.empty(); }
  // what: for the error sentence. Throws Error: then nothing was changed.
  void commit(Trace& trace, Netlink& nft, const std::string& what);

private:
  enum class Kind : char { add, remove };
  struct Entry {
    Kind kind;
    std::string set;
    Element element;
  };
  std::string by_hand() const;
  std::vector<Entry> entries_;
};

// Deletes our table with all that is in it; gone already is success. Throws Error.
void delete_table(Trace& trace, Netlink& nft);

// A rule at the top of somebody else's chain: what comes from (goes to) a link of ours is accepted. comment: our mark.
enum class Direction : char { in, out };
void insert_accept(Trace& trace, Netlink& nft, const Chain& chain, Direction direction);
void delete_rule(Trace& trace, Netlink& nft, const Chain& chain, uint64_t handle);

// The comment of rules and table: how we know them again.
inline constexpr std::string_view our_mark = "conductor";
inline constexpr const char* our_table = "conductor";

} // namespace conductor::net
