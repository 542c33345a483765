// Waiting that an interrupt ends, with no moment in which it could be missed.
#pragma once

#include "core/base/trace.h"

#include <cstddef>

#include <poll.h>

namespace conductor {

// poll(2); timeout_ms -1: no limit. Returns how many are ready, 0 when the time is over. Throws Error (EINTR) when the
// operation is interrupted: the signals that do so are blocked from the look at the flag until ppoll(2) sleeps, so one
// that comes in between ends the sleep at once. Other signals do not end it.
int await(const Trace& trace, pollfd* watched, size_t count, int timeout_ms);

} // namespace conductor
