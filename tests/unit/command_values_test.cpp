// Values of options: what is understood, and that everything else is a usage error with the option's name in it.
#include "core/base/error.h"
#include "tui/command/values.h"

#include <csignal>

#include <gtest/gtest.h>

namespace conductor::command {
namespace {

template <class Parse>
void refused(Parse parse, std::string_view named)
{
  try {
    parse();
    ADD_FAILURE() << "was understood";
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), 2);
    EXPECT_NE(error.sentence().find(named), std::string_view::npos) << error.sentence();
    EXPECT_EQ(error.sentence().find('\x1b'), std::string_view::npos);
  }
}

TEST(Values, Sizes)
{
  EXPECT_EQ(parse_size("4096", "--memory"), 4096u);
  EXPECT_EQ(parse_size("256M", "--memory"), 256u << 20);
  EXPECT_EQ(parse_size("1.5g", "--memory"), 3ULL << 29);
  EXPECT_EQ(parse_size("64KiB", "--memory"), 64u << 10);
  for (const char* wrong : {"", "M", "-1", "256X", "1e9", "99999999T", "0x10", "\x1b[31m", "inf", "nan"})
    refused([&] { parse_size(wrong, "--memory"); }, "--memory");
}

TEST(Values, NumbersAndFractions)
{
  EXPECT_EQ(parse_number("512", "--pids", 1000), 512u);
  EXPECT_DOUBLE_EQ(parse_fraction("0.5", "--cpus"), 0.5);
  for (const char* wrong : {"", "-1", "1001", "5x", "+5"})
    refused([&] { parse_number(wrong, "--pids", 1000); }, "--pids");
  for (const char* wrong : {"", "0", "-1", "two", "1e3"}) refused([&] { parse_fraction(wrong, "--cpus"); }, "--cpus");
}

TEST(Values, Signals)
{
  EXPECT_EQ(parse_signal("TERM", "--signal"), SIGTERM);
  EXPECT_EQ(parse_signal("sighup", "--signal"), SIGHUP);
  EXPECT_EQ(parse_signal("9", "--signal"), SIGKILL);
  EXPECT_EQ(signal_name(SIGUSR1), "SIGUSR1");
  for (const char* wrong : {"", "0", "999", "TERMINATE"}) refused([&] { parse_signal(wrong, "--signal"); }, "--signal");
}

TEST(Values, Volumes)
{
  const Volume volume = parse_volume("/srv/data:/data:ro");
  EXPECT_EQ(volume.source, "/srv/data");
  EXPECT_EQ(volume.target, "/data");
  EXPECT_TRUE(volume.read_only);
  EXPECT_FALSE(parse_volume("/a:/b").read_only);
  EXPECT_TRUE(parse_volume("./here:/b").source.starts_with('/'));
  EXPECT_EQ(parse_volume("here:/b").name, "here");
  EXPECT_EQ(parse_volume("here:/b").source, "");
  EXPECT_TRUE(parse_volume("/b").anonymous);
  for (const char* wrong : {"", "a", "/a:b", ":/b", "/a:/b:/c", "a/b:/c", "a::ro"})
    refused([&] { parse_volume(wrong); }, "--volume");
}

TEST(Values, MountsAsDockerSpellsThem)
{
  Spec spec;
  parse_mount("type=bind,source=/srv,target=/a,readonly", spec);
  parse_mount("type=volume,src=data,dst=/b", spec);
  parse_mount("dst=/c", spec);
  parse_mount("type=tmpfs,destination=/d,tmpfs-size=64m,tmpfs-mode=700", spec);
  ASSERT_EQ(spec.volumes.size(), 3u);
  EXPECT_EQ(spec.volumes[0].source, "/srv");
  EXPECT_TRUE(spec.volumes[0].read_only);
  EXPECT_EQ(spec.volumes[1].name, "data");
  EXPECT_TRUE(spec.volumes[2].anonymous);
  const MemoryMount memory = memory_mount(spec.tmpfs.at(0));
  EXPECT_EQ(memory.target, "/d");
  EXPECT_EQ(memory.size_bytes, 64u << 20);
  EXPECT_EQ(memory.mode, "700");
  for (const char* wrong : {"", "type=bind,src=data,dst=/a", "type=volume,src=/x,dst=/a", "type=tmpfs,src=/x,dst=/a",
                            "type=nfs,src=a,dst=/a", "type=bind,src=/x", "colour=red", "dst=/a,readonly=maybe"})
    refused([&] { parse_mount(wrong, spec); }, "--mount");
}

TEST(Values, OptionsOfMemory)
{
  EXPECT_EQ(memory_mount("/run").target, "/run");
  EXPECT_FALSE(memory_mount("/run:noexec,ro").executable);
  EXPECT_TRUE(memory_mount("/run:noexec,ro,nosuid").read_only);
  for (const char* wrong : {"/run:size=", "/run:size=0", "/run:size=9x", "/run:mode=9", "/run:mode=77777", "/run:huge",
                            "/run:size=99999999999t"})
    EXPECT_THROW(memory_mount(wrong), Error) << wrong;
}

TEST(Values, Ulimits)
{
  const Ulimit limit = parse_ulimit("nofile=1024:4096");
  EXPECT_EQ(limit.name, "nofile");
  EXPECT_EQ(limit.soft, 1024u);
  EXPECT_EQ(limit.hard, 4096u);
  EXPECT_EQ(parse_ulimit("core=0").hard, 0u);
  EXPECT_EQ(parse_ulimit("stack=unlimited").soft, UINT64_MAX);
  for (const char* wrong : {"nofile", "nofile=", "nofile=9:1", "=3"}) refused([&] { parse_ulimit(wrong); }, "--ulimit");
}

TEST(Values, Since)
{
  constexpr int64_t second = 1'000'000'000;
  EXPECT_EQ(parse_since("10m", 10'000 * second), 9'400 * second);
  EXPECT_EQ(parse_since("1970-01-01T00:01:00Z", 0), 60 * second);
  EXPECT_EQ(parse_since("1970-01-01T00:00:00.25Z", 0), second / 4);
  EXPECT_EQ(parse_since("1700000000", 0), 1'700'000'000 * second);
  for (const char* wrong : {"", "10y", "yesterday", "2026-11-22T09:44:02+01:00"})
    refused([&] { parse_since(wrong, 0); }, "--since");
}

TEST(Values, ChoicesAndPairs)
{
  EXPECT_EQ(parse_choice("host", "--network", "none|host"), "host");
  EXPECT_EQ(parse_pair("a=b=c", "--label").second, "b=c");
  refused([] { parse_choice("bridge", "--network", "none|host"); }, "--network");
  refused([] { parse_choice("", "--network", "none|host"); }, "--network");
  refused([] { parse_pair("=b", "--label"); }, "--label");
}

TEST(Values, EnvironmentVariableWithoutAValueIsOurOwn)
{
  ::setenv("CONDUCTOR_TEST_VALUE", "7", 1);
  EXPECT_EQ(parse_env("CONDUCTOR_TEST_VALUE"), "CONDUCTOR_TEST_VALUE=7");
  EXPECT_EQ(parse_env("CONDUCTOR_TEST_VALUE="), "CONDUCTOR_TEST_VALUE=");
  EXPECT_EQ(parse_env("CONDUCTOR_TEST_MISSING"), "");
  ::unsetenv("CONDUCTOR_TEST_VALUE");
}

} // namespace
} // namespace conductor::command
