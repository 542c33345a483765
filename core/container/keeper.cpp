#include "core/container/keeper.h"

#include "core/base/error.h"
#include "core/container/signals.h"
#include "core/kernel/call.h"
#include "core/kernel/files.h"
#include "core/kernel/process.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include <malloc.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace conductor {
namespace {

RelayRequest relay_request(KeeperRequest& request, bool detach_keys)
{
  return {.trace = request.trace,
          .child = request.child,
          .streams = std::move(request.streams),
          .log = &request.log,
          .listener = request.listener.get(),
          .local = request.local,
          .interactive = request.interactive,
          .detach_keys = detach_keys,
          .guests = {request.guests[0].get(), request.guests[1].get()},
          .farewell = request.farewell};
}

// The same end for all keepers: first nobody can attach any more, then the exit is recorded, then it is told.
ExitStatus finish(KeeperRequest& request, RelayLoop& loop)
{
  for (auto& guest : request.guests) guest.reset();
  request.log.close();
  if (request.listener) {
    kernel::remove_file(request.trace, request.run_directory, keeper_socket);
    request.listener.reset();
  }
  const ExitStatus status = request.child.wait();
  if (request.on_exit) request.on_exit(status);
  loop.tell_exit(status);
  loop.pass_on_rest();
  return status;
}

// The front does nothing but stand between our caller, who waits for this pid, and the keeper. It keeps none of the
// descriptors (locks, above all) that it was born with.
[[noreturn]] void wait_in_front(Fd channel, pid_t pid)
{
  const auto kept = static_cast<unsigned>(channel.get());
  if (kept > 3) ::close_range(3, kept - 1, 0);
  ::close_range(kept + 1, ~0U, 0);
  try {
    Child keeper{pid, *kernel::open_pidfd(pid)};
    const SignalWatch watch{SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGTSTP, SIGCONT};
    for (;;) {
      std::array<pollfd, 3> polls{pollfd{keeper.pidfd(), POLLIN, 0}, pollfd{channel.get(), POLLIN, 0},
                                  pollfd{watch.fd(), POLLIN, 0}};
      ::poll(polls.data(), polls.size(), -1);
      while (const int signal = watch.next()) {
        ::kill(keeper.pid(), signal);
        if (signal == SIGTSTP) ::raise(SIGSTOP);
      }
      char word = 0;
      if (polls[1].revents != 0 && ::read(channel.get(), &word, 1) != 1) channel.reset(); // it ended; so says the pidfd
      if (word == 'd') ::_exit(0);
      if (polls[0].revents != 0) ::_exit(keeper.wait().shell());
    }
  } catch (const Error&) { // no descriptor left for any of these
  }
  ::_exit(125);
}

} // namespace

bool serve(KeeperRequest request)
{
  request.local = Local::nobody;
  RelayLoop loop{relay_request(request, false)};
  trim_memory();
  loop.run();
  finish(request, loop);
  return loop.told_to_end();
}

ExitStatus run_in_foreground(KeeperRequest request)
{
  RelayLoop loop{relay_request(request, false)};
  loop.run();
  loop.forget_local(); // the terminal is sane again before anything of the teardown is printed
  return finish(request, loop);
}

ExitStatus run_in_foreground(KeeperRequest request, Front front)
{
  front.check();
  RelayLoop loop{relay_request(request, true)};
  const RelayEnd end = loop.run();
  loop.forget_local();
  if (end == RelayEnd::detached) {
    front.detach(request.trace);
    trim_memory();
    loop.run();
  }
  return finish(request, loop);
}

Front Front::split(Trace& trace)
{
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) < 0)
    throw Error{"make a channel to the keeper", errno};
  Fd here{ends[0]}, there{ends[1]};
  const pid_t front = ::getpid();
  // The front never comes back from the call, so it is the keeper alone that goes on telling the trace's listeners.
  const auto forked = kernel::perform(
      trace, "fork",
      [] {
        return kernel::CallText{"fork() for the keeper in the foreground", "# a new process: the keeper"};
      },
      [&]() -> long {
        const pid_t keeper = ::fork();
        if (keeper > 0) wait_in_front(std::move(here), keeper);
        return keeper;
      });
  if (forked.failed()) throw Error{"fork the keeper", forked.error};
  if (forked.skipped) throw Error{"fork the keeper", ECANCELED};
  // Until it is let go, it goes down with the front. Too late if the front is gone already, hence the look.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  Front made{std::move(there), front};
  made.check();
  return made;
}

void Front::check() const
{
  if (::getppid() != front_) ::_exit(128 + SIGKILL);
}

void Front::detach(Trace& trace)
{
  ::prctl(PR_SET_PDEATHSIG, 0);
  (void)!::write(channel_.get(), "d", 1);
  channel_.reset();
  kernel::leave_session(trace);
}

void trim_memory() { ::malloc_trim(0); }

} // namespace conductor
