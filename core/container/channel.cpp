#include "core/container/channel.h"

#include "core/base/event_json.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

#include <sys/socket.h>
#include <unistd.h>

namespace conductor {
namespace {

constexpr size_t most_descriptors = 60; // SCM_MAX_FD is 253
constexpr size_t largest_message = 160 << 10;
constexpr char separator = '\x1f'; // between the fields of an error

} // namespace

std::pair<Channel, Channel> Channel::pair()
{
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) < 0)
    throw Error{"make a socket pair", errno};
  return {Channel{Fd{ends[0]}}, Channel{Fd{ends[1]}}};
}

bool Channel::send(MessageKind kind, std::string_view payload, const std::vector<int>& descriptors) const
{
  if (descriptors.size() > most_descriptors) throw Error{"hand over mounts: too many", E2BIG};
  char tag = static_cast<char>(kind);
  // An event can be as long as a hostile image makes it; what is too long for one message is cut, never lost whole.
  std::array<iovec, 2> parts{iovec{&tag, 1},
                             iovec{const_cast<char*>(payload.data()), std::min(payload.size(), largest_message - 1)}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * most_descriptors)> control{};
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(sizeof(int) * descriptors.size());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * descriptors.size());
    std::memcpy(CMSG_DATA(header), descriptors.data(), sizeof(int) * descriptors.size());
  }
  ssize_t sent = 0;
  do sent = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent >= 0) return true;
  if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN || errno == EBADF) return false;
  throw Error{"talk to the other process", errno};
}

bool Channel::send_error(const Error& error) const
{
  std::string payload = std::to_string(error.number()) + separator + std::to_string(error.status()) + separator;
  payload += std::to_string(error.flag_hint_at()) + separator + error.what() + separator + std::string{error.hint()};
  return send(MessageKind::failed, payload);
}

std::optional<Message> Channel::receive() const
{
  if (kept_.empty()) return receive_from_socket();
  Message oldest = std::move(kept_.front());
  kept_.erase(kept_.begin());
  return oldest;
}

std::optional<Message> Channel::receive(MessageKind kind) const
{
  for (;;) {
    auto message = receive_from_socket();
    if (!message || message->kind == kind) return message;
    kept_.push_back(std::move(*message));
  }
}

std::optional<Message> Channel::receive_from_socket() const
{
  // Not kept, and not cleared: a keeper would carry its pages for ever.
  const std::unique_ptr<char[]> buffer{new char[largest_message]};
  char tag = 0;
  std::array<iovec, 2> parts{iovec{&tag, 1}, iovec{buffer.get(), largest_message}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * most_descriptors)> control{};
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = 0;
  do got = ::recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  if (got == 0 || (got < 0 && errno == ECONNRESET)) return std::nullopt;
  if (got < 0) throw Error{"listen to the other process", errno};
  Message result{.kind = static_cast<MessageKind>(tag)};
  result.payload.assign(buffer.get(), static_cast<size_t>(got) - 1);
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t at = 0; at < count; ++at) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + at * sizeof(int), sizeof(int));
      result.descriptors.emplace_back(fd);
    }
  }
  return result;
}

void TraceSettings::apply(Trace& trace, Uplink& uplink) const
{
  if (heard) trace.add(uplink);
  if (gated) trace.set_gate(&uplink);
}

Uplink::Uplink(const Channel& channel, const TraceSettings& settings)
    : channel_(channel), calls_(settings.calls), steps_(settings.steps)
{}

void Uplink::on(const Event& event)
{
  // With a gate the question itself carries the event.
  channel_.send(MessageKind::event, to_json(event));
}

Decision Uplink::before(const Event& call)
{
  if (!channel_.send(MessageKind::question, to_json(call))) return Decision::abort;
  const auto answer = channel_.receive(MessageKind::decision);
  if (!answer || answer->payload.empty()) return Decision::abort;
  return static_cast<Decision>(answer->payload.front());
}

namespace {

Error error_from(std::string_view payload)
{
  std::array<std::string, 5> fields;
  for (size_t at = 0; at < fields.size(); ++at) {
    const size_t end = at + 1 < fields.size() ? payload.find(separator) : std::string_view::npos;
    fields[at] = payload.substr(0, end);
    payload = end == std::string_view::npos ? std::string_view{} : payload.substr(end + 1);
  }
  int number = 0;
  int status = 1;
  size_t flag_hint_at = std::string::npos;
  std::from_chars(fields[0].data(), fields[0].data() + fields[0].size(), number);
  std::from_chars(fields[1].data(), fields[1].data() + fields[1].size(), status);
  std::from_chars(fields[2].data(), fields[2].data() + fields[2].size(), flag_hint_at);
  return Error::relayed(fields[3], number, fields[4], status, flag_hint_at);
}

// What comes next, passed on where it is an event or a question. None: the other end is gone.
std::optional<Message> receive_and_pass(const Channel& channel, Trace& trace)
{
  auto message = channel.receive();
  if (!message) {
    // A program that became the container's command said nothing more: what it was in the middle of is done.
    trace.end_relayed(Outcome::done);
    return std::nullopt;
  }
  switch (message->kind) {
  case MessageKind::event:
    if (const auto event = event_from_json(message->payload)) trace.relay(*event);
    break;
  case MessageKind::question: {
    const auto event = event_from_json(message->payload);
    const Decision decision = event ? trace.ask(*event) : Decision::abort;
    const char letter = static_cast<char>(decision);
    channel.send(MessageKind::decision, std::string_view{&letter, 1});
    break;
  }
  case MessageKind::failed: trace.end_relayed(Outcome::failed); throw error_from(message->payload);
  default: break;
  }
  return message;
}

} // namespace

std::optional<Message> receive_relaying(const Channel& channel, Trace& trace)
{
  for (;;) {
    auto message = receive_and_pass(channel, trace);
    if (!message || (message->kind != MessageKind::event && message->kind != MessageKind::question)) return message;
  }
}

bool relay_next(const Channel& channel, Trace& trace) { return receive_and_pass(channel, trace).has_value(); }

} // namespace conductor
