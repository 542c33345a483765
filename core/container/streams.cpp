#include "core/container/streams.h"

#include "core/base/error.h"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace conductor {
namespace {

struct Pipe {
  Fd read, write;
};

Pipe make_pipe(std::optional<uid_t> owner)
{
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) throw Error{"make a pipe", errno};
  Pipe pipe{Fd{ends[0]}, Fd{ends[1]}};
  // Both ends are one inode with mode 0600: without its user, opening /dev/stdout again fails.
  if (owner && ::fchown(pipe.read.get(), *owner, static_cast<gid_t>(-1)) < 0)
    throw Error{"give a pipe to the command's user", errno};
  return pipe;
}

void never_block(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

} // namespace

StreamPair make_pipes(Stdin input, std::optional<uid_t> owner)
{
  StreamPair pair;
  if (input == Stdin::open) {
    Pipe pipe = make_pipe(owner);
    pair.ours.input = std::move(pipe.write);
    pair.theirs.input = std::move(pipe.read);
    never_block(pair.ours.input.get());
  } else {
    pair.theirs.input = Fd{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    if (!pair.theirs.input) throw Error{"open /dev/null", errno};
  }
  Pipe output = make_pipe(owner), error = make_pipe(owner);
  pair.ours.output = std::move(output.read);
  pair.ours.error = std::move(error.read);
  pair.theirs.output = std::move(output.write);
  pair.theirs.error = std::move(error.write);
  never_block(pair.ours.output.get());
  never_block(pair.ours.error.get());
  return pair;
}

StreamPair make_terminal(Pty pty)
{
  StreamPair pair;
  pair.ours.master = std::move(pty.master);
  pair.theirs.input = std::move(pty.slave);
  pair.theirs.terminal = true;
  return pair;
}

void adopt_streams(Trace& trace, ChildStreams streams)
{
  if (streams.terminal) take_controlling_terminal(trace, streams.input.get());
  std::array<int, 3> from{streams.input.get(), streams.output.get(), streams.error.get()};
  if (streams.terminal) from = {from[0], from[0], from[0]};
  // A source that lies on 0, 1 or 2 itself (the caller had them closed) would be overwritten: out of the way first.
  for (int& fd : from)
    if (fd >= 0 && fd <= 2) fd = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
  for (int target = 0; target <= 2; target++)
    if (::dup2(from[static_cast<size_t>(target)], target) < 0) throw Error{"set up the standard streams", errno};
  // Whoever has a number above 2 closes at execve; a source on 0, 1, 2 has been replaced and must stay open.
  for (Fd* fd : {&streams.input, &streams.output, &streams.error})
    if (fd->get() <= 2) fd->release();
}

Fd non_blocking_copy(int fd, int access_mode)
{
  struct stat status {};
  if (::fstat(fd, &status) < 0) return {};
  if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode)) {
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    Fd anew{::open(path.c_str(), access_mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)};
    if (anew) return anew;
  }
  // Regular files never block poll(2), sockets are asked with MSG_DONTWAIT; where a terminal may not be opened anew,
  // poll(2) before each write has to do.
  return Fd{::fcntl(fd, F_DUPFD_CLOEXEC, 3)};
}

} // namespace conductor
