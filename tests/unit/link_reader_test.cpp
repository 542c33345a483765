// rtnetlink's messages: what is read out of them, and that no cut or lying one can do harm.
#include "net/link_reader.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

using namespace conductor;
using namespace conductor::net;

TEST(Links, OfANamespaceThatMayNotBeEntered)
{
  const auto all = interfaces_from_proc(
      "Inter-|   Receive                                                |  Transmit\n"
      " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls "
      "carrier\n"
      "    lo:     168       2    0    0    0     0          0         0      168       2    0    0    0     0       "
      "0\n"
      "  eth0: 9876543     321    0    7    0     0          0         0     1234      12    0    3    0     0       "
      "0\n",
      "00000000000000000000000000000001 01 80 10 80       lo\n"
      "fd000000000000000000000000000007 02 40 00 80     eth0\n",
      "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.83.0.7\n        /32 host LOCAL\n"
      "     |-- 10.83.0.0\n        /24 link UNICAST\n"
      "Local:\n  +-- 127.0.0.0/8 2 0 2\n     |-- 127.0.0.0\n        /8 host LOCAL\n     |-- 127.0.0.1\n"
      "        /32 host LOCAL\n     |-- 10.83.0.7\n        /32 host LOCAL\n     |-- 127.255.255.255\n"
      "        /32 link BROADCAST\n");
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].name, "lo");
  EXPECT_EQ(all[0].addresses, (std::vector<std::string>{"127.0.0.1", "::1/128"}));
  EXPECT_EQ(all[1].name, "eth0");
  EXPECT_EQ(all[1].addresses, (std::vector<std::string>{"10.83.0.7", "fd00::7/64"}));
  EXPECT_EQ(all[1].rx_bytes, 9876543U);
  EXPECT_EQ(all[1].tx_bytes, 1234U);
  EXPECT_EQ(all[1].rx_dropped, 7U);
  EXPECT_EQ(all[1].tx_dropped, 3U);
  EXPECT_TRUE(interfaces_from_proc("", "x\n", "|--\n/32 host LOCAL\n").empty());
}

namespace {

// Builds a payload as the kernel would.
class Builder {
public:
  template <class Structure>
  Builder& fixed(const Structure& structure)
  {
    add(&structure, sizeof structure);
    return *this;
  }
  Builder& attribute(uint16_t type, const void* value, size_t length)
  {
    const nlattr header{.nla_len = static_cast<uint16_t>(sizeof(nlattr) + length), .nla_type = type};
    add(&header, sizeof header);
    add(value, length);
    bytes_.resize((bytes_.size() + 3) & ~size_t{3});
    return *this;
  }
  template <class Value>
  Builder& value(uint16_t type, const Value& value)
  {
    return attribute(type, &value, sizeof value);
  }
  Builder& text(uint16_t type, const char* value) { return attribute(type, value, std::strlen(value) + 1); }
  Bytes bytes() const { return bytes_; }

private:
  void add(const void* data, size_t length)
  {
    const auto* begin = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), begin, begin + length);
  }
  std::vector<std::byte> bytes_;
};

Builder link_message(int index, const char* name)
{
  ifinfomsg header{};
  header.ifi_index = index;
  header.ifi_flags = IFF_UP;
  rtnl_link_stats64 counters{};
  counters.rx_bytes = 1000;
  counters.tx_bytes = 2000;
  counters.rx_packets = 10;
  counters.tx_packets = 20;
  counters.rx_dropped = 1;
  counters.tx_dropped = 2;
  Builder builder;
  builder.fixed(header).text(IFLA_IFNAME, name).value(IFLA_STATS64, counters);
  return builder;
}

std::vector<std::byte> address_message(const char* text, int prefix)
{
  in_addr address{};
  inet_pton(AF_INET, text, &address);
  in_addr far_end{};
  inet_pton(AF_INET, "10.83.0.1", &far_end);
  ifaddrmsg header{};
  header.ifa_family = AF_INET;
  header.ifa_prefixlen = static_cast<uint8_t>(prefix);
  header.ifa_index = 7;
  Builder builder;
  builder.fixed(header).value(IFA_ADDRESS, far_end).value(IFA_LOCAL, address);
  return {builder.bytes().begin(), builder.bytes().end()};
}

} // namespace

TEST(Links, AreReadWithTheirCounters)
{
  const auto link = link_from(link_message(7, "eth0").bytes());
  ASSERT_TRUE(link);
  EXPECT_EQ(link->index, 7);
  EXPECT_EQ(link->name, "eth0");
  EXPECT_EQ(link->rx_bytes, 1000U);
  EXPECT_EQ(link->tx_packets, 20U);
  EXPECT_EQ(link->tx_dropped, 2U);
  EXPECT_FALSE(link->peer_is_elsewhere);
}

TEST(Links, ACutMessageIsReadAsFarAsItGoes)
{
  const Builder whole = link_message(7, "eth0");
  for (size_t length = 0; length <= whole.bytes().size(); ++length) {
    // A copy of exactly that length, so that a sanitizer sees each byte too far.
    const std::vector<std::byte> cut{whole.bytes().begin(), whole.bytes().begin() + static_cast<long>(length)};
    const auto link = link_from(cut);
    if (length < sizeof(ifinfomsg)) {
      EXPECT_FALSE(link) << length;
    }
  }
}

TEST(Links, ALyingLengthEndsTheReading)
{
  for (const int length : {0, 1, 3, 500, 65535}) {
    Builder builder;
    builder.fixed(ifinfomsg{}).text(IFLA_IFNAME, "eth0");
    const nlattr lie{.nla_len = static_cast<uint16_t>(length), .nla_type = IFLA_IFALIAS};
    builder.fixed(lie);
    const auto link = link_from(builder.bytes());
    ASSERT_TRUE(link) << length;
    EXPECT_EQ(link->name, "eth0");
    EXPECT_EQ(link->alias, "");
  }
}

TEST(Links, ANameWithoutItsEndStaysInsideTheAttribute)
{
  Builder builder;
  builder.fixed(ifinfomsg{}).attribute(IFLA_IFNAME, "abcd", 4);
  const auto link = link_from(builder.bytes());
  ASSERT_TRUE(link);
  EXPECT_EQ(link->name, "abcd");
}

TEST(Links, ShorterCountersOfAnOlderKernelAreTaken)
{
  Builder builder;
  const uint64_t packets[2] = {3, 4};
  builder.fixed(ifinfomsg{}).text(IFLA_IFNAME, "lo").value(IFLA_STATS64, packets);
  const auto link = link_from(builder.bytes());
  ASSERT_TRUE(link);
  EXPECT_EQ(link->rx_packets, 3U);
  EXPECT_EQ(link->rx_bytes, 0U);
}

TEST(Addresses, OfPointToPointLinksAreTheNearEnd)
{
  const auto address = address_from(address_message("10.83.0.7", 32));
  ASSERT_TRUE(address);
  EXPECT_EQ(address->text, "10.83.0.7/32");
  EXPECT_EQ(address->index, 7);
}

TEST(Addresses, OfAWrongLengthAreRefused)
{
  ifaddrmsg header{};
  header.ifa_family = AF_INET6;
  Builder builder;
  builder.fixed(header).value(IFA_ADDRESS, uint32_t{1});
  EXPECT_FALSE(address_from(builder.bytes()));
}

TEST(Interfaces, GetTheNameOfTheHostsEndOnlyWhenItPointsBack)
{
  const Link inside{.index = 2, .flags = IFF_UP, .name = "eth0", .peer_index = 41, .peer_is_elsewhere = true};
  const Link right{.index = 41, .name = "cond7", .peer_index = 2, .peer_is_elsewhere = true};
  const Link wrong{.index = 41, .name = "veth9", .peer_index = 3, .peer_is_elsewhere = true};
  EXPECT_EQ(interfaces_from({inside}, {}, {right}).at(0).host_interface, "cond7");
  EXPECT_EQ(interfaces_from({inside}, {}, {wrong}).at(0).host_interface, "");
  EXPECT_TRUE(interfaces_from({inside}, {}, {right}).at(0).up);
}

TEST(Interfaces, CarryTheirOwnAddresses)
{
  const Link lo{.index = 1, .name = "lo"};
  const auto interfaces = interfaces_from({lo}, {{1, "127.0.0.1/8"}, {2, "10.0.0.1/8"}, {1, "::1/128"}}, {});
  EXPECT_EQ(interfaces.at(0).addresses, (std::vector<std::string>{"127.0.0.1/8", "::1/128"}));
}

TEST(Marks, NameRootAndContainer)
{
  const auto mark = mark_from("conductor r1 c1 web");
  ASSERT_TRUE(mark);
  EXPECT_EQ(mark->root_id, "r1");
  EXPECT_EQ(mark->container_id, "c1");
  EXPECT_FALSE(mark->gone);
  const auto gone = mark_from("conductor gone c1");
  ASSERT_TRUE(gone);
  EXPECT_TRUE(gone->gone);
  EXPECT_EQ(gone->container_id, "c1");
  EXPECT_TRUE(gone->root_id.empty());
}

TEST(Marks, OfOthersAreNone)
{
  for (const char* alias : {"", "conductor", "conductor r1", "conductor r1 ", "conductors r1 c1 web"})
    EXPECT_FALSE(mark_from(alias)) << alias;
}

TEST(Counters, AreReadFromRtmGetstats)
{
  if_stats_msg header{};
  header.ifindex = 7;
  rtnl_link_stats64 counters{};
  counters.rx_bytes = 1000;
  counters.tx_bytes = 2000;
  Builder builder;
  builder.fixed(header).value(IFLA_STATS_LINK_64, counters);
  const auto read = counters_from(builder.bytes());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->index, 7);
  EXPECT_EQ(read->rx_bytes, 1000U);
  EXPECT_EQ(read->tx_bytes, 2000U);
  for (size_t size = 0; size < builder.bytes().size(); ++size)
    EXPECT_FALSE(counters_from(builder.bytes().first(size))) << size;
}
