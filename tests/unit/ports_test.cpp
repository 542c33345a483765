// The grammar of published ports, good and bad, and the text that is made of them again.
#include "core/base/error.h"
#include "core/container/ports.h"

#include <gtest/gtest.h>

namespace conductor {
namespace {

std::string again(std::string_view text)
{
  std::string joined;
  for (const std::string& part : port_texts(parse_ports(text, "-e"))) joined += (joined.empty() ? "" : " ") + part;
  return joined;
}

Error refusal(std::string_view text)
{
  try {
    parse_ports(text, "-e");
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "'" << text << "' was taken";
  return Error{""};
}

TEST(Ports, OnePortIsTcpOnEveryAddress)
{
  const auto ports = parse_ports("80-8080", "-e");
  ASSERT_EQ(ports.size(), 1u);
  EXPECT_EQ(ports[0], (PublishedPort{.protocol = "tcp", .host_address = "", .outer = 8080, .inner = 80}));
}

TEST(Ports, ProtocolAndAddressAreTakenApart)
{
  EXPECT_EQ(parse_ports("53-5353/udp", "-e")[0].protocol, "udp");
  EXPECT_EQ(parse_ports("53-5353/tcp", "-e")[0].protocol, "tcp");
  EXPECT_EQ(parse_ports("80-127.0.0.1:8080", "-e")[0].host_address, "127.0.0.1");
  const auto six = parse_ports("80-[2001:DB8:0::1]:8080/udp", "-e")[0];
  EXPECT_EQ(six, (PublishedPort{.protocol = "udp", .host_address = "2001:db8::1", .outer = 8080, .inner = 80}));
}

TEST(Ports, ARangeIsThatManyPorts)
{
  const auto ports = parse_ports("8000..8010-192.0.2.1:9000..9010/udp", "-e");
  ASSERT_EQ(ports.size(), 11u);
  EXPECT_EQ(ports.back(), (PublishedPort{"udp", "192.0.2.1", 9010, 8010}));
  EXPECT_EQ(parse_ports("1..1024-1..1024", "-e").size(), 1024u);
  EXPECT_EQ(parse_ports("65535..65535-1..1", "-e").size(), 1u);
}

class Refused : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(Refused, IsSaidWithTheRightSpelling)
{
  const auto& [text, word] = GetParam();
  const Error error = refusal(text);
  EXPECT_EQ(error.status(), 2);
  EXPECT_NE(std::string{error.sentence()}.find(word), std::string::npos) << error.sentence();
  EXPECT_EQ(std::string{error.sentence()}.find("-e: '"), 0u) << error.sentence();
  EXPECT_FALSE(error.hint().empty());
}

INSTANTIATE_TEST_SUITE_P(
    Ports, Refused,
    ::testing::Values(std::pair{"", "INNER-OUTER"}, std::pair{"80", "INNER-OUTER"}, std::pair{"-", "no port"},
                      std::pair{"80-", "no port"}, std::pair{"-80", "no port"}, std::pair{"0-80", "no port"},
                      std::pair{"80-0", "no port"}, std::pair{"65536-80", "no port"},
                      std::pair{"80-99999999999", "no port"}, std::pair{"+80-80", "no port"},
                      std::pair{" 80-80", "no port"}, std::pair{"80-80 ", "no port"}, std::pair{"http-80", "no port"},
                      std::pair{"80-80/sctp", "tcp and udp"}, std::pair{"80-80/", "tcp and udp"},
                      std::pair{"80-80/TCP", "tcp and udp"}, std::pair{"80-80/tcp/udp", "no port"},
                      std::pair{"80..90-8080", "11 ports inside"}, std::pair{"80-8080..8081", "1 ports inside"},
                      std::pair{"90..80-90..80", "backwards"}, std::pair{"80..-80..", "no port"},
                      std::pair{"..80-..80", "no port"}, std::pair{"1..1025-1..1025", "1025 ports"},
                      std::pair{"1..2..3-1..2..3", "no port"}, std::pair{"80-[::1]:8080", "[::1]"},
                      std::pair{"80-[::]:8080", "every address"}, std::pair{"80-0.0.0.0:8080", "every address"},
                      std::pair{"80-::1:8080", "brackets"}, std::pair{"80-2001:db8::1:8080", "brackets"},
                      std::pair{"80-[127.0.0.1]:8080", "no IPv6 address"}, std::pair{"80-[fe80::1]:8080", "reached at"},
                      std::pair{"80-[ff02::1]:8080", "reached at"}, std::pair{"80-[::ffff:1.2.3.4]:80", "reached at"},
                      std::pair{"80-[2001:db8::1]", "behind its address"}, std::pair{"80-[2001:db8::1:80", "no port"},
                      std::pair{"80-256.0.0.1:80", "no address"}, std::pair{"80-1.2.3:80", "no address"},
                      std::pair{"80-224.0.0.1:80", "no address of a host"},
                      std::pair{"80-255.255.255.255:80", "no address of a host"}, std::pair{"80-host:80", "no address"},
                      std::pair{"80-:8080", "no address"}, std::pair{"8080:80", "INNER-OUTER"},
                      std::pair{"127.0.0.1:8080:80", "INNER-OUTER"}, std::pair{"8000-8010:9000-9010", "INNER-OUTER"}));

TEST(Ports, DockersOrderIsAnsweredWithOurs)
{
  EXPECT_EQ(from_docker("8080:80"), "80-8080");
  EXPECT_EQ(from_docker("127.0.0.1:8080:80/udp"), "80-127.0.0.1:8080/udp");
  EXPECT_EQ(from_docker("[2001:db8::1]:8080:80"), "80-[2001:db8::1]:8080");
  EXPECT_EQ(from_docker("0.0.0.0:8080:80/tcp"), "80-8080");
  EXPECT_EQ(from_docker("8000-8010:9000-9010"), "9000..9010-8000..8010");
  EXPECT_EQ(from_docker("80"), "80-80");
  EXPECT_EQ(from_docker("80-8080"), "");
  EXPECT_EQ(from_docker("web:x"), "");
  EXPECT_NE(refusal("8080:80").hint().find("-e 80-8080"), std::string::npos);
  EXPECT_NE(refusal("8000-8010:9000-9010").hint().find("-e 9000..9010-8000..8010"), std::string::npos);
}

TEST(Ports, TheTextIsWhatWasTyped)
{
  for (const char* text :
       {"80-8080", "53-5353/udp", "80-127.0.0.1:8080", "80-[2001:db8::1]:8080", "8000..8010-9000..9010/udp"})
    EXPECT_EQ(again(text), text);
  EXPECT_EQ(again("80-8080/tcp"), "80-8080");
  EXPECT_EQ(outer_text({"udp", "2001:db8::1", 53, 5353}), "[2001:db8::1]:53/udp");
}

TEST(Ports, RangesAreJoinedOnlyWhereBothSidesGoOn)
{
  const std::vector<PublishedPort> ports{{"tcp", "", 9001, 81},
                                         {"tcp", "", 9000, 80},
                                         {"tcp", "", 9003, 83},
                                         {"tcp", "", 9002, 99},
                                         {"udp", "", 9004, 84}};
  EXPECT_EQ(port_texts(ports), (std::vector<std::string>{"80..81-9000..9001", "99-9002", "83-9003", "84-9004/udp"}));
}

TEST(Ports, CollideOnTheSamePortOfTheHostOnly)
{
  const PublishedPort all{"tcp", "", 80, 1}, loopback{"tcp", "127.0.0.1", 80, 2}, other{"tcp", "192.0.2.1", 80, 3};
  EXPECT_TRUE(collide(all, loopback));
  EXPECT_TRUE(collide(loopback, all));
  EXPECT_TRUE(collide(all, all));
  EXPECT_FALSE(collide(loopback, other));
  EXPECT_FALSE(collide(all, {"udp", "", 80, 1}));
  EXPECT_FALSE(collide(all, {"tcp", "", 81, 1}));
}

TEST(Ports, OnlyNormalAddressesAreKept)
{
  for (const char* good : {"", "127.0.0.1", "192.0.2.1", "2001:db8::1"}) EXPECT_TRUE(is_host_address(good)) << good;
  for (const char* bad : {"::1", "0.0.0.0", "2001:DB8::1", "[2001:db8::1]", "x", "1.2.3", "fe80::1"})
    EXPECT_FALSE(is_host_address(bad)) << bad;
}

} // namespace
} // namespace conductor
