// What a COPY takes, what its hash covers, and where it goes. Needs no root: files of this user in a temporary place.
#include "core/base/error.h"
#include "core/image/ignore.h"
#include "core/image/layer_packer.h"
#include "core/image/sources.h"
#include "core/kernel/files.h"
#include "tests/unit/temporary_root.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace conductor::image {
namespace {

using Strings = std::vector<std::string>;

// ---- ignore files

TEST(Ignore, PatternsOfDockerignore)
{
  const Ignore ignore{"# comment\n*.o\nbuild/\n**/cache\n!keep.o\n/top\nsub/*.txt\n"};
  for (const char* path : {"a.o", "build", "build/x/y", "cache", "a/b/cache/z", "top", "sub/a.txt"})
    EXPECT_TRUE(ignore.covers(path)) << path;
  for (const char* path : {"a.c", "sub/a.o", "keep.o", "sub/deep/a.txt", "rebuild"})
    EXPECT_FALSE(ignore.covers(path)) << path;
}

TEST(Ignore, TheLastMatchDecides)
{
  const Ignore ignore{"docs\n!docs/readme\ndocs/readme/private\n"};
  EXPECT_TRUE(ignore.covers("docs/a"));
  EXPECT_FALSE(ignore.covers("docs/readme"));
  EXPECT_TRUE(ignore.covers("docs/readme/private"));
}

TEST(Ignore, ManyStarsAreNotSlow)
{
  std::string pattern;
  for (int i = 0; i < 60; ++i) pattern += "**/a/";
  std::string path;
  for (int i = 0; i < 60; ++i) path += "a/";
  EXPECT_FALSE(Ignore{pattern + "b"}.covers(path + "c"));
}

TEST(Ignore, PatternsOfDockersMatcher)
{
  const Ignore ignore{"**.log\n[a-c]x\n[^z]y\nq\\*\nd/**\n/**/m/n\n"};
  for (const char* path : {"x.log", "a/b/x.log", "ax", "ay", "q*", "d/e/f", "m/n", "a/b/m/n", "a/m/n/o"})
    EXPECT_TRUE(ignore.covers(path)) << path;
  for (const char* path : {"dx", "zy", "qq", "d", "em/n", "x.logs"}) EXPECT_FALSE(ignore.covers(path)) << path;
}

TEST(CleanPath, StaysOrSaysThatItClimbs)
{
  bool climbs = false;
  EXPECT_EQ(clean_path("./a//b/../c/", climbs), "a/c");
  EXPECT_FALSE(climbs);
  clean_path("a/../../x", climbs);
  EXPECT_TRUE(climbs);
}

// ---- looking

class Sources : public ::testing::Test {
protected:
  void SetUp() override
  {
    make_directory("dir");
    make_directory("dir/empty");
    write("file", "content");
    write("dir/a", "A");
    ASSERT_EQ(symlinkat("../file", top_.get(), "dir/link"), 0);
  }
  void make_directory(const char* path) { ASSERT_EQ(mkdirat(top_.get(), path, 0755), 0); }
  void write(const char* path, std::string_view text)
  {
    unlinkat(top_.get(), path, 0);
    const Fd fd{openat(top_.get(), path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)};
    ASSERT_EQ(::write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  SourceRoot root() const { return {top_.get(), "the context", &ignore_}; }
  std::vector<Source> look(const Strings& words, const Selection& other = {}) const
  {
    Selection selection = other;
    selection.words = words;
    return look_at_sources(root(), selection);
  }
  std::string hash(const Strings& words, std::optional<FileMode> mode = {}) const
  {
    Digest digest;
    for (const Source& source : look(words, {.mode = mode}))
      for (const SourceEntry& entry : source.entries) digest.field(entry.path).field(entry.fingerprint);
    return digest.hex();
  }
  kernel::CopyPlan plan(const Strings& words, const std::string& destination, const Selection& other = {}) const
  {
    const Fd image = kernel::open_directory(AT_FDCWD, image_.path());
    return plan_copy(root(), look(words, other), {.image_root = image.get(), .destination = destination});
  }
  Strings places(const Strings& words, const std::string& destination, const Selection& other = {}) const
  {
    Strings out;
    for (const auto& item : plan(words, destination, other).items) out.push_back(item.target);
    return out;
  }
  void copy(std::vector<Source> sources, const std::string& destination) const
  {
    const Fd image = kernel::open_directory(AT_FDCWD, image_.path());
    const auto made =
        plan_copy(root(), sources,
                  {.image_root = image.get(), .destination = destination, .owner = std::pair{getuid(), getgid()}});
    Trace trace;
    Step step{trace, "copy"};
    kernel::copy_into_root(trace, made, step);
    step.done();
  }
  std::string refused(const Strings& words) const
  {
    try {
      hash(words);
    } catch (const Error& error) {
      return std::string{error.sentence()} + " / " + std::string{error.hint()};
    }
    return "accepted";
  }

  conductor::testing::TemporaryDirectory directory_, image_;
  Fd top_{open(directory_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  Ignore ignore_;
};

TEST_F(Sources, TheHashOfTheSameFilesIsTheSame)
{
  const std::string before = hash({"dir", "file"});
  write("file", "content"); // new inode, new times
  EXPECT_EQ(hash({"dir", "file"}), before);
}

TEST_F(Sources, TheHashSeesContent)
{
  const std::string before = hash({"dir"});
  write("dir/a", "B");
  EXPECT_NE(hash({"dir"}), before);
}

TEST_F(Sources, TheHashSeesModes)
{
  const std::string before = hash({"dir"});
  ASSERT_EQ(fchmodat(top_.get(), "dir/a", 0755, 0), 0);
  EXPECT_NE(hash({"dir"}), before);
}

TEST_F(Sources, TheHashSeesLinkTargets)
{
  const std::string before = hash({"dir"});
  unlinkat(top_.get(), "dir/link", 0);
  ASSERT_EQ(symlinkat("../other", top_.get(), "dir/link"), 0);
  EXPECT_NE(hash({"dir"}), before);
}

TEST_F(Sources, TheHashSeesEmptyDirectories)
{
  const std::string before = hash({"dir"});
  unlinkat(top_.get(), "dir/empty", AT_REMOVEDIR);
  EXPECT_NE(hash({"dir"}), before);
}

TEST_F(Sources, TheHashSeesNames)
{
  const std::string before = hash({"dir"});
  ASSERT_EQ(renameat(top_.get(), "dir/a", top_.get(), "dir/b"), 0);
  EXPECT_NE(hash({"dir"}), before);
}

TEST_F(Sources, TheHashSeesChmod) { EXPECT_NE(hash({"file"}, FileMode{"0600"}), hash({"file"}, FileMode{"0700"})); }

TEST_F(Sources, WhatIsIgnoredIsNotThere)
{
  const std::string before = hash({"."});
  write("dir/core.o", "x");
  EXPECT_NE(hash({"."}), before);
  ignore_ = Ignore{"**/*.o\n"};
  EXPECT_EQ(hash({"."}), before);
}

TEST_F(Sources, AFileThatAnIgnoredDirectoryTakesBackComes)
{
  ignore_ = Ignore{"dir\n!dir/a\n"};
  EXPECT_EQ(places({"."}, "/x/"), (Strings{"x", "x/dir", "x/dir/a", "x/file"}));
}

// ---- placing

TEST_F(Sources, AFileTakesTheNameOfTheDestination)
{
  EXPECT_EQ(places({"file"}, "/etc/name"), (Strings{"etc", "etc/name"}));
}

TEST_F(Sources, AFileGoesIntoADirectory)
{
  EXPECT_EQ(places({"file"}, "/etc/"), (Strings{"etc", "etc/file"}));
  ASSERT_EQ(mkdir((image_.path() + "/there").c_str(), 0755), 0);
  EXPECT_EQ(places({"file"}, "/there"), (Strings{"there", "there/file"}));
}

TEST_F(Sources, ADirectoryGivesItsContent)
{
  EXPECT_EQ(places({"dir"}, "/opt"), (Strings{"opt", "opt/a", "opt/empty", "opt/link"}));
}

TEST_F(Sources, SeveralGoIntoTheDestination)
{
  EXPECT_EQ(places({"file", "dir"}, "/opt"), (Strings{"opt", "opt/file", "opt/a", "opt/empty", "opt/link"}));
}

TEST_F(Sources, Wildcards) { EXPECT_EQ(places({"f*"}, "/opt/"), (Strings{"opt", "opt/file"})); }

// ---- refusing

TEST_F(Sources, NothingOutsideTheContext)
{
  EXPECT_EQ(refused({"../x"}), "'../x' leaves the context / give a wider one: --context DIR");
  EXPECT_EQ(refused({"dir/../../x"}), "'dir/../../x' leaves the context / give a wider one: --context DIR");
}

TEST_F(Sources, ALinkOutOfTheContextIsNotFollowed)
{
  ASSERT_EQ(symlinkat("/etc/passwd", top_.get(), "evil"), 0);
  EXPECT_EQ(refused({"evil"}),
            "'evil' is a link to '/etc/passwd', which is not in the context / copy what it points to "
            "into the context, or give a wider one: --context DIR");
  ASSERT_EQ(symlinkat("/etc", top_.get(), "evildir"), 0);
  EXPECT_NE(refused({"evildir/passwd"}), "accepted");
}

TEST_F(Sources, AMissingFileNamesTheNearest)
{
  EXPECT_EQ(refused({"fiel"}), "there is no 'fiel' in the context / did you mean 'file'?");
  EXPECT_EQ(refused({"*.zip"}), "nothing in the context matches '*.zip' / ");
}

TEST_F(Sources, ASourceThatChangedMeanwhileIsNotCopied)
{
  const auto sources = look({"file"});
  write("file", "changed");
  EXPECT_THROW(copy(sources, "/file"), Error);
}

TEST_F(Sources, CopyingNeverWritesThroughALink)
{
  const std::string canary = directory_.path() + "/canary";
  write("canary", "untouched");
  ASSERT_EQ(symlink(canary.c_str(), (image_.path() + "/file").c_str()), 0);
  copy(look({"file"}), "/file");
  EXPECT_EQ(kernel::read_file(AT_FDCWD, canary), "untouched");
  EXPECT_EQ(kernel::read_file(AT_FDCWD, image_.path() + "/file"), "content");
}

TEST_F(Sources, HardLinksStayOneFile)
{
  ASSERT_EQ(linkat(top_.get(), "dir/a", top_.get(), "dir/b", 0), 0);
  copy(look({"dir"}), "/");
  struct stat a {
  }, b{};
  ASSERT_EQ(stat((image_.path() + "/a").c_str(), &a), 0);
  ASSERT_EQ(stat((image_.path() + "/b").c_str(), &b), 0);
  EXPECT_EQ(a.st_ino, b.st_ino);
}

// ---- --exclude and --parents

TEST_F(Sources, ExcludeIsRelativeToTheSource)
{
  EXPECT_EQ(places({"dir"}, "/x", {.exclude = Ignore{Strings{"a", "!empty"}}}), (Strings{"x", "x/empty", "x/link"}));
  EXPECT_EQ(places({"f*", "dir"}, "/x/", {.exclude = Ignore{Strings{"fi*"}}}),
            (Strings{"x", "x/a", "x/empty", "x/link"}));
}

TEST_F(Sources, ParentsComeAlong)
{
  EXPECT_EQ(places({"dir/a"}, "/x/", {.parents = true}), (Strings{"x", "x/dir", "x/dir/a"}));
  make_directory("dir/deep");
  write("dir/deep/z", "z");
  EXPECT_EQ(places({"dir/./deep/z"}, "/x/", {.parents = true}), (Strings{"x", "x/deep", "x/deep/z"}));
  EXPECT_EQ(places({"**/z"}, "/x/", {.parents = true}), (Strings{"x", "x/dir", "x/dir/deep", "x/dir/deep/z"}));
}

// ---- onto layers

class OntoLayers : public Sources {
protected:
  void SetUp() override
  {
    Sources::SetUp();
    for (const char* path : {"low", "high", "upper", "low/opt", "low/opt/lib", "high/opt", "high/new"})
      ASSERT_EQ(mkdirat(at(), path, 0755), 0);
    ASSERT_EQ(symlinkat("opt", at(), "low/way"), 0);
    ASSERT_EQ(symlinkat("x", at(), "high/opt/file"), 0);
    const timespec old[] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    for (const char* path : {"low/opt", "low/opt/lib", "high/opt"}) ASSERT_EQ(utimensat(at(), path, old, 0), 0);
  }
  int at() const { return layers_.get(); }
  kernel::LayerView view() const { return {at(), {"low", "high"}}; }
  // Copies, and compares what the watcher heard with what is there. Returns whether it heard all.
  bool copy_onto(const Strings& words, const std::string& destination, const Selection& other = {}) const
  {
    kernel::LayerView layers = view();
    const Fd upper = kernel::open_directory(at(), "upper");
    auto plan = plan_copy_onto_layers(root(), look(words, other),
                                      {.image_root = upper.get(),
                                       .layers = &layers,
                                       .destination = destination,
                                       .owner = std::pair{getuid(), getgid()}});
    if (!plan) throw Error{"the plan does not fit onto the layers"};
    LayerStream stream;
    plan->watcher = &stream;
    Trace trace;
    Step step{trace, "copy"};
    const bool watched = kernel::copy_into_root(trace, *plan, step);
    step.done();
    if (!watched) return false;
    const auto heard = stream.finish();
    const PackedTree there = pack_tree(trace, upper.get(), TreeKind::layer, {});
    EXPECT_TRUE(heard);
    EXPECT_EQ(heard->diff_id, there.diff_id);
    EXPECT_EQ(heard->tar_bytes, there.tar_bytes);
    EXPECT_EQ(heard->content_bytes, there.content_bytes);
    return true;
  }
  time_t time_of(const std::string& path) const
  {
    struct stat status {};
    EXPECT_EQ(fstatat(at(), path.c_str(), &status, AT_SYMLINK_NOFOLLOW), 0) << path;
    return status.st_mtim.tv_sec;
  }

  conductor::testing::TemporaryDirectory below_;
  Fd layers_{open(below_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
};

TEST_F(OntoLayers, TheWatcherHearsWhatIsThere)
{
  write("dir/big", std::string(1'000'000, 'b')); // several blocks
  ASSERT_EQ(linkat(top_.get(), "dir/big", top_.get(), "dir/twin", 0), 0);
  EXPECT_TRUE(copy_onto({"dir"}, "/opt/lib/x"));
}

TEST_F(OntoLayers, DirectoriesOnTheWayComeUpAsTheyAre)
{
  EXPECT_TRUE(copy_onto({"file"}, "/opt/lib/"));
  EXPECT_EQ(time_of("upper/opt"), 1000);
  EXPECT_NE(time_of("upper/opt/lib"), 1000); // it got something new
}

TEST_F(OntoLayers, WhatIsOutOfOrderIsNotWatched)
{
  write("a", "a");
  EXPECT_FALSE(copy_onto({"file", "a"}, "/new/"));
}

TEST_F(OntoLayers, NamesThatNoArchiveHoldsAreNotHeard)
{
  write("dir/.wh.x", "");
  kernel::LayerView layers = view();
  const Fd upper = kernel::open_directory(at(), "upper");
  auto plan = plan_copy_onto_layers(
      root(), look({"dir"}),
      {.image_root = upper.get(), .layers = &layers, .destination = "/x", .owner = std::pair{getuid(), getgid()}});
  ASSERT_TRUE(plan);
  LayerStream stream;
  plan->watcher = &stream;
  Trace trace;
  Step step{trace, "copy"};
  EXPECT_TRUE(kernel::copy_into_root(trace, *plan, step));
  step.done();
  EXPECT_FALSE(stream.finish());
}

TEST_F(OntoLayers, LinksAreForTheMountedTree)
{
  EXPECT_THROW(copy_onto({"file"}, "/way/x"), Error);    // on the way
  EXPECT_THROW(copy_onto({"file"}, "/opt/file"), Error); // as the place
  EXPECT_THROW(copy_onto({"dir"}, "/way"), Error);
}

TEST_F(OntoLayers, TheViewMergesAsOverlayfsDoes)
{
  using Kind = kernel::LayerView::Kind;
  kernel::LayerView layers = view();
  EXPECT_EQ(layers.find(""), Kind::directory);
  EXPECT_EQ(layers.find("opt/lib"), Kind::directory); // of low, through high
  EXPECT_EQ(layers.find("opt/file"), Kind::link);
  EXPECT_EQ(layers.find("opt/file/x"), Kind::beyond_link);
  EXPECT_EQ(layers.find("way/lib"), Kind::beyond_link);
  EXPECT_EQ(layers.find("nothing/at/all"), Kind::nothing);
  ASSERT_EQ(unlinkat(at(), "high/opt/file", 0), 0);
  ASSERT_EQ(unlinkat(at(), "high/opt", AT_REMOVEDIR), 0);
  const Fd hides{openat(at(), "high/opt", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)};
  ASSERT_TRUE(hides);
  kernel::LayerView hidden = view();
  EXPECT_EQ(hidden.find("opt"), Kind::other);
  EXPECT_EQ(hidden.find("opt/lib"), Kind::nothing);
}

} // namespace
} // namespace conductor::image
