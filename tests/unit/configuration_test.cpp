// The OCI image configuration: what we write, what we read of others, what we refuse.
#include "core/base/error.h"
#include "core/store/configuration.h"

#include <gtest/gtest.h>

#include <string>

namespace conductor {
namespace {

const std::string digits(64, 'a');

std::string with(const std::string& members)
{
  return R"({"architecture":"amd64","os":"linux",)" + members + R"("rootfs":{"type":"layers","diff_ids":[]}})";
}

ImageConfig full()
{
  ImageConfig config;
  config.env = {"PATH=/bin", "X=\"y\""};
  config.cmd = {"sh", "-c", "echo"};
  config.entrypoint = {"/init"};
  config.workdir = "/srv";
  config.user = "www:www";
  config.labels = {{"k", "v"}, {"a", ""}};
  config.stop_signal = "SIGQUIT";
  config.exposed_ports = {"80/tcp", "53/udp"};
  config.volumes = {"/data"};
  config.healthcheck = Healthcheck{.test = {"CMD", "true"}, .interval_ns = 5, .timeout_ns = 6, .retries = 3};
  config.shell = {"/bin/bash", "-c"};
  config.on_build = {"RUN true"};
  config.author = "somebody";
  config.created = "2026-11-22T09:44:02Z";
  config.history = {{.created = "2026-11-22T09:44:02Z", .created_by = "COPY a b"},
                    {.created_by = "ENV A=1", .empty_layer = true}};
  return config;
}

TEST(Configuration, ReadsBackAllThatItWrites)
{
  const ImageConfig before = full();
  const std::string text = configuration_text(before, {digits});
  const Configuration back = parse_configuration(text);
  EXPECT_EQ(back.diff_ids, std::vector<std::string>{digits});
  EXPECT_EQ(back.config.labels, before.labels);
  EXPECT_EQ(back.config.healthcheck, before.healthcheck);
  EXPECT_EQ(back.config.history, before.history);
  EXPECT_EQ(back.config.architecture, machine_architecture());
  EXPECT_EQ(configuration_text(back.config, back.diff_ids), text) << "the text is canonical";
}

TEST(Configuration, TheTextHasTheSpecificationsKeysAndNothingEmpty)
{
  ImageConfig config;
  config.architecture = "amd64";
  config.cmd = {"sh"};
  config.exposed_ports = {"80/tcp"};
  EXPECT_EQ(configuration_text(config, {digits}),
            R"({"architecture":"amd64","config":{"Cmd":["sh"],"ExposedPorts":{"80/tcp":{}}},"os":"linux","rootfs":)"
            R"({"diff_ids":["sha256:)" +
                digits + R"("],"type":"layers"}})");
}

TEST(Configuration, NullMeansAbsent)
{
  const auto config =
      parse_configuration(with(R"("config":{"Env":null,"Cmd":null,"Labels":null,"Volumes":null},"history":null,)"))
          .config;
  EXPECT_TRUE(config.env.empty() && config.cmd.empty() && config.labels.empty() && config.history.empty());
}

TEST(Configuration, FieldsOfOthersAreLeftAlone)
{
  EXPECT_NO_THROW(parse_configuration(with(R"("docker_version":"20.10","container_config":{"Tty":false},)")));
}

TEST(Configuration, WhatCannotBeUsedIsRefused)
{
  const std::string many = [] {
    std::string list;
    for (int i = 0; i < 500; ++i) list += (i == 0 ? "\"sha256:" : ",\"sha256:") + digits + "\"";
    return list;
  }();
  for (const std::string& text :
       {std::string{}, std::string{"[]"}, std::string{"{}"}, std::string{"{\"rootfs\":5}"}, with(R"("config":5,)"),
        with(R"("config":{"Env":"A=1"},)"), with(R"("config":{"Cmd":[1]},)"), with(R"("config":{"Cmd":["a\u0000b"]},)"),
        with(R"("config":{"Labels":{"a":1}},)"), with(R"("history":[1],)"), with(R"("history":[{"empty_layer":1}],)"),
        with(R"("config":{"Healthcheck":{"Interval":18446744073709551615}},)"),
        std::string{R"({"os":"windows","rootfs":{"diff_ids":[]}})"},
        std::string{R"({"rootfs":{"type":"layers","diff_ids":["sha256:../../x"]}})"},
        std::string{R"({"rootfs":{"type":"layers","diff_ids":["sha512:)"} + digits + R"("]}})",
        std::string{R"({"rootfs":{"type":"zip","diff_ids":[]}})"},
        R"({"rootfs":{"type":"layers","diff_ids":[)" + many + "]}}", std::string(5 << 20, ' '),
        std::string(100'000, '[')})
    EXPECT_THROW(parse_configuration(text), Error) << text.substr(0, 200);
}

TEST(Configuration, DigestsAreSha256AndNothingElse)
{
  EXPECT_EQ(digest_hex("sha256:" + digits), digits);
  for (const std::string& text : {digits, "sha256:" + digits + "0", "sha256:" + digits.substr(1), "SHA256:" + digits,
                                  "sha256:" + std::string(64, 'A'), "sha256:" + std::string(64, '/')})
    EXPECT_FALSE(digest_hex(text)) << text;
}

TEST(Configuration, TimesOfOthersAreRead)
{
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:01Z"), 1'000'000'000);
  EXPECT_EQ(parse_rfc3339("2026-11-22T09:44:02.5+01:00"), parse_rfc3339("2026-11-22T08:44:02.500000000Z"));
  for (const char* text : {"", "yesterday", "2026-11-22", "2026-11-22T09:44:02", "0001-01-01T00:00:00Z"})
    EXPECT_FALSE(parse_rfc3339(text)) << text;
}

} // namespace
} // namespace conductor
