#include "net/obstacles.h"

#include "core/base/error.h"
#include "core/kernel/ask.h"
#include "core/kernel/files.h"
#include "net/link_writer.h"

#include <algorithm>
#include <optional>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/netfilter.h>

namespace conductor::net {
namespace {

constexpr std::string_view blocked = "drops what is forwarded: no internet, published ports or peers for containers";
constexpr int our_priority = -10; // of chain forward: what comes before it has not seen our refusals yet

struct LegacyFamily {
  int family;
  const char* names; // which tables the kernel has
  const char* program;
};
constexpr LegacyFamily legacy_families[] = {
    {NFPROTO_IPV4, "/proc/thread-self/net/ip_tables_names", "iptables-legacy"},
    {NFPROTO_IPV6, "/proc/thread-self/net/ip6_tables_names", "ip6tables-legacy"},
};

bool is_ours(const Rule& rule) { return rule.comment == our_mark; }

bool is_foreign_hook(const Chain& chain, uint32_t hook)
{
  if (!chain.is_base || chain.hook != hook || chain.type != "filter") return false;
  if (chain.family != NFPROTO_INET && chain.family != NFPROTO_IPV4 && chain.family != NFPROTO_IPV6) return false;
  return !(chain.family == NFPROTO_INET && chain.table == our_table);
}

// A rule for whatever comes is as good as a policy: does it refuse (true), does it accept, or is it none of that kind?
std::optional<bool> refuses_all(const Rule& rule)
{
  const auto says_nothing = [](const std::string& name) { return name == "counter" || name == "log"; };
  const bool unconditional =
      std::all_of(rule.expressions.begin(), rule.expressions.end(), [&](const std::string& name) {
        return says_nothing(name) || name == "reject" || name == "immediate";
      });
  const bool rejects = std::find(rule.expressions.begin(), rule.expressions.end(), "reject") != rule.expressions.end();
  if (!unconditional) return std::nullopt;
  if (rejects || rule.verdict == NF_DROP) return true;
  const bool decides =
      std::find(rule.expressions.begin(), rule.expressions.end(), "immediate") != rule.expressions.end();
  return decides && rule.verdict == NF_ACCEPT ? std::optional{false} : std::nullopt;
}

// The rule that whatever comes so far ends at; 0 when there is none, or it lets everything pass.
uint64_t find_refusal(const std::vector<Rule>& rules)
{
  for (const Rule& rule : rules)
    if (const auto refuses = refuses_all(rule)) return *refuses ? rule.handle : 0;
  return 0;
}

// iptables-nft keeps its rules in tables of these names; so do Docker and ufw, which call it.
bool is_of_iptables(const Chain& chain)
{
  return (chain.family == NFPROTO_IPV4 || chain.family == NFPROTO_IPV6) && chain.table == "filter" &&
         chain.name == "FORWARD";
}

std::string ask_legacy(Trace& trace, const LegacyFamily& family, const std::string& arguments)
{
  // Its complaints are of no use to anybody: what it answers is what counts.
  const std::string line =
      fmt::format("PATH=$PATH:/usr/sbin:/sbin exec {} -w {} 2>/dev/null", family.program, arguments);
  return kernel::ask_program(trace, {.argv = {"/bin/sh", "-c", line},
                                     .input = {},
                                     .by_hand = fmt::format("{} -w {}", family.program, arguments),
                                     .most = 4 << 20})
      .text;
}

std::string legacy_rule(const char* direction)
{
  return fmt::format("{} {}+ -m comment --comment {} -j ACCEPT", direction, link_prefix, our_mark);
}

bool has_line(const std::string& text, const std::string& line)
{
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

bool has_filter_table(const LegacyFamily& family)
{
  const auto names = kernel::find_content(AT_FDCWD, family.names);
  return names && has_line(*names, "filter");
}

const LegacyFamily& legacy_of(int family) { return legacy_families[family == NFPROTO_IPV4 ? 0 : 1]; }

void find_legacy(Trace& trace, std::vector<Obstacle>& all)
{
  for (const LegacyFamily& family : legacy_families) {
    if (!has_filter_table(family)) continue;
    const std::string rules = ask_legacy(trace, family, "-S");
    if (!has_line(rules, "-P FORWARD DROP")) continue;
    Obstacle obstacle{.cure = Obstacle::Cure::legacy_rules};
    obstacle.chain = {.family = family.family, .table = "filter", .name = "FORWARD", .drops = true};
    obstacle.place = obstacle.chain;
    if (has_line(rules, "-N DOCKER-USER")) obstacle.place.name = "DOCKER-USER";
    obstacle.cured = has_line(rules, fmt::format("-A {} {}", obstacle.place.name, legacy_rule("-i"))) &&
                     has_line(rules, fmt::format("-A {} {}", obstacle.place.name, legacy_rule("-o")));
    all.push_back(std::move(obstacle));
  }
}

std::string place_text(const Obstacle& obstacle)
{
  const char* kind = obstacle.cure == Obstacle::Cure::legacy_rules ? "iptables-legacy, table" : "table";
  return fmt::format("{} {} {}, chain {}{}", kind, obstacle.chain.family_name(), obstacle.chain.table,
                     obstacle.chain.name,
                     obstacle.rule != 0 ? fmt::format(", rule with handle {}", obstacle.rule) : ", policy drop");
}

std::string hint_for(const Obstacle& obstacle)
{
  if (obstacle.cured) return {};
  const Chain& place = obstacle.place;
  if (place.table == "firewalld")
    return fmt::format("firewall-cmd --permanent --zone=trusted --add-interface={}+ && firewall-cmd --reload",
                       link_prefix);
  const auto line = [&](const char* key) {
    return fmt::format("nft insert rule {} {} {} {} '\"{}*\"' accept comment {}", place.family_name(), place.table,
                       place.name, key, link_prefix, our_mark);
  };
  if (obstacle.cure == Obstacle::Cure::by_hand) return line("iifname") + "; " + line("oifname");
  return "the next container with internet, a published port or a peer adds the rules that are missing";
}

} // namespace

std::vector<Obstacle> find_obstacles(Trace& trace, Netlink& nft)
{
  std::vector<Obstacle> all;
  const std::vector<Chain> chains = read_chains(nft);
  for (const Chain& chain : chains) {
    if (!is_foreign_hook(chain, NF_INET_FORWARD)) continue;
    const std::vector<Rule> rules = read_rules(nft, chain);
    const uint64_t refusal = find_refusal(rules);
    if (!chain.drops && refusal == 0) continue;
    Obstacle obstacle{.cure = is_of_iptables(chain) ? Obstacle::Cure::nft_rules : Obstacle::Cure::by_hand,
                      .chain = chain,
                      .place = chain};
    obstacle.rule = refusal;
    const auto docker = std::find_if(chains.begin(), chains.end(), [&](const Chain& each) {
      return each.family == chain.family && each.table == chain.table && each.name == "DOCKER-USER";
    });
    if (is_of_iptables(chain) && docker != chains.end()) obstacle.place = *docker;
    const std::vector<Rule> there = read_rules(nft, obstacle.place);
    obstacle.cured = std::count_if(there.begin(), there.end(), is_ours) >= 2;
    all.push_back(std::move(obstacle));
  }
  find_legacy(trace, all);
  return all;
}

bool cure_obstacles(Trace& trace, Netlink& nft, Uncured uncured)
{
  bool inserted = false;
  for (const Obstacle& obstacle : find_obstacles(trace, nft)) {
    if (obstacle.cured) continue;
    if (obstacle.cure == Obstacle::Cure::by_hand) {
      if (uncured == Uncured::told)
        trace.notice(
            fmt::format("{} {}. Let containers' links pass: {}", place_text(obstacle), blocked, hint_for(obstacle)));
      continue;
    }
    const Chain& place = obstacle.place;
    if (obstacle.cure == Obstacle::Cure::nft_rules) {
      for (const Rule& rule : read_rules(nft, place))
        if (is_ours(rule)) delete_rule(trace, nft, place, rule.handle); // half a cure
      insert_accept(trace, nft, place, Direction::in);
      insert_accept(trace, nft, place, Direction::out);
    } else {
      for (const char* direction : {"-i", "-o"}) {
        const std::string rule = place.name + " " + legacy_rule(direction);
        ask_legacy(trace, legacy_of(place.family), "-D " + rule);
        ask_legacy(trace, legacy_of(place.family), "-I " + rule);
      }
    }
    inserted = true;
    trace.notice(fmt::format("{} drops what is forwarded: two rules at the top of {} let containers' links ({}+) pass",
                             place_text(obstacle), place.name, link_prefix));
  }
  return inserted;
}

void withdraw_cures(Trace& trace, Netlink& nft)
{
  for (const Chain& chain : read_chains(nft)) {
    const bool may_have = (chain.family == NFPROTO_IPV4 || chain.family == NFPROTO_IPV6) && chain.table == "filter" &&
                          (chain.name == "FORWARD" || chain.name == "DOCKER-USER");
    if (!may_have) continue;
    for (const Rule& rule : read_rules(nft, chain))
      if (is_ours(rule)) delete_rule(trace, nft, chain, rule.handle);
  }
  for (const LegacyFamily& family : legacy_families) {
    if (!has_filter_table(family)) continue;
    const std::string rules = ask_legacy(trace, family, "-S");
    for (const char* chain : {"FORWARD", "DOCKER-USER"})
      for (const char* direction : {"-i", "-o"}) {
        const std::string rule = fmt::format("{} {}", chain, legacy_rule(direction));
        if (has_line(rules, "-A " + rule)) ask_legacy(trace, family, "-D " + rule);
      }
  }
}

std::vector<NetworkRemark> obstacle_remarks(Trace& trace, Netlink& nft)
{
  std::vector<NetworkRemark> remarks;
  for (const Obstacle& obstacle : find_obstacles(trace, nft)) {
    std::string sentence{blocked};
    if (obstacle.cured) sentence = "drops what is forwarded; two rules of conductor let containers' links pass";
    remarks.push_back({.kind = NetworkRemark::Kind::obstacle,
                       .cured = obstacle.cured,
                       .place = place_text(obstacle),
                       .sentence = std::move(sentence),
                       .hint = hint_for(obstacle)});
  }
  for (const Chain& chain : read_chains(nft)) {
    if (is_foreign_hook(chain, NF_INET_FORWARD) && chain.priority < our_priority && !read_rules(nft, chain).empty())
      remarks.push_back({.kind = NetworkRemark::Kind::obstacle,
                         .cured = true,
                         .place = fmt::format("table {} {}, chain {}", chain.family_name(), chain.table, chain.name),
                         .sentence = "comes before conductor's rules, and may refuse what they allow",
                         .hint = {}});
    if (is_foreign_hook(chain, NF_INET_LOCAL_IN) && chain.drops)
      remarks.push_back(
          {.kind = NetworkRemark::Kind::obstacle,
           .cured = false,
           .place = fmt::format("table {} {}, chain {}, policy drop", chain.family_name(), chain.table, chain.name),
           .sentence = "drops what is for this host: containers may not reach services of the host",
           .hint = fmt::format("nft insert rule {} {} {} iifname '\"{}*\"' accept, if they should", chain.family_name(),
                               chain.table, chain.name, link_prefix)});
  }
  return remarks;
}

} // namespace conductor::net
