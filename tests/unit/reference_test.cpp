// Names of images: what is one, what it becomes as a file name, and what the refusal says.
#include "core/base/error.h"
#include "core/store/images.h"

#include <gtest/gtest.h>

namespace conductor {
namespace {

TEST(Reference, TagIsLatestUnlessGiven)
{
  EXPECT_EQ(normal_reference("web"), "web:latest");
  EXPECT_EQ(normal_reference("web:2.1"), "web:2.1");
  EXPECT_EQ(normal_reference("host.example:5000/team/web"), "host.example:5000/team/web:latest");
  EXPECT_EQ(normal_reference("host.example:5000/team/web:V2"), "host.example:5000/team/web:V2");
}

TEST(Reference, DigestStandsInPlaceOfATag)
{
  const std::string digest = "@sha256:" + std::string(64, 'a');
  EXPECT_EQ(normal_reference("web" + digest), "web" + digest);
  EXPECT_EQ(normal_reference("host.example:5000/team/web:2" + digest), "host.example:5000/team/web" + digest);
  EXPECT_EQ(normal_reference(normal_reference("a/b" + digest)), "a/b" + digest);
  EXPECT_THROW(normal_reference("web@"), Error);
  EXPECT_THROW(normal_reference("web@sha256:" + std::string(63, 'a')), Error);
  EXPECT_THROW(normal_reference("web@sha256:" + std::string(64, 'A')), Error);
  EXPECT_THROW(normal_reference("web@sha512:" + std::string(128, 'a')), Error);
  EXPECT_THROW(normal_reference("web@sha256:../../" + std::string(58, 'a')), Error);
  EXPECT_THROW(normal_reference("web" + digest + digest), Error);
  EXPECT_THROW(normal_reference("id:0123456789ab" + digest), Error);
  EXPECT_THROW(normal_reference(std::string(190, 'a') + digest), Error);
}

TEST(Reference, IdIsPassedThrough)
{
  EXPECT_EQ(normal_reference("id:0123abcd"), "id:0123abcd");
  EXPECT_THROW(normal_reference("id:0123abc"), Error);
  EXPECT_THROW(normal_reference("id:0123ABCD"), Error);
}

class BadReference : public testing::TestWithParam<std::string> {};
TEST_P(BadReference, IsAUsageError)
{
  try {
    normal_reference(GetParam());
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), 2);
    EXPECT_EQ(error.sentence().find('\x1b'), std::string_view::npos);
  }
}
INSTANTIATE_TEST_SUITE_P(All, BadReference,
                         testing::Values("", "../x", "a/../b", "a//b", "/a", "a/", "a b", "a\nb", "\x1b[31mred", ":tag",
                                         "a:", "a:b:c", "a:-x", ".a", "a.", "a..b", "host:port/x",
                                         std::string(300, 'a'), std::string("a\0b", 3), "a%2Fb"));

TEST(Reference, UpperCaseHintsAtLowerCase)
{
  try {
    normal_reference("Web:V2");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.hint(), "write 'web:V2'");
  }
}

TEST(Reference, SlashIsNoSlashInAFileName)
{
  EXPECT_EQ(reference_file("a/b/c:1"), "a%2Fb%2Fc:1");
  EXPECT_EQ(reference_of_file("a%2Fb%2Fc:1"), "a/b/c:1");
}

TEST(ImageJson, ReadsBackWhatItWrote)
{
  Image image;
  image.layers = {"aa", "bb"};
  image.config.env = {"PATH=/bin", "X=\"y\""};
  image.config.cmd = {"sh", "-c", "echo"};
  image.config.labels = {{"k", "v"}};
  image.base = "debian:bookworm";
  image.created_ns = 1'800'000'000'123'456'789;
  image.configuration = configuration_text(image.config, {});
  const Image back = image_from_json(to_json(image));
  EXPECT_EQ(back.layers, image.layers);
  EXPECT_EQ(back.config.env, image.config.env);
  EXPECT_EQ(back.config.cmd, image.config.cmd);
  EXPECT_EQ(back.config.labels, image.config.labels);
  EXPECT_EQ(back.configuration, image.configuration);
  EXPECT_EQ(back.base, image.base);
  EXPECT_EQ(back.created_ns, image.created_ns);
}

TEST(ImageJson, DamageIsAnErrorNotACrash)
{
  EXPECT_THROW(image_from_json("{\"layers\": 5}"), Error);
  EXPECT_THROW(image_from_json("{"), Error);
  EXPECT_THROW(layer_from_json("[]"), Error);
}

} // namespace
} // namespace conductor
