// What a registry may say and how it is read: addresses, challenges, manifests, credentials, names.
#include "core/base/error.h"
#include "core/image/registry/challenge.h"
#include "core/image/registry/credentials.h"
#include "core/image/registry/manifest.h"
#include "core/image/registry/registry.h"
#include "core/image/registry/url.h"

#include <string>
#include <variant>

#include <gtest/gtest.h>

namespace conductor::image::registry {
namespace {

TEST(Url, IsTakenApartAndPutTogether)
{
  const Url url = parse_url("https://Quay.IO/v2/a?b=c#d");
  EXPECT_EQ(url.scheme, "https");
  EXPECT_EQ(url.host, "quay.io");
  EXPECT_EQ(url.port, 443u);
  EXPECT_EQ(url.target, "/v2/a?b=c");
  EXPECT_EQ(url.text(), "https://quay.io/v2/a?b=c");
  EXPECT_EQ(url.origin(), "https://quay.io:443");
  EXPECT_EQ(parse_url("http://[::1]:5000").text(), "http://[::1]:5000/");
  EXPECT_EQ(parse_url("http://h?x").target, "/?x");
}

class BadUrl : public testing::TestWithParam<std::string> {};
TEST_P(BadUrl, IsRefused) { EXPECT_THROW(parse_url(GetParam()), Error); }
INSTANTIATE_TEST_SUITE_P(All, BadUrl,
                         testing::Values("", "quay.io", "ftp://h/", "file:///x", "https://", "https:///x",
                                         "http://a b/", "http://u@h/", "http://u:p@h/", "http://h:0/",
                                         "http://h:65536/", "http://h:/", "http://h:80:80/", "http://h\\@evil/",
                                         "http://h\n/", "http://[::1/", "http://[x]/", "http://..h/", "http://-h/",
                                         "http://h\x01/", "http://h/" + std::string(20'000, 'a')));

TEST(Url, WhatALocationMeans)
{
  const Url base = parse_url("https://h:8443/v2/a/b?c");
  EXPECT_EQ(resolve(base, "/x").text(), "https://h:8443/x");
  EXPECT_EQ(resolve(base, "x?y").text(), "https://h:8443/v2/a/x?y");
  EXPECT_EQ(resolve(base, "?y").text(), "https://h:8443/v2/a/b?y");
  EXPECT_EQ(resolve(base, "//other/x").text(), "https://other/x");
  EXPECT_EQ(resolve(base, "http://other/x").text(), "http://other/x");
  EXPECT_EQ(resolve(base, "x/y:z").text(), "https://h:8443/v2/a/x/y:z");
  EXPECT_THROW(resolve(base, "javascript:x"), Error);
}

TEST(Url, Loopback)
{
  for (const char* host : {"localhost", "localhost:5000", "127.0.0.1", "127.9.9.9:80", "[::1]", "[::1]:5000"})
    EXPECT_TRUE(is_loopback_host(host)) << host;
  for (const char* host : {"localhost.evil", "128.0.0.1", "127.0.0.1.evil", "127.1", "[::2]", "0.0.0.0"})
    EXPECT_FALSE(is_loopback_host(host)) << host;
}

TEST(Challenge, SeveralOfSeveralKinds)
{
  const auto found =
      parse_challenges(R"(Bearer realm="https://a/t",service="x \" y", scope=z , Basic realm="b", Negotiate)");
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].scheme, "bearer");
  EXPECT_EQ(found[0].parameters.at("realm"), "https://a/t");
  EXPECT_EQ(found[0].parameters.at("service"), "x \" y");
  EXPECT_EQ(found[0].parameters.at("scope"), "z");
  EXPECT_EQ(found[1].scheme, "basic");
  EXPECT_EQ(found[2].scheme, "negotiate");
  EXPECT_TRUE(parse_challenges("").empty());
}

TEST(Challenge, TheSameParameterTwiceIsRefused)
{
  EXPECT_THROW(parse_challenges(R"(Bearer realm="https://good", realm="https://evil")"), Error);
  EXPECT_THROW(parse_challenges(R"(Bearer realm="https://good", REALM="https://evil")"), Error);
}

TEST(Manifest, DigestsAreCheckedBeforeTheyBecomePaths)
{
  EXPECT_NO_THROW(check_digest("sha256:" + std::string(64, '0'), "x"));
  EXPECT_THROW(check_digest("sha256:" + std::string(61, '0') + "/..", "x"), Error);
}

TEST(Manifest, AnIndexIsAskedForThisMachine)
{
  const std::string digest = "sha256:" + std::string(64, 'a');
  const auto entry = [&](const char* platform, const char* size) {
    return std::string{R"({"mediaType":"m","digest":")"} + digest + R"(","size":)" + size + R"(,"platform":)" +
           platform + "}";
  };
  const auto parsed =
      parse_manifest(R"({"schemaVersion":2,"manifests":[)" + entry(R"({"os":"windows","architecture":"amd64"})", "1") +
                         "," + entry(R"({"os":"linux","architecture":"arm64","variant":"v7"})", "2") + "," +
                         entry(R"({"os":"linux","architecture":"arm64","variant":"v8"})", "3") + "]}",
                     type::oci_index);
  const auto& index = std::get<Index>(parsed);
  EXPECT_EQ(choose(index, {"linux", "arm64", "v8"}).size, 3u);
  try {
    choose(index, {"linux", "amd64", ""});
    FAIL() << "found";
  } catch (const Error& error) {
    EXPECT_EQ(error.hint(), "there is windows/amd64, linux/arm64/v7, linux/arm64/v8");
  }
}

TEST(Credentials, Base64BothWays)
{
  for (const std::string text : {"", "a", "ab", "abc", "user:secret", "\xff\xfe\x00x"})
    EXPECT_EQ(from_base64(base64(text)), text);
  EXPECT_EQ(base64("user:secret"), "dXNlcjpzZWNyZXQ=");
  EXPECT_EQ(from_base64("dXNlcjpzZWNyZXQ"), "user:secret");
  for (const char* bad : {"a", "a===", "!!!!", "ab c"}) EXPECT_FALSE(from_base64(bad)) << bad;
}

TEST(Credentials, AreFoundByTheMostSpecificKey)
{
  const std::string text =
      R"({"auths": {"h": {"auth": "YTph"}, "h/team": {"auth": "Yjpi"}, "h/team/web": {"auth": "Yzpj"}}})";
  EXPECT_EQ(look_up(text, "f", "h", "team/web").credentials->user, "c");
  EXPECT_EQ(look_up(text, "f", "h", "team/other").credentials->user, "b");
  EXPECT_EQ(look_up(text, "f", "h", "teamwork").credentials->user, "a");
  EXPECT_FALSE(look_up(text, "f", "other", "team/web").credentials);
}

TEST(Credentials, DockersRegistryHasItsOldKey)
{
  const std::string text = R"({"auths": {"https://index.docker.io/v1/": {"auth": "YTph"}}})";
  EXPECT_EQ(look_up(text, "f", "docker.io", "library/web").credentials->user, "a");
  EXPECT_FALSE(look_up(text, "f", "quay.io", "x").credentials);
}

TEST(Credentials, AHelperIsNamed)
{
  EXPECT_EQ(look_up(R"({"credsStore": "pass"})", "f", "h", "").helper, "pass");
  EXPECT_EQ(look_up(R"({"credsStore": "pass", "credHelpers": {"h": "own"}})", "f", "h", "").helper, "own");
  EXPECT_THROW(look_up(R"({"credsStore": "../x"})", "f", "h", ""), Error);
  EXPECT_THROW(look_up(R"({"auths": {"h": {"auth": "!"}}})", "f", "h", ""), Error);
}

TEST(RemoteName, WhereANameLeads)
{
  const Config config;
  const auto text = [&](const char* reference) { return remote_name(reference, config).text(); };
  EXPECT_EQ(text("web:latest"), "docker.io/library/web:latest");
  EXPECT_EQ(text("team/web:2"), "docker.io/team/web:2");
  EXPECT_EQ(text("docker.io/web:2"), "docker.io/library/web:2");
  EXPECT_EQ(text("quay.io/web:2"), "quay.io/web:2");
  EXPECT_EQ(text("localhost/web:2"), "localhost/web:2");
  EXPECT_EQ(text("host:5000/a/b/c:2"), "host:5000/a/b/c:2");
  EXPECT_THROW(text("id:0123456789ab"), Error);
  Config own;
  own.registry = "http://reg.lan:5000/";
  EXPECT_EQ(remote_name("web:1", own).text(), "reg.lan:5000/web:1");
}

TEST(Registry, PlainHttpOnlyWhereItIsSaidSo)
{
  Config config;
  config.registry_mirrors["quay.io"] = {"http://mirror.lan", "other.lan:5000"};
  const Registry quay{config, "quay.io", {.plain_http = true}};
  ASSERT_EQ(quay.endpoints().size(), 3u);
  EXPECT_EQ(quay.endpoints()[0]->base.text(), "http://mirror.lan/");
  EXPECT_EQ(quay.endpoints()[1]->base.text(), "https://other.lan:5000/"); // the option is about quay.io
  EXPECT_EQ(quay.own().base.text(), "http://quay.io/");
  EXPECT_EQ(Registry(config, "docker.io", {}).own().base.text(), "https://registry-1.docker.io/");
  EXPECT_TRUE(Registry(config, "docker.io", {}).own().scheme_known);
  EXPECT_FALSE(Registry(config, "localhost:5000", {}).own().scheme_known);
  EXPECT_THROW(Registry(config, "a b", {}), Error);
}

} // namespace
} // namespace conductor::image::registry
