// The table of capabilities(7) and the few calls that cut a process down to a set of them.

#include "core/kernel/capabilities.h"

#include "core/base/error.h"
#include "core/base/guard.h"
#include "core/base/nearest.h"
#include "core/kernel/call.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace conductor::kernel {
namespace {

// In the order of their numbers, from 0.
constexpr std::array<const char*, 41> names = {
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
};
static_assert(CAP_CHECKPOINT_RESTORE + 1 == names.size());

std::string upper_without_prefix(std::string_view name)
{
  std::string upper{name};
  std::ranges::transform(upper, upper.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return upper.starts_with("CAP_") ? upper.substr(4) : upper;
}

// A list of names as a set; `all` becomes true when ALL is in it.
CapabilitySet set_of(const std::vector<std::string>& list, bool& all)
{
  CapabilitySet set = 0;
  for (const std::string& name : list) {
    if (upper_without_prefix(name) == "ALL") {
      all = true;
      continue;
    }
    const std::optional<int> number = capability_number(name);
    if (!number) {
      std::vector<std::string> known{names.begin(), names.end()};
      known.emplace_back("ALL");
      throw usage_error(fmt::format("no capability is named '{}'", name),
                        nearest_hint(upper_without_prefix(name), known));
    }
    set |= capability_bit(*number);
  }
  return set;
}

std::string list_text(CapabilitySet set)
{
  std::string text;
  for (const std::string& name : capability_names(set)) {
    if (!text.empty()) text += ',';
    text += "cap_";
    for (const char c : name) text += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  return text;
}

} // namespace

std::optional<int> capability_number(std::string_view name)
{
  const std::string wanted = upper_without_prefix(name);
  const auto found = std::ranges::find(names, wanted);
  if (found == names.end()) return std::nullopt;
  return static_cast<int>(found - names.begin());
}

std::string capability_name(int number)
{
  if (number >= 0 && static_cast<size_t>(number) < names.size()) return names[static_cast<size_t>(number)];
  return std::to_string(number);
}

std::vector<std::string> capability_names(CapabilitySet set)
{
  std::vector<std::string> found;
  for (int number = 0; number < 64; ++number)
    if ((set & capability_bit(number)) != 0) found.push_back(capability_name(number));
  return found;
}

CapabilitySet apply_capabilities(const std::vector<std::string>& add, const std::vector<std::string>& drop)
{
  bool add_all = false, drop_all = false;
  const CapabilitySet added = set_of(add, add_all), dropped = set_of(drop, drop_all);
  CapabilitySet set = add_all ? all_capabilities : drop_all ? 0 : default_capabilities;
  set |= added;
  return set & ~dropped;
}

void drop_bounding(Trace& trace, CapabilitySet keep)
{
  const CapabilitySet gone = all_capabilities & ~keep;
  if (gone == 0) return;
  const CallResult result = perform(
      trace, "prctl",
      [&] {
        return CallText{fmt::format("prctl(PR_CAPBSET_DROP, ...) for {} capabilities; these stay: {}",
                                    capability_names(gone).size(), fmt::join(capability_names(keep), " ")),
                        fmt::format("capsh --drop={} -- ...", list_text(gone))};
      },
      [&]() -> long {
        for (int number = 0; number < 64; ++number) {
          if (((keep >> number) & 1) != 0) continue;
          // EINVAL: one more than this kernel knows, and there are none above it.
          if (::prctl(PR_CAPBSET_DROP, number, 0, 0, 0) < 0)
            return errno == EINVAL && number > CAP_BLOCK_SUSPEND ? 0 : -1;
        }
        return 0;
      });
  if (result.failed()) throw Error{"take capabilities out of the bounding set", result.error};
}

void set_capabilities(Trace& trace, CapabilitySet set)
{
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const auto half = [&](int shift) {
    const auto bits = static_cast<uint32_t>(set >> shift);
    return __user_cap_data_struct{
        .effective = bits, .permitted = bits, .inheritable = holds(guard::no_inheritable) ? 0 : bits};
  };
  const __user_cap_data_struct data[2] = {half(0), half(32)};
  const CallResult result = perform(
      trace, "capset",
      [&] {
        return CallText{fmt::format("capset(permitted = effective = {:#x}, inheritable = 0)", set),
                        set == 0 ? "capsh --caps= -- ..." : fmt::format("capsh --caps={}=ep -- ...", list_text(set))};
      },
      [&] { return ::syscall(SYS_capset, &header, data); });
  if (result.failed())
    throw Error{fmt::format("set the capabilities to {}", list_text(set)), result.error,
                "the program that started conductor does not have all of them itself; see --cap-drop"};
}

} // namespace conductor::kernel
