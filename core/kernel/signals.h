// Signals by name, and whether a process would notice one.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace conductor::kernel {

// "SIGTERM", "TERM", "term" or "15" -> 15; "SIGRTMIN+3", "RTMAX-1". Throws a usage Error.
int signal_number(std::string_view text);
// None where that throws.
std::optional<int> find_signal(std::string_view text);
// "SIGTERM", "SIGRTMIN+3": what signal_number() takes.
std::string signal_name(int number);

// Does the process catch the signal, or hold it blocked to wait for it (sigwait(3), signalfd(2))? A PID 1 that does
// neither never gets it: the kernel keeps signals without a handler from the init of a PID namespace
// (pid_namespaces(7)).
bool notices_signal(pid_t pid, int signal);

} // namespace conductor::kernel
