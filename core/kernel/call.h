// How every state-changing system call is made: told before, done or skipped, told after.
//
// perform() is the only road. Without a listener it costs two branches, because the describing lambda is not run. It is
// also where an interrupt (Ctrl-C, SIGTERM) takes effect: between two calls, so that what was begun is rolled back.
#pragma once

#include "core/base/trace.h"

#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

namespace conductor::kernel {

struct CallText {
  std::string call;    // as it went to the kernel: mount("proc", "/proc", ...)
  std::string by_hand; // what a person would type: mount -t proc proc /proc
};

struct CallResult {
  long value = -1; // what the call returned; -1 when it failed or was skipped
  int error = 0;   // errno, 0 for success and for a skipped call
  bool skipped = false;
  bool failed() const { return error != 0; }
};

// name: the system call; describe: () -> CallText; make: () -> long, -1 with errno set for failure.
template <class Describe, class Make>
CallResult perform(Trace& trace, std::string_view name, Describe&& describe, Make&& make)
{
  trace.throw_if_interrupted();
  if (!trace.calls_wanted()) [[likely]] {
    const long value = make();
    return value < 0 ? CallResult{.error = errno} : CallResult{.value = value};
  }
  CallText text = describe();
  Event event{.topic = std::string{name}, .detail = std::move(text.call), .by_hand = std::move(text.by_hand)};
  const Decision decision = trace.before(event);
  if (decision == Decision::skip) {
    trace.after(event, 0, true);
    return {.skipped = true};
  }
  if (const int failure = failure_in(decision); failure != 0) {
    trace.after(event, failure, false);
    return {.error = failure};
  }
  const long value = make();
  const int error = value < 0 ? errno : 0;
  trace.after(event, error, false);
  return {.value = value, .error = error};
}

} // namespace conductor::kernel
