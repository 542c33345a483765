#include "net/netlink.h"

#include "core/base/error.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace conductor::net {
namespace {

// The kernel fills what the largest buffer so far could hold, and cuts what does not fit: 32 KiB is what it would like
// (NLMSG_GOODSIZE's upper bound), and libmnl must never see less.
constexpr size_t buffer_size = 32768;
constexpr int most_rounds = 5;

constexpr size_t padded(size_t length) { return (length + 3) & ~size_t{3}; }

} // namespace

Attributes::Iterator::Iterator(Bytes rest) : rest_(rest) { take(); }

Attributes::Iterator& Attributes::Iterator::operator++()
{
  const size_t whole = padded(sizeof(nlattr) + current_.value.size());
  rest_ = rest_.subspan(std::min(whole, rest_.size()));
  take();
  return *this;
}

void Attributes::Iterator::take()
{
  valid_ = false;
  if (rest_.size() < sizeof(nlattr)) return;
  const auto header = structure_from<nlattr>(rest_);
  if (header.nla_len < sizeof(nlattr) || header.nla_len > rest_.size()) return;
  current_.type = header.nla_type & NLA_TYPE_MASK;
  current_.value = rest_.subspan(sizeof(nlattr), header.nla_len - sizeof(nlattr));
  valid_ = true;
}

std::string text_from(Bytes bytes)
{
  const auto end = std::find(bytes.begin(), bytes.end(), std::byte{0});
  std::string text(static_cast<size_t>(end - bytes.begin()), '\0');
  if (!text.empty()) std::memcpy(text.data(), bytes.data(), text.size());
  return text;
}

Netlink::Netlink() : socket_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE))
{
  if (!socket_) throw Error{"open a netlink socket", errno};
  const sockaddr_nl address{.nl_family = AF_NETLINK, .nl_pad = 0, .nl_pid = 0, .nl_groups = 0};
  if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
    throw Error{"bind a netlink socket", errno};
  // The kernel answers while we send; should it ever not, a screen must not hang.
  const timeval patience{.tv_sec = 1, .tv_usec = 0};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

void Netlink::dump(uint16_t request_type, Bytes fixed, const std::function<void()>& restart, const Visitor& visit)
{
  for (int round = 0; round < most_rounds; ++round) {
    restart();
    // An interrupted dump still is a picture, only of two moments: after the last round it is good enough.
    if (dump_once(request_type, fixed, visit) == Round::complete) return;
  }
}

Netlink::Round Netlink::dump_once(uint16_t request_type, Bytes fixed, const Visitor& visit)
{
  std::array<std::byte, buffer_size> buffer; // NOLINT: filled by the kernel
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = request_type;
  request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request->nlmsg_seq = ++sequence_;
  void* payload = mnl_nlmsg_put_extra_header(request, fixed.size());
  std::memcpy(payload, fixed.data(), fixed.size());
  if (::send(socket_.get(), request, request->nlmsg_len, 0) < 0) throw Error{"ask rtnetlink", errno};

  bool interrupted = false;
  while (true) {
    const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_TRUNC);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error{"read the answer of rtnetlink", errno};
    if (static_cast<size_t>(got) > buffer.size()) throw Error{"read the answer of rtnetlink", ENOSPC};
    int rest = static_cast<int>(got);
    for (const nlmsghdr* message = reinterpret_cast<const nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(message, rest);
         message = mnl_nlmsg_next(message, &rest)) {
      if (message->nlmsg_seq != sequence_) continue; // the end of an earlier dump that failed half-way
      interrupted = interrupted || (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
      const Bytes body{static_cast<const std::byte*>(mnl_nlmsg_get_payload(message)),
                       mnl_nlmsg_get_payload_len(message)};
      if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) {
        if (const int error = structure_from<int>(body); error < 0) throw Error{"read links by rtnetlink", -error};
        return interrupted ? Round::interrupted : Round::complete;
      }
      if (message->nlmsg_type >= NLMSG_MIN_TYPE) visit(message->nlmsg_type, body);
    }
  }
}

} // namespace conductor::net
