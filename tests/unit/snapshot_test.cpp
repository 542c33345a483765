// Sampler, watch, journal tail and the JSON of the listing verbs, on a store in a temporary directory. What needs
// running containers is tested by the integration tests.
#include "core/kernel/files.h"
#include "core/snapshot/group_reader.h"
#include "core/snapshot/network_reader.h"
#include "core/snapshot/sampler.h"
#include "core/snapshot/statistics.h"
#include "core/snapshot/watch.h"
#include "core/store/containers.h"
#include "core/store/journal.h"
#include "tests/unit/temporary_root.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <poll.h>

using namespace conductor;
using conductor::testing::TemporaryRoot;

namespace {

struct NoNetwork : Network {
  std::vector<Interface> interfaces(int) override { return {}; }
  std::vector<Traffic> traffic(std::string_view) override { return {}; }
  std::vector<Refusal> refusals() override { return {}; }
  std::vector<Passage> passages() override { return {}; }
  std::optional<Subnet> subnet() override { return std::nullopt; }
  NetworkState state() override { return {}; }
  std::optional<PortListener> listener(const PublishedPort&) override { return std::nullopt; }
  Subnet attach(std::string_view, const WantedLink&, int, std::string_view) override { return {}; }
  bool change(std::string_view, const WantedLink&, const WantedLink&) override { return true; }
  void detach(std::string_view, const WantedLink&, LinkEnd, int) override {}
  std::vector<std::string> repair(std::string_view, const std::vector<WantedLink>&) override { return {}; }
};

Spec spec_named(const std::string& name, char digit = 'a', int64_t created = 1)
{
  Spec spec;
  spec.id = std::string(32, digit);
  spec.name = name;
  spec.image = "busybox:latest";
  spec.created_ns = created;
  spec.process.args = {"/bin/sh", "-c", "sleep 5"};
  return spec;
}

bool is_readable(int fd)
{
  pollfd poll_fd{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&poll_fd, 1, 0) == 1;
}

struct SamplerTest : ::testing::Test {
  TemporaryRoot at;
  Containers containers{at.root};
  NoNetwork network;
};

} // namespace

TEST_F(SamplerTest, ShowsContainersInOrderOfCreation)
{
  containers.create(spec_named("late", 'a', 20));
  containers.create(spec_named("early", 'b', 10));
  Sampler sampler{at.root, network};
  const auto snapshot = sampler.sample({});
  ASSERT_EQ(snapshot->containers.size(), 2U);
  EXPECT_EQ(snapshot->containers[0].spec().name, "early");
  EXPECT_EQ(snapshot->containers[1].spec().name, "late");
  EXPECT_EQ(snapshot->containers[0].state, State::created);
  EXPECT_FALSE(snapshot->containers[0].measured);
  EXPECT_GT(snapshot->host.memory_total_bytes, 0U);
  EXPECT_GE(snapshot->host.cpus, 1);
}

TEST_F(SamplerTest, IsWokenByANewContainer)
{
  Sampler sampler{at.root, network};
  sampler.sample({});
  EXPECT_FALSE(is_readable(sampler.fd()));
  containers.create(spec_named("web"));
  EXPECT_TRUE(is_readable(sampler.fd()));
  EXPECT_EQ(sampler.sample({})->containers.size(), 1U);
  EXPECT_FALSE(is_readable(sampler.fd()));
}

TEST_F(SamplerTest, SeesAChangedStatusAndARemoval)
{
  containers.create(spec_named("web"));
  Sampler sampler{at.root, network};
  sampler.sample({});
  containers.save_status(std::string(32, 'a'), {.state = State::exited, .exit_code = 3});
  EXPECT_EQ(sampler.sample({})->containers.at(0).status().exit_code, 3);
  containers.remove(std::string(32, 'a'), "web");
  EXPECT_TRUE(sampler.sample({})->containers.empty());
}

TEST_F(SamplerTest, OldPicturesStayAsTheyWere)
{
  containers.create(spec_named("web"));
  Sampler sampler{at.root, network};
  const auto before = sampler.sample({});
  containers.remove(std::string(32, 'a'), "web");
  sampler.sample({});
  EXPECT_EQ(before->containers.at(0).spec().name, "web");
}

TEST_F(SamplerTest, ARunningOneOfAnotherBootHasExited)
{
  containers.create(spec_named("web"));
  containers.save_status(std::string(32, 'a'), {.state = State::running, .boot_id = "another", .pid = 1});
  Sampler sampler{at.root, network};
  const auto snapshot = sampler.sample({});
  EXPECT_EQ(snapshot->containers.at(0).state, State::exited);
  EXPECT_EQ(snapshot->containers.at(0).why, "host restarted");
}

TEST_F(SamplerTest, TellsOfOneThatCannotBeRead)
{
  containers.create(spec_named("web", 'a'));
  containers.create(spec_named("bad", 'b'));
  kernel::write_file(at.trace, at.root.dir(), "containers/id/" + std::string(32, 'b') + "/status.json", "{]");
  Sampler sampler{at.root, network};
  const auto snapshot = sampler.sample({});
  EXPECT_EQ(snapshot->containers.size(), 1U);
  EXPECT_EQ(snapshot->problems.size(), 1U);
}

TEST_F(SamplerTest, ShowsEventsAsTheyCome)
{
  append(at.root, {.name = "web", .verb = "start", .outcome = "done"});
  Sampler sampler{at.root, network};
  EXPECT_EQ(sampler.sample({})->events->size(), 1U);
  append(at.root, {.name = "web", .verb = "stop", .outcome = "done"});
  EXPECT_TRUE(is_readable(sampler.fd()));
  const auto snapshot = sampler.sample({});
  ASSERT_EQ(snapshot->events->size(), 2U);
  EXPECT_EQ(snapshot->events->back().verb, "stop");
}

TEST_F(SamplerTest, ALockWakesNobody)
{
  containers.create(spec_named("web"));
  Sampler sampler{at.root, network};
  sampler.sample({});
  {
    const Fd directory = containers.directory(std::string(32, 'a'));
    const Lock lock{directory.get(), "lock", "stop", std::chrono::milliseconds{0}, "container 'web'"};
  }
  EXPECT_FALSE(is_readable(sampler.fd()));
}

TEST_F(SamplerTest, WatchNamesTheContainerThatChanged)
{
  containers.create(spec_named("web"));
  Watch watch{at.root};
  watch.follow(std::string(32, 'a'));
  EXPECT_FALSE(watch.drain().any());
  containers.save_status(std::string(32, 'a'), {});
  const auto changes = watch.drain();
  EXPECT_EQ(changes.containers, std::set<std::string>{std::string(32, 'a')});
  EXPECT_FALSE(changes.list);
}

TEST(JournalTails, ReadOnWhereTheyStopped)
{
  TemporaryRoot at;
  append(at.root, {.verb = "one"});
  append(at.root, {.verb = "two"});
  JournalTail tail{at.root};
  EXPECT_EQ(tail.next(1).at(0).verb, "two");
  EXPECT_TRUE(tail.next(10).empty());
  append(at.root, {.verb = "three"});
  const auto fresh = tail.next(10);
  ASSERT_EQ(fresh.size(), 1U);
  EXPECT_EQ(fresh[0].verb, "three");
}

TEST(JournalTails, BeginBeforeThereIsAJournal)
{
  TemporaryRoot at;
  JournalTail tail{at.root};
  EXPECT_TRUE(tail.next(10).empty());
  append(at.root, {.verb = "one"});
  EXPECT_EQ(tail.next(10).size(), 1U);
}

TEST(JournalTails, LoseNothingWhenItIsRotated)
{
  TemporaryRoot at;
  append(at.root, {.verb = "one"});
  JournalTail tail{at.root};
  tail.next(10);
  append(at.root, {.verb = "two"});
  kernel::rename_entry(at.trace, at.root.run(), "journal", at.root.run(), "journal.1");
  append(at.root, {.verb = "three"});
  const auto fresh = tail.next(10);
  ASSERT_EQ(fresh.size(), 2U);
  EXPECT_EQ(fresh[0].verb, "two");
  EXPECT_EQ(fresh[1].verb, "three");
}

TEST(JournalTails, WaitForTheEndOfALine)
{
  TemporaryRoot at;
  append(at.root, {.verb = "one"});
  JournalTail tail{at.root};
  tail.next(10);
  const std::string line = to_json(JournalEntry{.time_ns = 1, .verb = "two"});
  const Fd file{::openat(at.root.run(), "journal", O_WRONLY | O_APPEND | O_CLOEXEC)};
  ASSERT_GT(::write(file.get(), line.data(), 10), 0);
  EXPECT_TRUE(tail.next(10).empty());
  const std::string rest = line.substr(10) + "\n";
  ASSERT_GT(::write(file.get(), rest.data(), rest.size()), 0);
  EXPECT_EQ(tail.next(10).at(0).verb, "two");
}

TEST(Histories, HoldTheLastSixtySeconds)
{
  History history;
  for (int value = 1; value <= 70; ++value) history.push(static_cast<float>(value));
  EXPECT_EQ(history.known, 60U);
  EXPECT_EQ(history.values.front(), 11.0F);
  EXPECT_EQ(history.values.back(), 70.0F);
  history.push(5, 1000);
  EXPECT_EQ(history.values.front(), 5.0F);
}

TEST(FiguresBetween, AreRatesOfTheTimeBetween)
{
  const GroupReading before{.time_us = 1'000'000, .cpu_us = 500, .periods = 10, .throttled_periods = 5};
  const GroupReading now{.time_us = 2'000'000, .cpu_us = 500'500, .periods = 20, .throttled_periods = 10};
  EXPECT_DOUBLE_EQ(figures_between(before, now).cpu_percent, 50.0);
  EXPECT_DOUBLE_EQ(figures_between(before, now).throttled_percent, 50.0);
  EXPECT_DOUBLE_EQ(figures_between(now, before).cpu_percent, 0.0);
}

TEST(PsJson, HasTheShapeOfTheContract)
{
  const TemporaryRoot at;
  Container container{spec_named("web"), {.state = State::running, .pid = 42, .started_ns = 1'000'000'000}};
  container.spec.limits.pids = 64;
  const auto json = nlohmann::json::parse(ps_json(at.root, {container})).at(0);
  EXPECT_EQ(json.at("name"), "web");
  EXPECT_EQ(json.at("state"), "running");
  EXPECT_EQ(json.at("pid"), 42);
  EXPECT_EQ(json.at("started"), "1970-01-01T00:00:01Z");
  EXPECT_TRUE(json.at("finished").is_null());
  EXPECT_EQ(json.at("command"), (nlohmann::json{"/bin/sh", "-c", "sleep 5"}));
  EXPECT_TRUE(json.at("networks").is_array());
  EXPECT_TRUE(json.at("limits").at("memory_bytes").is_null());
  EXPECT_EQ(json.at("limits").at("pids"), 64);
  for (const char* key : {"id", "image", "exit_code", "oom_killed", "created"}) EXPECT_TRUE(json.contains(key)) << key;
}

TEST(PsJson, APidOfOneThatEndedIsZero)
{
  const TemporaryRoot at;
  const Container container{spec_named("web"), {.state = State::exited, .pid = 42, .exit_code = 137}};
  const auto json = nlohmann::json::parse(ps_json(at.root, {container})).at(0);
  EXPECT_EQ(json.at("pid"), 0);
  EXPECT_EQ(json.at("exit_code"), 137);
}

TEST(PsJson, AnEmptyListIsAnArray)
{
  const TemporaryRoot at;
  EXPECT_EQ(ps_json(at.root, {}), "[]");
}

TEST(StatsJson, HasTheShapeOfTheContract)
{
  Stats stats{.name = "web"};
  stats.figures.cpu_percent = 12.3456;
  stats.figures.memory_bytes = 1024;
  stats.interfaces = {{.name = "eth0", .rx_bytes = 1, .tx_dropped = 6}};
  const auto json = nlohmann::json::parse(stats_json({stats})).at(0);
  EXPECT_EQ(json.at("cpu_percent"), 12.35);
  EXPECT_EQ(json.at("memory_bytes"), 1024);
  EXPECT_TRUE(json.at("memory_limit_bytes").is_null());
  EXPECT_EQ(json.at("interfaces").at(0).at("name"), "eth0");
  EXPECT_EQ(json.at("interfaces").at(0).at("tx_dropped"), 6);
  for (const char* key : {"pids", "throttled_percent", "io_read_bytes", "io_write_bytes"})
    EXPECT_TRUE(json.contains(key)) << key;
  EXPECT_TRUE(json.at("io_read_bytes").is_null());
  EXPECT_TRUE(json.contains("io_reason"));
  stats.figures.io_read_bytes = 1;
  EXPECT_FALSE(nlohmann::json::parse(stats_json({stats})).at(0).contains("io_reason"));
}

TEST(TopJson, HostileCommandsStayValidJson)
{
  const ProcessInfo process{.pid = 1, .host_pid = 4711, .user = "root", .state = 'R', .command = "\x1b[2J\xff\""};
  const auto json = nlohmann::json::parse(top_json({process})).at(0);
  EXPECT_EQ(json.at("pid"), 1);
  EXPECT_EQ(json.at("state"), "R");
  EXPECT_TRUE(json.at("command").get<std::string>().starts_with("\x1b[2J"));
}

TEST(CommandLine, QuotesWhatAShellWouldSplit)
{
  EXPECT_EQ(command_line({"a", "", "b c", "it's", "--x=1"}), "a '' 'b c' 'it'\\''s' --x=1");
}

// ---- who was refused, and what passed

namespace {

struct CountingNetwork : NoNetwork {
  int dumps = 0;
  uint64_t bytes = 1000;
  bool flushed = false;
  std::optional<Subnet> subnet() override { return flushed ? std::nullopt : std::optional<Subnet>{Subnet{}}; }
  std::vector<Refusal> refusals() override
  {
    ++dumps;
    return {{"cond7", "cond9", 10},
            {"cond7", "eth0", 3},
            {"cond7", "cond9", 2},
            {"cond55", "eth0", 99},
            {"condor", "eth0", 1}};
  }
  std::vector<Passage> passages() override
  {
    ++dumps;
    return {{7, 0, 0, {}, bytes, 10}, {7, 9, 0, {}, 50, 1}, {55, 0, 0, {}, 1, 1}, {7, 0, 80, "tcp", bytes, 1}};
  }
};

} // namespace

TEST(NetworkReader, TellsContainersInsteadOfLinksByOneDumpATime)
{
  const std::map<LinkIndex, std::string> ids{{7, "web"}, {9, "db"}};
  CountingNetwork network;
  NetworkReader reader;
  reader.read(network, ids, 1'000'000);
  EXPECT_EQ(network.dumps, 1);
  reader.read(network, ids, 2'000'000);
  EXPECT_EQ(network.dumps, 2);
  ASSERT_EQ(reader.picture().refusals.size(), 2u);
  EXPECT_EQ(reader.picture().refusals[0].from_id, "web");
  EXPECT_EQ(reader.picture().refusals[0].to_id, "db");
  EXPECT_EQ(reader.picture().refusals[0].packets, 12u);
  EXPECT_EQ(reader.picture().refusals[1].to_link, "eth0");
  network.bytes = 3000;
  reader.read(network, ids, 3'000'000);
  ASSERT_EQ(reader.picture().passages.size(), 3u);
  EXPECT_TRUE(reader.picture().passages[0].to_internet);
  EXPECT_DOUBLE_EQ(reader.picture().passages[0].rate, 1000);
  EXPECT_EQ(reader.picture().passages[1].to_id, "db");
  EXPECT_EQ(reader.picture().passages[2].port, 80);
  EXPECT_FALSE(reader.picture().passages[2].to_internet);
  EXPECT_DOUBLE_EQ(reader.picture().passages[2].rate, 1000);
}

TEST(NetworkReader, AsksNothingWithoutALink)
{
  CountingNetwork network;
  NetworkReader reader;
  reader.read(network, {}, 1'000'000);
  EXPECT_EQ(network.dumps, 0);
}

TEST(NetworkReader, MissesTheRulesWhenTheyAreGoneTwice)
{
  const std::map<LinkIndex, std::string> ids{{7, "web"}};
  CountingNetwork network;
  NetworkReader reader;
  const auto missing = [&] {
    reader.read(network, ids, 1'000'000);
    return reader.picture().rules_missing;
  };
  EXPECT_FALSE(missing());
  network.flushed = true;
  EXPECT_FALSE(missing()) << "the last link may be going, and its mark be gone the next time";
  EXPECT_TRUE(missing());
  network.flushed = false;
  EXPECT_FALSE(missing());
  network.flushed = true;
  EXPECT_FALSE(missing());
}

TEST_F(SamplerTest, ShowsHowAContainerIsConnected)
{
  Spec spec = spec_named("web");
  spec.networked = true;
  containers.create(spec);
  Sampler sampler{at.root, network};
  sampler.sample({});
  save_network_wish(at.root, spec.id, {.attached = true, .internet = true, .published = {}, .peers = {}});
  const auto snapshot = sampler.sample({});
  ASSERT_TRUE(snapshot->containers.at(0).link);
  EXPECT_TRUE(snapshot->containers.at(0).link->internet);
}
