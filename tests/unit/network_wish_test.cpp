// What is kept of a container's network, and who gets which number.
#include "core/base/error.h"
#include "core/container/link_index.h"
#include "core/container/links.h"
#include "core/container/name_files.h"
#include "core/container/network_wish.h"
#include "core/container/ports.h"
#include "core/kernel/files.h"
#include "core/store/containers.h"
#include "tests/unit/temporary_root.h"

#include <map>

#include <gtest/gtest.h>

using namespace conductor;
using conductor::testing::TemporaryRoot;

namespace {

const std::string a_id(32, 'a'), b_id(32, 'b'), c_id(32, 'c');

NetworkWish full_wish()
{
  return {.attached = true,
          .internet = true,
          .published = {{"tcp", "", 8080, 80}, {"udp", "2001:db8::1", 53, 5353}},
          .peers = {b_id},
          .index = 65534};
}

std::string refused_json(const std::string& text)
{
  try {
    network_wish_from_json(text);
    return "";
  } catch (const Error& error) {
    return std::string{error.sentence()};
  }
}

} // namespace

TEST(NetworkWish, ComesBackAsItWasWritten)
{
  EXPECT_EQ(network_wish_from_json(to_json(full_wish())), full_wish());
  EXPECT_EQ(network_wish_from_json("{}"), NetworkWish{});
  EXPECT_EQ(network_wish_from_json(R"({"of a later version":1})"), NetworkWish{});
}

TEST(NetworkWish, WhatIsNoWishIsRefusedByField)
{
  for (const auto& [text, field] : std::map<std::string, std::string>{
           {"", "JSON"},
           {"[]", "JSON"},
           {R"({"attached":1})", "attached"},
           {R"({"internet":"yes"})", "internet"},
           {R"({"index":1})", "index"},
           {R"({"index":65535})", "index"},
           {R"({"index":-7})", "index"},
           {R"({"index":70000})", "index"},
           {R"({"published":{}})", "published"},
           {R"({"published":[7]})", "published"},
           {R"({"published":[{"protocol":"sctp","outer":1,"inner":1}]})", "protocol"},
           {R"({"published":[{"protocol":"tcp","outer":0,"inner":1}]})", "outer"},
           {R"({"published":[{"protocol":"tcp","outer":1}]})", "inner"},
           {R"({"published":[{"protocol":"tcp","outer":1,"inner":1,"host_address":"; drop"}]})", "host_address"},
           {R"({"peers":["web"]})", "peers"},
           {R"({"peers":[1]})", "peers"}})
    EXPECT_NE(refused_json(text).find(field), std::string::npos) << text << ": " << refused_json(text);
}

TEST(NetworkWish, ALinkIsNeededForAnyOfIt)
{
  EXPECT_FALSE(NetworkWish{}.needs_link());
  EXPECT_FALSE((NetworkWish{.index = 7}.needs_link()));
  EXPECT_TRUE((NetworkWish{.attached = true}.needs_link()));
  EXPECT_TRUE((NetworkWish{.peers = {b_id}}.needs_link()));
}

TEST(NetworkWish, OnePortOfTheHostLeadsToOnePlace)
{
  NetworkWish wish{.published = {{"tcp", "", 8080, 80}, {"tcp", "127.0.0.1", 8080, 81}}};
  EXPECT_THROW(check_wish(wish, "web"), Error);
  wish.published[1].outer = 8081;
  EXPECT_NO_THROW(check_wish(wish, "web"));
  wish.published.assign(most_ports + 1, {"tcp", "", 1, 1});
  EXPECT_THROW(check_wish(wish, "web"), Error);
}

TEST(LinkIndex, FollowsFromTheNameAndStaysInItsRange)
{
  EXPECT_EQ(preferred_link_index("web"), preferred_link_index("web"));
  for (int i = 0; i < 2000; ++i) {
    const LinkIndex index = preferred_link_index("name-" + std::to_string(i));
    EXPECT_GE(index, first_link_index);
    EXPECT_LE(index, last_link_index);
  }
  EXPECT_EQ(next_link_index(last_link_index), first_link_index);
}

struct LinkIndexes : ::testing::Test {
  LinkIndexes()
  {
    for (const std::string& id : {a_id, b_id, c_id})
      kernel::make_directories(at.trace, at.root.dir(), "containers/id/" + id, 0700);
  }
  TemporaryRoot at;
};

TEST_F(LinkIndexes, ATakenOneMovesTheNextOneOn)
{
  EXPECT_EQ(take_link_index(at.root, a_id, 65534), 65534);
  EXPECT_EQ(take_link_index(at.root, b_id, 65534), 2);
  EXPECT_EQ(take_link_index(at.root, a_id, 65534), 65534);
  EXPECT_EQ(link_indexes(at.root), (std::map<LinkIndex, std::string>{{2, b_id}, {65534, a_id}}));
}

TEST_F(LinkIndexes, IsGivenBackByItsOwnerOnly)
{
  take_link_index(at.root, a_id, 7);
  release_link_index(at.root, b_id, 7);
  EXPECT_EQ(link_indexes_of(at.root, a_id), std::vector<LinkIndex>{7});
  release_link_index(at.root, a_id, 7);
  EXPECT_EQ(take_link_index(at.root, b_id, 7), 7);
}

TEST_F(LinkIndexes, ThatOfAContainerThatIsGoneIsFree)
{
  take_link_index(at.root, a_id, 7);
  kernel::remove_tree(at.trace, at.root.dir(), "containers/id/" + a_id);
  EXPECT_EQ(take_link_index(at.root, b_id, 7), 7);
}

// ---- Links, with a network that only writes down what it was told

namespace {

struct RecordingNetwork : Network {
  std::map<LinkIndex, WantedLink> links; // by what was said last
  std::vector<LinkIndex> foreign;        // links of other roots
  std::vector<PublishedPort> listening;
  int attached = 0, changed = 0, detached = 0;
  bool breaks = false;

  std::vector<Interface> interfaces(int) override { return {}; }
  std::vector<Traffic> traffic(std::string_view) override { return {}; }
  std::vector<Refusal> refusals() override { return {}; }
  std::vector<Passage> passages() override { return {}; }
  std::optional<Subnet> subnet() override { return std::nullopt; }
  NetworkState state() override { return {}; }
  std::optional<PortListener> listener(const PublishedPort& port) override
  {
    for (const auto& each : listening)
      if (collide(each, port)) return PortListener{.pid = 42, .name = "nginx", .address = "0.0.0.0:8080"};
    return std::nullopt;
  }
  Subnet attach(std::string_view, const WantedLink& wanted, int, std::string_view) override
  {
    ++attached;
    if (std::find(foreign.begin(), foreign.end(), wanted.index) != foreign.end()) throw Error{"make a link", EEXIST};
    if (breaks) throw Error{"make a link", ENOMEM};
    links[wanted.index] = wanted;
    return {.ipv4 = 10U << 24 | 83U << 16, .ipv6 = "fd83::"};
  }
  bool change(std::string_view, const WantedLink& wanted, const WantedLink&) override
  {
    ++changed;
    links[wanted.index] = wanted;
    return true;
  }
  void detach(std::string_view, const WantedLink& had, LinkEnd, int) override
  {
    ++detached;
    links.erase(had.index);
  }
  std::vector<std::string> repair(std::string_view, const std::vector<WantedLink>& all) override
  {
    std::vector<std::string> mended;
    for (const auto& each : all) mended.push_back(each.name);
    return mended;
  }
};

} // namespace

struct LinksTest : ::testing::Test {
  LinksTest()
  {
    make("web", a_id);
    make("db", b_id);
  }
  void make(const std::string& name, const std::string& id)
  {
    Spec spec;
    spec.id = id;
    spec.name = spec.hostname = name;
    spec.networked = true;
    Containers{at.root}.create(spec);
    kernel::make_directories(at.trace, at.root.run(), "c/" + id, 0700);
    owners[id] = LinkOwner::of(spec);
  }
  void wish(const std::string& id, const NetworkWish& wanted) { save_network_wish(at.root, id, wanted); }
  void attach(const std::string& id)
  {
    const Lock held = links.lock();
    links.attach(owners[id], *find_network_wish(at.root, id), -1);
  }
  std::string hosts(const std::string& id)
  {
    return kernel::find_content(at.root.run(), "c/" + id + "/hosts").value_or("");
  }
  LinkIndex index_of(const std::string& id) { return find_link(at.root, id).value_or(Link{}).index; }

  TemporaryRoot at;
  RecordingNetwork network;
  Links links{at.root, network, "", "test"};
  std::map<std::string, LinkOwner> owners;
};

TEST_F(LinksTest, ALinkIsMarkedAndNumberedByItsName)
{
  wish(a_id, {.attached = true});
  attach(a_id);
  const auto link = find_link(at.root, a_id);
  ASSERT_TRUE(link);
  EXPECT_EQ(link->index, preferred_link_index("web"));
  EXPECT_EQ(link->subnet.address(7), "10.83.0.7");
  EXPECT_EQ(link->subnet.address6(7), "fd83::7");
  EXPECT_EQ(find_network_wish(at.root, a_id)->index, link->index);
  EXPECT_NE(hosts(a_id).find(link->subnet.address(link->index) + "\tweb\n"), std::string::npos);
  EXPECT_NE(hosts(a_id).find("10.83.0.1\thost\n"), std::string::npos);
}

TEST_F(LinksTest, ANumberOfAnotherRootIsPassedOver)
{
  const LinkIndex first = preferred_link_index("web");
  network.foreign = {first, next_link_index(first)};
  wish(a_id, {.attached = true});
  attach(a_id);
  EXPECT_EQ(index_of(a_id), next_link_index(next_link_index(first)));
  EXPECT_EQ(link_indexes(at.root).size(), 1u);
}

TEST_F(LinksTest, OneThatWasKeptGetsItsNumberAgain)
{
  wish(a_id, {.attached = true, .index = 4711});
  attach(a_id);
  EXPECT_EQ(index_of(a_id), 4711);
  links.leave(a_id);
  EXPECT_FALSE(find_link(at.root, a_id));
  EXPECT_TRUE(network.links.empty());
  attach(a_id);
  EXPECT_EQ(index_of(a_id), 4711);
}

TEST_F(LinksTest, AFailureLeavesNoLinkBehind)
{
  network.breaks = true;
  wish(a_id, {.attached = true});
  EXPECT_THROW(attach(a_id), Error);
  EXPECT_FALSE(find_link(at.root, a_id));
  EXPECT_FALSE(links.any());
}

TEST_F(LinksTest, APeerCountsOnlyIfBothNameEachOther)
{
  wish(a_id, {.peers = {b_id}});
  wish(b_id, {.attached = true});
  attach(b_id);
  attach(a_id);
  EXPECT_TRUE(network.links[index_of(a_id)].peers.empty());
  EXPECT_EQ(hosts(a_id).find("\tdb"), std::string::npos);
  EXPECT_TRUE(view_link(at.root, Containers{at.root}.load(a_id).spec)->peers.empty());
}

TEST_F(LinksTest, WhoComesLastIsKnownToBoth)
{
  wish(a_id, {.peers = {b_id}});
  wish(b_id, {.peers = {a_id}});
  attach(b_id);
  EXPECT_TRUE(network.links[index_of(b_id)].peers.empty());
  attach(a_id);
  ASSERT_EQ(network.links[index_of(a_id)].peers.size(), 1u);
  EXPECT_EQ(network.links[index_of(a_id)].peers[0].index, index_of(b_id));
  const Subnet subnet = find_link(at.root, a_id)->subnet;
  EXPECT_NE(hosts(a_id).find(subnet.address(index_of(b_id)) + "\tdb\n"), std::string::npos);
  EXPECT_NE(hosts(b_id).find(subnet.address6(index_of(a_id)) + "\tweb\n"), std::string::npos);
  EXPECT_EQ(view_link(at.root, Containers{at.root}.load(a_id).spec)->peers, std::vector<std::string>{"db"});

  links.leave(a_id);
  EXPECT_EQ(hosts(b_id).find("\tweb"), std::string::npos);
}

TEST_F(LinksTest, ATakenPortNamesWhoHasIt)
{
  wish(a_id, {.published = {{"tcp", "", 8080, 80}}});
  attach(a_id);
  const auto refusal = [&](const PublishedPort& port) -> std::string {
    try {
      links.check_ports(owners[b_id], {port});
      return "";
    } catch (const Error& error) {
      return std::string{error.sentence()};
    }
  };
  EXPECT_NE(refusal({"tcp", "127.0.0.1", 8080, 80}).find("leads to 'web'"), std::string::npos);
  EXPECT_EQ(refusal({"udp", "", 8080, 80}), "");
  links.leave(a_id);
  EXPECT_EQ(refusal({"tcp", "", 8080, 80}), ""); // it does not run
  network.listening = {{"tcp", "", 8080, 0}};
  EXPECT_NE(refusal({"tcp", "", 8080, 80}).find("'nginx' (process 42) listens on 0.0.0.0:8080"), std::string::npos);
}

TEST_F(LinksTest, RepairIsToldOfThoseThatHaveALink)
{
  wish(a_id, {.attached = true, .internet = true});
  wish(b_id, {.attached = true});
  EXPECT_TRUE(links.repair().empty());
  attach(a_id);
  EXPECT_EQ(links.repair(), std::vector<std::string>{"web"});
}

TEST_F(LinksTest, ADamagedWishAllowsNothingAndKeepsNobodyFromEnding)
{
  wish(a_id, {.attached = true});
  attach(a_id);
  kernel::write_file(at.trace, at.root.dir(), "containers/id/" + a_id + "/network.json", "{\"peers\":7}");
  EXPECT_TRUE(links.repair().empty());
  links.leave(a_id);
  EXPECT_FALSE(find_link(at.root, a_id));
  EXPECT_EQ(network.detached, 1);
  links.release(a_id);
  EXPECT_TRUE(link_indexes(at.root).empty());
}

// ---- names

TEST(HostsText, NamesItselfTheHostAndThePeersInBothFamilies)
{
  const Subnet subnet{.ipv4 = 10U << 24 | 83U << 16, .ipv6 = "fd83::"};
  EXPECT_EQ(hosts_text(subnet, {"web", "www", 7}, {{"db", "db", 300}}),
            "# Written by conductor: who may be talked to.\n"
            "127.0.0.1\tlocalhost\n"
            "::1\tlocalhost\n"
            "10.83.0.7\tweb www\n"
            "fd83::7\tweb www\n"
            "10.83.0.1\thost\n"
            "fd83::1\thost\n"
            "10.83.1.44\tdb\n"
            "fd83::12c\tdb\n");
}

TEST(HostsText, WithoutIpv6ThereIsNone)
{
  const std::string text = hosts_text({.ipv4 = 10U << 24, .ipv6 = ""}, {"web", "web", 7}, {{"db", "", 9}});
  EXPECT_EQ(text.find("fd"), std::string::npos);
  EXPECT_NE(text.find("10.0.0.9\tdb\n"), std::string::npos);
}

TEST(HostsText, NobodyTakesTheWordsThatMeanSomethingElse)
{
  const std::string text =
      hosts_text({.ipv4 = 10U << 24, .ipv6 = ""}, {"host", "localhost", 7}, {{"localhost", "", 9}});
  EXPECT_EQ(text.find("10.0.0.7"), std::string::npos);
  EXPECT_EQ(text.find("10.0.0.9"), std::string::npos);
}

TEST(ResolverText, ServersAndSearchComeOver)
{
  const Resolver made =
      resolver_text("# home\nnameserver 192.0.2.53\nsearch example.org  lan\noptions edns0\n", true, false);
  EXPECT_EQ(made.servers, 1u);
  EXPECT_EQ(made.text, "# Written by conductor, from the host's.\nnameserver 192.0.2.53\nsearch example.org  lan\n"
                       "options edns0\n");
}

TEST(ResolverText, LoopbackServersAreOutOfReach)
{
  for (const char* server : {"127.0.0.53", "127.0.0.1", "::1", "0.0.0.0", "::", "fe80::1%eth0", "nonsense", ""})
    EXPECT_EQ(resolver_text(std::string{"nameserver "} + server + "\n", true, true).servers, 0u) << server;
}

TEST(ResolverText, Ipv6ServersNeedTheIpv6Internet)
{
  const std::string host = "nameserver 2001:db8::53\r\n\tnameserver   192.0.2.53   # mine\n";
  EXPECT_EQ(resolver_text(host, true, false).servers, 1u);
  EXPECT_EQ(resolver_text(host, true, true).servers, 2u);
  EXPECT_TRUE(has_ipv6_server(host));
  EXPECT_FALSE(has_ipv6_server("nameserver 192.0.2.53\n# nameserver 2001:db8::53\nnameserver fe80::1%eth0\n"));
}

TEST(ResolverText, WithoutTheInternetOnlyOptionsStay)
{
  const Resolver made = resolver_text("nameserver 192.0.2.53\nsearch lan\noptions ndots:2\n", false, false);
  EXPECT_EQ(made.servers, 0u);
  EXPECT_EQ(made.text.find("192.0.2.53"), std::string::npos);
  EXPECT_EQ(made.text.find("lan"), std::string::npos);
  EXPECT_NE(made.text.find("options ndots:2\n"), std::string::npos);
}

TEST(ChooseResolver, TakesTheListOfTheServersOnlyBehindALoopback)
{
  const std::string loopback = "nameserver 127.0.0.53\n", real = "nameserver 192.0.2.53\n",
                    other = "nameserver 192.0.2.99\n";
  EXPECT_EQ(choose_resolver(loopback, {real, other}), real);
  EXPECT_EQ(choose_resolver(loopback, {"", loopback, other}), other);
  EXPECT_EQ(choose_resolver(other, {real}), other);
  EXPECT_EQ(choose_resolver(loopback, {loopback}), loopback);
  EXPECT_EQ(choose_resolver(loopback, {}), loopback);
  EXPECT_EQ(choose_resolver("", {"", real}), real);
}
