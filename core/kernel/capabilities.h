// Capabilities: their names, the set a container has, and how a process is cut down to it. capabilities(7).
#pragma once

#include "core/base/trace.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <linux/capability.h>

namespace conductor::kernel {

// One bit per capability, bit N for the capability numbered N in linux/capability.h.
using CapabilitySet = uint64_t;

constexpr CapabilitySet capability_bit(int number) { return CapabilitySet{1} << number; }

// What a container has unless it is told otherwise.
inline constexpr CapabilitySet default_capabilities =
    capability_bit(CAP_CHOWN) | capability_bit(CAP_DAC_OVERRIDE) | capability_bit(CAP_FSETID) |
    capability_bit(CAP_FOWNER) | capability_bit(CAP_SETGID) | capability_bit(CAP_SETUID) | capability_bit(CAP_SETFCAP) |
    capability_bit(CAP_SETPCAP) | capability_bit(CAP_NET_BIND_SERVICE) | capability_bit(CAP_NET_RAW) |
    capability_bit(CAP_SYS_CHROOT) | capability_bit(CAP_KILL);
// All that have a name here.
inline constexpr CapabilitySet all_capabilities = capability_bit(CAP_CHECKPOINT_RESTORE + 1) - 1;

// Number of "NET_ADMIN", "net_admin" or "CAP_NET_ADMIN"; none for a name that is none.
std::optional<int> capability_number(std::string_view name);
// "NET_ADMIN"; "39" for a number without a name.
std::string capability_name(int number);
// Names in order of their numbers.
std::vector<std::string> capability_names(CapabilitySet set);

// The default with `add` and `drop` applied. "ALL" is every one; ALL comes first, whichever list it is in, so
// drop ALL + add CHOWN leaves CHOWN, add ALL + drop CHOWN leaves all but CHOWN. A name in both lists is dropped.
// Throws a usage Error that names the nearest for a name that is none.
CapabilitySet apply_capabilities(const std::vector<std::string>& add, const std::vector<std::string>& drop);

// Takes every capability that is not in `keep` out of the bounding set (needs CAP_SETPCAP). Those this kernel does not
// know are passed over. Throws Error.
void drop_bounding(Trace& trace, CapabilitySet keep);
// permitted = effective = set, inheritable and with it ambient empty. Throws Error.
void set_capabilities(Trace& trace, CapabilitySet set);

} // namespace conductor::kernel
