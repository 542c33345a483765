// The device controller: which device nodes the processes of a cgroup may open. On cgroup v1 a list written to files,
// on v2 a small BPF program attached to the group's directory; both are made of the same rules.
#pragma once

#include "core/base/trace.h"
#include "core/kernel/masks.h"

#include <cstdint>
#include <span>
#include <vector>

namespace conductor::kernel {

// v1: writes "a" to devices.deny, then each rule to devices.allow, in the group's directory. Throws Error.
void allow_devices_v1(Trace& trace, int group, std::span<const DeviceRule> rules);

// v2: loads a program of type BPF_PROG_TYPE_CGROUP_DEVICE and attaches it to the group's directory; it goes with the
// group. Throws Error.
void allow_devices_v2(Trace& trace, int group, std::span<const DeviceRule> rules);

// That program: an array of struct bpf_insn as the kernel takes it (8 bytes each).
std::vector<uint64_t> device_program(std::span<const DeviceRule> rules);

} // namespace conductor::kernel
