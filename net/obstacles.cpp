#include "net/obstacles.h"

#include "core/base/error.h"
#include "core/kernel/ask.h"
#include "net/link_writer.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <span>

#include <fmt/format.h>
#include <linux/netfilter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

namespace conductor::net {
namespace {

struct LegacyFamily {
  int family;
  std::string Firewalls::*names; // which tables the kernel has
  const char* program;
};
constexpr LegacyFamily legacy_families[] = {
    {NFPROTO_IPV4, &Firewalls::legacy4, "iptables-legacy"},
    {NFPROTO_IPV6, &Firewalls::legacy6, "ip6tables-legacy"},
};

bool is_ours(const Rule& rule) { return rule.comment == our_mark; }

bool is_foreign_hook(const Chain& chain, uint32_t hook)
{
  if (!chain.is_base || chain.hook != hook || chain.type != "filter") return false;
  if (chain.family != NFPROTO_INET && chain.family != NFPROTO_IPV4 && chain.family != NFPROTO_IPV6) return false;
  return !(chain.family == NFPROTO_INET && chain.table == our_table);
}

std::string name_of_link(int index)
{
  std::array<char, IFNAMSIZ> name{};
  return index > 0 && ::if_indextoname(static_cast<unsigned>(index), name.data()) != nullptr ? name.data() : "";
}

// What containers need of the forward hook, packet by packet.
struct Need {
  const char* what;
  PacketEnd::Kind in, out;
  bool is_answer, is_translated;
};
constexpr PacketEnd::Kind ours = PacketEnd::Kind::ours, uplink = PacketEnd::Kind::uplink;
constexpr Need forward_needs[] = {
    {"internet", ours, uplink, false, false},
    {"internet", uplink, ours, true, false},
    {"published ports", uplink, ours, false, true},
    {"published ports", ours, uplink, true, true},
    {"peers", ours, ours, false, false},
};
constexpr Need host_needs[] = {{"services of the host", ours, PacketEnd::Kind::unknown, false, false}};

// Where the internet lies now: the link that the kernel would take to an address that is nobody's in particular.
PacketEnd find_uplink(Netlink& route, int family)
{
  PacketEnd end;
  const auto somewhere = address_bytes(family == NFPROTO_IPV4 ? "192.88.99.1" : "2000::1");
  rtmsg header{};
  header.rtm_family = family == NFPROTO_IPV4 ? AF_INET : AF_INET6;
  header.rtm_dst_len = static_cast<unsigned char>(somewhere.size() * 8);
  Message request{RTM_GETROUTE, NLM_F_ACK};
  request.fixed(header).bytes(RTA_DST, somewhere);
  route.ask("look for the way out", request, [&](uint16_t type, Bytes payload) {
    if (type != RTM_NEWROUTE || payload.size() < sizeof(rtmsg)) return;
    end.index = structure_from<int>(attribute_in(payload.subspan(sizeof(rtmsg)), RTA_OIF));
  });
  end.link = name_of_link(end.index);
  if (!end.link.empty()) end.kind = PacketEnd::Kind::uplink;
  return end;
}

// Chains and sets of one table, each read once.
class Table {
public:
  Table(Netlink& nft, const Chain& base) : nft_(nft), base_(base) {}

  Rulebook book()
  {
    return {.rules = [this](const std::string& name) -> const std::vector<Rule>& {
              const auto [at, fresh] = rules_.try_emplace(name);
              if (fresh) at->second = read_rules(nft_, {.family = base_.family, .table = base_.table, .name = name});
              return at->second;
            },
            .elements = [this](const std::string& set) { return read_elements(nft_, base_.family, base_.table, set); },
            .link_name = name_of_link};
  }

private:
  Netlink& nft_;
  const Chain& base_;
  std::map<std::string, std::vector<Rule>> rules_;
};

struct Uplinks {
  PacketEnd ipv4, ipv6;
};

Uplinks find_uplinks()
{
  Netlink route{NETLINK_ROUTE};
  return {find_uplink(route, NFPROTO_IPV4), find_uplink(route, NFPROTO_IPV6)};
}

struct Verdicts {
  Judgement worst;
  std::vector<std::string> lost; // by rules that refuse, or may, whichever is the worst
};

// What becomes of the packets of `needs` in one chain.
Verdicts judge_all(const Rulebook& book, const Chain& chain, std::span<const Need> needs, const Uplinks& uplinks,
                   const Subnet& subnet, Ours counted)
{
  Verdicts verdicts;
  for (const int family : {NFPROTO_IPV4, NFPROTO_IPV6}) {
    if (chain.family != NFPROTO_INET && chain.family != family) continue;
    if (family == NFPROTO_IPV6 && subnet.ipv6.empty()) continue;
    const PacketEnd& way_out = family == NFPROTO_IPV4 ? uplinks.ipv4 : uplinks.ipv6;
    const auto end = [&](PacketEnd::Kind kind) { return kind == uplink ? way_out : PacketEnd{.kind = kind}; };
    for (const Need& need : needs) {
      const Packet packet{family, end(need.in), end(need.out), need.is_answer, need.is_translated};
      const Judgement judgement = judge(book, chain, packet, subnet, counted);
      if (judgement.word == Judgement::Word::passes || judgement.word < verdicts.worst.word) continue;
      if (judgement.word > verdicts.worst.word) verdicts = {judgement, {}};
      if (std::find(verdicts.lost.begin(), verdicts.lost.end(), need.what) == verdicts.lost.end())
        verdicts.lost.emplace_back(need.what);
    }
  }
  return verdicts;
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

bool has_filter_table(const Firewalls& others, const LegacyFamily& family)
{
  return has_line(others.*family.names, "filter");
}

const LegacyFamily& legacy_of(int family) { return legacy_families[family == NFPROTO_IPV4 ? 0 : 1]; }

void find_legacy(Trace& trace, const Firewalls& others, std::vector<Obstacle>& all)
{
  for (const LegacyFamily& family : legacy_families) {
    if (!has_filter_table(others, family)) continue;
    const std::string rules = ask_legacy(trace, family, "-S");
    const bool by_policy = has_line(rules, "-P FORWARD DROP");
    if (!by_policy && !has_line(rules, "-A FORWARD -j DROP") &&
        ("\n" + rules).find("\n-A FORWARD -j REJECT") == std::string::npos)
      continue;
    Obstacle obstacle{.cure = Obstacle::Cure::legacy_rules};
    obstacle.found = {Judgement::Word::is_refused, "FORWARD", by_policy ? 0U : 1U};
    for (const Need& need : forward_needs)
      if (obstacle.lost.empty() || obstacle.lost.back() != need.what) obstacle.lost.emplace_back(need.what);
    obstacle.chain = {.family = family.family, .table = "filter", .name = "FORWARD", .drops = true};
    obstacle.place = obstacle.chain;
    if (has_line(rules, "-N DOCKER-USER")) obstacle.place.name = "DOCKER-USER";
    obstacle.there = has_line(rules, fmt::format("-A {} {}", obstacle.place.name, legacy_rule("-i"))) &&
                     has_line(rules, fmt::format("-A {} {}", obstacle.place.name, legacy_rule("-o")));
    obstacle.cured = obstacle.there;
    all.push_back(std::move(obstacle));
  }
}

std::string place_text(const Chain& base, const Judgement& found)
{
  return fmt::format("table {} {}, chain {}, {}", base.family_name(), base.table, found.chain,
                     found.rule != 0 ? fmt::format("rule with handle {}", found.rule) : "policy drop");
}

std::string place_text(const Obstacle& obstacle)
{
  if (obstacle.cure != Obstacle::Cure::legacy_rules) return place_text(obstacle.chain, obstacle.found);
  return fmt::format("iptables-legacy, table {} {}, chain FORWARD, {}", obstacle.chain.family_name(),
                     obstacle.chain.table, obstacle.found.rule != 0 ? "a rule for all" : "policy drop");
}

std::string listed(const std::vector<std::string>& words)
{
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) text += (i == 0 ? "" : i + 1 == words.size() ? " or " : ", ") + words[i];
  return text;
}

std::string sentence_for(const Obstacle& obstacle)
{
  if (obstacle.cured) return "drops what is forwarded; two rules of conductor let containers' links pass";
  if (obstacle.found.word == Judgement::Word::is_refused)
    return fmt::format("drops what is forwarded: no {} for containers", listed(obstacle.lost));
  return fmt::format("may drop some of what containers forward ({}): that hangs on more than links and addresses",
                     listed(obstacle.lost));
}

// Firewalls that a person commands by a program of their own.
std::string firewalld_hint()
{
  return fmt::format("firewall-cmd --permanent --zone=trusted --add-interface={}+ && firewall-cmd --reload",
                     link_prefix);
}

std::string hint_for(const Obstacle& obstacle)
{
  if (obstacle.cured || obstacle.found.word != Judgement::Word::is_refused) return {};
  const Chain& place = obstacle.place;
  if (place.table == "firewalld") return firewalld_hint();
  const auto line = [&](const char* key) {
    return fmt::format("nft insert rule {} {} {} {} '\"{}*\"' accept comment {}", place.family_name(), place.table,
                       place.name, key, link_prefix, our_mark);
  };
  if (obstacle.cure == Obstacle::Cure::by_hand) return line("iifname") + "; " + line("oifname");
  return "the next container with internet, a published port or a peer adds the rules that are missing";
}

std::string host_hint(const Chain& chain, const std::vector<Chain>& chains)
{
  if (chain.table == "firewalld") return firewalld_hint() + ", if they should";
  const bool is_ufw = std::any_of(chains.begin(), chains.end(), [](const Chain& each) {
    return each.table == "filter" && each.name == "ufw-user-input";
  });
  if (is_ufw) return fmt::format("ufw allow in on {}+, if they should", link_prefix);
  return fmt::format("nft insert rule {} {} {} iifname '\"{}*\"' accept, if they should", chain.family_name(),
                     chain.table, chain.name, link_prefix);
}

} // namespace

std::vector<Obstacle> find_obstacles(Trace& trace, Netlink& nft, const Firewalls& others, const Subnet& subnet)
{
  std::vector<Obstacle> all;
  const std::vector<Chain>& chains = others.chains;
  std::optional<Uplinks> uplinks;
  for (const Chain& chain : chains) {
    if (!is_foreign_hook(chain, NF_INET_FORWARD)) continue;
    if (!uplinks) uplinks = find_uplinks();
    Table table{nft, chain};
    const Rulebook book = table.book();
    Verdicts without = judge_all(book, chain, forward_needs, *uplinks, subnet, Ours::passed_over);
    if (without.worst.word == Judgement::Word::passes) continue;
    Obstacle obstacle{.cure = is_of_iptables(chain) ? Obstacle::Cure::nft_rules : Obstacle::Cure::by_hand,
                      .chain = chain,
                      .place = chain,
                      .found = std::move(without.worst),
                      .lost = std::move(without.lost)};
    const auto docker = std::find_if(chains.begin(), chains.end(), [&](const Chain& each) {
      return each.family == chain.family && each.table == chain.table && each.name == "DOCKER-USER";
    });
    if (is_of_iptables(chain) && docker != chains.end()) obstacle.place = *docker;
    const std::vector<Rule>& there = book.rules(obstacle.place.name);
    obstacle.there = std::count_if(there.begin(), there.end(), is_ours) >= 2;
    if (obstacle.there) {
      Verdicts with = judge_all(book, chain, forward_needs, *uplinks, subnet, Ours::counted);
      obstacle.cured = with.worst.word == Judgement::Word::passes;
      // In vain: something before them refuses.
      if (!obstacle.cured) {
        obstacle.cure = Obstacle::Cure::by_hand;
        obstacle.found = std::move(with.worst);
        obstacle.lost = std::move(with.lost);
      }
    }
    all.push_back(std::move(obstacle));
  }
  find_legacy(trace, others, all);
  return all;
}

bool cure_obstacles(Trace& trace, Netlink& nft, const Firewalls& others, const Subnet& subnet, Uncured uncured)
{
  bool inserted = false;
  for (const Obstacle& obstacle : find_obstacles(trace, nft, others, subnet)) {
    // What only may refuse is for doctor and networks to tell.
    if (obstacle.cured || obstacle.found.word != Judgement::Word::is_refused) continue;
    if (obstacle.cure == Obstacle::Cure::by_hand) {
      if (uncured == Uncured::told)
        trace.notice(fmt::format("{} {}. Let containers' links pass: {}", place_text(obstacle), sentence_for(obstacle),
                                 hint_for(obstacle)));
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
  const Firewalls others = read_firewalls(nft);
  for (const Chain& chain : others.chains) {
    const bool may_have = (chain.family == NFPROTO_IPV4 || chain.family == NFPROTO_IPV6) && chain.table == "filter" &&
                          (chain.name == "FORWARD" || chain.name == "DOCKER-USER");
    if (!may_have) continue;
    for (const Rule& rule : read_rules(nft, chain))
      if (is_ours(rule)) delete_rule(trace, nft, chain, rule.handle);
  }
  for (const LegacyFamily& family : legacy_families) {
    if (!has_filter_table(others, family)) continue;
    const std::string rules = ask_legacy(trace, family, "-S");
    for (const char* chain : {"FORWARD", "DOCKER-USER"})
      for (const char* direction : {"-i", "-o"}) {
        const std::string rule = fmt::format("{} {}", chain, legacy_rule(direction));
        if (has_line(rules, "-A " + rule)) ask_legacy(trace, family, "-D " + rule);
      }
  }
}

namespace {

void remark_on_input(Netlink& nft, const std::vector<Chain>& chains, const Subnet& subnet,
                     std::vector<NetworkRemark>& remarks)
{
  for (const Chain& chain : chains) {
    if (!is_foreign_hook(chain, NF_INET_LOCAL_IN)) continue;
    Table table{nft, chain};
    // Which services are open hangs on ports: what is refused unless it is named is worth a word, no more.
    const Verdicts verdicts = judge_all(table.book(), chain, host_needs, {}, subnet, Ours::counted);
    if (verdicts.worst.word == Judgement::Word::is_refused)
      remarks.push_back({.kind = NetworkRemark::Kind::obstacle,
                         .cured = false,
                         .place = place_text(chain, verdicts.worst),
                         .sentence = "drops what is for this host: containers may not reach services of the host",
                         .hint = host_hint(chain, chains)});
  }
}

} // namespace

std::vector<NetworkRemark> obstacle_remarks(Trace& trace, Netlink& nft, const Firewalls& others, const Subnet& subnet)
{
  std::vector<NetworkRemark> remarks;
  for (const Obstacle& obstacle : find_obstacles(trace, nft, others, subnet))
    remarks.push_back({.kind = NetworkRemark::Kind::obstacle,
                       .cured = obstacle.cured,
                       .place = place_text(obstacle),
                       .sentence = sentence_for(obstacle),
                       .hint = hint_for(obstacle)});
  remark_on_input(nft, others.chains, subnet, remarks);
  return remarks;
}

} // namespace conductor::net
