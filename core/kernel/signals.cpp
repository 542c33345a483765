#include "core/kernel/signals.h"

#include "core/base/error.h"
#include "core/kernel/files.h"

#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstring>

#include <fmt/format.h>
#include <sys/syscall.h>

namespace conductor::kernel {

namespace {

std::optional<int> whole_number(std::string_view text)
{
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// "RTMIN", "RTMIN+3", "RTMAX-2": real-time signals have no other names (signal(7)).
std::optional<int> real_time_signal(std::string_view name)
{
  const bool from_least = name.starts_with("RTMIN");
  if (!from_least && !name.starts_with("RTMAX")) return std::nullopt;
  const int base = from_least ? SIGRTMIN : SIGRTMAX;
  name.remove_prefix(5);
  if (name.empty()) return base;
  const auto distance = name.front() == (from_least ? '+' : '-') ? whole_number(name.substr(1)) : std::nullopt;
  if (!distance || *distance < 0 || *distance > SIGRTMAX - SIGRTMIN) return std::nullopt;
  return from_least ? base + *distance : base - *distance;
}

} // namespace

std::optional<int> find_signal(std::string_view text)
{
  if (const auto number = whole_number(text); number && *number > 0 && *number < NSIG) return number;
  std::string name;
  for (const char c : text) name += static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  if (name.starts_with("SIG")) name.erase(0, 3);
  for (int each = 1; each < NSIG; ++each)
    if (const char* known = ::sigabbrev_np(each); known != nullptr && name == known) return each;
  return real_time_signal(name);
}

int signal_number(std::string_view text)
{
  if (const auto found = find_signal(text)) return *found;
  throw usage_error(fmt::format("'{}' is no signal", text), "for example SIGTERM, HUP or 9");
}

std::string signal_name(int number)
{
  const char* name = ::sigabbrev_np(number);
  if (name != nullptr) return fmt::format("SIG{}", name);
  if (number >= SIGRTMIN && number <= SIGRTMAX) return fmt::format("SIGRTMIN+{}", number - SIGRTMIN);
  return fmt::format("signal {}", number);
}

namespace {

// Who sleeps in sigwait(3) has the signals that it waits for unblocked as long (kernel/signal.c), so that the masks do
// not tell it from one that is deaf: but the call that it is in does (proc_pid_syscall(5)).
bool waits_for_signals(pid_t pid)
{
  const auto call = find_content(AT_FDCWD, fmt::format("/proc/{}/syscall", pid));
  return call && call->starts_with(fmt::format("{} ", SYS_rt_sigtimedwait));
}

} // namespace

bool notices_signal(pid_t pid, int signal)
{
  const auto status = find_content(AT_FDCWD, fmt::format("/proc/{}/status", pid));
  if (!status) return false;
  const auto has = [&](const char* field) {
    const size_t at = status->find(field);
    if (at == std::string::npos) return false;
    uint64_t mask = 0;
    const char* digits = status->data() + at + std::strlen(field);
    while (*digits == '\t' || *digits == ' ') ++digits;
    std::from_chars(digits, status->data() + status->size(), mask, 16);
    return (mask >> (signal - 1) & 1) != 0;
  };
  return has("\nSigCgt:") || has("\nSigBlk:") || waits_for_signals(pid);
}

} // namespace conductor::kernel
