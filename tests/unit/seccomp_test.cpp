// The filter answers each system call as the table says. The programs are run by a small BPF machine here, so that
// nothing of this needs a kernel that takes them.

#include "core/base/error.h"
#include "core/kernel/seccomp.h"
#include "core/kernel/seccomp_compile.h"
#include "core/kernel/seccomp_policy.h"

#include <cerrno>
#include <cstring>
#include <map>

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

using namespace conductor::kernel;

namespace {

#if defined(__x86_64__)
constexpr uint32_t native = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t native = AUDIT_ARCH_AARCH64;
#else
constexpr uint32_t native = AUDIT_ARCH_RISCV64;
#endif

struct Answer {
  Verdict verdict = 0;
  int steps = 0;
};

Answer run(const std::vector<sock_filter>& program, const seccomp_data& data)
{
  uint32_t accumulator = 0;
  int steps = 0;
  for (size_t at = 0; at < program.size(); ++at) {
    const sock_filter& step = program[at];
    ++steps;
    bool yes = false;
    switch (step.code) {
    case BPF_LD | BPF_W | BPF_ABS:
      std::memcpy(&accumulator, reinterpret_cast<const char*>(&data) + step.k, sizeof accumulator);
      continue;
    case BPF_ALU | BPF_AND | BPF_K: accumulator &= step.k; continue;
    case BPF_RET | BPF_K: return {step.k, steps};
    case BPF_JMP | BPF_JA: at += step.k; continue;
    case BPF_JMP | BPF_JEQ | BPF_K: yes = accumulator == step.k; break;
    case BPF_JMP | BPF_JGE | BPF_K: yes = accumulator >= step.k; break;
    case BPF_JMP | BPF_JGT | BPF_K: yes = accumulator > step.k; break;
    default: ADD_FAILURE() << "instruction " << step.code; return {};
    }
    at += yes ? step.jt : step.jf;
  }
  ADD_FAILURE() << "ran past the end";
  return {};
}

seccomp_data call(int number, std::initializer_list<uint64_t> arguments = {}, uint32_t architecture = native)
{
  seccomp_data data{.nr = number, .arch = architecture, .instruction_pointer = 0, .args = {}};
  std::copy(arguments.begin(), arguments.end(), data.args);
  return data;
}

Verdict verdict(const char* name, std::initializer_list<uint64_t> arguments = {},
                CapabilitySet capabilities = default_capabilities)
{
  return run(seccomp_filter(capabilities), call(syscall_number(name), arguments)).verdict;
}

constexpr uint64_t junk_above = 0xdeadbeef00000000;

TEST(Seccomp, common_calls_are_allowed)
{
  for (const char* name : {"read", "openat", "execve", "mmap", "futex", "fork", "ptrace", "setuid", "statx",
                           "fchmodat2", "rt_sigreturn", "getrandom", "rseq", "mknod", "seccomp", "prlimit64", "chroot"})
    EXPECT_EQ(verdict(name), allow_call) << name;
}

TEST(Seccomp, dangerous_calls_are_refused)
{
  for (const char* name : {"mount",
                           "umount2",
                           "pivot_root",
                           "setns",
                           "open_tree",
                           "move_mount",
                           "fsopen",
                           "fsconfig",
                           "fsmount",
                           "mount_setattr",
                           "keyctl",
                           "add_key",
                           "request_key",
                           "bpf",
                           "perf_event_open",
                           "io_uring_setup",
                           "io_uring_enter",
                           "kexec_load",
                           "init_module",
                           "finit_module",
                           "delete_module",
                           "settimeofday",
                           "clock_settime",
                           "reboot",
                           "swapon",
                           "quotactl",
                           "acct",
                           "userfaultfd",
                           "open_by_handle_at",
                           "syslog",
                           "pidfd_getfd",
                           "sethostname"})
    EXPECT_EQ(verdict(name), refuse_call(EPERM)) << name;
}

TEST(Seccomp, a_capability_frees_what_it_guards)
{
  EXPECT_EQ(verdict("mount", {}, default_capabilities | capability_bit(CAP_SYS_ADMIN)), allow_call);
  EXPECT_EQ(verdict("bpf", {}, default_capabilities | capability_bit(CAP_BPF)), allow_call);
  EXPECT_EQ(verdict("mount", {}, default_capabilities | capability_bit(CAP_BPF)), refuse_call(EPERM));
  EXPECT_EQ(verdict("clone3", {}, all_capabilities), allow_call);
  EXPECT_EQ(verdict("chroot", {}, 0), refuse_call(EPERM));
}

TEST(Seccomp, new_namespaces_are_refused)
{
  EXPECT_EQ(verdict("clone", {SIGCHLD}), allow_call);
  EXPECT_EQ(verdict("clone", {CLONE_VM | CLONE_THREAD | CLONE_SIGHAND}), allow_call);
  EXPECT_EQ(verdict("clone", {CLONE_NEWUSER | SIGCHLD}), refuse_call(EPERM));
  EXPECT_EQ(verdict("clone", {junk_above | CLONE_NEWNET}), refuse_call(EPERM));
  EXPECT_EQ(verdict("clone3"), refuse_call(ENOSYS));
  EXPECT_EQ(verdict("unshare", {CLONE_FILES}), allow_call);
  EXPECT_EQ(verdict("unshare", {CLONE_NEWUSER}), refuse_call(EPERM));
  EXPECT_EQ(verdict("unshare", {0x80}), refuse_call(EPERM)); // CLONE_NEWTIME
}

TEST(Seccomp, odd_socket_families_are_refused)
{
  EXPECT_EQ(verdict("socket", {AF_INET, SOCK_STREAM, 0}), allow_call);
  EXPECT_EQ(verdict("socket", {AF_ALG, SOCK_SEQPACKET, 0}), refuse_call(EAFNOSUPPORT));
  EXPECT_EQ(verdict("socket", {AF_VSOCK, SOCK_STREAM, 0}), refuse_call(EAFNOSUPPORT));
  EXPECT_EQ(verdict("socket", {AF_NETLINK, SOCK_RAW, 9}), refuse_call(EINVAL)); // NETLINK_AUDIT
  EXPECT_EQ(verdict("socket", {AF_NETLINK, SOCK_RAW, 0}), allow_call);
  EXPECT_EQ(verdict("socket", {AF_INET, SOCK_RAW, 9}), allow_call);
}

TEST(Seccomp, bits_above_an_int_change_nothing)
{
  EXPECT_EQ(verdict("socket", {junk_above | AF_ALG}), refuse_call(EAFNOSUPPORT));
  EXPECT_EQ(verdict("socket", {junk_above | AF_NETLINK, 0, junk_above | 9}), refuse_call(EINVAL));
  EXPECT_EQ(verdict("ioctl", {0, junk_above | TIOCSTI}), refuse_call(EPERM));
}

TEST(Seccomp, typing_into_a_terminal_is_refused)
{
  EXPECT_EQ(verdict("ioctl", {0, TIOCSTI}), refuse_call(EPERM));
  EXPECT_EQ(verdict("ioctl", {0, TIOCLINUX}), refuse_call(EPERM));
  EXPECT_EQ(verdict("ioctl", {0, TIOCGWINSZ}), allow_call);
}

TEST(Seccomp, personalities_that_weaken_are_refused)
{
  EXPECT_EQ(verdict("personality", {0xffffffff}), allow_call);
  EXPECT_EQ(verdict("personality", {0}), allow_call);
  EXPECT_EQ(verdict("personality", {0x0400000}), refuse_call(EPERM)); // READ_IMPLIES_EXEC
}

TEST(Seccomp, unknown_calls_do_not_exist)
{
  const SeccompFilter filter = seccomp_filter(default_capabilities);
  for (const int number : {480, 512, 0x40000000, 0x40000001, 0x7fffffff, -1})
    EXPECT_EQ(run(filter, call(number)).verdict, refuse_call(ENOSYS)) << number;
}

TEST(Seccomp, another_architecture_kills)
{
  EXPECT_EQ(run(seccomp_filter(default_capabilities), call(1, {}, AUDIT_ARCH_I386)).verdict, SECCOMP_RET_KILL_PROCESS);
  EXPECT_EQ(run(seccomp_filter(all_capabilities), call(1, {}, AUDIT_ARCH_I386)).verdict, SECCOMP_RET_KILL_PROCESS);
}

TEST(Seccomp, every_number_gets_what_the_table_says)
{
  for (const CapabilitySet capabilities : {default_capabilities, CapabilitySet{0}, all_capabilities}) {
    const Policy policy = default_policy(capabilities, syscall_number);
    std::map<uint32_t, const CallRule*> rules;
    for (const CallRule& rule : policy.rules) EXPECT_TRUE(rules.emplace(rule.number, &rule).second) << rule.number;
    const SeccompFilter filter = compile_seccomp(policy);
    for (uint32_t number = 0; number < 600; ++number) {
      const auto found = rules.find(number);
      if (found != rules.end() && !found->second->clauses.empty()) continue;
      const Verdict expected = found == rules.end() ? policy.unknown : found->second->otherwise;
      EXPECT_EQ(run(filter, call(static_cast<int>(number))).verdict, expected) << number;
    }
  }
}

TEST(Seccomp, the_built_in_filter_is_the_compiled_table)
{
  const SeccompFilter built = seccomp_filter(default_capabilities);
  const SeccompFilter made = compile_seccomp(default_policy(default_capabilities, syscall_number));
  ASSERT_EQ(built.size(), made.size());
  EXPECT_EQ(std::memcmp(built.data(), made.data(), built.size() * sizeof built[0]), 0);
}

TEST(Seccomp, the_kernels_trial_at_load_is_short)
{
  const SeccompFilter filter = seccomp_filter(default_capabilities);
  int steps = 0;
  for (int number = 0; number < 470; ++number) steps += run(filter, call(number)).steps;
  EXPECT_LE(steps / 470, 10);
  EXPECT_LE(filter.size(), 160U);
}

TEST(Seccomp, names_and_numbers_agree)
{
  EXPECT_EQ(syscall_name(syscall_number("openat")), "openat");
  EXPECT_EQ(syscall_number("openatt"), -1);
  EXPECT_EQ(syscall_name(100000), "");
}

struct WideCase {
  Compare compare;
  uint64_t value, mask;
  bool (*holds)(uint64_t argument, uint64_t value, uint64_t mask);
};

TEST(SeccompCompile, comparisons_of_64_bits_hold)
{
  const uint64_t values[] = {0, 1, 0xffffffff, 0x100000000, 0x100000001, 0x1ffffffff, ~uint64_t{0}};
  const WideCase cases[] = {
      {Compare::equal, 0, 0, [](uint64_t a, uint64_t b, uint64_t) { return a == b; }},
      {Compare::not_equal, 0, 0, [](uint64_t a, uint64_t b, uint64_t) { return a != b; }},
      {Compare::less, 0, 0, [](uint64_t a, uint64_t b, uint64_t) { return a < b; }},
      {Compare::less_equal, 0, 0, [](uint64_t a, uint64_t b, uint64_t) { return a <= b; }},
      {Compare::greater, 0, 0, [](uint64_t a, uint64_t b, uint64_t) { return a > b; }},
      {Compare::greater_equal, 0, 0, [](uint64_t a, uint64_t b, uint64_t) { return a >= b; }},
      {Compare::masked_equal, 0, 0xf0000000f, [](uint64_t a, uint64_t b, uint64_t m) { return (a & m) == (b & m); }},
  };
  for (const WideCase& one : cases)
    for (const uint64_t value : values) {
      const ArgumentTest test{
          .index = 2, .compare = one.compare, .value = value, .mask = one.mask, .width = Width::full_64};
      Policy policy;
      policy.rules = {{.number = 7, .clauses = {{{test}, refuse_call(EPERM)}}, .otherwise = allow_call}};
      const SeccompFilter filter = compile_seccomp(policy);
      for (const uint64_t argument : values)
        EXPECT_EQ(run(filter, call(7, {0, 0, argument})).verdict == refuse_call(EPERM),
                  one.holds(argument, value, one.mask))
            << static_cast<int>(one.compare) << " " << argument << " " << value;
    }
}

TEST(SeccompCompile, long_programs_reach_over_their_jumps)
{
  Policy policy;
  for (uint32_t number = 0; number < 400; ++number) {
    CallRule rule{.number = number * 2, .clauses = {}, .otherwise = refuse_call(static_cast<int>(number))};
    rule.clauses.push_back({{{.index = 1, .value = number}}, allow_call});
    policy.rules.push_back(rule);
  }
  const SeccompFilter filter = compile_seccomp(policy);
  for (uint32_t number = 0; number < 400; ++number) {
    const int nr = static_cast<int>(number * 2);
    EXPECT_EQ(run(filter, call(nr, {0, number})).verdict, allow_call);
    EXPECT_EQ(run(filter, call(nr, {0, number + 1})).verdict, refuse_call(static_cast<int>(number)));
    EXPECT_EQ(run(filter, call(nr + 1)).verdict, policy.unknown);
  }
}

TEST(SeccompCompile, a_policy_without_rules_is_one_answer)
{
  const SeccompFilter filter = compile_seccomp({});
  EXPECT_EQ(run(filter, call(0)).verdict, refuse_call(ENOSYS));
}

Verdict profile_verdict(const char* json, const char* name, std::initializer_list<uint64_t> arguments = {},
                        CapabilitySet capabilities = default_capabilities)
{
  return run(seccomp_profile(json, "profile.json", capabilities), call(syscall_number(name), arguments)).verdict;
}

TEST(SeccompProfile, names_and_actions_are_taken)
{
  const char* json = R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
    {"names": ["read", "write", "no_such_call"], "action": "SCMP_ACT_ALLOW"},
    {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
    {"name": "reboot", "action": "SCMP_ACT_KILL_PROCESS"}]})";
  EXPECT_EQ(profile_verdict(json, "read"), allow_call);
  EXPECT_EQ(profile_verdict(json, "open"), refuse_call(EPERM));
  EXPECT_EQ(profile_verdict(json, "mkdir"), refuse_call(ENOSPC));
  EXPECT_EQ(profile_verdict(json, "reboot"), SECCOMP_RET_KILL_PROCESS);
}

TEST(SeccompProfile, calls_newer_than_the_profile_do_not_exist)
{
  const auto filter = seccomp_profile(R"({"defaultAction": "SCMP_ACT_ERRNO"})", "p", default_capabilities);
  EXPECT_EQ(run(filter, call(2000)).verdict, refuse_call(ENOSYS));
  const auto open = seccomp_profile(R"({"defaultAction": "SCMP_ACT_ALLOW"})", "p", default_capabilities);
  EXPECT_EQ(run(open, call(2000)).verdict, allow_call);
}

TEST(SeccompProfile, arguments_are_compared)
{
  const char* json = R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
    {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]},
    {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
     "args": [{"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]},
    {"names": ["socket"], "action": "SCMP_ACT_ALLOW",
     "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}]},
    {"names": ["ioctl"], "action": "SCMP_ACT_ALLOW",
     "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_GE"}, {"index": 1, "value": 2, "op": "SCMP_CMP_NE"}]}]})";
  EXPECT_EQ(profile_verdict(json, "personality", {8}), allow_call);
  EXPECT_EQ(profile_verdict(json, "personality", {9}), refuse_call(EPERM));
  EXPECT_EQ(profile_verdict(json, "clone", {SIGCHLD}), allow_call);
  EXPECT_EQ(profile_verdict(json, "clone", {CLONE_NEWUSER}), refuse_call(EPERM));
  EXPECT_EQ(profile_verdict(json, "socket", {2}), allow_call);
  EXPECT_EQ(profile_verdict(json, "socket", {3}), refuse_call(EPERM));
  EXPECT_EQ(profile_verdict(json, "ioctl", {1, 3}), allow_call);
  EXPECT_EQ(profile_verdict(json, "ioctl", {0, 3}), refuse_call(EPERM));
  EXPECT_EQ(profile_verdict(json, "ioctl", {1, 2}), refuse_call(EPERM));
}

TEST(SeccompProfile, entries_hang_on_capabilities_and_kernels)
{
  const char* json = R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
    {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
    {"names": ["read"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
    {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
    {"names": ["write"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["s390x"]}},
    {"names": ["open"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "99.0"}}]})";
  EXPECT_EQ(profile_verdict(json, "mount"), refuse_call(EPERM));
  EXPECT_EQ(profile_verdict(json, "mount", {}, all_capabilities), allow_call);
  EXPECT_EQ(profile_verdict(json, "read"), allow_call);
  EXPECT_EQ(profile_verdict(json, "read", {}, all_capabilities), refuse_call(EPERM));
  EXPECT_EQ(profile_verdict(json, "ptrace"), allow_call);
  EXPECT_EQ(profile_verdict(json, "write"), refuse_call(EPERM));
  EXPECT_EQ(profile_verdict(json, "open"), refuse_call(EPERM));
}

// The complaint about one entry of `syscalls`.
std::string complaint_about(const std::string& profile)
{
  try {
    seccomp_profile(profile, "p.json", default_capabilities);
  } catch (const conductor::Error& error) {
    return error.what();
  }
  return {};
}
std::string complaint_about_entry(const std::string& entry)
{
  return complaint_about(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [)" + entry + "]}");
}

TEST(SeccompProfile, every_field_is_named_where_it_is_wrong)
{
  const auto said = [](const std::string& text, const char* field, const char* why) {
    EXPECT_NE(text.find(std::string{field} + ": "), std::string::npos) << text;
    EXPECT_NE(text.find(why), std::string::npos) << text;
  };
  const std::string read = R"("names": ["read"], "action": "SCMP_ACT_ERRNO")";
  said(complaint_about(R"({"defaultAction": 3})"), "defaultAction", "no text");
  said(complaint_about(R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": -1})"), "defaultErrnoRet",
       "up to 4095");
  said(complaint_about(R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "ENOTHING"})"), "defaultErrno",
       "ENOTHING");
  said(complaint_about(R"({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["x86"]})"), "architectures[0]", "x86");
  said(complaint_about(R"({"defaultAction": "SCMP_ACT_ALLOW", "architectures": [], "archMap": []})"), "architectures",
       "both there");
  said(complaint_about(R"({"defaultAction": "SCMP_ACT_ALLOW", "archMap": [{"architecture": 1}]})"),
       "archMap[0].architecture", "no text");
  said(complaint_about(R"({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["X"]})"), "flags[0]", "no flag");
  said(complaint_about(R"({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG"]})"), "flags[0]",
       "not set");
  said(complaint_about(R"({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/x"})"), "listenerPath",
       "no other program");
  said(complaint_about(R"({"defaultAction": "SCMP_ACT_NOTIFY"})"), "defaultAction", "no program");
  said(complaint_about(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": {}})"), "syscalls", "no list");
  said(complaint_about_entry("7"), "syscalls[0]", "no object");
  said(complaint_about_entry(R"({"action": "SCMP_ACT_ALLOW"})"), "syscalls[0]", "names no system call");
  said(complaint_about_entry(R"({"names": ["read", 1], "action": "SCMP_ACT_ALLOW"})"), "syscalls[0].names[1]",
       "no text");
  said(complaint_about_entry(R"({"name": "read", "names": ["write"], "action": "SCMP_ACT_ALLOW"})"), "syscalls[0].name",
       "both there");
  said(complaint_about_entry(R"({"names": ["read"], "action": "SCMP_ACT_NOTIFY"})"), "syscalls[0].action",
       "no program");
  said(complaint_about_entry("{" + read + R"(, "errnoRet": "x"})"), "syscalls[0].errnoRet", "whole number");
  said(complaint_about_entry("{" + read + R"(, "args": [{}]})"), "syscalls[0].args[0]", "'index' is missing");
  said(complaint_about_entry("{" + read + R"(, "args": [{"index": 0, "value": 1.5, "op": "SCMP_CMP_EQ"}]})"),
       "syscalls[0].args[0].value", "whole number");
  said(complaint_about_entry("{" + read + R"(, "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQUAL"}]})"),
       "syscalls[0].args[0].op", "SCMP_CMP_EQUAL");
  said(complaint_about_entry("{" + read + R"(, "includes": {"caps": "ALL"}})"), "syscalls[0].includes.caps", "no list");
  said(complaint_about_entry("{" + read + R"(, "excludes": {"minKernel": "five"}})"), "syscalls[0].excludes.minKernel",
       "no kernel version");
}

TEST(SeccompProfile, null_is_as_good_as_nothing_and_errnos_have_names)
{
  const char* json = R"({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": null, "architectures": null,
    "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]}],
    "flags": ["SECCOMP_FILTER_FLAG_TSYNC"], "listenerPath": "", "syscalls": [
    {"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": null, "includes": null, "comment": "x", "errno": "EINVAL"},
    {"names": ["write"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28, "errno": "EDOM"},
    {"names": ["open"], "action": "SCMP_ACT_TRACE", "errnoRet": 7},
    {"names": ["close"], "action": "SCMP_ACT_KILL"}, {"names": ["stat"], "action": "SCMP_ACT_TRAP"},
    {"names": ["lstat"], "action": "SCMP_ACT_LOG"}, {"names": ["fstat"], "action": "SCMP_ACT_KILL_THREAD"}]})";
  EXPECT_EQ(profile_verdict(json, "read"), refuse_call(EINVAL));
  EXPECT_EQ(profile_verdict(json, "write"), refuse_call(EDOM));
  EXPECT_EQ(profile_verdict(json, "open"), SECCOMP_RET_TRACE | 7U);
  EXPECT_EQ(profile_verdict(json, "close"), SECCOMP_RET_KILL_THREAD);
  EXPECT_EQ(profile_verdict(json, "stat"), SECCOMP_RET_TRAP);
  EXPECT_EQ(profile_verdict(json, "lstat"), SECCOMP_RET_LOG);
  EXPECT_EQ(profile_verdict(json, "fstat"), SECCOMP_RET_KILL_THREAD);
}

TEST(SeccompProfile, what_is_not_understood_is_named)
{
  const auto complaint = [](const char* json) {
    try {
      seccomp_profile(json, "p.json", default_capabilities);
    } catch (const conductor::Error& error) {
      return std::string{error.what()};
    }
    return std::string{};
  };
  EXPECT_NE(complaint("{").find("p.json"), std::string::npos);
  EXPECT_NE(complaint("[]").find("p.json"), std::string::npos);
  EXPECT_NE(complaint(R"({"defaultAction": "SCMP_ACT_ALOW"})").find("SCMP_ACT_ALOW"), std::string::npos);
  EXPECT_NE(complaint(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_KILL",
      "args": [{"index": 7, "value": 0, "op": "SCMP_CMP_EQ"}]}]})")
                .find("argument 7"),
            std::string::npos);
  EXPECT_NE(complaint(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": "read", "action": 3}]})"), "");
  EXPECT_NE(complaint(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_LOG",
      "includes": []}]})"),
            "");
}

} // namespace
