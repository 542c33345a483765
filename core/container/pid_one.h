// --init: a process of ours stays behind as PID 1 and has the command as its child.
//
// It passes signals on to the command, takes leave of orphans that end, and ends as the command does. It executes
// nothing: it is the very process that made the container, confined like the command, without any descriptor, and
// neither its memory nor its program is to be seen from inside (PR_SET_DUMPABLE, prctl(2)).
#pragma once

#include "core/base/trace.h"
#include "core/container/channel.h"
#include "core/container/spec.h"
#include "core/kernel/confine.h"

namespace conductor {

// Returns in the command's process, once PID 1 is ready for it. `confinement`: the command's; of that process nobody's
// death is awaited any more, since it cannot outlive PID 1. Throws Error.
void leave_pid_one_behind(Trace& trace, const Spec& spec, kernel::Confinement& confinement);

} // namespace conductor
