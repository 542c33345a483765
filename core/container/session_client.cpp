// The client's half of session.h.
#include "core/base/error.h"
#include "core/container/session.h"
#include "core/container/wire.h"
#include "core/kernel/files.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace conductor {
namespace {

constexpr std::string_view suffix = ".sock";
constexpr int answer_patience_ms = 5000;

Fd directory_of(int run_directory) { return kernel::open_directory(run_directory, session_directory); }

// What a memfd holds. Its offset is where its writer left it, so read by position.
std::string content_of(int fd, size_t limit)
{
  struct stat status {};
  if (::fstat(fd, &status) < 0) throw Error{"look at what the session's holder passed", errno};
  std::string content(std::min(static_cast<size_t>(status.st_size), limit), '\0');
  size_t done = 0;
  while (done < content.size()) {
    const ssize_t got = ::pread(fd, content.data() + done, content.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw Error{"read what the session's holder passed", got < 0 ? errno : EIO};
    done += static_cast<size_t>(got);
  }
  return content;
}

Fd sealed_file(std::string_view content)
{
  Fd file{::memfd_create("screen", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  if (!file) throw Error{"make a file for the screen", errno};
  while (!content.empty()) {
    const ssize_t put = ::write(file.get(), content.data(), content.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) throw Error{"write the screen", put < 0 ? errno : EIO};
    content.remove_prefix(static_cast<size_t>(put));
  }
  if (::fcntl(file.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) < 0)
    throw Error{"seal the screen", errno};
  return file;
}

} // namespace

SessionClient SessionClient::connect(int run_directory, const std::string& id, const WindowSize& size, bool take)
{
  if (id.empty() || id.find('/') != std::string::npos) throw Error{"no session '" + id + "'", ENOENT};
  const Fd directory = directory_of(run_directory);
  SessionClient client;
  client.socket_ = wire::connect_to(directory.get(), id + std::string{suffix});
  wire::greet(client.socket_.get());
  const auto packed = wire::pack_size(size);
  wire::send(
      client.socket_.get(),
      {.type = wire::Type::attach, .detail = static_cast<uint8_t>(wire::attach_input | (take ? wire::attach_take : 0))},
      {packed.data(), packed.size()});

  wire::Buffer buffer; // NOLINT: filled by await()
  wire::Message answer;
  wire::await(client.socket_.get(), buffer, answer, answer_patience_ms);
  const int flags = answer.head.detail;
  if (answer.head.type != wire::Type::attached || (flags & wire::attached_master) == 0 || !answer.descriptors[0])
    throw Error{"attach to the session: its holder does not answer as one", EPROTO};
  size_t next = 0;
  client.master_ = std::move(answer.descriptors[next++]);
  if ((flags & wire::attached_screen) != 0)
    client.screen_ = content_of(answer.descriptors[next++].get(), session_screen_limit);
  if ((flags & wire::attached_replay) != 0)
    client.replay_ = content_of(answer.descriptors[next].get(), session_ring_size);
  client.shell_ = static_cast<pid_t>(answer.head.number);
  if (answer.payload.size() >= sizeof client.lost_)
    std::memcpy(&client.lost_, answer.payload.data(), sizeof client.lost_);

  if (size.rows == 0 || size.columns == 0) return client;
  if ((flags & wire::attached_redraw) != 0)
    kick_window_size(client.master_.get(), size);
  else
    set_window_size(client.master_.get(), size);
  return client;
}

void SessionClient::forget_replay()
{
  std::string{}.swap(screen_);
  std::string{}.swap(replay_);
}

SessionClient::News SessionClient::poll_events()
{
  wire::Buffer buffer; // NOLINT: filled by receive()
  wire::Message message;
  switch (wire::receive(socket_.get(), buffer, message)) {
  case wire::Received::nothing: return News::nothing;
  case wire::Received::gone: return exit_ ? News::exited : News::holder_gone;
  case wire::Received::message: break;
  }
  if (message.head.type == wire::Type::exited) {
    exit_ = ExitStatus{.code = static_cast<int>(message.head.number), .signal = message.head.detail};
    return News::exited;
  }
  return message.head.type == wire::Type::detached ? News::taken : News::nothing;
}

void SessionClient::detach(const std::string& screen)
{
  if (screen.size() > session_screen_limit)
    throw Error{fmt::format("the screen has {} bytes, at most {} are kept", screen.size(), session_screen_limit),
                EFBIG};
  Fd file;
  if (!screen.empty()) file = sealed_file(screen);
  const int descriptor = file.get();
  wire::send(socket_.get(), {.type = wire::Type::detach}, {}, &descriptor, file ? 1 : 0);
  // The answer is waited for: when it is here, the holder reads again, and nothing is lost between us.
  wire::Buffer buffer; // NOLINT: filled by await()
  wire::Message answer;
  try {
    do wire::await(socket_.get(), buffer, answer, answer_patience_ms);
    while (answer.head.type != wire::Type::detached && answer.head.type != wire::Type::exited);
  } catch (const Error& error) {
    if (error.number() != ECONNRESET) throw; // the shell has ended: nothing to leave behind
  }
  master_.reset();
  socket_.reset();
}

std::vector<SessionInfo> list_sessions(int run_directory)
{
  std::vector<SessionInfo> sessions;
  const auto directory = kernel::find_directory(run_directory, session_directory);
  if (!directory) return sessions;
  for (const std::string& entry : kernel::list_directory(directory->get(), ".")) {
    if (entry.size() <= suffix.size() || entry.substr(entry.size() - suffix.size()) != suffix) continue;
    try {
      const Fd socket = wire::connect_to(directory->get(), entry);
      if (wire::greet(socket.get()).second != wire::Role::session) continue;
      wire::send(socket.get(), {.type = wire::Type::ping});
      wire::Buffer buffer; // NOLINT: filled by await()
      wire::Message answer;
      wire::await(socket.get(), buffer, answer, answer_patience_ms);
      if (answer.head.type == wire::Type::pong)
        sessions.push_back({entry.substr(0, entry.size() - suffix.size()), static_cast<pid_t>(answer.head.number),
                            answer.head.detail != 0});
    } catch (const Error&) { // its holder was killed or is just ending: no session
    }
  }
  return sessions;
}

} // namespace conductor
