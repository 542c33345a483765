// The holder's half of session.h.
#include "core/base/error.h"
#include "core/container/keeper.h"
#include "core/container/session.h"
#include "core/container/session_ring.h"
#include "core/container/signals.h"
#include "core/container/wire.h"
#include "core/kernel/files.h"
#include "core/kernel/process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace conductor {
namespace {

constexpr size_t connection_limit = 8; // one is attached, the others ask
constexpr size_t nobody = connection_limit;
constexpr int screen_seals = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;

class Holder {
public:
  explicit Holder(SessionRequest& request)
      : request_(request), ring_(session_ring_size), watch_{SIGTERM, SIGHUP, SIGINT, SIGQUIT}
  {}
  void run();
  void tell_exit(const ExitStatus& status);

private:
  struct Connection {
    Fd socket;
    bool greeted = false;
  };
  void accept();
  void listen_to(size_t index);
  bool obey(size_t index, wire::Message& message);
  bool attach(size_t index, bool take);
  bool detach(size_t index, wire::Message& message);
  void drop(size_t index);
  void drain();
  Fd replay_file() const;

  SessionRequest& request_;
  SessionRing ring_;
  SignalWatch watch_;
  std::array<Connection, connection_limit> connections_;
  size_t attached_ = nobody; // whose open connection says that it reads the master
  Fd screen_;                // of the last client, if it left one
  bool must_redraw_ = false; // the last client left none
  bool master_open_ = true;
  wire::Buffer buffer_;
};

void Holder::run()
{
  enum Slot : size_t { child, signals, listener, master, first_connection };
  std::array<pollfd, first_connection + connection_limit> polls{};
  for (;;) {
    polls[child] = {request_.child.pidfd(), POLLIN, 0};
    polls[signals] = {watch_.fd(), POLLIN, 0};
    const bool has_free =
        std::any_of(connections_.begin(), connections_.end(), [](const Connection& c) { return !c.socket; });
    polls[listener] = {has_free ? request_.listener.get() : -1, POLLIN, 0};
    polls[master] = {attached_ == nobody && master_open_ ? request_.master.get() : -1, POLLIN, 0};
    for (size_t index = 0; index < connection_limit; index++)
      polls[first_connection + index] = {connections_[index].socket.get(), POLLIN, 0};
    if (::poll(polls.data(), polls.size(), -1) < 0) {
      if (errno == EINTR) continue;
      throw Error{"wait for the session", errno};
    }
    while (const int signal = watch_.next()) {
      // A shell ignores TERM; what ends it is its terminal going away.
      if (signal == SIGTERM) kernel::send_signal(request_.trace, request_.child.pidfd(), SIGHUP, request_.child.pid());
    }
    for (size_t index = 0; index < connection_limit; index++)
      if (polls[first_connection + index].revents != 0) listen_to(index);
    if (polls[master].revents != 0 && attached_ == nobody) drain();
    if (polls[listener].revents != 0) accept();
    if (polls[child].revents != 0) return;
  }
}

void Holder::drain()
{
  iovec room = ring_.room();
  const ssize_t got = ::read(request_.master.get(), room.iov_base, std::min<size_t>(room.iov_len, 16 << 10));
  if (got > 0) ring_.came(static_cast<size_t>(got));
  // Nobody has the other side open: nothing more comes unless somebody opens it again, for which an attached client can
  // look. The child's exit ends us.
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) master_open_ = false;
}

void Holder::accept()
{
  Fd socket = wire::accept_from(request_.listener.get());
  if (!socket) return;
  const auto free =
      std::find_if(connections_.begin(), connections_.end(), [](const Connection& c) { return !c.socket; });
  if (free != connections_.end()) *free = {std::move(socket), false};
}

void Holder::drop(size_t index)
{
  connections_[index] = Connection{};
  if (attached_ != index) return;
  attached_ = nobody; // without a word: killed. What it showed is lost, so the programs must draw again
  must_redraw_ = true;
}

void Holder::listen_to(size_t index)
{
  wire::Message message;
  const wire::Received received = wire::receive(connections_[index].socket.get(), buffer_, message);
  if (received == wire::Received::nothing) return;
  if (received == wire::Received::gone || !obey(index, message)) drop(index);
}

// False: the connection is to be closed.
bool Holder::obey(size_t index, wire::Message& message)
{
  Connection& connection = connections_[index];
  const int socket = connection.socket.get();
  if (!connection.greeted) return connection.greeted = wire::answer_hello(socket, message, wire::Role::session);
  switch (message.head.type) {
  case wire::Type::attach: return attach(index, (message.head.detail & wire::attach_take) != 0);
  case wire::Type::detach: return detach(index, message);
  case wire::Type::ping: {
    const wire::Head answer{.type = wire::Type::pong,
                            .detail = static_cast<uint8_t>(attached_ == nobody ? 0 : 1),
                            .number = static_cast<uint32_t>(::getpid())};
    return wire::send(socket, answer) == wire::Sent::yes;
  }
  default: return true; // of a later version: what is not known is left alone
  }
}

Fd Holder::replay_file() const
{
  Fd file{::memfd_create("replay", MFD_CLOEXEC)};
  for (std::string_view piece : ring_.pieces()) {
    while (file && !piece.empty()) {
      const ssize_t put = ::write(file.get(), piece.data(), piece.size());
      if (put <= 0) return {};
      piece.remove_prefix(static_cast<size_t>(put));
    }
  }
  return file;
}

bool Holder::attach(size_t index, bool take)
{
  const int socket = connections_[index].socket.get();
  if (attached_ != nobody && attached_ != index && !take) {
    wire::send(socket, {.type = wire::Type::error, .number = EBUSY}, "another terminal is attached to this session");
    return false;
  }
  if (attached_ != nobody && attached_ != index) {
    wire::send(connections_[attached_].socket.get(), {.type = wire::Type::detached, .number = EBUSY});
    drop(attached_);
  }
  std::array<int, wire::descriptor_limit> descriptors{request_.master.get()};
  size_t count = 1;
  int flags = wire::attached_terminal | wire::attached_input | wire::attached_master;
  if (screen_) {
    descriptors[count++] = screen_.get();
    flags |= wire::attached_screen;
  }
  uint64_t lost = ring_.lost();
  Fd replay;
  if (ring_.kept() > 0) {
    replay = replay_file();
    if (replay) {
      descriptors[count++] = replay.get();
      flags |= wire::attached_replay;
    } else {
      lost += ring_.kept();
    }
  }
  if (must_redraw_ || lost > 0) flags |= wire::attached_redraw;
  std::array<char, sizeof lost> payload{};
  std::memcpy(payload.data(), &lost, sizeof lost);
  const wire::Head head{.type = wire::Type::attached,
                        .detail = static_cast<uint8_t>(flags),
                        .number = static_cast<uint32_t>(request_.child.pid())};
  if (wire::send(socket, head, {payload.data(), payload.size()}, descriptors.data(), count) != wire::Sent::yes)
    return false;
  // From here on it reads, and what it shows is newer than all that we hold.
  attached_ = index;
  screen_.reset();
  ring_.clear();
  must_redraw_ = false;
  master_open_ = true;
  return true;
}

bool Holder::detach(size_t index, wire::Message& message)
{
  const int socket = connections_[index].socket.get();
  if (attached_ != index) return false;
  attached_ = nobody;
  must_redraw_ = true;
  if (Fd& screen = message.descriptors[0]; screen) {
    struct stat status {};
    const int seals = ::fcntl(screen.get(), F_GET_SEALS);
    const bool fits = ::fstat(screen.get(), &status) == 0 && S_ISREG(status.st_mode) &&
                      static_cast<size_t>(status.st_size) <= session_screen_limit && seals >= 0 &&
                      (seals & screen_seals) == screen_seals;
    if (!fits) {
      wire::send(socket, {.type = wire::Type::error, .number = EINVAL},
                 fmt::format("a screen is handed over as a sealed memfd of at most {} bytes", session_screen_limit));
      return false;
    }
    screen_ = std::move(screen);
    must_redraw_ = false;
  }
  wire::send(socket, {.type = wire::Type::detached});
  return false;
}

void Holder::tell_exit(const ExitStatus& status)
{
  if (attached_ == nobody) return;
  const wire::Head head{.type = wire::Type::exited,
                        .detail = static_cast<uint8_t>(status.signal),
                        .number = static_cast<uint32_t>(status.code)};
  wire::send(connections_[attached_].socket.get(), head);
}

} // namespace

ExitStatus hold_session(SessionRequest request)
{
  Holder holder{request};
  trim_memory();
  holder.run();
  kernel::remove_file(request.trace, request.directory, request.name);
  request.listener.reset();
  const ExitStatus status = request.child.wait();
  holder.tell_exit(status);
  return status;
}

} // namespace conductor
