#include "core/container/wire.h"

#include "core/base/error.h"
#include "core/kernel/call.h"
#include "core/kernel/files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <endian.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace conductor::wire {
namespace {

static_assert(__BYTE_ORDER == __LITTLE_ENDIAN, "numbers are sent as they lie in memory");

// A path is at most 107 bytes here (unix(7)), shorter than --run may be: the directory goes by its descriptor.
sockaddr_un address_of(int directory, const std::string& name)
{
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = fmt::format("/proc/self/fd/{}/{}", directory, name);
  if (path.size() >= sizeof address.sun_path) throw Error{"the name of the socket " + name, ENAMETOOLONG};
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

std::string shown(int directory, const std::string& name) { return kernel::path_of(directory) + "/" + name; }

union ControlBuffer {
  char bytes[CMSG_SPACE(sizeof(int) * descriptor_limit)];
  cmsghdr align;
};

} // namespace

Sent send(int socket, Head head, std::string_view payload, const int* descriptors, size_t count)
{
  head.size = static_cast<uint16_t>(payload.size());
  std::array<iovec, 2> parts{iovec{&head, sizeof head}, iovec{const_cast<char*>(payload.data()), payload.size()}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  ControlBuffer control{};
  if (count > 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
    cmsghdr* entry = CMSG_FIRSTHDR(&message);
    entry->cmsg_level = SOL_SOCKET;
    entry->cmsg_type = SCM_RIGHTS;
    entry->cmsg_len = CMSG_LEN(sizeof(int) * count);
    std::memcpy(CMSG_DATA(entry), descriptors, sizeof(int) * count);
  }
  ssize_t sent = 0;
  do sent = ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent >= 0) return Sent::yes;
  return errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS ? Sent::full : Sent::gone;
}

Received receive(int socket, Buffer& buffer, Message& message)
{
  message = Message{};
  iovec part{buffer.data(), buffer.size()};
  ControlBuffer control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.bytes;
  header.msg_controllen = sizeof control.bytes;
  // A peer that closed while packets of ours were unread is told once as ECONNRESET, in front of what it had sent
  // before (unix_dgram_recvmsg() takes the error first): that is still to be had.
  bool was_reset = false;
  const auto again = [&] { return errno == EINTR || (errno == ECONNRESET && !std::exchange(was_reset, true)); };
  ssize_t got = 0;
  do got = ::recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (got < 0 && again());
  if (got < 0 && errno == EAGAIN) return Received::nothing;

  // Taken before anything is judged, or they would stay open.
  for (cmsghdr* entry = got < 0 ? nullptr : CMSG_FIRSTHDR(&header); entry != nullptr;
       entry = CMSG_NXTHDR(&header, entry)) {
    if (entry->cmsg_level != SOL_SOCKET || entry->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (entry->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t index = 0; index < count; index++) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(entry) + index * sizeof(int), sizeof fd);
      if (index < message.descriptors.size())
        message.descriptors[index] = Fd{fd};
      else
        ::close(fd);
    }
  }
  if (got < static_cast<ssize_t>(sizeof(Head)) || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
    return Received::gone;
  std::memcpy(&message.head, buffer.data(), sizeof(Head));
  if (static_cast<size_t>(got) != sizeof(Head) + message.head.size) return Received::gone;
  message.payload = {buffer.data() + sizeof(Head), message.head.size};
  return Received::message;
}

std::array<char, 4> pack_size(const WindowSize& size)
{
  std::array<char, 4> payload{};
  std::memcpy(payload.data(), &size.rows, 2);
  std::memcpy(payload.data() + 2, &size.columns, 2);
  return payload;
}

std::optional<WindowSize> unpack_size(std::string_view payload)
{
  if (payload.size() < 4) return std::nullopt;
  WindowSize size{0, 0};
  std::memcpy(&size.rows, payload.data(), 2);
  std::memcpy(&size.columns, payload.data() + 2, 2);
  if (size.rows == 0 || size.columns == 0) return std::nullopt;
  return size;
}

Fd listen_in(Trace& trace, int directory, const std::string& name)
{
  const sockaddr_un address = address_of(directory, name);
  Fd socket{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!socket) throw Error{"make a socket", errno};
  ::fchmod(socket.get(), 0600); // before bind(2), which gives this mode to the file
  const auto bind = [&] {
    return kernel::perform(
        trace, "bind",
        [&] {
          return kernel::CallText{
              fmt::format("bind(socket, \"{}\")", shown(directory, name)),
              fmt::format("socat UNIX-LISTEN:{},type=5 -   # SOCK_SEQPACKET", shown(directory, name))};
        },
        [&] { return ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address); });
  };
  auto bound = bind();
  if (bound.error == EADDRINUSE) {
    kernel::remove_file(trace, directory, name); // of a keeper that was killed
    bound = bind();
  }
  if (bound.failed()) throw Error{"make the socket " + shown(directory, name), bound.error};
  if (::listen(socket.get(), 8) < 0) throw Error{"listen on " + shown(directory, name), errno};
  return socket;
}

Fd accept_from(int listener)
{
  Fd client{::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
  ucred peer{};
  socklen_t size = sizeof peer;
  if (!client || ::getsockopt(client.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) return {};
  if (peer.uid != 0 && peer.uid != ::geteuid()) return {};
  return client;
}

Fd connect_to(int directory, const std::string& name)
{
  const sockaddr_un address = address_of(directory, name);
  Fd socket{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!socket) throw Error{"make a socket", errno};
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
    throw Error{"connect to " + shown(directory, name), errno};
  return socket;
}

std::optional<uint16_t> common_version(uint32_t theirs)
{
  const uint32_t common = std::min<uint32_t>(theirs, newest_version);
  if (common < oldest_version) return std::nullopt;
  return static_cast<uint16_t>(common);
}

bool answer_hello(int socket, const Message& message, Role role)
{
  if (message.head.type == Type::hello && common_version(message.head.number))
    return send(socket, {.type = Type::hello, .detail = static_cast<uint8_t>(role), .number = newest_version}) ==
           Sent::yes;
  const std::string sentence =
      message.head.type == Type::hello
          ? fmt::format("the other side speaks version {} of the keeper's protocol, this one versions {} to {}",
                        message.head.number, oldest_version, newest_version)
          : std::string{"the first message must be a hello"};
  send(socket, {.type = Type::error, .number = EPROTO}, sentence);
  return false;
}

std::pair<uint16_t, Role> greet(int socket)
{
  if (send(socket, {.type = Type::hello, .number = newest_version}) != Sent::yes)
    throw Error{"greet the keeper", ECONNRESET};
  Buffer buffer; // NOLINT: filled by receive()
  Message answer;
  await(socket, buffer, answer, 5000);
  if (answer.head.type != Type::hello) throw Error{"greet the keeper: it does not answer with a hello", EPROTO};
  const auto version = common_version(answer.head.number);
  if (!version)
    throw Error{
        fmt::format("the keeper speaks version {} of its protocol, which this conductor does not", answer.head.number),
        EPROTO, "restart the container with this version"};
  return {*version, static_cast<Role>(answer.head.detail)};
}

void await(int socket, Buffer& buffer, Message& message, int timeout_ms)
{
  const uint64_t deadline = monotonic_us() + static_cast<uint64_t>(timeout_ms) * 1000;
  for (;;) {
    const Received received = receive(socket, buffer, message);
    if (received == Received::gone) throw Error{"the keeper ended the connection", ECONNRESET};
    if (received == Received::message) break;
    const uint64_t now = monotonic_us();
    if (now >= deadline) throw Error{"the keeper does not answer", ETIMEDOUT};
    pollfd news{socket, POLLIN, 0};
    ::poll(&news, 1, static_cast<int>((deadline - now) / 1000 + 1));
  }
  if (message.head.type == Type::error)
    throw Error::relayed(std::string{message.payload}, static_cast<int>(message.head.number), {}, 1);
}

void send_descriptor(int socket, int fd)
{
  // Our own processes only, a few bytes at the beginning of the connection: there is always room.
  if (send(socket, {.type = Type::attached}, {}, &fd, 1) != Sent::yes) throw Error{"hand a descriptor over", errno};
}

Fd receive_descriptor(int socket)
{
  Buffer buffer; // NOLINT: filled by receive()
  Message message;
  await(socket, buffer, message, 10'000);
  if (!message.descriptors[0]) throw Error{"take a descriptor over: none came", EPROTO};
  return std::move(message.descriptors[0]);
}

} // namespace conductor::wire
