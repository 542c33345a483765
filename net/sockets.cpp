#include "net/sockets.h"

#include "core/base/error.h"
#include "net/link_writer.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include <fmt/format.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

namespace conductor::net {
namespace {

constexpr uint32_t talking = ~(1U << TCP_LISTEN | 1U << TCP_CLOSE | 1U << TCP_TIME_WAIT);
constexpr size_t most_at_once = 256; // answers to more would not fit into the socket's buffer

// ::ffff:10.0.0.1, as programs that speak both families have it, is 10.0.0.1.
std::vector<std::byte> address_in(const __be32 (&words)[4], int family)
{
  constexpr std::array<std::byte, 12> mapped{
      {{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, std::byte{0xff}, std::byte{0xff}}};
  Bytes all = bytes_of(words);
  if (family == AF_INET)
    all = all.first(4);
  else if (std::equal(mapped.begin(), mapped.end(), all.begin()))
    all = all.subspan(mapped.size());
  return {all.begin(), all.end()};
}

inet_diag_req_v2 request_for(int family, uint32_t states)
{
  inet_diag_req_v2 header{};
  header.sdiag_family = static_cast<__u8>(family);
  header.sdiag_protocol = IPPROTO_TCP;
  header.idiag_states = states;
  return header;
}

std::vector<Message> resets_in(Netlink& netlink, int family, SocketEnd end,
                               const std::vector<std::vector<std::byte>>& wanted)
{
  std::vector<Message> resets;
  Message request{SOCK_DIAG_BY_FAMILY, NLM_F_DUMP};
  request.fixed(request_for(family, talking));
  netlink.dump(
      "look for connections", request, [&] { resets.clear(); },
      [&](uint16_t type, Bytes payload) {
        if (type != SOCK_DIAG_BY_FAMILY || payload.size() < sizeof(inet_diag_msg)) return;
        const auto socket = structure_from<inet_diag_msg>(payload);
        const auto address = address_in(end == SocketEnd::own ? socket.id.idiag_src : socket.id.idiag_dst, family);
        if (std::find(wanted.begin(), wanted.end(), address) == wanted.end()) return;
        inet_diag_req_v2 header = request_for(family, talking);
        header.id = socket.id;
        resets.emplace_back(SOCK_DESTROY, NLM_F_ACK).fixed(header);
      });
  return resets;
}

} // namespace

size_t reset_connections(Trace& trace, SocketEnd end, const std::vector<std::string>& addresses)
{
  std::vector<std::vector<std::byte>> wanted;
  std::string by_hand = "ss -K -t";
  for (const std::string& address : addresses) {
    if (address.empty()) continue;
    by_hand += fmt::format("{} {} {}", wanted.empty() ? "" : " or", end == SocketEnd::own ? "src" : "dst", address);
    wanted.push_back(address_bytes(address));
  }
  size_t count = 0;
  Netlink netlink{NETLINK_SOCK_DIAG};
  for (const int family : {AF_INET, AF_INET6}) {
    std::vector<Message> resets;
    try {
      resets = resets_in(netlink, family, end, wanted);
    } catch (const Error& error) {
      // A kernel without inet_diag, or without this family.
      if (error.number() != ENOENT && error.number() != EINVAL && error.number() != EAFNOSUPPORT) throw;
    }
    for (size_t at = 0; at < resets.size(); at += most_at_once) {
      const std::span<Message> some = std::span{resets}.subspan(at, std::min(most_at_once, resets.size() - at));
      const auto describe = [&] {
        return Told{"reset connections", fmt::format("SOCK_DESTROY, {} connections", some.size()), by_hand};
      };
      const int error = netlink.try_change(trace, "SOCK_DESTROY", describe, some);
      if (error == EOPNOTSUPP) return count;
      // One that ended by itself meanwhile is no failure.
      if (error != 0 && error != ENOENT) throw Error{describe().what, error};
      count += some.size();
    }
  }
  return count;
}

} // namespace conductor::net
