// Netlink with forged answers: a test plays the kernel on the other end of a socket pair, and lies.
#include "core/base/error.h"
#include "net/conntrack.h"
#include "net/listeners.h"
#include "net/netlink.h"
#include "net/nft.h"

#include <array>
#include <cerrno>
#include <span>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/inet_diag.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace conductor;
using namespace conductor::net;

namespace {

using Datagram = std::vector<std::byte>;

void add(Datagram& to, Bytes bytes)
{
  to.insert(to.end(), bytes.begin(), bytes.end());
  to.resize((to.size() + 3) & ~size_t{3});
}

Datagram message(uint16_t type, uint16_t flags, uint32_t sequence, Bytes payload)
{
  const nlmsghdr header{static_cast<uint32_t>(sizeof(nlmsghdr) + payload.size()), type, flags, sequence, 0};
  Datagram bytes;
  add(bytes, bytes_of(header));
  add(bytes, payload);
  return bytes;
}

Datagram operator+(Datagram left, const Datagram& right)
{
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

Datagram number(uint16_t type, uint16_t flags, uint32_t sequence, int value)
{
  const nlmsgerr error{value, {}};
  return message(type, flags, sequence, type == NLMSG_DONE ? bytes_of(error).first(sizeof(int)) : bytes_of(error));
}

Datagram attribute(uint16_t type, Bytes value)
{
  const nlattr header{static_cast<uint16_t>(sizeof(nlattr) + value.size()), type};
  Datagram bytes;
  add(bytes, bytes_of(header));
  add(bytes, value);
  return bytes;
}

Datagram text(uint16_t type, const std::string& value)
{
  return attribute(type, std::as_bytes(std::span{value.c_str(), value.size() + 1}));
}

Datagram refusal(uint16_t flags, uint32_t sequence, int value, const std::string& words)
{
  const nlmsgerr error{value, {}};
  Datagram payload;
  add(payload, bytes_of(error));
  return message(NLMSG_ERROR, static_cast<uint16_t>(flags | NLM_F_ACK_TLVS), sequence,
                 payload + text(NLMSGERR_ATTR_MSG, words));
}

// The kernel's end: what it will answer is put in before it is asked, since numbers count up from 1.
struct Kernel {
  Kernel()
  {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) < 0) throw Error{"socketpair", errno};
    ours = Fd{ends[0]};
    theirs = Fd{ends[1]};
    const timeval patience{.tv_sec = 0, .tv_usec = 200'000};
    ::setsockopt(theirs.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  void answer(const Datagram& bytes) const { ::send(ours.get(), bytes.data(), bytes.size(), 0); }
  Fd ours, theirs;
};

struct Dumped {
  std::vector<uint16_t> types;
  int restarts = 0;
  int error = 0;
};

Dumped dump(const std::vector<Datagram>& answers)
{
  Kernel kernel;
  for (const Datagram& each : answers) kernel.answer(each);
  Netlink netlink{std::move(kernel.theirs)};
  Message request{RTM_GETLINK, NLM_F_DUMP};
  Dumped dumped;
  try {
    netlink.dump(
        "dump", request,
        [&] {
          ++dumped.restarts;
          dumped.types.clear();
        },
        [&](uint16_t type, Bytes) { dumped.types.push_back(type); });
  } catch (const Error& error) {
    dumped.error = error.number();
  }
  return dumped;
}

const Datagram empty;

} // namespace

TEST(Dump, EndsWithDone)
{
  const auto dumped = dump({message(100, 0, 1, empty) + message(101, 0, 1, empty), number(NLMSG_DONE, 0, 1, 0)});
  EXPECT_EQ(dumped.types, (std::vector<uint16_t>{100, 101}));
  EXPECT_EQ(dumped.restarts, 1);
  EXPECT_EQ(dumped.error, 0);
}

TEST(Dump, IsRepeatedWhenItWasInterrupted)
{
  const auto dumped = dump({message(100, NLM_F_DUMP_INTR, 1, empty), number(NLMSG_DONE, NLM_F_DUMP_INTR, 1, 0),
                            message(101, 0, 2, empty) + number(NLMSG_DONE, 0, 2, 0)});
  EXPECT_EQ(dumped.types, std::vector<uint16_t>{101});
  EXPECT_EQ(dumped.restarts, 2);
}

TEST(Dump, IsRepeatedWhenTheRulesChangedUnderIt)
{
  const auto dumped = dump({number(NLMSG_DONE, 0, 1, -EINTR), message(101, 0, 2, empty) + number(NLMSG_DONE, 0, 2, 0)});
  EXPECT_EQ(dumped.types, std::vector<uint16_t>{101});
  EXPECT_EQ(dumped.error, 0);
}

TEST(Dump, GivesUpBeingInterruptedAfterAWhile)
{
  std::vector<Datagram> answers;
  for (uint32_t i = 1; i <= 10; ++i)
    answers.push_back(message(100, NLM_F_DUMP_INTR, i, empty) + number(NLMSG_DONE, 0, i, 0));
  const auto dumped = dump(answers);
  EXPECT_EQ(dumped.types.size(), 1U);
  EXPECT_EQ(dumped.restarts, 5);
}

TEST(Dump, PassesOverTheRestOfAnEarlierOne)
{
  const auto dumped = dump({message(99, 0, 0, empty) + number(NLMSG_DONE, 0, 7, 0),
                            message(100, 0, 1, empty) + number(NLMSG_DONE, 0, 1, 0)});
  EXPECT_EQ(dumped.types, std::vector<uint16_t>{100});
}

TEST(Dump, FailsWithTheKernelsNumber)
{
  EXPECT_EQ(dump({number(NLMSG_ERROR, 0, 1, -EPERM)}).error, EPERM);
  EXPECT_EQ(dump({number(NLMSG_DONE, 0, 1, -ENOENT)}).error, ENOENT);
}

TEST(Dump, OfLyingLengthsIsAnError)
{
  Datagram longer = message(100, 0, 1, empty);
  longer[0] = std::byte{200};
  EXPECT_EQ(dump({longer}).error, EBADMSG);
  Datagram shorter = message(100, 0, 1, empty);
  shorter[0] = std::byte{3};
  EXPECT_EQ(dump({shorter}).error, EBADMSG);
  EXPECT_EQ(dump({Datagram(7)}).error, EBADMSG);
  EXPECT_EQ(dump({number(NLMSG_ERROR, 0, 1, 5)}).error, EBADMSG);           // no kernel says that
  EXPECT_EQ(dump({message(NLMSG_DONE, 0, 1, Datagram(2))}).error, EBADMSG); // no number in it
  EXPECT_EQ(dump({message(100, 0, 1, empty) + Datagram(3, std::byte{1})}).error, EBADMSG);
  EXPECT_EQ(dump({Datagram(40000)}).error, EMSGSIZE);
}

TEST(Dump, WithoutAnEndIsAnError) { EXPECT_EQ(dump({message(100, 0, 1, empty)}).error, EAGAIN); }

TEST(Change, CarriesTheKernelsWords)
{
  for (const uint16_t capped : {uint16_t{0}, uint16_t{NLM_F_CAPPED}}) {
    Kernel kernel;
    kernel.answer(refusal(capped, 1, -EINVAL, "Unknown device type"));
    Netlink netlink{std::move(kernel.theirs)};
    Trace trace;
    std::vector<Message> messages{Message{RTM_NEWLINK, NLM_F_ACK}};
    try {
      netlink.change(
          trace, "RTM_NEWLINK",
          [] {
            return Told{"make it", "", ""};
          },
          messages);
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.sentence(), "make it: Invalid argument [Unknown device type]");
      EXPECT_EQ(error.number(), EINVAL);
    }
  }
}

TEST(Change, FailsWithTheFirstOfSeveral)
{
  Kernel kernel;
  kernel.answer(number(NLMSG_ERROR, 0, 1, 0));
  kernel.answer(number(NLMSG_ERROR, 0, 2, -EEXIST));
  kernel.answer(number(NLMSG_ERROR, 0, 3, -ENODEV));
  Netlink netlink{std::move(kernel.theirs)};
  Trace trace;
  std::vector<Message> messages(3, Message{RTM_NEWADDR, NLM_F_ACK});
  EXPECT_EQ(netlink.try_change(
                trace, "x", [] { return Told{}; }, messages),
            EEXIST);
}

TEST(Change, OfATransactionEndsWithItsFirstError)
{
  Kernel kernel;
  kernel.answer(number(NLMSG_ERROR, 0, 1, -EPERM)); // of its beginning; nothing else is answered
  Netlink netlink{std::move(kernel.theirs)};
  Trace trace;
  std::vector<Message> messages{Message{NFNL_MSG_BATCH_BEGIN}, Message{100, NLM_F_ACK}, Message{NFNL_MSG_BATCH_END}};
  EXPECT_EQ(netlink.try_change(
                trace, "x", [] { return Told{}; }, messages),
            EPERM);
}

TEST(Explanation, StaysInsideItsMessage)
{
  Datagram whole = refusal(NLM_F_CAPPED, 1, -EINVAL, "words");
  const Bytes payload = Bytes{whole}.subspan(sizeof(nlmsghdr));
  for (size_t size = 0; size <= payload.size(); ++size)
    explanation_from({NLMSG_ERROR, NLM_F_ACK_TLVS, 1, payload.first(size)});
  nlmsgerr lying{-EINVAL, {}};
  lying.msg.nlmsg_len = 0xffffffff;
  EXPECT_EQ(explanation_from({NLMSG_ERROR, NLM_F_ACK_TLVS, 1, bytes_of(lying)}), "");
}

TEST(Messages, NestAndPad)
{
  Message built{RTM_NEWLINK};
  built.nest(1, [&] { built.text(2, "ab").value(3, uint8_t{7}); });
  const Bytes bytes = built.finished(9);
  EXPECT_EQ(bytes.size(), structure_from<nlmsghdr>(bytes).nlmsg_len);
  const Bytes inner = attribute_in(bytes.subspan(sizeof(nlmsghdr)), 1);
  EXPECT_EQ(text_from(attribute_in(inner, 2)), "ab");
  EXPECT_EQ(structure_from<uint8_t>(attribute_in(inner, 3)), 7);
  EXPECT_TRUE(attribute_in(inner, 4).empty());
}

TEST(Messages, RefuseWhatDoesNotFit)
{
  Message built{RTM_NEWLINK};
  EXPECT_THROW(built.bytes(1, Datagram(65533)), std::length_error);
  EXPECT_THROW(built.nest(1,
                          [&] {
                            for (int i = 0; i < 3; ++i) built.bytes(2, Datagram(30000));
                          }),
               std::length_error);
}

TEST(Elements, AreReadAndSurviveCuts)
{
  const nfgenmsg header{};
  const std::string comment = std::string{"\0\x04", 2} + "web" + '\0';
  Message built{1};
  built.fixed(header).nest(NFTA_SET_ELEM_LIST_ELEMENTS, [&] {
    built.nest(NFTA_LIST_ELEM, [&] {
      built.nest(NFTA_SET_ELEM_KEY, [&] { built.bytes(NFTA_DATA_VALUE, link_value("cond7").bytes); });
      built.bytes(NFTA_SET_ELEM_USERDATA, std::as_bytes(std::span{comment}));
      built.nest(NFTA_SET_ELEM_EXPR, [&] {
        built.text(NFTA_EXPR_NAME, "counter").nest(NFTA_EXPR_DATA, [&] {
          built.big64(NFTA_COUNTER_BYTES, 1000).big64(NFTA_COUNTER_PACKETS, 3);
        });
      });
    });
  });
  const Bytes payload = built.finished(1).subspan(sizeof(nlmsghdr));
  const auto elements = elements_from(payload);
  ASSERT_EQ(elements.size(), 1U);
  EXPECT_EQ(link_in(elements[0].key, 0), "cond7");
  EXPECT_EQ(link_in(elements[0].key, 1), "");
  EXPECT_EQ(elements[0].comment, "web");
  EXPECT_EQ(elements[0].packets, 3U);
  EXPECT_EQ(elements[0].bytes, 1000U);
  for (size_t size = 0; size < payload.size(); ++size) EXPECT_LE(elements_from(payload.first(size)).size(), 1U);
}

TEST(Connections, AreChosenByAddressPortAndProtocol)
{
  const auto tuple = [](const char* address, uint8_t protocol, uint16_t source, uint16_t destination) {
    std::array<std::byte, 16> bytes{};
    inet_pton(AF_INET6, address, bytes.data());
    return attribute(CTA_TUPLE_IP, attribute(CTA_IP_V6_SRC, bytes)) +
           attribute(CTA_TUPLE_PROTO, attribute(CTA_PROTO_NUM, bytes_of(protocol)) +
                                          attribute(CTA_PROTO_SRC_PORT, bytes_of(htons(source))) +
                                          attribute(CTA_PROTO_DST_PORT, bytes_of(htons(destination))));
  };
  const Datagram all = attribute(CTA_TUPLE_ORIG, tuple("fd00::1", IPPROTO_TCP, 40000, 8080)) +
                       attribute(CTA_TUPLE_REPLY, tuple("fd00::7", IPPROTO_TCP, 80, 40000));
  using Side = ConnectionFilter::Side;
  const ConnectionFilter meant{
      .side = Side::reply, .address = "fd00::7", .protocol = IPPROTO_TCP, .port = 80, .asked = 8080};
  EXPECT_TRUE(is_meant(meant, all));
  EXPECT_TRUE(is_meant({.side = Side::original, .address = "fd00::1"}, all));
  auto other = meant;
  other.asked = 8081;
  EXPECT_FALSE(is_meant(other, all));
  other = meant;
  other.port = 81;
  EXPECT_FALSE(is_meant(other, all));
  other = meant;
  other.protocol = IPPROTO_UDP;
  EXPECT_FALSE(is_meant(other, all));
  EXPECT_FALSE(is_meant({.side = Side::original, .address = "fd00::7"}, all));
  EXPECT_FALSE(is_meant({.side = Side::reply, .address = "10.0.0.7"}, all));
}

TEST(Listening, ShadowsWhatItWouldHear)
{
  const auto bound = [](const char* text) {
    Socket socket{.address =
                      std::vector<std::byte>(std::string_view{text}.find(':') == std::string_view::npos ? 4 : 16),
                  .port = 8080};
    inet_pton(socket.address.size() == 4 ? AF_INET : AF_INET6, text, socket.address.data());
    return socket;
  };
  const auto at = [](const char* address) {
    return PublishedPort{.protocol = "tcp", .host_address = address, .outer = 8080, .inner = 80};
  };
  EXPECT_TRUE(shadows(at(""), bound("127.0.0.1")));
  EXPECT_TRUE(shadows(at("127.0.0.1"), bound("0.0.0.0")));
  EXPECT_TRUE(shadows(at("127.0.0.1"), bound("::")));
  EXPECT_TRUE(shadows(at("127.0.0.1"), bound("::ffff:127.0.0.1")));
  EXPECT_FALSE(shadows(at("127.0.0.1"), bound("192.168.1.1")));
  EXPECT_FALSE(shadows(at("127.0.0.1"), bound("fd00::1")));
  auto other = at("");
  other.outer = 8081;
  EXPECT_FALSE(shadows(other, bound("0.0.0.0")));
}
