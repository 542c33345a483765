// Device rules for cgroup v1 (files) and v2 (a BPF program).
//
// The program of v2 gets a struct bpf_cgroup_dev_ctx and answers 1 (go on) or 0 (EPERM). It is a straight chain: each
// rule compares type, numbers and access, and the first that fits says yes.

#include "core/kernel/devices.h"

#include "core/base/error.h"
#include "core/base/handle.h"
#include "core/kernel/call.h"
#include "core/kernel/files.h"

#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include <fmt/format.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace conductor::kernel {
namespace {

// Registers: 1 is the context, 2 type, 3 access wanted, 4 major, 5 minor; 6 is for work.
enum Register : uint8_t { r0, context, type, access_wanted, major_number, minor_number, work };

bpf_insn instruction(int code, uint8_t to, uint8_t from, int16_t offset, int32_t value)
{
  bpf_insn made{};
  made.code = static_cast<uint8_t>(code);
  made.dst_reg = to & 0xf;
  made.src_reg = from & 0xf;
  made.off = offset;
  made.imm = value;
  return made;
}
bpf_insn load_field(uint8_t to, size_t offset)
{
  return instruction(BPF_LDX | BPF_MEM | BPF_W, to, context, static_cast<int16_t>(offset), 0);
}
bpf_insn set(uint8_t to, int32_t value) { return instruction(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value); }
bpf_insn copy(uint8_t to, uint8_t from) { return instruction(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0); }
bpf_insn leave() { return instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }

int32_t access_bits(const std::string& letters)
{
  int32_t bits = 0;
  for (const char letter : letters) {
    if (letter == 'm') bits |= BPF_DEVCG_ACC_MKNOD;
    if (letter == 'r') bits |= BPF_DEVCG_ACC_READ;
    if (letter == 'w') bits |= BPF_DEVCG_ACC_WRITE;
  }
  return bits;
}

void append_rule(std::vector<bpf_insn>& code, const DeviceRule& rule)
{
  constexpr int32_t every_access = BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE;
  const size_t begin = code.size();
  const auto next_rule_unless_equal = [&](uint8_t which, int32_t value) {
    code.push_back(instruction(BPF_JMP | BPF_JNE | BPF_K, which, 0, -1, value)); // -1: patched below
  };
  next_rule_unless_equal(type, rule.type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
  if (const int32_t bits = access_bits(rule.access); bits != every_access) {
    // All that is wanted must be among what is granted.
    code.push_back(copy(work, access_wanted));
    code.push_back(instruction(BPF_ALU64 | BPF_AND | BPF_K, work, 0, 0, ~bits & every_access));
    next_rule_unless_equal(work, 0);
  }
  if (rule.major >= 0) next_rule_unless_equal(major_number, static_cast<int32_t>(rule.major));
  if (rule.minor >= 0) next_rule_unless_equal(minor_number, static_cast<int32_t>(rule.minor));
  code.push_back(set(r0, 1));
  code.push_back(leave());
  for (size_t i = begin; i < code.size(); ++i)
    if (code[i].off == -1) code[i].off = static_cast<int16_t>(code.size() - i - 1);
}

std::string list_of(std::span<const DeviceRule> rules)
{
  std::string text;
  for (const DeviceRule& rule : rules) text += (text.empty() ? "" : ", ") + rule.text();
  return text;
}

long bpf(int command, bpf_attr& attributes) { return ::syscall(SYS_bpf, command, &attributes, sizeof attributes); }

} // namespace

void allow_devices_v1(Trace& trace, int group, std::span<const DeviceRule> rules)
{
  write_value(trace, group, "devices.deny", "a");
  for (const DeviceRule& rule : rules) write_value(trace, group, "devices.allow", rule.text());
}

std::vector<uint64_t> device_program(std::span<const DeviceRule> rules)
{
  // access_type is type in its lower and access in its upper 16 bits.
  std::vector<bpf_insn> code = {
      load_field(access_wanted, offsetof(bpf_cgroup_dev_ctx, access_type)),
      copy(type, access_wanted),
      instruction(BPF_ALU64 | BPF_AND | BPF_K, type, 0, 0, 0xffff),
      instruction(BPF_ALU64 | BPF_RSH | BPF_K, access_wanted, 0, 0, 16),
      load_field(major_number, offsetof(bpf_cgroup_dev_ctx, major)),
      load_field(minor_number, offsetof(bpf_cgroup_dev_ctx, minor)),
  };
  for (const DeviceRule& rule : rules) append_rule(code, rule);
  code.push_back(set(r0, 0));
  code.push_back(leave());
  std::vector<uint64_t> words;
  for (const bpf_insn& each : code) words.push_back(std::bit_cast<uint64_t>(each));
  return words;
}

void allow_devices_v2(Trace& trace, int group, std::span<const DeviceRule> rules)
{
  const std::vector<uint64_t> code = device_program(rules);
  int loaded = -1;
  CallResult result = perform(
      trace, "bpf",
      [&] {
        return CallText{fmt::format("bpf(BPF_PROG_LOAD, BPF_PROG_TYPE_CGROUP_DEVICE, {} instructions)", code.size()),
                        "# systemd-run -p DevicePolicy=closed ... makes the same program"};
      },
      [&]() -> long {
        bpf_attr attributes;
        std::memset(&attributes, 0, sizeof attributes);
        attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
        attributes.insns = reinterpret_cast<uint64_t>(code.data());
        attributes.insn_cnt = static_cast<uint32_t>(code.size());
        attributes.license = reinterpret_cast<uint64_t>("GPL");
        const long fd = bpf(BPF_PROG_LOAD, attributes);
        loaded = static_cast<int>(fd);
        return fd;
      });
  if (result.failed()) throw Error{"load the device rules (" + list_of(rules) + ")", result.error};
  const Fd program{loaded};
  result = perform(
      trace, "bpf",
      [&] {
        return CallText{
            fmt::format("bpf(BPF_PROG_ATTACH, BPF_CGROUP_DEVICE, \"{}\", BPF_F_ALLOW_MULTI)", path_of(group)),
            fmt::format("bpftool cgroup attach {} device id ... multi  # {}", path_of(group), list_of(rules))};
      },
      [&]() -> long {
        bpf_attr attributes;
        std::memset(&attributes, 0, sizeof attributes);
        attributes.target_fd = static_cast<uint32_t>(group);
        attributes.attach_bpf_fd = static_cast<uint32_t>(program.get());
        attributes.attach_type = BPF_CGROUP_DEVICE;
        attributes.attach_flags = BPF_F_ALLOW_MULTI;
        return bpf(BPF_PROG_ATTACH, attributes);
      });
  if (result.failed()) throw Error{"attach the device rules to " + path_of(group), result.error};
}

} // namespace conductor::kernel
