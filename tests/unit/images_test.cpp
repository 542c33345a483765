// The image store: names, ids, layers, and what is left when a maker was killed. Needs no root.
#include "core/base/error.h"
#include "core/kernel/files.h"
#include "core/store/images.h"
#include "core/store/workshop.h"
#include "tests/unit/temporary_root.h"

#include <gtest/gtest.h>

#include <sys/stat.h>

namespace conductor {
namespace {

const std::string first(64, 'a'), second = "ab" + std::string(62, '0');

class ImageStore : public ::testing::Test {
protected:
  Image image(const std::string& id) const
  {
    Image made;
    made.id = id;
    made.base = "scratch:latest";
    made.configuration = configuration_text(made.config, {});
    return made;
  }
  std::string hint(std::string_view reference) const
  {
    try {
      images_.load(reference);
    } catch (const Error& error) {
      return std::string{error.hint()};
    }
    return "found";
  }
  testing::TemporaryRoot temporary_;
  const Root& root_ = temporary_.root;
  Images images_{root_};
};

TEST_F(ImageStore, FindsByNameAndById)
{
  images_.save(image(first), "team/web:2");
  EXPECT_EQ(images_.load("team/web:2").id, first);
  EXPECT_EQ(images_.load("id:aaaaaaaa").names, std::vector<std::string>{"team/web:2"});
  EXPECT_FALSE(images_.find("web"));
}

TEST_F(ImageStore, AnAmbiguousIdIsRefused)
{
  const std::string other = std::string(63, 'a') + "b";
  images_.save(image(first), "one");
  images_.save(image(other), "two");
  EXPECT_THROW(images_.find("id:aaaaaaaa"), Error);
  EXPECT_EQ(images_.load("id:" + other).names, std::vector<std::string>{"two:latest"});
}

TEST_F(ImageStore, AMissingImageNamesTheNearest)
{
  images_.save(image(first), "busybox");
  EXPECT_EQ(hint("busibox"), "did you mean 'busybox'?");
  EXPECT_EQ(hint("zzz"), "");
}

TEST_F(ImageStore, AnImageGoesWithItsLastName)
{
  images_.save(image(first), "one");
  images_.tag(first, "two");
  images_.remove_name("one");
  EXPECT_TRUE(images_.find("id:aaaaaaaa"));
  images_.remove_name("two");
  EXPECT_FALSE(images_.find("id:aaaaaaaa"));
  EXPECT_NO_THROW(images_.remove_name("two")) << "gone already is success";
}

TEST_F(ImageStore, ANameThatMovesAwayTakesTheOldImageWithIt)
{
  images_.save(image(first), "web");
  images_.save(image(second), "web");
  EXPECT_EQ(images_.load("web").id, second);
  EXPECT_FALSE(images_.find("id:aaaaaaaa"));
}

TEST_F(ImageStore, ALayerThatIsThereWins)
{
  const auto commit = [&](const char* content) {
    const Workshop shop{root_};
    kernel::make_directories(root_.trace(), root_.dir(), shop.path() + "/made/diff", 0755);
    kernel::write_file(root_.trace(), root_.dir(), shop.path() + "/made/diff/file", content);
    images_.commit_layer(shop.path() + "/made", {.id = first});
  };
  commit("one");
  commit("two");
  EXPECT_EQ(kernel::read_file(root_.dir(), Images::diff_path(first) + "/file"), "one");
  EXPECT_TRUE(kernel::list_directory(root_.dir(), "tmp").empty());
}

TEST_F(ImageStore, ALayerThatOccursTwiceIsStackedOnce)
{
  EXPECT_EQ(Images::stack({first, second, first}),
            (std::vector<std::string>{Images::diff_path(second), Images::diff_path(first)}));
}

TEST_F(ImageStore, WhatAKilledMakerLeftIsRemovedByTheNext)
{
  kernel::make_directories(root_.trace(), root_.dir(), "tmp/0123/rw/upper", 0700);
  const Workshop shop{root_};
  EXPECT_FALSE(kernel::exists(root_.dir(), "tmp/0123"));
  EXPECT_TRUE(kernel::exists(root_.dir(), shop.path()));
}

TEST_F(ImageStore, WhatAnotherMakerStillMakesIsLeftAlone)
{
  const Workshop busy{root_};
  const Workshop other{root_};
  sweep_workshops(root_);
  EXPECT_TRUE(kernel::exists(root_.dir(), busy.path()));
}

TEST_F(ImageStore, NobodyRemovesLayersThatABuildHolds)
{
  const Fd hold = images_.hold_layers();
  EXPECT_THROW(images_.own_layers(std::chrono::milliseconds{1}), Error);
}

} // namespace
} // namespace conductor
