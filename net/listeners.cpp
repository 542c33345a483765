#include "net/listeners.h"

#include "core/base/error.h"
#include "core/kernel/files.h"
#include "net/link_writer.h"

#include <algorithm>
#include <array>

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

namespace conductor::net {
namespace {

bool is_every(const std::vector<std::byte>& address)
{
  return std::all_of(address.begin(), address.end(), [](std::byte each) { return each == std::byte{0}; });
}

// ::ffff:10.0.0.1 is a way to write 10.0.0.1.
std::vector<std::byte> unmapped(std::vector<std::byte> address)
{
  constexpr size_t prefix = 12;
  if (address.size() != 16 || address[10] != std::byte{0xff} || address[11] != std::byte{0xff}) return address;
  if (!is_every({address.begin(), address.begin() + 10})) return address;
  return {address.begin() + prefix, address.end()};
}

std::string text_of(const std::vector<std::byte>& address)
{
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  ::inet_ntop(address.size() == 4 ? AF_INET : AF_INET6, address.data(), buffer.data(), buffer.size());
  return buffer.data();
}

std::vector<std::string> names_in(const std::string& directory)
{
  try {
    return kernel::list_directory(AT_FDCWD, directory);
  } catch (const Error&) {
    return {}; // gone, or not to be seen
  }
}

bool is_number(const std::string& text)
{
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

} // namespace

std::optional<Socket> socket_from(Bytes payload)
{
  if (payload.size() < sizeof(inet_diag_msg)) return std::nullopt;
  const auto message = structure_from<inet_diag_msg>(payload);
  if (message.idiag_family != AF_INET && message.idiag_family != AF_INET6) return std::nullopt;
  const Bytes address = bytes_of(message.id.idiag_src).first(message.idiag_family == AF_INET ? 4 : 16);
  return Socket{
      .address = {address.begin(), address.end()}, .port = ntohs(message.id.idiag_sport), .inode = message.idiag_inode};
}

bool shadows(const PublishedPort& port, const Socket& socket)
{
  if (socket.port != port.outer) return false;
  const bool every = port.host_address.empty();
  const std::vector<std::byte> bound = unmapped(socket.address);
  const std::vector<std::byte> wanted = every ? std::vector<std::byte>(4) : address_bytes(port.host_address);
  // [::] hears IPv4 too, unless its owner asked for less; better one refusal too many.
  if (bound.size() == 16 && is_every(bound)) return true;
  if (every) return true;
  if (bound.size() != wanted.size()) return false;
  return is_every(bound) || is_every(wanted) || bound == wanted;
}

PortListener owner_of(const Socket& socket)
{
  PortListener listener{.address = text_of(socket.address)};
  const std::string wanted = fmt::format("socket:[{}]", socket.inode);
  for (const std::string& process : names_in("/proc")) {
    if (!is_number(process)) continue;
    const std::string directory = fmt::format("/proc/{}/fd/", process);
    for (const std::string& fd : names_in(directory)) {
      if (kernel::read_link(AT_FDCWD, directory + fd) != wanted) continue;
      listener.pid = std::stoi(process);
      listener.name = kernel::find_content(AT_FDCWD, fmt::format("/proc/{}/comm", process)).value_or("");
      if (listener.name.ends_with('\n')) listener.name.pop_back();
      return listener;
    }
  }
  return listener;
}

std::optional<PortListener> find_listener(const PublishedPort& port)
{
  Netlink netlink{NETLINK_SOCK_DIAG};
  const bool udp = port.protocol == "udp";
  for (const int family : {AF_INET, AF_INET6}) {
    inet_diag_req_v2 header{};
    header.sdiag_family = static_cast<__u8>(family);
    header.sdiag_protocol = udp ? IPPROTO_UDP : IPPROTO_TCP;
    // A UDP socket that is not connected is "closed".
    header.idiag_states = 1U << (udp ? TCP_CLOSE : TCP_LISTEN);
    Message request{SOCK_DIAG_BY_FAMILY, NLM_F_DUMP};
    request.fixed(header);
    std::optional<Socket> found;
    try {
      netlink.dump(
          "ask who listens on this host", request, [&] { found.reset(); },
          [&](uint16_t type, Bytes payload) {
            if (type != SOCK_DIAG_BY_FAMILY || found) return;
            if (auto socket = socket_from(payload); socket && shadows(port, *socket)) found = std::move(socket);
          });
    } catch (const Error& error) {
      // A kernel without inet_diag, or without this family: nobody can be named.
      if (error.number() != ENOENT && error.number() != EINVAL && error.number() != EAFNOSUPPORT) throw;
    }
    if (found) return owner_of(*found);
  }
  return std::nullopt;
}

} // namespace conductor::net
