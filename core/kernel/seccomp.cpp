// Getting a filter and loading it. The filter of the default capabilities lies in the program as a table.

#include "core/kernel/seccomp.h"

#include "core/base/error.h"
#include "core/base/guard.h"
#include "core/kernel/call.h"
#include "core/kernel/seccomp_policy.h"
#include "seccomp_default.h"

#include <algorithm>
#include <cerrno>
#include <iterator>

#include <fmt/format.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace conductor::kernel {

int syscall_number(std::string_view name)
{
  const auto found = std::ranges::lower_bound(
      generated::syscall_names, name, {}, [](const generated::SyscallName& row) { return std::string_view{row.name}; });
  if (found == std::end(generated::syscall_names) || found->name != name) return -1;
  return found->number;
}

std::string_view syscall_name(int number)
{
  const auto found = std::ranges::find(generated::syscall_names, number, &generated::SyscallName::number);
  return found == std::end(generated::syscall_names) ? std::string_view{} : found->name;
}

SeccompFilter seccomp_filter(CapabilitySet capabilities)
{
  if (capabilities == default_capabilities)
    return {std::begin(generated::default_filter), std::end(generated::default_filter)};
  return compile_seccomp(default_policy(capabilities, syscall_number));
}

void load_seccomp(Trace& trace, std::span<const sock_filter> filter)
{
  if (filter.empty() || !holds(guard::call_filter)) return;
  // The kernel copies the program and does not write to it.
  const sock_fprog program{.len = static_cast<unsigned short>(filter.size()),
                           .filter = const_cast<sock_filter*>(filter.data())};
  const CallResult result = perform(
      trace, "seccomp",
      [&] {
        return CallText{fmt::format("seccomp(SECCOMP_SET_MODE_FILTER, 0, {{{} instructions}})", filter.size()),
                        "# no shell command; systemd-run -p SystemCallFilter=@default ... does alike"};
      },
      [&] { return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program); });
  if (!result.failed()) return;
  if (result.error != EINVAL) throw Error{"load the system-call filter", result.error};
  throw Error{"load the system-call filter", EINVAL, "this kernel has no CONFIG_SECCOMP_FILTER"}.with_flag_hint(
      "run --seccomp unconfined does without");
}

} // namespace conductor::kernel
