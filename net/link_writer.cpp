#include "net/link_writer.h"

#include "core/base/error.h"
#include "core/base/guard.h"
#include "core/kernel/files.h"
#include "net/inside.h"
#include "net/link_reader.h"

#include <cerrno>
#include <charconv>
#include <span>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>

namespace conductor::net {
namespace {

constexpr const char* inside_name = "eth0";
constexpr size_t most_alias = 255; // IFALIASZ - 1
constexpr size_t most_altname = 127;
constexpr unsigned char our_protocol = 67; // of routes: 'C', as ip shows it. Not 99, which is openr's.

std::array<uint8_t, 6> mac(uint8_t side, LinkIndex index)
{
  return {0x02, 0xc0, side, 0, static_cast<uint8_t>(index >> 8), static_cast<uint8_t>(index & 0xff)};
}

std::string mac_text(const std::array<uint8_t, 6>& mac) { return fmt::format("{:02x}", fmt::join(mac, ":")); }

constexpr uint16_t with_ack = NLM_F_ACK;
constexpr uint16_t make_new = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
constexpr uint16_t make_or_replace = NLM_F_CREATE | NLM_F_REPLACE;

// Of several messages only the last one asks for an answer: a failure of any is told all the same.
void ask_at_the_end(std::vector<Message>& messages) { messages.back().want_ack(); }

Message set_link(std::string_view name, unsigned flags = 0, uint16_t answer = with_ack)
{
  ifinfomsg header{};
  header.ifi_flags = flags;
  header.ifi_change = flags;
  Message message{RTM_SETLINK, answer};
  message.fixed(header).text(IFLA_IFNAME, name);
  return message;
}

// Both ends are points: an address of 32 (128) bits, and the other end's.
Message address_message(int link, std::string_view local, std::string_view peer)
{
  const auto local_bytes = address_bytes(local), peer_bytes = address_bytes(peer);
  const bool is_ipv4 = local_bytes.size() == 4;
  ifaddrmsg header{};
  header.ifa_family = is_ipv4 ? AF_INET : AF_INET6;
  header.ifa_prefixlen = is_ipv4 ? 32 : 128;
  header.ifa_flags = is_ipv4 ? 0 : IFA_F_NODAD;
  header.ifa_index = static_cast<unsigned>(link);
  Message message{RTM_NEWADDR, make_or_replace};
  message.fixed(header).bytes(IFA_LOCAL, local_bytes).bytes(IFA_ADDRESS, peer_bytes);
  return message;
}

Message neighbour_message(int link, std::string_view address, const std::array<uint8_t, 6>& mac)
{
  const auto bytes = address_bytes(address);
  ndmsg header{};
  header.ndm_family = bytes.size() == 4 ? AF_INET : AF_INET6;
  header.ndm_ifindex = link;
  header.ndm_state = NUD_PERMANENT;
  Message message{RTM_NEWNEIGH, make_or_replace};
  message.fixed(header).bytes(NDA_DST, bytes).value(NDA_LLADDR, mac);
  return message;
}

// On link, since IPv6's route to the peer is made a little later than its address (a workqueue).
Message default_route_message(int link, std::string_view gateway)
{
  const auto bytes = address_bytes(gateway);
  rtmsg header{};
  header.rtm_family = bytes.size() == 4 ? AF_INET : AF_INET6;
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = our_protocol;
  header.rtm_scope = RT_SCOPE_UNIVERSE;
  header.rtm_type = RTN_UNICAST;
  header.rtm_flags = RTNH_F_ONLINK;
  Message message{RTM_NEWROUTE, make_or_replace};
  message.fixed(header).bytes(RTA_GATEWAY, bytes).value(RTA_OIF, link);
  return message;
}

struct Sysctl {
  uint16_t number;
  uint32_t value;
  const char* name;
};
// rp_filter: a container's own address and no other, also while the rules are away. arp_ignore: nobody needs an answer
// (permanent neighbours), and whoever asks would become an entry in the kernel's one table of neighbours.
constexpr std::array<Sysctl, 6> host_sysctls{{
    {IPV4_DEVCONF_FORWARDING, 0, "forwarding"},
    {IPV4_DEVCONF_ROUTE_LOCALNET, 0, "route_localnet"},
    {IPV4_DEVCONF_SEND_REDIRECTS, 0, "send_redirects"},
    {IPV4_DEVCONF_ACCEPT_REDIRECTS, 0, "accept_redirects"},
    {IPV4_DEVCONF_RP_FILTER, 1, "rp_filter"},
    {IPV4_DEVCONF_ARP_IGNORE, 8, "arp_ignore"},
}};

void put_sysctls(Message& message, std::span<const Sysctl> sysctls, bool ipv6)
{
  message.nest(IFLA_AF_SPEC, [&] {
    if (!sysctls.empty())
      message.nest(AF_INET, [&] {
        message.nest(IFLA_INET_CONF, [&] {
          for (const Sysctl& each : sysctls) message.value(each.number, each.value);
        });
      });
    // No link-local address: the other end is a permanent neighbour, and nobody else is on this link.
    if (ipv6)
      message.nest(AF_INET6,
                   [&] { message.value(IFLA_INET6_ADDR_GEN_MODE, static_cast<uint8_t>(IN6_ADDR_GEN_MODE_NONE)); });
  });
}

std::string with_memory(const std::string& mark, const std::string& memory)
{
  return mark.substr(0, most_alias - memory.size()) + memory;
}

int index_of(Netlink& netlink, const std::string& name)
{
  const auto link = find_link(netlink, name);
  if (!link) throw Error{"look for the link " + name, ENODEV};
  return link->index;
}

std::string ipv6_setting(const std::string& link, const char* name)
{
  return fmt::format("/proc/sys/net/ipv6/conf/{}/{}", link, name);
}

// A router advertisement on this link is never right, nor is a redirect. The rules drop them too, so a /proc/sys that
// may not be written (a host that is a container itself) is not the end.
void refuse_advertisements(Trace& trace, const std::string& link)
{
  if (!holds(guard::no_advertisements)) return;
  for (const char* setting : {"accept_ra", "accept_redirects"}) {
    try {
      kernel::write_value(trace, AT_FDCWD, ipv6_setting(link, setting), "0");
    } catch (const Error& error) {
      if (error.number() != EROFS && error.number() != EACCES && error.number() != ENOENT) throw;
    }
  }
}

} // namespace

std::string link_name(LinkIndex index) { return link_prefix + std::to_string(index); }

LinkIndex link_index(std::string_view name)
{
  const std::string_view prefix = link_prefix;
  if (!name.starts_with(prefix)) return 0;
  name.remove_prefix(prefix.size());
  LinkIndex index = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
  return error == std::errc{} && end == name.data() + name.size() ? index : LinkIndex{0};
}

std::array<uint8_t, 6> host_mac(LinkIndex index) { return mac(0, index); }
std::array<uint8_t, 6> inside_mac(LinkIndex index) { return mac(1, index); }

std::vector<std::byte> address_bytes(std::string_view text)
{
  const std::string address{text};
  std::vector<std::byte> bytes(address.find(':') == std::string::npos ? 4 : 16);
  if (::inet_pton(bytes.size() == 4 ? AF_INET : AF_INET6, address.c_str(), bytes.data()) != 1) return {};
  return bytes;
}

namespace {

// veth(4) sends on the CPU that it is on and takes no lock (NETIF_F_LLTX), so more queues than one carry nothing; each
// is several objects in sysfs, of either end, and by default there are as many as CPUs. Half of a link's making was
// theirs, and each look at its counters goes through all of them.
constexpr uint32_t queues = 1;
constexpr const char* queues_by_hand = "numtxqueues 1 numrxqueues 1";

void put_queues(Message& message) { message.value(IFLA_NUM_TX_QUEUES, queues).value(IFLA_NUM_RX_QUEUES, queues); }

} // namespace

void make_link(Trace& trace, Netlink& host, const LinkPlan& plan, int namespace_fd)
{
  const std::string name = link_name(plan.index);
  const auto outer = host_mac(plan.index), inner = inside_mac(plan.index);
  const ifinfomsg any{};
  Message message{RTM_NEWLINK, make_new};
  message.fixed(any).text(IFLA_IFNAME, name).value(IFLA_ADDRESS, outer).value(IFLA_GROUP, link_group);
  put_queues(message);
  message.nest(IFLA_LINKINFO, [&] {
    message.text(IFLA_INFO_KIND, "veth");
    message.nest(IFLA_INFO_DATA, [&] {
      message.nest(VETH_INFO_PEER, [&] {
        message.fixed(any).text(IFLA_IFNAME, inside_name).value(IFLA_ADDRESS, inner);
        put_queues(message);
        message.value(IFLA_NET_NS_FD, namespace_fd);
      });
    });
  });
  host.change(trace, "RTM_NEWLINK",
              [&] {
                const std::string pair =
                    fmt::format("{0} address {1} group {2} {3} type veth peer name {4} address {5} {3} netns", name,
                                mac_text(outer), link_group, queues_by_hand, inside_name, mac_text(inner));
                return Told{"make the link " + name, fmt::format("RTM_NEWLINK {} fd {}", pair, namespace_fd),
                            fmt::format("ip link add {} {}", pair, namespace_path(namespace_of(namespace_fd)))};
              },
              {&message, 1});
}

void set_up_host_end(Trace& trace, Netlink& host, const LinkPlan& plan)
{
  const std::string name = link_name(plan.index);
  const int link = index_of(host, name);
  const std::string alias =
      with_memory(fmt::format("conductor {} {} {}", plan.root_id, plan.container_id, plan.name), plan.memory);
  const Subnet& subnet = plan.subnet;
  const bool ipv6 = !subnet.ipv6.empty();

  std::vector<Message> messages;
  messages.push_back(set_link(name, 0, 0));
  messages.back().bytes(IFLA_IFALIAS, std::as_bytes(std::span{alias}));
  put_sysctls(messages.back(), host_sysctls, plan.host_has_ipv6);
  messages.push_back(set_link(name, IFF_UP, 0));
  messages.push_back(address_message(link, subnet.host(), subnet.address(plan.index)));
  messages.push_back(neighbour_message(link, subnet.address(plan.index), inside_mac(plan.index)));
  if (ipv6) {
    messages.push_back(address_message(link, subnet.host6(), subnet.address6(plan.index)));
    messages.push_back(neighbour_message(link, subnet.address6(plan.index), inside_mac(plan.index)));
  }
  ask_at_the_end(messages);
  host.change(
      trace, "rtnetlink",
      [&] {
        std::string by_hand = fmt::format("ip link set {} up alias '{}' addrgenmode none", name, alias);
        for (const Sysctl& each : host_sysctls)
          by_hand += fmt::format("; sysctl net.ipv4.conf.{}.{}={}", name, each.name, each.value);
        for (const bool sixth : {false, true}) {
          if (sixth && !ipv6) continue;
          const std::string ours = sixth ? subnet.host6() : subnet.host();
          const std::string theirs = sixth ? subnet.address6(plan.index) : subnet.address(plan.index);
          by_hand += fmt::format("; ip address add {} peer {} dev {}{}", ours, theirs, name, sixth ? " nodad" : "");
          by_hand += fmt::format("; ip neigh add {} lladdr {} dev {} nud permanent", theirs,
                                 mac_text(inside_mac(plan.index)), name);
        }
        return Told{"set up the link " + name,
                    fmt::format("RTM_SETLINK {0} up, alias, sysctls; RTM_NEWADDR, RTM_NEWNEIGH dev {0}", name),
                    std::move(by_hand)};
      },
      messages);
  if (ipv6) refuse_advertisements(trace, name);

  // Another link may have that name already, and the container is reached without it.
  const std::string altname = (plan.name + "-outside").substr(0, most_altname);
  ifinfomsg header{};
  header.ifi_index = link;
  Message property{RTM_NEWLINKPROP, NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND | NLM_F_EXCL};
  property.fixed(header).nest(IFLA_PROP_LIST, [&] { property.text(IFLA_ALT_IFNAME, altname); });
  host.try_change(trace, "RTM_NEWLINKPROP",
                  [&] {
                    return Told{"name the link", fmt::format("RTM_NEWLINKPROP {} altname {}", name, altname),
                                fmt::format("ip link property add dev {} altname {}", name, altname)};
                  },
                  {&property, 1});
}

void set_up_inside(Trace& trace, Netlink& inside, const LinkPlan& plan)
{
  const int link = index_of(inside, inside_name);
  const Subnet& subnet = plan.subnet;
  const bool ipv6 = !subnet.ipv6.empty();
  if (ipv6) refuse_advertisements(trace, inside_name);
  std::vector<Message> messages;
  messages.push_back(set_link(inside_name, 0, 0));
  put_sysctls(messages.back(), {}, plan.host_has_ipv6);
  messages.push_back(set_link(inside_name, IFF_UP, 0));
  messages.push_back(address_message(link, subnet.address(plan.index), subnet.host()));
  messages.push_back(neighbour_message(link, subnet.host(), host_mac(plan.index)));
  messages.push_back(default_route_message(link, subnet.host()));
  if (ipv6) {
    messages.push_back(address_message(link, subnet.address6(plan.index), subnet.host6()));
    messages.push_back(neighbour_message(link, subnet.host6(), host_mac(plan.index)));
    messages.push_back(default_route_message(link, subnet.host6()));
  }
  ask_at_the_end(messages);
  inside.change(
      trace, "rtnetlink",
      [&] {
        std::string by_hand = fmt::format("ip link set {} up addrgenmode none", inside_name);
        for (const bool sixth : {false, true}) {
          if (sixth && !ipv6) continue;
          const std::string theirs = sixth ? subnet.host6() : subnet.host();
          const std::string ours = sixth ? subnet.address6(plan.index) : subnet.address(plan.index);
          by_hand +=
              fmt::format("; ip address add {} peer {} dev {}{}", ours, theirs, inside_name, sixth ? " nodad" : "");
          by_hand += fmt::format("; ip neigh add {} lladdr {} dev {} nud permanent", theirs,
                                 mac_text(host_mac(plan.index)), inside_name);
          by_hand +=
              fmt::format("; ip route add default via {} dev {} onlink proto {}", theirs, inside_name, our_protocol);
        }
        return Told{
            fmt::format("set up {} of '{}'", inside_name, plan.name),
            fmt::format("RTM_SETLINK {0} up; RTM_NEWADDR, RTM_NEWNEIGH, RTM_NEWROUTE default dev {0}", inside_name),
            std::move(by_hand)};
      },
      messages);
}

void set_reach(Trace& trace, Netlink& host, LinkIndex index, Reach reach)
{
  const std::string name = link_name(index);
  Message message = set_link(name);
  std::vector<Sysctl> sysctls{{IPV4_DEVCONF_FORWARDING, reach.forwards ? 1U : 0U, "forwarding"}};
  if (reach.localnet) sysctls.push_back({IPV4_DEVCONF_ROUTE_LOCALNET, *reach.localnet ? 1U : 0U, "route_localnet"});
  put_sysctls(message, sysctls, false);
  const auto describe = [&] {
    Told told{"set what may be forwarded from " + name, "RTM_SETLINK " + name, {}};
    for (const Sysctl& each : sysctls) {
      told.call += fmt::format(" {} {}", each.name, each.value);
      told.by_hand +=
          fmt::format("{}sysctl net.ipv4.conf.{}.{}={}", told.by_hand.empty() ? "" : "; ", name, each.name, each.value);
    }
    return told;
  };
  const int error = host.try_change(trace, "RTM_SETLINK", describe, {&message, 1});
  // It goes with its namespace at any moment, and where there is no link nothing is forwarded.
  if (error == ENODEV) return;
  if (error != 0) throw Error{describe().what, error};
  if (reach.forwards6_now == reach.forwards) return;
  const std::string ipv6 = ipv6_setting(name, "force_forwarding");
  const auto now = kernel::find_content(AT_FDCWD, ipv6);
  if (!now || now->starts_with('1') == reach.forwards) return;
  try {
    kernel::write_value(trace, AT_FDCWD, ipv6, reach.forwards ? "1" : "0");
  } catch (const Error& gone) {
    if (gone.number() != ENOENT && gone.number() != ENODEV) throw;
  }
}

void forbid_forwarding(Trace& trace, Netlink& host, LinkIndex index)
{
  const std::string name = link_name(index);
  Message message = set_link(name);
  const Sysctl off{IPV4_DEVCONF_FORWARDING, 0, "forwarding"};
  put_sysctls(message, {&off, 1}, false);
  const auto describe = [&] {
    return Told{"keep " + name + " from forwarding", fmt::format("RTM_SETLINK {} forwarding 0", name),
                fmt::format("sysctl net.ipv4.conf.{}.forwarding=0", name)};
  };
  const int error = host.try_change(trace, "RTM_SETLINK", describe, {&message, 1});
  if (error != 0 && error != ENODEV) throw Error{describe().what, error};
}

namespace {

void write_mark(Trace& trace, Netlink& host, LinkIndex index, const std::string& alias)
{
  const std::string name = link_name(index);
  Message message = set_link(name);
  message.bytes(IFLA_IFALIAS, std::as_bytes(std::span{alias}));
  const auto describe = [&] {
    return Told{"mark the link " + name, fmt::format("RTM_SETLINK {} alias '{}'", name, alias),
                fmt::format("ip link set {} alias '{}'", name, alias)};
  };
  const int error = host.try_change(trace, "RTM_SETLINK", describe, {&message, 1});
  if (error != 0 && error != ENODEV) throw Error{describe().what, error};
}

} // namespace

void append_mark(Trace& trace, Netlink& host, LinkIndex index, const std::string& alias, const std::string& memory)
{
  write_mark(trace, host, index, with_memory(alias, memory));
}

void mark_gone(Trace& trace, Netlink& host, LinkIndex index, std::string_view container_id)
{
  write_mark(trace, host, index, fmt::format("conductor gone {}", container_id));
}

void remove_link(Trace& trace, Netlink& host, LinkIndex index)
{
  const std::string name = link_name(index);
  const ifinfomsg any{};
  Message message{RTM_DELLINK, with_ack};
  message.fixed(any).text(IFLA_IFNAME, name);
  const auto describe = [&] {
    return Told{"remove the link " + name, "RTM_DELLINK " + name, "ip link delete " + name};
  };
  const int error = host.try_change(trace, "RTM_DELLINK", describe, {&message, 1});
  if (error != 0 && error != ENODEV) throw Error{describe().what, error};
}

} // namespace conductor::net
