#include "core/base/await.h"

#include "core/base/error.h"

#include <cerrno>
#include <csignal>
#include <ctime>

namespace conductor {
namespace {

// While it lives, the signals that interrupt an operation wait.
class Held {
public:
  Held()
  {
    sigset_t interrupting;
    ::sigemptyset(&interrupting);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) ::sigaddset(&interrupting, signal);
    ::sigprocmask(SIG_BLOCK, &interrupting, &before_);
  }
  ~Held() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  const sigset_t* before() const { return &before_; }

private:
  sigset_t before_{};
};

} // namespace

int await(const Trace& trace, pollfd* watched, size_t count, int timeout_ms)
{
  const Held held;
  const uint64_t deadline = monotonic_us() + static_cast<uint64_t>(timeout_ms < 0 ? 0 : timeout_ms) * 1000;
  for (;;) {
    trace.throw_if_interrupted();
    const uint64_t now = monotonic_us();
    const uint64_t left = now < deadline ? deadline - now : 0;
    const timespec limit{.tv_sec = static_cast<time_t>(left / 1'000'000),
                         .tv_nsec = static_cast<long>(left % 1'000'000 * 1000)};
    const int ready = ::ppoll(watched, count, timeout_ms < 0 ? nullptr : &limit, held.before());
    if (ready >= 0) return ready;
    if (errno != EINTR) throw Error{"wait", errno};
  }
}

} // namespace conductor
