// The configuration file: what is read, and what the sentence says when it is wrong.
#include "core/base/error.h"
#include "core/store/config.h"

#include <gtest/gtest.h>

namespace conductor {
namespace {

// The sentence and the hint of the error, in one text.
std::string refused(std::string_view text)
{
  try {
    parse_config(text, "c.json");
  } catch (const Error& error) {
    return std::string{error.sentence()} + " / " + std::string{error.hint()};
  }
  return "accepted";
}

TEST(Config, EverythingHasADefault)
{
  const Config config = parse_config("{}", "c.json");
  EXPECT_EQ(config.default_base, "debian:bookworm");
  EXPECT_EQ(config.log_size, 10u << 20);
  EXPECT_EQ(config.stop_seconds, 10u);
  for (const ConfigRow& row : config_rows(config)) EXPECT_EQ(row.origin, "default") << row.key;
}

TEST(Config, ReadsValuesWithComments)
{
  const Config config = parse_config(R"(// ours
{
  "default_base": "debian:trixie", /* newer */
  "mirrors": {"debian": "http://m/debian", "ubuntu": {"url": "https://m/ubuntu", "keyring": "/k.gpg"}},
  "log_size": "4M",
  "id_pool": "200000-999999"
})",
                                     "c.json");
  EXPECT_EQ(config.default_base, "debian:trixie");
  EXPECT_EQ(config.mirrors.at("debian").url, "http://m/debian");
  EXPECT_EQ(config.mirrors.at("ubuntu").keyring, "/k.gpg");
  EXPECT_EQ(config.log_size, 4u << 20);
  EXPECT_EQ(config.id_pool, "200000-999999");
}

TEST(Config, AValueKnowsItsLine)
{
  const Config config = parse_config("{\n\"log_files\": 7,\n\n\"stop_seconds\":\n3}", "c.json");
  EXPECT_EQ(config.origin.at("log_files"), "c.json:2");
  EXPECT_EQ(config.origin.at("stop_seconds"), "c.json:4");
}

TEST(Config, UnknownKeyNamesFileLineAndTheNearest)
{
  EXPECT_EQ(refused("{\n\n\"defalt_base\": \"x\"}"),
            "c.json:3: unknown key 'defalt_base' / did you mean 'default_base'?");
  EXPECT_EQ(refused("{\"zzz\": 1}"), "c.json:1: unknown key 'zzz' / conductor config shows the known keys");
}

TEST(Config, AKeyInsideAValueIsNotAKey)
{
  EXPECT_EQ(refused(R"({"mirrors": {"debain": "http://m"}})"),
            "c.json:1: mirrors: unknown distribution 'debain' / did you mean 'debian'?");
}

struct WrongValue {
  const char* text;
  const char* says;
};
class ConfigWrongValue : public testing::TestWithParam<WrongValue> {};
TEST_P(ConfigWrongValue, IsRefused)
{
  EXPECT_NE(refused(GetParam().text).find(GetParam().says), std::string::npos) << refused(GetParam().text);
}
INSTANTIATE_TEST_SUITE_P(
    All, ConfigWrongValue,
    testing::Values(WrongValue{R"({"default_base": 5})", "default_base: a string is expected"},
                    WrongValue{R"({"log_files": "3"})", "log_files: a whole number from 1 to 1000"},
                    WrongValue{R"({"log_files": 0})", "log_files: a whole number from 1 to 1000"},
                    WrongValue{R"({"stop_seconds": -1})", "stop_seconds: a whole number"},
                    WrongValue{R"({"stop_seconds": 1.5})", "stop_seconds: a whole number"},
                    WrongValue{R"({"log_size": "10 apples"})", "is no size"},
                    WrongValue{R"({"log_size": "99999999999999999999"})", "is no size"},
                    WrongValue{R"({"mirrors": {"debian": "ftp://m"}})", "is no mirror"},
                    WrongValue{R"({"mirrors": {"debian": "http://m\n deb http://evil"}})", "is no mirror"},
                    WrongValue{R"({"mirrors": {"debian": {"url": "http://m", "keyring": "k"}}})", "absolute path"},
                    WrongValue{R"({"id_pool": "0-65535"})", "the ids 0-65535 do not do"},
                    WrongValue{R"({"id_pool": "100000-100010"})", "do not do"},
                    WrongValue{R"({"network_pool": "ten"})", "is no network"},
                    WrongValue{R"({"registry_mirrors": {"r": "h"}})", "a list of hosts"},
                    WrongValue{R"([])", "one object"}, WrongValue{"", "c.json:1: this is no JSON"},
                    WrongValue{"{\n\"log_files\": 3,\n}", "c.json:3: this is no JSON"},
                    WrongValue{R"({"log_files": 3, "log_files": 4})", "stands there twice, first at c.json:1"}));

TEST(Config, DeepNestingIsNoProblem)
{
  EXPECT_NE(refused(std::string(200'000, '[')).find("no JSON"), std::string::npos);
}

TEST(Config, ANamedFileMustBeThere) { EXPECT_THROW(load_config("/nonexistent/config.json"), Error); }

} // namespace
} // namespace conductor
