#include "core/container/attach.h"

#include "core/base/error.h"
#include "core/container/keeper.h"
#include "core/container/pty.h"
#include "core/container/session.h"
#include "core/container/signals.h"
#include "core/container/streams.h"
#include "core/container/terminal_mode.h"
#include "core/container/wire.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <string_view>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

namespace conductor {
namespace {

constexpr char ctrl_p = 'P' - '@';
constexpr char ctrl_q = 'Q' - '@';

// Bytes on their way to one of our descriptors: a chunk that is replaced only when it is gone.
struct Outgoing {
  Fd fd;
  std::string_view rest;
  bool wants_room() const { return fd && !rest.empty(); }
  void push()
  {
    while (wants_room()) {
      const ssize_t put = ::write(fd.get(), rest.data(), rest.size());
      if (put < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (put < 0) fd.reset();
      rest.remove_prefix(put < 0 ? rest.size() : static_cast<size_t>(put));
    }
    if (!fd) rest = {};
  }
};

WindowSize our_size()
{
  if (const auto size = window_size(STDIN_FILENO)) return *size;
  return window_size(STDOUT_FILENO).value_or(WindowSize{0, 0});
}

// Our terminal while we are attached: raw where it is one, its size followed, its signals obeyed.
class OurTerminal {
public:
  explicit OurTerminal(bool raw)
  {
    if (raw && ::isatty(STDIN_FILENO) != 0) mode_.emplace(STDIN_FILENO);
  }
  bool is_raw() const { return mode_.has_value(); }
  int signals() const { return watch_.fd(); }
  enum class Asked : char { nothing, resize, leave };
  Asked obey()
  {
    Asked asked = Asked::nothing;
    while (const int signal = watch_.next()) {
      if (signal == SIGTSTP && mode_) mode_->stop_here();
      if (signal == SIGCONT && mode_) mode_->enter();
      if (signal == SIGTSTP || signal == SIGCONT || signal == SIGWINCH)
        asked = std::max(asked, Asked::resize);
      else
        return Asked::leave; // whoever ends us means us, not the container
    }
    return asked;
  }

private:
  std::optional<TerminalModeGuard> mode_;
  SignalWatch watch_{SIGWINCH, SIGTSTP, SIGCONT, SIGTERM, SIGINT, SIGHUP, SIGQUIT};
};

} // namespace

bool DetachKeys::feed(const char* bytes, size_t size, char* out, size_t& out_size)
{
  for (size_t index = 0; index < size; index++) {
    const char key = bytes[index];
    if (half_ && key == ctrl_q) {
      half_ = false;
      return true;
    }
    if (half_) out[out_size++] = ctrl_p;
    half_ = key == ctrl_p;
    if (!half_) out[out_size++] = key;
  }
  return false;
}

namespace {

class ContainerAttachment {
public:
  ContainerAttachment(int run_directory, bool input);
  AttachResult run();

private:
  bool obey(const wire::Message& message);
  bool read_keys();
  void send_keys();
  void say(wire::Head head, std::string_view payload = {});

  wire::Buffer buffer_; // what output_ and error_ are still to print lies here
  Fd socket_;
  Outgoing output_{non_blocking_copy(STDOUT_FILENO, O_WRONLY), {}};
  Outgoing error_{non_blocking_copy(STDERR_FILENO, O_WRONLY), {}};
  Fd keys_;
  bool is_terminal_ = false, leaving_ = false, input_ended_ = false;
  DetachKeys detach_keys_;
  std::array<char, 4096> typed_; // NOLINT: filled by read(2)
  size_t typed_size_ = 0;
  AttachResult result_;
};

ContainerAttachment::ContainerAttachment(int run_directory, bool input)
    : socket_(wire::connect_to(run_directory, keeper_socket))
{
  wire::greet(socket_.get());
  const auto size = wire::pack_size(our_size());
  wire::send(socket_.get(),
             {.type = wire::Type::attach, .detail = static_cast<uint8_t>(input ? wire::attach_input : 0)},
             {size.data(), size.size()});
  wire::Message answer;
  wire::await(socket_.get(), buffer_, answer, 5000);
  if (answer.head.type != wire::Type::attached) throw Error{"attach: the keeper does not answer as one", EPROTO};
  is_terminal_ = (answer.head.detail & wire::attached_terminal) != 0;
  if ((answer.head.detail & wire::attached_input) != 0) keys_ = non_blocking_copy(STDIN_FILENO, O_RDONLY);
}

void ContainerAttachment::say(wire::Head head, std::string_view payload)
{
  // Small and rare; the keeper reads these at once unless its own input is stuck, and then waiting would not help.
  wire::send(socket_.get(), head, payload);
}

AttachResult ContainerAttachment::run()
{
  OurTerminal terminal{is_terminal_ && keys_};
  enum Slot : size_t { news, signals, output, error, keys, count };
  std::array<pollfd, count> polls{};
  const auto when = [](bool wanted, int fd, short events) { return pollfd{wanted ? fd : -1, events, 0}; };
  for (;;) {
    const bool printing = output_.wants_room() || error_.wants_room();
    const short socket_events = static_cast<short>((printing ? 0 : POLLIN) | (typed_size_ > 0 ? POLLOUT : 0));
    polls[news] = when(socket_events != 0, socket_.get(), socket_events);
    polls[signals] = {terminal.signals(), POLLIN, 0};
    polls[output] = when(output_.wants_room(), output_.fd.get(), POLLOUT);
    polls[error] = when(error_.wants_room(), error_.fd.get(), POLLOUT);
    polls[keys] = when(typed_size_ == 0, keys_.get(), POLLIN);
    if (::poll(polls.data(), polls.size(), -1) < 0 && errno != EINTR) throw Error{"wait for the keeper", errno};

    const auto asked = polls[signals].revents != 0 ? terminal.obey() : OurTerminal::Asked::nothing;
    if (asked == OurTerminal::Asked::resize && is_terminal_) {
      const auto size = wire::pack_size(our_size());
      say({.type = wire::Type::resize}, {size.data(), size.size()});
    }
    if (asked == OurTerminal::Asked::leave) leaving_ = true;
    if (polls[keys].revents != 0 && read_keys()) leaving_ = true;
    send_keys();
    output_.push();
    error_.push();
    if (leaving_) {
      say({.type = wire::Type::detach});
      return {.end = AttachEnd::detached};
    }
    if (polls[news].revents == 0 || output_.wants_room() || error_.wants_room()) continue;
    wire::Message message;
    const wire::Received received = wire::receive(socket_.get(), buffer_, message);
    if (received == wire::Received::gone) throw Error{"attach: the keeper ended the connection", ECONNRESET};
    if (received == wire::Received::message && obey(message)) return result_;
  }
}

// True when it is over.
bool ContainerAttachment::obey(const wire::Message& message)
{
  switch (message.head.type) {
  case wire::Type::output: {
    Outgoing& to = message.head.detail == static_cast<uint8_t>(LogStream::error) ? error_ : output_;
    to.rest = message.payload;
    to.push();
    if (!output_.fd && !error_.fd) leaving_ = true; // nobody reads us any more
    return false;
  }
  case wire::Type::lost: {
    const std::string words = fmt::format("\r\n[conductor: {} bytes left out]\r\n", message.head.number);
    if (error_.fd) (void)!::write(error_.fd.get(), words.data(), words.size());
    return false;
  }
  case wire::Type::exited:
    result_ = {.end = AttachEnd::exited,
               .status = {.code = static_cast<int>(message.head.number), .signal = message.head.detail}};
    return true;
  case wire::Type::error:
    throw Error::relayed(std::string{message.payload}, static_cast<int>(message.head.number), {}, 1);
  default: return false;
  }
}

// True when the user leaves.
bool ContainerAttachment::read_keys()
{
  std::array<char, 4000> bytes; // NOLINT: filled by read(2)
  const ssize_t got = ::read(keys_.get(), bytes.data(), bytes.size());
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (got <= 0) {
    keys_.reset();
    input_ended_ = true;
    return is_terminal_; // where the container has a terminal, its input does not end with ours
  }
  const auto size = static_cast<size_t>(got);
  if (is_terminal_) return detach_keys_.feed(bytes.data(), size, typed_.data(), typed_size_);
  std::copy_n(bytes.data(), size, typed_.data());
  typed_size_ = size;
  return false;
}

void ContainerAttachment::send_keys()
{
  if (typed_size_ > 0) {
    const auto sent = wire::send(socket_.get(), {.type = wire::Type::input}, {typed_.data(), typed_size_});
    if (sent != wire::Sent::full) typed_size_ = 0;
  }
  if (typed_size_ == 0 && std::exchange(input_ended_, false)) say({.type = wire::Type::input_end});
}

} // namespace

AttachResult attach_to_container(int run_directory, bool input)
{
  ContainerAttachment attachment{run_directory, input};
  return attachment.run();
}

AttachResult attach_to_session(int run_directory, const std::string& session, bool take)
{
  SessionClient client = SessionClient::connect(run_directory, session, our_size(), take);
  // A screen that a console left is in a form of its own: the programs draw again for us.
  if (!client.screen_blob().empty()) kick_window_size(client.master(), our_size());
  OurTerminal terminal{true};
  const Fd keys_fd = non_blocking_copy(STDIN_FILENO, O_RDONLY);
  Outgoing output{non_blocking_copy(STDOUT_FILENO, O_WRONLY), client.replay()};
  DetachKeys detach_keys;
  std::array<char, 16384> chunk; // NOLINT: filled by read(2)
  std::array<char, 4096> typed;  // NOLINT: filled by read(2)
  Outgoing input{Fd{::fcntl(client.master(), F_DUPFD_CLOEXEC, 3)}, {}};
  bool master_open = true;
  enum Slot : size_t { news, signals, master, room, keys, input_room, count };
  std::array<pollfd, count> polls{};
  const auto when = [](bool wanted, int fd, short events) { return pollfd{wanted ? fd : -1, events, 0}; };
  for (;;) {
    polls[news] = {client.poll_fd(), POLLIN, 0};
    polls[signals] = {terminal.signals(), POLLIN, 0};
    polls[master] = when(master_open && !output.wants_room(), client.master(), POLLIN);
    polls[room] = when(output.wants_room(), output.fd.get(), POLLOUT);
    polls[keys] = when(!input.wants_room(), keys_fd.get(), POLLIN);
    polls[input_room] = when(input.wants_room(), input.fd.get(), POLLOUT);
    if (::poll(polls.data(), polls.size(), -1) < 0 && errno != EINTR) throw Error{"wait for the session", errno};

    const auto asked = polls[signals].revents != 0 ? terminal.obey() : OurTerminal::Asked::nothing;
    if (asked == OurTerminal::Asked::resize) set_window_size(client.master(), our_size());
    bool leaving = asked == OurTerminal::Asked::leave || !output.fd;
    if (polls[keys].revents != 0) {
      std::array<char, 4000> bytes; // NOLINT: filled by read(2)
      const ssize_t got = ::read(keys_fd.get(), bytes.data(), bytes.size());
      size_t size = 0;
      if (got > 0) leaving |= detach_keys.feed(bytes.data(), static_cast<size_t>(got), typed.data(), size);
      if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) leaving = true;
      input.rest = {typed.data(), size};
    }
    input.push();
    output.push();
    if (leaving) {
      client.detach({});
      return {.end = AttachEnd::detached};
    }
    if (polls[master].revents != 0 && !output.wants_room()) {
      const ssize_t got = ::read(client.master(), chunk.data(), chunk.size());
      if (got > 0) output.rest = {chunk.data(), static_cast<size_t>(got)};
      if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) master_open = false;
      output.push();
    }
    if (polls[news].revents == 0 || output.wants_room()) continue;
    switch (client.poll_events()) {
    case SessionClient::News::nothing: break;
    case SessionClient::News::taken: return {.end = AttachEnd::taken};
    case SessionClient::News::holder_gone: throw Error{"the session's holder is gone", ECONNRESET};
    case SessionClient::News::exited: {
      for (ssize_t got = 1; output.fd && (got = ::read(client.master(), chunk.data(), chunk.size())) > 0;) {
        output.rest = {chunk.data(), static_cast<size_t>(got)};
        while (output.wants_room()) {
          output.push();
          pollfd wait{output.fd.get(), POLLOUT, 0};
          if (output.wants_room()) ::poll(&wait, 1, -1);
        }
      }
      return {.end = AttachEnd::exited, .status = *client.exit_status()};
    }
    }
  }
}

} // namespace conductor
