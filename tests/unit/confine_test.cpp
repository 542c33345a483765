// The tables of confinement: capabilities, limits, hidden paths, devices.

#include "core/base/error.h"
#include "core/kernel/capabilities.h"
#include "core/kernel/confine.h"
#include "core/kernel/devices.h"
#include "core/kernel/masks.h"

#include <bit>
#include <set>

#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <sys/resource.h>

using namespace conductor;
using namespace conductor::kernel;

namespace {

using Names = std::vector<std::string>;

TEST(Capabilities, names_are_taken_in_each_spelling)
{
  EXPECT_EQ(capability_number("NET_ADMIN"), CAP_NET_ADMIN);
  EXPECT_EQ(capability_number("net_admin"), CAP_NET_ADMIN);
  EXPECT_EQ(capability_number("cap_Net_Admin"), CAP_NET_ADMIN);
  EXPECT_EQ(capability_number("CHECKPOINT_RESTORE"), CAP_CHECKPOINT_RESTORE);
  EXPECT_EQ(capability_number("NET"), std::nullopt);
  EXPECT_EQ(capability_name(CAP_BPF), "BPF");
  EXPECT_EQ(capability_name(55), "55");
}

TEST(Capabilities, the_default_is_the_documented_dozen)
{
  EXPECT_EQ(capability_names(default_capabilities),
            (Names{"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
                   "NET_BIND_SERVICE", "NET_RAW", "SYS_CHROOT", "SETFCAP"}));
}

TEST(Capabilities, lists_are_applied_to_the_default)
{
  EXPECT_EQ(apply_capabilities({}, {}), default_capabilities);
  EXPECT_EQ(apply_capabilities({"NET_ADMIN"}, {}), default_capabilities | capability_bit(CAP_NET_ADMIN));
  EXPECT_EQ(apply_capabilities({}, {"chown"}), default_capabilities & ~capability_bit(CAP_CHOWN));
  EXPECT_EQ(apply_capabilities({"CHOWN"}, {"ALL"}), capability_bit(CAP_CHOWN));
  EXPECT_EQ(apply_capabilities({"all"}, {"CHOWN"}), all_capabilities & ~capability_bit(CAP_CHOWN));
  EXPECT_EQ(apply_capabilities({"CHOWN"}, {"CHOWN"}), default_capabilities & ~capability_bit(CAP_CHOWN));
}

TEST(Capabilities, a_wrong_name_gets_its_nearest)
{
  try {
    apply_capabilities({"NET_ADMN"}, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), 2);
    EXPECT_NE(error.hint().find("NET_ADMIN"), std::string_view::npos);
  }
}

TEST(Limits, names_are_those_of_ulimit)
{
  EXPECT_EQ(limit_number("nofile"), RLIMIT_NOFILE);
  EXPECT_EQ(limit_number("core"), RLIMIT_CORE);
  EXPECT_THROW(limit_number("nofiles"), Error);
}

TEST(Limits, a_wanted_one_replaces_the_default)
{
  const auto limits = merge_limits(
      {{.resource = RLIMIT_NOFILE, .soft = 10, .hard = 20}, {.resource = RLIMIT_CPU, .soft = 1, .hard = 1}});
  ASSERT_EQ(limits.size(), 3U);
  EXPECT_EQ(limits[0].resource, RLIMIT_NOFILE);
  EXPECT_EQ(limits[0].soft, 10U);
  EXPECT_EQ(limits[2].resource, RLIMIT_CPU);
}

TEST(Masks, paths_are_relative_and_named_once)
{
  std::set<std::string> seen;
  for (const HiddenPath& hidden : hidden_paths()) {
    EXPECT_NE(hidden.path[0], '/');
    EXPECT_TRUE(seen.insert(hidden.path).second) << hidden.path;
  }
  EXPECT_TRUE(seen.contains("proc/kcore"));
  EXPECT_TRUE(seen.contains("proc/sysrq-trigger"));
}

TEST(Devices, rules_are_lines_of_the_controller)
{
  EXPECT_EQ((DeviceRule{.type = 'c', .major = 1, .minor = 3}.text()), "c 1:3 rwm");
  EXPECT_EQ((DeviceRule{.type = 'c', .major = 136, .access = "rw"}.text()), "c 136:* rw");
  EXPECT_EQ((DeviceRule{.type = 'b', .access = "m"}.text()), "b *:* m");
}

TEST(Devices, a_rule_is_made_of_a_node)
{
  EXPECT_EQ(device_rule_of(parse_device("/dev/null")).text(), "c 1:3 rwm");
  EXPECT_EQ(device_rule_of(parse_device("/dev/null:/dev/nothing:r")).text(), "c 1:3 r");
  EXPECT_THROW(device_rule_of(parse_device("/etc/passwd")), Error);
  EXPECT_THROW(device_rule_of(parse_device("/dev/there-is-no-such-thing")), Error);
}

TEST(Devices, an_option_names_device_place_and_access)
{
  const auto parts = [](std::string_view text) {
    const PassedDevice device = parse_device(text);
    return device.source + "|" + device.target + "|" + device.access;
  };
  EXPECT_EQ(parts("/dev/fuse"), "/dev/fuse||rwm");
  EXPECT_EQ(parts("/dev/fuse:r"), "/dev/fuse||r");
  EXPECT_EQ(parts("/dev/sdc:/dev/disk"), "/dev/sdc|/dev/disk|rwm");
  EXPECT_EQ(parts("/dev/sdc:/dev/a/disk:rw"), "/dev/sdc|/dev/a/disk|rw");
  for (const char* wrong :
       {"", "fuse", "/dev/fuse:x", "/dev/fuse:rx", "/dev/fuse:/tmp/x", "/dev/fuse:/dev/", "/a:/dev/b:r:w"})
    EXPECT_THROW(parse_device(wrong), Error) << wrong;
}

// Runs the device program: the few instructions that it is made of.
bool allowed(std::span<const uint64_t> program, uint32_t type, uint32_t access, uint32_t major, uint32_t minor)
{
  const uint32_t fields[] = {type | (access << 16), major, minor};
  uint64_t registers[8] = {};
  for (size_t at = 0; at < program.size(); ++at) {
    const auto step = std::bit_cast<bpf_insn>(program[at]);
    uint64_t& to = registers[step.dst_reg];
    const auto value = static_cast<uint64_t>(int64_t{step.imm});
    switch (step.code) {
    case BPF_LDX | BPF_MEM | BPF_W: to = fields[step.off / 4]; break;
    case BPF_ALU64 | BPF_MOV | BPF_K: to = value; break;
    case BPF_ALU64 | BPF_MOV | BPF_X: to = registers[step.src_reg]; break;
    case BPF_ALU64 | BPF_AND | BPF_K: to &= value; break;
    case BPF_ALU64 | BPF_RSH | BPF_K: to >>= value; break;
    case BPF_JMP | BPF_JNE | BPF_K: at += to != value ? static_cast<size_t>(step.off) : 0; break;
    case BPF_JMP | BPF_EXIT: return registers[0] == 1;
    default: ADD_FAILURE() << int{step.code}; return false;
    }
  }
  ADD_FAILURE() << "ran past the end";
  return false;
}

TEST(Devices, the_program_lets_through_what_the_rules_say)
{
  const auto program = device_program(default_device_rules());
  constexpr uint32_t block = BPF_DEVCG_DEV_BLOCK, character = BPF_DEVCG_DEV_CHAR;
  constexpr uint32_t make = BPF_DEVCG_ACC_MKNOD, read = BPF_DEVCG_ACC_READ, write = BPF_DEVCG_ACC_WRITE;
  EXPECT_TRUE(allowed(program, character, read | write, 1, 3));
  EXPECT_TRUE(allowed(program, character, read | write, 136, 17));
  EXPECT_TRUE(allowed(program, character, read, 5, 2));
  EXPECT_FALSE(allowed(program, character, read, 1, 1)); // mem
  EXPECT_TRUE(allowed(program, character, make, 1, 1));
  EXPECT_FALSE(allowed(program, character, make | read, 1, 1));
  EXPECT_FALSE(allowed(program, block, read, 8, 0));
  EXPECT_TRUE(allowed(program, block, make, 8, 0));
  EXPECT_FALSE(allowed(program, block, read, 1, 3));
}

} // namespace
