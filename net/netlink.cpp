#include "net/netlink.h"

#include "core/base/error.h"
#include "core/kernel/call.h"

#include <array>
#include <cerrno>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <utility>

#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace conductor::net {
namespace {

// The kernel fills what the largest buffer so far could hold, and cuts what does not fit: 32 KiB is what it would like
// (NLMSG_GOODSIZE's upper bound), and libmnl must never see less.
constexpr size_t buffer_size = 32768;
constexpr int most_rounds = 5;
// A transaction that publishes a thousand ports in both families takes a third of a MiB.
constexpr int send_buffer = 4 << 20;

constexpr size_t padded(size_t length) { return (length + 3) & ~size_t{3}; }

int option(int fd, int name)
{
  const int on = 1;
  return ::setsockopt(fd, SOL_NETLINK, name, &on, sizeof on);
}

// "<what>: strerror [the kernel's own words]"
Error refusal(const std::string& what, int error, const std::string& explanation)
{
  if (explanation.empty()) return Error{what, error};
  return Error::relayed(what + ": " + strerrordesc_np(error) + " [" + explanation + "]", error, {}, 1);
}

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

Bytes attribute_in(Bytes attributes, uint16_t type)
{
  for (const Attribute& attribute : Attributes{attributes})
    if (attribute.type == type) return attribute.value;
  return {};
}

std::string text_from(Bytes bytes)
{
  const auto end = std::find(bytes.begin(), bytes.end(), std::byte{0});
  std::string text(static_cast<size_t>(end - bytes.begin()), '\0');
  if (!text.empty()) std::memcpy(text.data(), bytes.data(), text.size());
  return text;
}

uint32_t big32_from(Bytes bytes)
{
  return bytes.size() < sizeof(uint32_t) ? 0 : __builtin_bswap32(structure_from<uint32_t>(bytes));
}

uint64_t big64_from(Bytes bytes)
{
  return bytes.size() < sizeof(uint64_t) ? 0 : __builtin_bswap64(structure_from<uint64_t>(bytes));
}

// ---- making messages

namespace {

nlmsghdr* header_of(std::vector<std::byte>& bytes) { return reinterpret_cast<nlmsghdr*>(bytes.data()); }
const nlmsghdr* header_of(const std::vector<std::byte>& bytes)
{
  return reinterpret_cast<const nlmsghdr*>(bytes.data());
}

} // namespace

Message::Message(uint16_t type, uint16_t flags) : bytes_(MNL_NLMSG_HDRLEN)
{
  nlmsghdr* header = mnl_nlmsg_put_header(bytes_.data());
  header->nlmsg_type = type;
  header->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
}

Message& Message::fixed_bytes(Bytes bytes)
{
  if (bytes.empty()) return *this;
  bytes_.resize(bytes_.size() + padded(bytes.size()));
  void* place = mnl_nlmsg_put_extra_header(header_of(bytes_), bytes.size());
  std::memcpy(place, bytes.data(), bytes.size());
  return *this;
}

Message& Message::bytes(uint16_t type, Bytes value)
{
  if (value.size() > std::numeric_limits<uint16_t>::max() - sizeof(nlattr))
    throw std::length_error{"a netlink attribute"};
  bytes_.resize(bytes_.size() + padded(sizeof(nlattr) + value.size()));
  mnl_attr_put(header_of(bytes_), type, value.size(), value.empty() ? bytes_.data() : value.data());
  return *this;
}

Message& Message::text(uint16_t type, std::string_view value)
{
  const std::string with_end{value};
  return bytes(type, std::as_bytes(std::span{with_end.c_str(), with_end.size() + 1}));
}

Message& Message::big32(uint16_t type, uint32_t number) { return value(type, __builtin_bswap32(number)); }
Message& Message::big64(uint16_t type, uint64_t number) { return value(type, __builtin_bswap64(number)); }

Message& Message::nest(uint16_t type, const std::function<void()>& fill)
{
  const size_t begin = bytes_.size();
  bytes(static_cast<uint16_t>(type | NLA_F_NESTED), {});
  fill();
  const size_t length = bytes_.size() - begin;
  if (length > std::numeric_limits<uint16_t>::max()) throw std::length_error{"a nested netlink attribute"};
  reinterpret_cast<nlattr*>(bytes_.data() + begin)->nla_len = static_cast<uint16_t>(length);
  return *this;
}

uint16_t Message::type() const { return header_of(bytes_)->nlmsg_type; }
void Message::want_ack() { header_of(bytes_)->nlmsg_flags |= NLM_F_ACK; }
bool Message::wants_ack() const { return (header_of(bytes_)->nlmsg_flags & NLM_F_ACK) != 0; }

Bytes Message::finished(uint32_t sequence)
{
  header_of(bytes_)->nlmsg_seq = sequence;
  return bytes_;
}

// ---- reading answers

std::string explanation_from(const Received& message)
{
  if ((message.flags & NLM_F_ACK_TLVS) == 0) return {};
  // NLMSG_DONE: <int>; NLMSG_ERROR: <int><header of the request>, and the request's payload unless NLM_F_CAPPED.
  size_t skipped = sizeof(int);
  if (message.type == NLMSG_ERROR) {
    if (message.payload.size() < sizeof(nlmsgerr)) return {};
    const auto error = structure_from<nlmsgerr>(message.payload);
    skipped = sizeof(nlmsgerr);
    if ((message.flags & NLM_F_CAPPED) == 0 && error.msg.nlmsg_len > sizeof(nlmsghdr))
      skipped = padded(sizeof(int) + size_t{error.msg.nlmsg_len});
  }
  if (skipped > message.payload.size()) return {};
  return text_from(attribute_in(message.payload.subspan(skipped), NLMSGERR_ATTR_MSG));
}

Answer::Answer(Kind kind, uint32_t first, uint32_t last, Visitor visit)
    : kind_(kind), first_(first), last_(last), visit_(std::move(visit))
{}

void Answer::feed(Bytes datagram)
{
  while (!datagram.empty() && !finished_) {
    const auto header = structure_from<nlmsghdr>(datagram);
    if (datagram.size() < sizeof header || header.nlmsg_len < sizeof header || header.nlmsg_len > datagram.size()) {
      damaged_ = true;
      return;
    }
    take({header.nlmsg_type, header.nlmsg_flags, header.nlmsg_seq,
          datagram.subspan(sizeof header, header.nlmsg_len - sizeof header)});
    datagram = datagram.subspan(std::min(padded(header.nlmsg_len), datagram.size()));
  }
}

void Answer::take(const Received& message)
{
  // The rest of an earlier answer that was given up half-way. (Counting, since the numbers may wrap.)
  if (message.sequence - first_ > last_ - first_) return;
  interrupted_ = interrupted_ || (message.flags & NLM_F_DUMP_INTR) != 0;
  if (message.type == NLMSG_DONE || message.type == NLMSG_ERROR) {
    if (message.payload.size() < sizeof(int)) {
      damaged_ = true;
      return;
    }
    const int number = structure_from<int>(message.payload);
    // The kernel answers with a negative errno; anything else it never says.
    if (number > 0 || number == std::numeric_limits<int>::min()) {
      damaged_ = true;
      return;
    }
    if (number < 0 && error_ == 0) {
      error_ = -number;
      explanation_ = explanation_from(message);
    }
    finished_ = kind_ == Kind::dump || message.sequence == last_;
    return;
  }
  if (message.type >= NLMSG_MIN_TYPE && visit_) visit_(message.type, message.payload);
}

// ---- the socket

namespace {

Fd open_netlink(int protocol)
{
  Fd made{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)};
  if (!made) throw Error{"open a netlink socket", errno};
  const sockaddr_nl address{.nl_family = AF_NETLINK, .nl_pad = 0, .nl_pid = 0, .nl_groups = 0};
  if (::bind(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
    throw Error{"bind a netlink socket", errno};
  // The kernel answers while we send; should it ever not, a screen must not hang.
  const timeval patience{.tv_sec = 1, .tv_usec = 0};
  ::setsockopt(made.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  // Each is a convenience that an old kernel may lack: words with errors, short errors, filters in dumps.
  option(made.get(), NETLINK_EXT_ACK);
  option(made.get(), NETLINK_CAP_ACK);
  option(made.get(), NETLINK_GET_STRICT_CHK);
  return made;
}

// Whoever closes a netfilter socket waits for an RCU grace period, some 18 ms, when something of nf_tables was deleted
// just before, by whomever (nft_rcv_nl_event() in the kernel). So one stays open for the next Netlink of this process.
// It goes with the process, or with what cleans up behind it (Containers::remove()). A child process does not use its
// parent's: the two would read each other's answers.
struct Kept {
  std::mutex lock;
  Fd socket;
  pid_t owner = 0;
  uint32_t sequence = 0;
};

Kept& kept()
{
  static Kept one;
  return one;
}

} // namespace

Netlink::Netlink(int protocol) : keeps_(protocol == NETLINK_NETFILTER)
{
  if (keeps_) {
    Kept& spare = kept();
    const std::lock_guard held{spare.lock};
    // In a child the number may stand for another file by now.
    if (spare.owner != ::getpid()) (void)spare.socket.release();
    socket_ = std::move(spare.socket);
    sequence_ = spare.sequence;
  }
  if (!socket_) socket_ = open_netlink(protocol);
}

Netlink::~Netlink()
{
  if (!keeps_) return;
  Kept& spare = kept();
  const std::lock_guard held{spare.lock};
  if (spare.owner != ::getpid()) (void)spare.socket.release();
  if (spare.socket) return;
  spare.socket = std::move(socket_);
  spare.owner = ::getpid();
  spare.sequence = sequence_;
}

int Netlink::send(std::span<Message> messages)
{
  std::vector<std::byte> all;
  for (Message& message : messages) {
    const Bytes bytes = message.finished(++sequence_);
    all.insert(all.end(), bytes.begin(), bytes.end());
  }
  if (all.size() > buffer_size) ::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &send_buffer, sizeof(int));
  while (::send(socket_.get(), all.data(), all.size(), 0) < 0)
    if (errno != EINTR) return errno;
  return 0;
}

// One datagram into the answer. 0, or an errno.
int Netlink::drain(Answer& answer)
{
  std::array<std::byte, buffer_size> buffer; // NOLINT: filled by the kernel
  ssize_t got = -1;
  do got = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_TRUNC);
  while (got < 0 && errno == EINTR);
  if (got < 0) return errno;
  if (static_cast<size_t>(got) > buffer.size()) return EMSGSIZE;
  answer.feed(Bytes{buffer}.first(static_cast<size_t>(got)));
  return answer.damaged() ? EBADMSG : 0;
}

void Netlink::dump(std::string_view what, Message& request, const std::function<void()>& restart, const Visitor& visit)
{
  for (int round = 0; round < most_rounds; ++round) {
    restart();
    // An interrupted dump still is a picture, only of two moments: after the last round it is good enough.
    if (dump_once(what, request, visit) == Round::complete) return;
  }
}

Netlink::Round Netlink::dump_once(std::string_view what, Message& request, const Visitor& visit)
{
  if (const int error = send({&request, 1}); error != 0) throw Error{std::string{what}, error};
  Answer answer{Answer::Kind::dump, sequence_, sequence_, visit};
  bool lost = false;
  while (!answer.finished()) {
    const int error = drain(answer);
    if (error == ENOBUFS) // the kernel had to drop a part, and goes on with the rest
      lost = true;
    else if (error != 0)
      throw Error{std::string{what} + ": read the answer", error};
  }
  // EINTR is how nf_tables says that the rules changed under a dump.
  if (answer.error() == EINTR) return Round::interrupted;
  if (answer.error() != 0) throw refusal(std::string{what}, answer.error(), answer.explanation());
  return lost || answer.interrupted() ? Round::interrupted : Round::complete;
}

int Netlink::ask(std::string_view what, Message& request, const Visitor& visit)
{
  if (const int error = send({&request, 1}); error != 0) throw Error{std::string{what}, error};
  Answer answer{Answer::Kind::acknowledgement, sequence_, sequence_, visit};
  while (!answer.finished())
    if (const int error = drain(answer); error != 0) throw Error{std::string{what} + ": read the answer", error};
  return answer.error();
}

int Netlink::try_change(Trace& trace, std::string_view name, const std::function<Told()>& describe,
                        std::span<Message> messages)
{
  explanation_.clear();
  const kernel::CallResult result = kernel::perform(
      trace, name,
      [&] {
        Told told = describe();
        return kernel::CallText{std::move(told.call), std::move(told.by_hand)};
      },
      [&]() -> long {
        const uint32_t first = sequence_ + 1;
        if (const int error = send(messages); error != 0) {
          errno = error;
          return -1;
        }
        // The last message that is acknowledged ends the answer; a batch of nf_tables has one more behind it.
        uint32_t last = sequence_;
        for (size_t i = messages.size(); i > 0 && !messages[i - 1].wants_ack(); --i) --last;
        Answer answer{Answer::Kind::acknowledgement, first, last, {}};
        int error = 0;
        // A batch that fails as a whole is answered by one error of its first message.
        while (error == 0 && !answer.finished() && (answer.error() == 0 || messages.front().wants_ack()))
          error = drain(answer);
        explanation_ = answer.explanation();
        errno = answer.error() != 0 ? answer.error() : error;
        return errno == 0 ? 0 : -1;
      });
  return result.error;
}

void Netlink::change(Trace& trace, std::string_view name, const std::function<Told()>& describe,
                     std::span<Message> messages)
{
  const int error = try_change(trace, name, describe, messages);
  if (error == 0) return;
  throw refusal(describe().what, error, explanation_);
}

} // namespace conductor::net
