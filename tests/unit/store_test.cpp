// The store: opening a root, containers and their names, locks, the journal. All in temporary directories.
#include "core/base/handle.h"
#include "core/kernel/files.h"
#include "core/store/containers.h"
#include "core/store/journal.h"
#include "tests/unit/temporary_root.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <sys/file.h>

using namespace conductor;
using conductor::testing::TemporaryDirectory;
using conductor::testing::TemporaryRoot;

namespace {

Spec spec_named(const std::string& name, char digit = 'a', int64_t created = 1)
{
  Spec spec;
  spec.id = std::string(32, digit);
  spec.name = name;
  spec.created_ns = created;
  return spec;
}

template <class Action>
Error error_of(Action action)
{
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error";
  return Error{"none"};
}

std::vector<std::string> entries(const TemporaryRoot& at, const std::string& path)
{
  return kernel::list_directory(at.root.dir(), path);
}

} // namespace

TEST(Root, KeepsItsIdWhenOpenedAgain)
{
  TemporaryRoot first;
  const Root again{first.trace, first.root.path(), first.root.run_path()};
  EXPECT_EQ(again.id(), first.root.id());
  EXPECT_EQ(again.id().size(), 32U);
}

TEST(Root, RefusesANewerFormat)
{
  TemporaryRoot at;
  kernel::write_file(at.trace, at.root.dir(), "format", "3\n");
  const Error error = error_of([&] { Root{at.trace, at.root.path(), at.root.run_path()}; });
  EXPECT_EQ(error.sentence(),
            "the state directory '" + at.root.path() + "' has format 3, and this conductor knows formats up to 2");
  EXPECT_NE(error.hint(), "");
}

TEST(Root, RefusesTheFormatBeforeImagesHadConfigurations)
{
  TemporaryRoot at;
  kernel::write_file(at.trace, at.root.dir(), "format", "1\n");
  const Error error = error_of([&] { Root{at.trace, at.root.path(), at.root.run_path()}; });
  EXPECT_NE(error.sentence().find("has format 1"), std::string_view::npos) << error.sentence();
  EXPECT_NE(error.hint().find("--root"), std::string_view::npos);
}

TEST(Root, RefusesADamagedFormat)
{
  TemporaryRoot at;
  for (const char* text : {"", "x\n", "-1\n", "2x\n"}) {
    kernel::write_file(at.trace, at.root.dir(), "format", text);
    EXPECT_THROW((Root{at.trace, at.root.path(), at.root.run_path()}), Error) << text;
  }
}

TEST(Root, RefusesADirectoryOthersCanWriteTo)
{
  TemporaryDirectory directory;
  Trace trace;
  const std::string path = directory.path() + "/open";
  ASSERT_EQ(::mkdir(path.c_str(), 0700), 0);
  ASSERT_EQ(::chmod(path.c_str(), 0777), 0);
  const Error error = error_of([&] { Root{trace, path, directory.path() + "/run"}; });
  EXPECT_EQ(error.sentence(), "the state directory '" + path + "' can be written by others");
}

TEST(Root, FollowsALinkOfTheAdministrator)
{
  TemporaryDirectory directory;
  Trace trace;
  ASSERT_EQ(::mkdir((directory.path() + "/disk").c_str(), 0700), 0);
  ASSERT_EQ(::symlink("disk", (directory.path() + "/root").c_str()), 0);
  const Root root{trace, directory.path() + "/root", directory.path() + "/run"};
  EXPECT_TRUE(kernel::exists(AT_FDCWD, directory.path() + "/disk/format"));
}

TEST(Root, ARunDirectoryServesOneRoot)
{
  TemporaryRoot at;
  const Containers containers{at.root};
  containers.run_directory(std::string(32, 'a'));
  const Error error = error_of([&] { Root{at.trace, at.directory.path() + "/other", at.root.run_path()}; });
  EXPECT_EQ(error.sentence(), "the runtime directory '" + at.root.run_path() + "' belongs to another state directory");
}

TEST(Root, AnEmptyRunDirectoryOfALostRootIsTakenOver)
{
  TemporaryRoot at;
  const Root other{at.trace, at.directory.path() + "/other", at.root.run_path()};
  EXPECT_EQ(kernel::read_link(other.run(), "root"), other.id());
}

TEST(Root, SaysWhatIsWrongWithAFile)
{
  TemporaryDirectory directory;
  Trace trace;
  kernel::write_file(trace, AT_FDCWD, directory.path() + "/file", "");
  const Error error = error_of([&] { Root{trace, directory.path() + "/file", directory.path() + "/run"}; });
  EXPECT_NE(error.sentence().find("cannot use the state directory"), std::string_view::npos);
  EXPECT_EQ(error.hint(), "give a directory: --root DIR");
}

TEST(Containers, AreFoundByNameAndById)
{
  TemporaryRoot at;
  const Containers containers{at.root};
  containers.create(spec_named("web"));
  EXPECT_EQ(containers.resolve("web"), std::string(32, 'a'));
  EXPECT_EQ(containers.resolve("id:aaaaaaaa"), std::string(32, 'a'));
  EXPECT_EQ(containers.load(std::string(32, 'a')).spec.name, "web");
  EXPECT_EQ(containers.load(std::string(32, 'a')).status.state, State::created);
}

TEST(Containers, AnUnknownNameGetsTheNearestAsHint)
{
  TemporaryRoot at;
  const Containers containers{at.root};
  containers.create(spec_named("web"));
  const Error error = error_of([&] { containers.resolve("wbe"); });
  EXPECT_EQ(error.sentence(), "no container named 'wbe'");
  EXPECT_EQ(error.hint(), "did you mean 'web'?");
}

TEST(Containers, RefuseBadIds)
{
  TemporaryRoot at;
  const Containers containers{at.root};
  for (const char* name : {"id:", "id:aaaa", "id:../../..", "id:AAAAAAAA"})
    EXPECT_EQ(error_of([&] { containers.resolve(name); }).status(), 2) << name;
  EXPECT_EQ(error_of([&] { containers.resolve("id:bbbbbbbb"); }).status(), 1);
}

TEST(Containers, AnAmbiguousIdIsRefused)
{
  TemporaryRoot at;
  const Containers containers{at.root};
  Spec one = spec_named("one");
  Spec two = spec_named("two");
  one.id = "0123456789abcdef0000000000000000";
  two.id = "0123456789abcdef1000000000000000";
  containers.create(one);
  containers.create(two);
  EXPECT_EQ(error_of([&] { containers.resolve("id:01234567"); }).hint(), "give more digits");
  EXPECT_EQ(containers.resolve("id:0123456789abcdef1"), two.id);
}

TEST(Containers, ATakenNameLeavesNothingBehind)
{
  TemporaryRoot at;
  const Containers containers{at.root};
  containers.create(spec_named("web", 'a'));
  const Error error = error_of([&] { containers.create(spec_named("web", 'b')); });
  EXPECT_EQ(error.sentence(), "a container named 'web' exists already");
  EXPECT_EQ(containers.ids(), std::vector{std::string(32, 'a')});
  EXPECT_TRUE(entries(at, "tmp").empty());
  EXPECT_EQ(containers.resolve("web"), std::string(32, 'a'));
}

TEST(Containers, ANameThatPointsNowhereIsFree)
{
  TemporaryRoot at;
  const Containers containers{at.root};
  kernel::make_symlink(at.trace, "../id/" + std::string(32, 'c'), at.root.dir(), "containers/name/web");
  EXPECT_FALSE(containers.find_name("web"));
  containers.create(spec_named("web"));
  EXPECT_EQ(containers.resolve("web"), std::string(32, 'a'));
}

TEST(Containers, AreListedInOrderOfCreation)
{
  TemporaryRoot at;
  const Containers containers{at.root};
  containers.create(spec_named("late", 'a', 30));
  containers.create(spec_named("early", 'b', 10));
  containers.create(spec_named("middle", 'c', 20));
  std::vector<std::string> names;
  for (const Container& container : containers.list()) names.push_back(container.spec.name);
  EXPECT_EQ(names, (std::vector<std::string>{"early", "middle", "late"}));
}

TEST(Containers, AHalfRemovedOneIsPassedOver)
{
  TemporaryRoot at;
  const Containers containers{at.root};
  containers.create(spec_named("web"));
  kernel::make_directory(at.trace, at.root.dir(), "containers/id/" + std::string(32, 'd'), 0700);
  EXPECT_EQ(containers.list().size(), 1U);
}

TEST(Containers, ADamagedOneDoesNotHideTheOthers)
{
  TemporaryRoot at;
  const Containers containers{at.root};
  containers.create(spec_named("web", 'a'));
  containers.create(spec_named("bad", 'b'));
  kernel::write_file(at.trace, at.root.dir(), "containers/id/" + std::string(32, 'b') + "/spec.json", "{");
  EXPECT_EQ(containers.list().size(), 1U);
  EXPECT_THROW(containers.load(std::string(32, 'b')), Error);
}

TEST(Containers, RenameMovesTheName)
{
  TemporaryRoot at;
  const Containers containers{at.root};
  containers.create(spec_named("web"));
  containers.rename(std::string(32, 'a'), "web", "shop");
  EXPECT_EQ(containers.resolve("shop"), std::string(32, 'a'));
  EXPECT_EQ(containers.load(std::string(32, 'a')).spec.name, "shop");
  EXPECT_FALSE(containers.find_name("web"));
}

TEST(Containers, RenameToATakenNameChangesNothing)
{
  TemporaryRoot at;
  const Containers containers{at.root};
  containers.create(spec_named("web", 'a'));
  containers.create(spec_named("db", 'b'));
  EXPECT_THROW(containers.rename(std::string(32, 'a'), "web", "db"), Error);
  EXPECT_EQ(containers.resolve("web"), std::string(32, 'a'));
  EXPECT_EQ(containers.resolve("db"), std::string(32, 'b'));
  EXPECT_EQ(containers.load(std::string(32, 'a')).spec.name, "web");
}

TEST(Containers, RemoveLeavesNothingAndMayBeRepeated)
{
  TemporaryRoot at;
  const Containers containers{at.root};
  containers.create(spec_named("web"));
  containers.run_directory(std::string(32, 'a'));
  containers.remove(std::string(32, 'a'), "web");
  EXPECT_TRUE(containers.list().empty());
  EXPECT_TRUE(entries(at, "containers/name").empty());
  EXPECT_TRUE(entries(at, "tmp").empty());
  EXPECT_TRUE(kernel::list_directory(at.root.run(), "c").empty());
  EXPECT_NO_THROW(containers.remove(std::string(32, 'a'), "web"));
}

TEST(Containers, RemoveDoesNotTakeANameThatBelongsToAnother)
{
  TemporaryRoot at;
  const Containers containers{at.root};
  containers.create(spec_named("web", 'a'));
  containers.remove(std::string(32, 'b'), "web");
  EXPECT_EQ(containers.resolve("web"), std::string(32, 'a'));
}

TEST(Locks, NameTheirHolderWhenTimeIsUp)
{
  TemporaryRoot at;
  const Lock held{at.root.dir(), "lock", "stop", std::chrono::milliseconds{0}, "container 'web'"};
  const Error error = error_of([&] {
    Lock{at.root.dir(), "lock", "start", std::chrono::milliseconds{5}, "container 'web'"};
  });
  EXPECT_EQ(error.sentence(), "container 'web' is in use by 'stop' (pid " + std::to_string(::getpid()) + ")");
  EXPECT_EQ(error.hint(), "try again, or give --wait SECONDS");
}

TEST(Locks, AreFreeAfterTheirScope)
{
  TemporaryRoot at;
  {
    const Lock held{at.root.dir(), "lock", "stop", std::chrono::milliseconds{0}, "it"};
  }
  EXPECT_NO_THROW((Lock{at.root.dir(), "lock", "start", std::chrono::milliseconds{0}, "it"}));
}

TEST(Locks, OfARemovedDirectoryFail)
{
  TemporaryRoot at;
  kernel::make_directory(at.trace, at.root.dir(), "tmp/x", 0700);
  const Fd directory = kernel::open_directory(at.root.dir(), "tmp/x");
  kernel::remove_tree(at.trace, at.root.dir(), "tmp/x");
  EXPECT_EQ(error_of([&] {
              Lock{directory.get(), "lock", "start", std::chrono::milliseconds{0}, "it"};
            }).number(),
            ENOENT);
}

// A container's directory goes behind its verb, and the next verb may find it and help.
TEST(Files, TwoMayRemoveOneTree)
{
  TemporaryRoot at;
  kernel::make_directory(at.trace, at.root.dir(), "tmp", 0700);
  const auto remove = [&] {
    Trace trace;
    kernel::remove_tree(trace, at.root.dir(), "tmp/x");
  };
  for (int round = 0; round < 100; ++round) {
    kernel::make_directory(at.trace, at.root.dir(), "tmp/x", 0700);
    for (int i = 0; i < 40; ++i)
      for (const char* below : {"", "/a", "/a/b"})
        kernel::make_directory(at.trace, at.root.dir(), fmt::format("tmp/x/{}{}", i, below), 0700);
    std::atomic<int> ready{0};
    const auto meet = [&] {
      for (++ready; ready < 2;) std::this_thread::yield();
    };
    std::optional<Error> failed;
    std::thread other{[&] {
      meet();
      try {
        remove();
      } catch (const Error& error) {
        failed = error;
      }
    }};
    meet();
    EXPECT_NO_THROW(remove());
    other.join();
    ASSERT_FALSE(failed) << failed->what();
    ASSERT_FALSE(kernel::exists(at.root.dir(), "tmp/x"));
  }
}

TEST(Journal, GivesTheNewestEntriesBack)
{
  TemporaryRoot at;
  for (int number = 0; number < 5; ++number)
    append(at.root, {.time_ns = number + 1, .id = "i", .name = "web", .verb = "start", .outcome = "done"});
  const auto last = last_entries(at.root, 3);
  ASSERT_EQ(last.size(), 3U);
  EXPECT_EQ(last[0].time_ns, 3);
  EXPECT_EQ(last[2].time_ns, 5);
  EXPECT_EQ(last[2].name, "web");
  EXPECT_NE(last[2].user, "");
}

TEST(Journal, IsEmptyAtFirst)
{
  TemporaryRoot at;
  EXPECT_TRUE(last_entries(at.root, 10).empty());
}

TEST(Journal, PassesOverDamagedLines)
{
  TemporaryRoot at;
  append(at.root, {.verb = "start"});
  kernel::append_line(at.trace, at.root.run(), "journal", "half a line\n\n{\n");
  append(at.root, {.verb = "stop"});
  const auto last = last_entries(at.root, 10);
  ASSERT_EQ(last.size(), 2U);
  EXPECT_EQ(last[1].verb, "stop");
}

TEST(Journal, IsRotatedWhenFullAndReadAcross)
{
  TemporaryRoot at;
  append(at.root, {.verb = "first"});
  const Fd file{::openat(at.root.run(), "journal", O_WRONLY | O_CLOEXEC)};
  ASSERT_EQ(::ftruncate(file.get(), 5 << 20), 0);
  append(at.root, {.verb = "second"});
  EXPECT_TRUE(kernel::exists(at.root.run(), "journal.1"));
  const auto last = last_entries(at.root, 10);
  ASSERT_FALSE(last.empty());
  EXPECT_EQ(last.back().verb, "second");
}

TEST(Journal, AVeryLongTextStaysOneLine)
{
  TemporaryRoot at;
  append(at.root, {.verb = "build", .outcome = std::string(100'000, '\x1b')});
  EXPECT_EQ(last_entries(at.root, 10).size(), 1U);
}
