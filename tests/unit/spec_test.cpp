// Spec and Status: JSON there and back, what is refused, texts made visible.
#include "core/base/error.h"
#include "core/container/spec.h"

#include <gtest/gtest.h>

using namespace conductor;

namespace {

Spec whole_spec()
{
  Spec spec;
  spec.id = std::string(32, 'a');
  spec.name = "web";
  spec.image = "nginx:latest";
  spec.image_id = std::string(64, 'b');
  spec.layers = {"l1", "l2"};
  spec.hostname = "web";
  spec.labels = {{"a", "1"}, {"b", ""}};
  spec.process = {.args = {"/bin/sh", "-c", ""}, .env = {"A=1"}, .workdir = "/srv", .user = "1000", .terminal = true};
  spec.volumes = {{"/host", "/inside", true}};
  spec.tmpfs = {"/tmp"};
  spec.ulimits = {{"nofile", 1024, 18446744073709551615U}};
  spec.devices = {"/dev/fuse"};
  spec.cap_add = {"NET_ADMIN"};
  spec.seccomp = "unconfined";
  spec.user_namespace = false;
  spec.limits = {.memory_bytes = 1 << 30, .cpus = 0.5, .pids = 64};
  spec.network = NetworkMode::host;
  spec.stop_signal = "SIGQUIT";
  spec.stop_seconds = 0;
  spec.restart = "on-failure:3";
  spec.created_ns = 1'763'804'642'123'456'789;
  return spec;
}

std::string refusal(const std::string& json)
{
  try {
    spec_from_json(json);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string complaint(const Spec& spec)
{
  try {
    check_spec(spec);
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), 2);
    return error.what();
  }
  return "";
}

} // namespace

TEST(Spec, ComesBackFromJsonAsItWas)
{
  const Spec spec = whole_spec();
  const Spec back = spec_from_json(to_json(spec));
  EXPECT_EQ(to_json(back), to_json(spec));
  EXPECT_EQ(back.labels, spec.labels);
  EXPECT_EQ(back.process.args, spec.process.args);
  EXPECT_EQ(back.ulimits.at(0).hard, spec.ulimits.at(0).hard);
  EXPECT_EQ(back.limits.cpus, 0.5);
  EXPECT_EQ(back.network, NetworkMode::host);
  EXPECT_EQ(back.stop_seconds, 0);
  EXPECT_FALSE(back.user_namespace);
  EXPECT_EQ(back.created_ns, spec.created_ns);
}

TEST(Spec, KeepsAnyBytesOfArgumentsAndLabels)
{
  Spec spec = whole_spec();
  spec.process.env = {std::string{"A=\xff\xfe\x80"}, "B=ä€😀"};
  spec.labels = {{"k\xc3", "\xed\xa0\x80"}};
  const Spec back = spec_from_json(to_json(spec));
  EXPECT_EQ(back.process.env, spec.process.env);
  EXPECT_EQ(back.labels, spec.labels);
}

TEST(Spec, AbsentKeysKeepTheirDefaults)
{
  const Spec spec = spec_from_json(R"({"id":"0123456789abcdef0123456789abcdef","name":"a"})");
  EXPECT_EQ(spec.stop_signal, "SIGTERM");
  EXPECT_EQ(spec.stop_seconds, 10);
  EXPECT_TRUE(spec.user_namespace);
}

TEST(Spec, PassesOverKeysOfALaterVersion)
{
  EXPECT_EQ(refusal(R"({"id":"0123456789abcdef0123456789abcdef","name":"a","later":{"x":[1]}})"), "");
}

TEST(Spec, NamesTheFieldThatIsWrong)
{
  const std::string begin = R"({"id":"0123456789abcdef0123456789abcdef","name":"a",)";
  EXPECT_EQ(refusal(begin + R"("read_only":1})"), "field 'read_only' is not true or false");
  EXPECT_EQ(refusal(begin + R"("layers":"x"})"), "field 'layers' is not a list");
  EXPECT_EQ(refusal(begin + R"("stop_seconds":99999999999})"), "field 'stop_seconds' is not a whole number in range");
  EXPECT_EQ(refusal(begin + R"("limits":{"pids":-1}})"), "field 'pids' is not a whole number in range");
  EXPECT_EQ(refusal(begin + R"("network":"bridge"})"), "field 'network' is not one of the known words");
  EXPECT_EQ(refusal(R"({"id":"../x","name":"a"})"), "field 'id' is not 32 hexadecimal digits");
  EXPECT_EQ(refusal(R"({"id":"0123456789abcdef0123456789abcdef","name":"../a"})"),
            "field 'name' is not a container name");
  EXPECT_EQ(refusal("{"), "no JSON object");
  EXPECT_EQ(refusal("[]"), "no JSON object");
}

TEST(Spec, NothingIsMountedOverTheWholeRoot)
{
  for (const char* target : {"/", "//", "/.", "/..", "/a/..", "/a/./../../"}) {
    Spec spec = whole_spec();
    spec.volumes = {{"/host", target, false}};
    EXPECT_EQ(complaint(spec), "volume target '" + std::string{target} + "' is the whole root directory");
    spec = whole_spec();
    spec.tmpfs = {target};
    EXPECT_EQ(complaint(spec), "tmpfs '" + std::string{target} + "' is the whole root directory");
  }
  Spec spec = whole_spec();
  spec.volumes = {{"/host", "/../a", false}};
  EXPECT_EQ(complaint(spec), "");
}

TEST(Status, ComesBackFromJsonAsItWas)
{
  const Status status{.state = State::paused,
                      .boot_id = "b",
                      .pid = 71204,
                      .pid_start = 123,
                      .keeper = 71203,
                      .keeper_start = 122,
                      .first_id = 165536,
                      .exit_code = 137,
                      .oom_killed = true,
                      .why = "keeper was killed",
                      .started_ns = 5,
                      .finished_ns = 6};
  const Status back = status_from_json(to_json(status));
  EXPECT_EQ(to_json(back), to_json(status));
  EXPECT_EQ(back.state, State::paused);
  EXPECT_EQ(back.pid, 71204);
  EXPECT_EQ(back.first_id, 165536U);
}

TEST(Names, AllowedOnes)
{
  for (const char* name :
       {"a", "0", "web-1", "a_b.c", "x23456789012345678901234567890123456789012345678901234567890123"})
    EXPECT_TRUE(is_name(name)) << name;
}

TEST(Names, RefusedOnes)
{
  for (const std::string& name : {std::string{}, std::string{"../x"}, std::string{"-a"}, std::string{".a"},
                                  std::string{"a b"}, std::string{"a/b"}, std::string(64, 'a'), std::string(300, 'a'),
                                  std::string{"\x1b[31m"}, std::string{"a\0b", 3}, std::string{"ä"}})
    EXPECT_THROW(check_name(name), Error) << visible(name);
}

TEST(Names, UpperCaseGetsTheLowerCaseFormAsHint)
{
  try {
    check_name("Web-1");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.sentence(), "the container name 'Web-1' has upper-case letters");
    EXPECT_EQ(error.hint(), "use 'web-1'");
    EXPECT_EQ(error.status(), 2);
  }
}

TEST(CheckSpec, FindsWhatIsWrong)
{
  EXPECT_EQ(complaint(whole_spec()), "");
  Spec spec = whole_spec();
  spec.hostname = "a b";
  EXPECT_EQ(complaint(spec), "host name 'a b' may hold only letters, digits, '-', '.' and '_'");
  spec.hostname = std::string(65, 'h');
  EXPECT_EQ(complaint(spec), "host name '" + std::string(64, 'h') + "...' has 65 characters");
  spec = whole_spec();
  spec.process.env = {"NOVALUE"};
  EXPECT_EQ(complaint(spec), "environment variable 'NOVALUE' is not KEY=VALUE");
  spec = whole_spec();
  spec.process.workdir = "srv";
  EXPECT_EQ(complaint(spec), "working directory 'srv' is not absolute");
  spec = whole_spec();
  spec.process.args = {std::string{"a\0b", 3}};
  EXPECT_EQ(complaint(spec), "argument 'a\\x00b' holds a zero byte");
  spec = whole_spec();
  spec.limits.pids = 0;
  EXPECT_EQ(complaint(spec), "a limit of 0 processes lets nothing start");
  spec = whole_spec();
  spec.restart = "on-failure:x";
  EXPECT_EQ(complaint(spec), "restart policy 'on-failure:x' is not known");
}

TEST(Visible, ShowsControlCharacters)
{
  EXPECT_EQ(visible("a\x1b[31mb\n"), "a\\x1b[31mb\\x0a");
  EXPECT_EQ(visible("\xc2\x9b"), "\\x9b");       // C1 control of 8-bit terminals
  EXPECT_EQ(visible("\xe2\x80\xae"), "\\u202e"); // turns the reading direction
  EXPECT_EQ(visible("\xff\xc3"), "\\xff\\xc3");  // no UTF-8
  EXPECT_EQ(visible("größe 猫"), "größe 猫");
}

TEST(Visible, CutsLongTextsBetweenCharacters)
{
  EXPECT_EQ(visible(std::string(100, 'a'), 5), "aaaaa...");
  EXPECT_EQ(visible("猫猫猫", 2), "猫猫...");
  EXPECT_EQ(visible("abc\x1b", 5), "abc...");
}

TEST(Times, AreRfc3339InUtc)
{
  EXPECT_EQ(rfc3339(1'763'804'642'999'999'999), "2025-11-22T09:44:02Z");
  EXPECT_EQ(rfc3339(0), "1970-01-01T00:00:00Z");
}

TEST(RandomHex, HasTheWantedDigitsAndDiffers)
{
  const std::string one = random_hex(32);
  EXPECT_EQ(one.size(), 32U);
  EXPECT_EQ(one.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_NE(one, random_hex(32));
}
