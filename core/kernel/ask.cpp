#include "core/kernel/ask.h"

#include "core/base/await.h"
#include "core/base/error.h"
#include "core/kernel/call.h"

#include <array>
#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <unistd.h>

namespace conductor::kernel {
namespace {

pid_t spawn(const Question& question, int end)
{
  std::vector<char*> arguments;
  for (const std::string& each : question.argv) arguments.push_back(const_cast<char*>(each.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, end, 0);
  posix_spawn_file_actions_adddup2(&actions, end, 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  pid_t pid = -1;
  const int number = ::posix_spawnp(&pid, arguments[0], &actions, &attributes, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (number == 0) return pid;
  errno = number;
  return -1;
}

// Both ways at once, since a program may answer before it has read everything. 0, or an errno.
int converse(Trace& trace, const Question& question, int end, std::string& answer)
{
  std::string_view left = question.input;
  const auto deadline = std::chrono::steady_clock::now() + question.patience;
  bool writing = true;
  std::array<char, 4096> buffer; // NOLINT: filled by read(2)
  for (;;) {
    if (writing && left.empty()) {
      ::shutdown(end, SHUT_WR);
      writing = false;
    }
    const auto rest =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd watched{end, static_cast<short>(writing ? POLLIN | POLLOUT : POLLIN), 0};
    if (rest.count() <= 0 || await(trace, &watched, 1, static_cast<int>(rest.count())) == 0) return ETIMEDOUT;
    if ((watched.revents & POLLOUT) != 0) {
      const ssize_t sent = ::send(end, left.data(), left.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent > 0) left.remove_prefix(static_cast<size_t>(sent));
      if (sent < 0 && errno != EAGAIN && errno != EINTR) left = {}; // it does not want to read
    }
    if ((watched.revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
    const ssize_t got = ::read(end, buffer.data(), buffer.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) return 0;
    answer.append(buffer.data(), static_cast<size_t>(got));
    if (answer.size() > question.most) return EFBIG;
  }
}

} // namespace

Answer ask_program(Trace& trace, const Question& question)
{
  std::string line;
  for (const std::string& each : question.argv) line += (line.empty() ? "" : " ") + each;
  std::array<int, 2> ends{};
  // A socket and not two pipes: one descriptor to watch, and no SIGPIPE.
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) < 0) throw Error{"make a socket", errno};
  const Fd ours{ends[0]};
  Fd theirs{ends[1]};
  Answer answer;
  const CallResult result = perform(
      trace, "spawn",
      [&] {
        return CallText{"posix_spawn: " + line, question.by_hand.empty() ? line : question.by_hand};
      },
      [&]() -> long {
        const pid_t pid = spawn(question, theirs.get());
        if (pid < 0) return -1;
        Child child{pid, Fd{}};
        theirs.reset();
        int number = 0;
        try {
          number = converse(trace, question, ours.get(), answer.text);
        } catch (const Error&) {
          number = EINTR;
        }
        if (number != 0) {
          ::kill(-pid, SIGKILL);
          child.kill_and_reap();
          errno = number;
          return -1;
        }
        answer.status = child.wait();
        return 0;
      });
  if (result.failed()) throw Error{"run " + line, result.error};
  return answer;
}

} // namespace conductor::kernel
