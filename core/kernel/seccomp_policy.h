// The default policy about system calls: SECURITY.md's row as a table.
#pragma once

#include "core/kernel/capabilities.h"
#include "core/kernel/seccomp_compile.h"

#include <string_view>

namespace conductor::kernel {

// For a process with these capabilities. number_of: number of a system call on this architecture by its name, -1 where
// it has none; rows about such are left out.
Policy default_policy(CapabilitySet capabilities, int (*number_of)(std::string_view name));

} // namespace conductor::kernel
