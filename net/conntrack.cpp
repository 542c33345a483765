#include "net/conntrack.h"

#include "core/base/error.h"
#include "core/kernel/files.h"
#include "net/link_writer.h"

#include <algorithm>
#include <cerrno>
#include <functional>
#include <set>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>

namespace conductor::net {
namespace {

// Which fields of a tuple count (net/netfilter/nf_conntrack_netlink.c and libnetfilter_conntrack; the kernel's headers
// for programs do not name them).
constexpr uint32_t filter_source = 1U << 0, filter_protocol = 1U << 3, filter_source_port = 1U << 4,
                   filter_destination_port = 1U << 5;

constexpr uint16_t conntrack_type(int message) { return static_cast<uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | message); }

Message filtered(int type, uint16_t flags, const ConnectionFilter& filter)
{
  const auto address = address_bytes(filter.address);
  const bool is_ipv4 = address.size() == 4, original = filter.side == ConnectionFilter::Side::original;
  const nfgenmsg header{
      .nfgen_family = static_cast<__u8>(is_ipv4 ? AF_INET : AF_INET6), .version = NFNETLINK_V0, .res_id = 0};
  Message message{conntrack_type(type), flags};
  message.fixed(header);
  uint32_t fields = filter_source;
  message.nest(original ? CTA_TUPLE_ORIG : CTA_TUPLE_REPLY, [&] {
    message.nest(CTA_TUPLE_IP, [&] { message.bytes(is_ipv4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, address); });
    if (filter.protocol == 0) return;
    fields |= filter_protocol;
    message.nest(CTA_TUPLE_PROTO, [&] {
      message.value(CTA_PROTO_NUM, filter.protocol);
      if (filter.port == 0) return;
      fields |= filter_source_port;
      message.value(CTA_PROTO_SRC_PORT, htons(filter.port));
    });
  });
  uint32_t begun = original ? fields : 0U;
  if (filter.asked != 0) {
    begun |= filter_protocol | filter_destination_port;
    message.nest(CTA_TUPLE_ORIG, [&] {
      message.nest(CTA_TUPLE_PROTO, [&] {
        message.value(CTA_PROTO_NUM, filter.protocol).value(CTA_PROTO_DST_PORT, htons(filter.asked));
      });
    });
  }
  message.nest(CTA_FILTER, [&] {
    message.value(CTA_FILTER_ORIG_FLAGS, begun);
    message.value(CTA_FILTER_REPLY_FLAGS, original ? 0U : fields);
  });
  return message;
}

Told told_of(const ConnectionFilter& filter)
{
  const bool original = filter.side == ConnectionFilter::Side::original;
  std::string by_hand = fmt::format("conntrack -D {} {}", original ? "--orig-src" : "--reply-src", filter.address);
  if (filter.protocol != 0) by_hand += filter.protocol == IPPROTO_UDP ? " -p udp" : " -p tcp";
  if (filter.port != 0)
    by_hand += fmt::format(" {} {}", original ? "--orig-port-src" : "--reply-port-src", filter.port);
  if (filter.asked != 0) by_hand += fmt::format(" --orig-port-dst {}", filter.asked);
  return {"forget the connections of " + filter.address, "IPCTNL_MSG_CT_DELETE " + by_hand.substr(13), by_hand};
}

// For a dump the kernel looks into each of its buckets, also when nothing is in any: 20 ms for the 262,144 of a large
// host.
bool is_empty_now()
{
  return kernel::find_content(AT_FDCWD, "/proc/sys/net/netfilter/nf_conntrack_count").value_or("") == "0\n";
}

bool tracks_nothing(int error) { return error == ENOENT || error == EOPNOTSUPP || error == EPROTONOSUPPORT; }

} // namespace

bool is_meant(const ConnectionFilter& filter, Bytes attributes)
{
  const Bytes begun = attribute_in(attributes, CTA_TUPLE_ORIG);
  const bool original = filter.side == ConnectionFilter::Side::original;
  const Bytes tuple = original ? begun : attribute_in(attributes, CTA_TUPLE_REPLY);
  const auto address = address_bytes(filter.address);
  const Bytes source =
      attribute_in(attribute_in(tuple, CTA_TUPLE_IP), address.size() == 4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC);
  if (!std::equal(address.begin(), address.end(), source.begin(), source.end())) return false;
  const Bytes protocol = attribute_in(tuple, CTA_TUPLE_PROTO), asked = attribute_in(begun, CTA_TUPLE_PROTO);
  const auto port = [](Bytes from, uint16_t type) { return ntohs(structure_from<uint16_t>(attribute_in(from, type))); };
  if (filter.protocol != 0 && structure_from<uint8_t>(attribute_in(protocol, CTA_PROTO_NUM)) != filter.protocol)
    return false;
  if (filter.port != 0 && port(protocol, CTA_PROTO_SRC_PORT) != filter.port) return false;
  return filter.asked == 0 || port(asked, CTA_PROTO_DST_PORT) == filter.asked;
}

namespace {

// Reads all connections of a family and deletes those that are `meant`.
void delete_each(Trace& trace, Netlink& netfilter, int address_family, const std::function<Told()>& describe,
                 const std::function<bool(Bytes)>& meant)
{
  struct Connection {
    std::vector<std::byte> tuple, id;
  };
  std::vector<Connection> found;
  const nfgenmsg family{.nfgen_family = static_cast<__u8>(address_family), .version = NFNETLINK_V0, .res_id = 0};
  Message request{conntrack_type(IPCTNL_MSG_CT_GET), NLM_F_DUMP};
  request.fixed(family);
  netfilter.dump(
      "read the connections of the host", request, [&] { found.clear(); },
      [&](uint16_t type, Bytes payload) {
        if (type != conntrack_type(IPCTNL_MSG_CT_NEW) || payload.size() < sizeof(nfgenmsg)) return;
        const Bytes attributes = payload.subspan(sizeof(nfgenmsg));
        const Bytes tuple = attribute_in(attributes, CTA_TUPLE_ORIG), id = attribute_in(attributes, CTA_ID);
        if (!tuple.empty() && meant(attributes))
          found.push_back({{tuple.begin(), tuple.end()}, {id.begin(), id.end()}});
      });
  for (const Connection& connection : found) {
    Message message{conntrack_type(IPCTNL_MSG_CT_DELETE), NLM_F_ACK};
    message.fixed(family).bytes(CTA_TUPLE_ORIG | NLA_F_NESTED, connection.tuple);
    if (!connection.id.empty()) message.bytes(CTA_ID, connection.id);
    const int error = netfilter.try_change(trace, "conntrack", describe, {&message, 1});
    if (error != 0 && error != ENOENT) throw Error{describe().what, error};
  }
}

} // namespace

void forget_one_by_one(Trace& trace, Netlink& netfilter, const ConnectionFilter& filter)
{
  delete_each(
      trace, netfilter, address_bytes(filter.address).size() == 4 ? AF_INET : AF_INET6, [&] { return told_of(filter); },
      [&](Bytes attributes) { return is_meant(filter, attributes); });
}

void forget_early_askers(Trace& trace, Netlink& netfilter, uint16_t port, const std::vector<std::string>& addresses)
{
  if (is_empty_now()) return;
  std::set<std::vector<std::byte>> local;
  for (const std::string& address : addresses) local.insert(address_bytes(address));
  const auto told = [&] {
    return Told{fmt::format("forget who asked at UDP port {} before it was published", port), "IPCTNL_MSG_CT_DELETE",
                fmt::format("conntrack -D -p udp --orig-port-dst {}", port)};
  };
  for (const int family : {AF_INET, AF_INET6}) {
    const auto address_of = [&](Bytes tuple, uint16_t ipv4, uint16_t ipv6) {
      const Bytes bytes = attribute_in(attribute_in(tuple, CTA_TUPLE_IP), family == AF_INET ? ipv4 : ipv6);
      return std::vector<std::byte>{bytes.begin(), bytes.end()};
    };
    const auto is_early = [&](Bytes attributes) {
      const Bytes begun = attribute_in(attributes, CTA_TUPLE_ORIG), reply = attribute_in(attributes, CTA_TUPLE_REPLY);
      const Bytes protocol = attribute_in(begun, CTA_TUPLE_PROTO);
      if (structure_from<uint8_t>(attribute_in(protocol, CTA_PROTO_NUM)) != IPPROTO_UDP) return false;
      if (ntohs(structure_from<uint16_t>(attribute_in(protocol, CTA_PROTO_DST_PORT))) != port) return false;
      const auto asked = address_of(begun, CTA_IP_V4_DST, CTA_IP_V6_DST);
      const bool loops = family == AF_INET && !asked.empty() && asked.front() == std::byte{127};
      return (loops || local.contains(asked)) && asked == address_of(reply, CTA_IP_V4_SRC, CTA_IP_V6_SRC);
    };
    try {
      delete_each(trace, netfilter, family, told, is_early);
    } catch (const Error& error) {
      if (!tracks_nothing(error.number())) throw;
    }
  }
}

void forget_connections(Trace& trace, Netlink& netfilter, const ConnectionFilter& filter)
{
  if (filter.address.empty() || is_empty_now()) return;
  if (address_bytes(filter.address).size() != 4) {
    try {
      forget_one_by_one(trace, netfilter, filter);
    } catch (const Error& error) {
      if (!tracks_nothing(error.number())) throw;
    }
    return;
  }
  Message message = filtered(IPCTNL_MSG_CT_DELETE, NLM_F_ACK, filter);
  const int error = netfilter.try_change(trace, "conntrack", [&] { return told_of(filter); }, {&message, 1});
  if (error == EINVAL)
    forget_one_by_one(trace, netfilter, filter);
  else if (error != 0 && !tracks_nothing(error))
    throw Error{told_of(filter).what, error};
}

} // namespace conductor::net
