// The network's part of the view: who may talk to whom, who was refused, what a form would make reachable.
#include "core/container/ports.h"
#include "tui/command/verbs.h"
#include "tui/console/form.h"
#include "tui/console/job.h"
#include "tui/console/keys.h"
#include "tui/console/network_view.h"
#include "tui/console/panels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

using namespace conductor;
using namespace conductor::console;

namespace {

ContainerPicture container(const std::string& name, std::optional<LinkView> link, State state = State::running)
{
  auto stored = std::make_shared<Container>();
  stored->spec.id = name + "-id";
  stored->spec.name = name;
  ContainerPicture picture;
  picture.stored = stored;
  picture.state = state;
  if (link) picture.link = std::make_shared<const LinkView>(std::move(*link));
  return picture;
}

LinkView link(LinkIndex index, bool internet, const std::vector<std::string>& ports, std::vector<std::string> peers)
{
  LinkView view{.link = Link{.index = index, .subnet = {.ipv4 = 0x0A530000, .ipv6 = {}}},
                .internet = internet,
                .published = {},
                .peers = std::move(peers)};
  for (const auto& text : ports)
    for (auto& port : parse_ports(text, "--expose")) view.published.push_back(port);
  return view;
}

RefusalPicture refused(const std::string& from, const std::string& to, std::uint64_t packets)
{
  const auto is_container = [](const std::string& name) {
    return !name.starts_with("eth") && !name.starts_with("cond");
  };
  const std::map<std::string, std::string> links{
      {"web", "cond7"}, {"db", "cond9"}, {"cache", "cond12"}, {"job", "cond2"}};
  return {.from_link = is_container(from) ? links.at(from) : from,
          .to_link = is_container(to) ? links.at(to) : to,
          .from_id = is_container(from) ? from + "-id" : "",
          .to_id = is_container(to) ? to + "-id" : "",
          .packets = packets};
}

// web: the internet and a port, peer of db; cache: a link only; job: none.
Snapshot a_network()
{
  Snapshot snapshot;
  snapshot.containers = {container("web", link(7, true, {"80-8080"}, {"db"})),
                         container("db", link(9, false, {}, {"web"})), container("cache", link(12, false, {}, {})),
                         container("job", std::nullopt)};
  snapshot.network.passages = {
      {.from_id = "web-id", .to_id = {}, .to_internet = true, .bytes = 9000, .packets = 9, .rate = 4096},
      {.from_id = "web-id", .to_id = "db-id", .bytes = 100, .packets = 1, .rate = 100},
      {.from_id = "db-id", .to_id = "web-id", .bytes = 700, .packets = 7, .rate = 700},
      {.from_id = "web-id", .to_id = {}, .port = 80, .protocol = "tcp", .bytes = 500, .packets = 5, .rate = 500},
      {.from_id = "web-id", .to_id = {}, .port = 80, .protocol = "udp", .bytes = 1, .packets = 1, .rate = 1}};
  return snapshot;
}

std::string text_of(const Snapshot& snapshot, const RefusalPicture& refusal) { return refusal_text(snapshot, refusal); }

std::vector<std::string> texts(const std::vector<ReachLine>& lines)
{
  std::vector<std::string> all;
  for (const auto& line : lines) all.push_back((line.fresh ? "new " : "") + line.text);
  return all;
}

std::string drawn(const Grid& grid)
{
  std::string all;
  for (int y = 0; y < grid.rows(); ++y) {
    std::string line;
    for (const auto& cell : grid.row(y)) line += cell.text[0] == 0 ? ' ' : static_cast<char>(cell.text[0]);
    all += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return all;
}

std::string map_of(const Snapshot& snapshot, const ContainerPicture* selected,
                   const std::vector<RefusalPicture>& refusals, int rows = 12, int columns = 78)
{
  const Theme theme = Themes{std::vector<std::string>{}}.load("mono");
  Grid grid{rows, columns};
  draw_network({grid, {0, 0, rows, columns}}, {&theme, true, true}, snapshot, selected, refusals);
  return drawn(grid);
}

} // namespace

TEST(ConsoleNetwork, RefusalsAreToldWithTheOffer)
{
  const Snapshot snapshot = a_network();
  EXPECT_EQ(text_of(snapshot, refused("web", "cache", 12)), "web was refused cache 12 times: p peers them");
  EXPECT_EQ(text_of(snapshot, refused("db", "eth0", 1)), "db was refused the internet once: a lets it out");
  EXPECT_EQ(text_of(snapshot, refused("eth1", "db", 2)),
            "somebody behind eth1 was refused db twice: a publishes a port");
  EXPECT_EQ(text_of(snapshot, refused("db", "cond99", 3)), "db was refused a container of another root 3 times");
  EXPECT_EQ(text_of(snapshot, refused("db", "db", 3)),
            "db sent under an address that is not its own 3 times: that never passes");
}

TEST(ConsoleNetwork, OnlyOurLinksAreContainers)
{
  EXPECT_TRUE(is_containers_link("cond7"));
  for (const char* link : {"cond", "conduit0", "eth0", "cond7a", ""}) EXPECT_FALSE(is_containers_link(link)) << link;
}

TEST(ConsoleNetwork, WhatIsAllowedByNowIsOfferedNoMore)
{
  Snapshot snapshot = a_network();
  snapshot.network.refusals = {refused("web", "db", 12), refused("web", "eth0", 3), refused("db", "eth0", 2)};
  const RefusalWatch watch;
  const auto left = watch.ordered(snapshot, "web-id");
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left[0].from_id, "db-id");
}

TEST(ConsoleNetwork, TheRefusalThatGrewLastComesFirst)
{
  Snapshot snapshot = a_network();
  RefusalWatch watch;
  const auto look = [&](std::vector<RefusalPicture> refusals, std::uint64_t now) {
    snapshot.network.refusals = std::move(refusals);
    return watch.look(snapshot.network, now);
  };
  EXPECT_EQ(look({refused("web", "cache", 50)}, 1).size(), 1U);
  EXPECT_EQ(look({refused("web", "cache", 50), refused("db", "cache", 1)}, 2).size(), 1U);
  EXPECT_TRUE(look({refused("web", "cache", 50), refused("db", "cache", 2)}, 3).empty()) << "told once";
  EXPECT_EQ(watch.ordered(snapshot, "cache-id")[0].from_id, "db-id");
  EXPECT_EQ(watch.ordered(snapshot, "web-id")[0].from_id, "web-id") << "what concerns it first";
  look({refused("web", "cache", 51), refused("db", "cache", 2)}, 4);
  EXPECT_EQ(watch.ordered(snapshot, "cache-id")[0].from_id, "web-id");
  EXPECT_TRUE(look({}, 5).empty());
  EXPECT_EQ(look({refused("web", "cache", 1)}, 6).size(), 1U) << "told again after the kernel forgot it";
}

TEST(ConsoleNetwork, ALinkShowsWhatPassesItToEachOther)
{
  Snapshot snapshot = a_network();
  snapshot.network.refusals = {refused("web", "cache", 12), refused("cache", "web", 2), refused("eth0", "web", 5)};
  const auto rows = use_rows(snapshot, snapshot.containers[0]);
  ASSERT_EQ(rows.size(), 5U);
  EXPECT_EQ(rows[0].what, "internet");
  EXPECT_EQ(rows[0].both, "4.0K");
  EXPECT_EQ(rows[1].what, "db");
  EXPECT_EQ(rows[1].rx, "700");
  EXPECT_EQ(rows[1].tx, "100");
  EXPECT_EQ(rows[2].what, "8080 -> 80");
  EXPECT_EQ(rows[3].what, "cache");
  EXPECT_FALSE(rows[3].allowed);
  EXPECT_EQ(rows[3].refused, 14U);
  EXPECT_EQ(rows[4].what, "from eth0");
  EXPECT_TRUE(use_rows(snapshot, snapshot.containers[3]).empty());
}

TEST(ConsoleNetwork, TheMapShowsWaysInWaysOutAndWhatIsBroken)
{
  Snapshot snapshot = a_network();
  snapshot.network.refusals = {refused("web", "cache", 12)};
  EXPECT_EQ(map_of(snapshot, &snapshot.containers[1], snapshot.network.refusals, 10),
            R"( web was refused cache 12 times: p on web peers them
  HOST PORT         CONTAINER              REACHES
                    cache      10.83.0.12  the host only
>                   db         10.83.0.9   <-> web 800/s
  8080 --------> 80 web        10.83.0.7   --> internet 4.0K/s
                                           <-> db 800/s
                                           -x- cache 12 refused

 not connected: job
 each of these and the host talk; containers only with their peers (<->)
)");
}

TEST(ConsoleNetwork, TheMapKeepsTheSelectedOneInViewInFewRows)
{
  Snapshot snapshot;
  for (int i = 10; i < 40; ++i)
    snapshot.containers.push_back(
        container("box" + std::to_string(i), link(static_cast<LinkIndex>(i), true, {"80-80" + std::to_string(i)}, {})));
  for (const auto& each : snapshot.containers)
    for (int rows = 3; rows < 9; ++rows)
      EXPECT_NE(map_of(snapshot, &each, {}, rows).find(each.spec().name + " "), std::string::npos) << rows;
}

TEST(ConsoleNetwork, AMapOfNothingSaysWhatToPress)
{
  Snapshot snapshot;
  snapshot.containers = {container("web", std::nullopt)};
  const std::string map = map_of(snapshot, &snapshot.containers[0], {});
  EXPECT_NE(map.find("a connects web"), std::string::npos);
  EXPECT_NE(map.find("p lets two containers talk"), std::string::npos);
}

TEST(ConsoleNetwork, TheMapFitsEverySize)
{
  Snapshot snapshot = a_network();
  snapshot.network.refusals = {refused("web", "cache", 12), refused("db", "eth0", 1), refused("cache", "db", 3)};
  for (int rows = 0; rows < 30; ++rows)
    for (int columns = 1; columns < 130; columns += 3)
      map_of(snapshot, &snapshot.containers[0], snapshot.network.refusals, rows, columns);
  const std::string words = map_of(snapshot, &snapshot.containers[0], snapshot.network.refusals, 20, 37);
  EXPECT_NE(words.find("host 8080 -> web 80"), std::string::npos);
  EXPECT_NE(words.find("web <-> db"), std::string::npos);
}

TEST(ConsoleNetwork, BeforeEnterItSaysWhatWillBeReachable)
{
  const Snapshot snapshot = a_network();
  const auto ports = [](const char* text) { return parse_ports(text, "--expose"); };
  EXPECT_EQ(texts(connect_preview(snapshot, "job-id", true, ports("80-8081"))),
            (std::vector<std::string>{"new host <-> job, all ports",
                                      "new job -> internet and LAN; nobody there reaches job by that",
                                      "new host 8081 -> job 80, also from the LAN and the internet side"}));
  EXPECT_EQ(texts(connect_preview(snapshot, "web-id", true, ports("5432-127.0.0.1:5432"))),
            (std::vector<std::string>{"new host 127.0.0.1:5432 -> web 5432, from this host only",
                                      "host <-> web, all ports", "web -> internet and LAN",
                                      "host 8080 -> web 80, also from the LAN and the internet side",
                                      "web <-> db, all ports"}));
  EXPECT_EQ(texts(connect_preview(snapshot, "cache-id", false, ports("53-[fd00::1]:53/udp")))[0],
            "new host [fd00::1]:53/udp -> cache 53, from whoever reaches fd00::1");
}

TEST(ConsoleNetwork, APeeringSaysWhoGetsALinkForIt)
{
  Snapshot snapshot = a_network();
  snapshot.network.refusals = {refused("cache", "job", 4)};
  snapshot.containers[3].state = State::exited;
  EXPECT_EQ(texts(peer_preview(snapshot, "cache-id", "job-id")),
            (std::vector<std::string>{"new cache <-> job, all ports, each finds the other by name",
                                      "new host <-> job, all ports: it gets a link for this",
                                      "between them was refused 4 times in the last hour",
                                      "job does not run: all this from its next start on"}));
  EXPECT_TRUE(peer_preview(snapshot, "web-id", "nobody").empty());
  EXPECT_EQ(peer_complaint(snapshot, "web-id", "db"), "they are peers already");
  EXPECT_EQ(peer_complaint(snapshot, "web-id", "web"), "that is itself");
  EXPECT_EQ(peer_complaint(snapshot, "web-id", "nobody"), "no container is called that");
  EXPECT_EQ(peer_complaint(snapshot, "web-id", "cache"), "");
}

namespace {

FormWorld where_8080_is_taken()
{
  return {.images = {}, .containers = {}, .port_taken = [](const PublishedPort& port) {
            return port.outer == 8080 ? std::string{"port 8080 is taken"} : std::string{};
          }};
}

} // namespace

TEST(ConsoleNetwork, TheConnectFormIsACommandLineAndChecksAsTheCommandLineDoes)
{
  const auto fields = connect_fields(where_8080_is_taken, link(7, false, {"80-9000"}, {}));
  ASSERT_EQ(fields.size(), command::find_verb("addnetwork")->options.size());
  ASSERT_EQ(fields[0].label, "internet");
  ASSERT_EQ(fields[1].label, "expose");
  EXPECT_EQ(command_line(connect_arguments("web", {"yes", "80-8081 53-5353/udp"})),
            "conductor addnetwork web -i --expose 80-8081 --expose 53-5353/udp");
  EXPECT_EQ(command_line(connect_arguments("web", {"no", ""})), "conductor addnetwork web");
  EXPECT_EQ(connect_wish({"yes", "80-8081 53-5353/udp nonsense"}).published.size(), 2U);
  const auto said = [&](const char* text) { return fields[1].check(text); };
  EXPECT_EQ(said("80-8081"), "");
  EXPECT_EQ(said("80-9000"), "") << "it has that already";
  EXPECT_NE(said("8081:80"), "") << "docker's order";
  EXPECT_EQ(said("8081:80").find("--expose: "), std::string::npos);
  EXPECT_NE(said("80-70000"), "");
  EXPECT_NE(said("80-8081 81-8081"), "") << "twice the same port of the host";
  EXPECT_EQ(said("80-8080"), "port 8080 is taken");
  EXPECT_EQ(connect_fields(where_8080_is_taken, link(7, true, {}, {}))[0].choices, std::vector<std::string>{"yes"});
}

TEST(ConsoleNetwork, TheFormsOfRunAndConnectShareTheirCheckOfPorts)
{
  for (const auto& field : run_fields(where_8080_is_taken))
    if (field.label == "expose") {
      EXPECT_EQ(field.check("80-8080"), "port 8080 is taken");
      return;
    }
  FAIL() << "run has no field for ports";
}

TEST(ConsoleNetwork, AFormShowsWhatIsReachableAfterEnterInLowScreensToo)
{
  const Snapshot snapshot = a_network();
  const Theme theme = Themes{std::vector<std::string>{}}.load("mono");
  FormOverlay form{"CONNECT job",
                   "connects",
                   connect_fields(where_8080_is_taken, {}),
                   [](const auto& values) { return connect_arguments("job", values); },
                   [](const auto&, const auto&) {},
                   [&](const auto& values) {
                     const auto wish = connect_wish(values);
                     return connect_preview(snapshot, "job-id", wish.internet, wish.published);
                   }};
  form.key(*key_from_name("Space"));
  form.key(*key_from_name("Tab"));
  for (const char each : std::string_view{"80-8081"}) form.key(*key_from_name({&each, 1}));
  for (const auto& [rows, columns] : {std::pair{24, 80}, {16, 60}}) {
    Grid grid{rows, columns};
    form.draw({grid, {0, 0, rows, columns}}, theme);
    const std::string text = drawn(grid);
    for (const char* part : {"internet", "expose", "REACHABLE AFTER ENTER", "new  host <-> job, all ports",
                             "$ conductor addnetwork job -i --expose 80-8081"})
      EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
    if (rows == 24) {
      EXPECT_NE(text.find("new  host 8081 -> job 80, also from the LAN and the internet side"), std::string::npos)
          << text;
    }
  }
  Grid grid{10, 40};
  form.draw({grid, {0, 0, 10, 40}}, theme);
  EXPECT_NE(drawn(grid).find("expose"), std::string::npos);
}
