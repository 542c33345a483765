// From rules about system calls to a classic BPF program: a binary search over ranges of numbers.
#pragma once

#include <cstdint>
#include <vector>

#include <linux/filter.h>
#include <linux/seccomp.h>

namespace conductor::kernel {

// What happens to a call: SECCOMP_RET_*, with an errno in its low bits for SECCOMP_RET_ERRNO.
using Verdict = uint32_t;
constexpr Verdict allow_call = SECCOMP_RET_ALLOW;
constexpr Verdict refuse_call(int error) { return SECCOMP_RET_ERRNO | static_cast<Verdict>(error); }

enum class Compare : char { equal, not_equal, less, less_equal, greater, greater_equal, masked_equal };
// int: the kernel takes only the low 32 bits of such an argument, so only these may be looked at; else a caller who
// sets a bit above them walks past the filter (CVE-2019-10063).
enum class Width : char { low_32, full_64 };

struct ArgumentTest {
  unsigned index = 0; // 0..5
  Compare compare = Compare::equal;
  uint64_t value = 0;
  uint64_t mask = ~uint64_t{0}; // masked_equal: (argument & mask) == value
  Width width = Width::low_32;
};

struct Clause {
  std::vector<ArgumentTest> tests; // all must hold
  Verdict verdict = allow_call;
};

struct CallRule {
  uint32_t number = 0;
  std::vector<Clause> clauses;    // the first that holds decides
  Verdict otherwise = allow_call; // when none does
};

struct Policy {
  std::vector<CallRule> rules;       // each number at most once, in any order
  Verdict unknown = refuse_call(38); // for all other numbers; 38 is ENOSYS
};

// For this architecture; a call made in another one (32-bit code) kills the process. Throws Error when the program
// would be longer than the kernel takes (BPF_MAXINSNS).
std::vector<sock_filter> compile_seccomp(const Policy& policy);

} // namespace conductor::kernel
