// The last stretch of every process of a container (PID 1, exec, a RUN step): user, environment, confinement, execve.
#pragma once

#include "core/container/spec.h"
#include "core/container/streams.h"
#include "core/kernel/confine.h"

namespace conductor {

// What spec asks to be left of the rights of its processes; made in the parent, so that a bad name or profile is told
// before anything was made. Throws Error.
kernel::Confinement plan_confinement(const Spec& spec);

// In the child, whose root is the container's by now: looks up the user, completes the environment (PATH, HOME, TERM,
// HOSTNAME where they are missing), takes the streams, confines, executes. Returns only by throwing Error (status 126,
// 127). An empty command becomes /bin/bash, else /bin/sh.
[[noreturn]] void become_command(Trace& trace, const Spec& spec, const ProcessSpec& process,
                                 kernel::Confinement confinement, ChildStreams streams);

// CLONE_NEW* of the namespaces that are the container's own.
uint64_t own_namespaces(const Spec& spec);

// The first part of it, for a process that executes nothing: the user of `process` and all of the confinement.
void confine_as(Trace& trace, const ProcessSpec& process, kernel::Confinement confinement);

} // namespace conductor
