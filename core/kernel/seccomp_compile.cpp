// The numbers are cut into ranges of equal verdict; a balanced tree of "is the number at least N" finds the range, so
// that each call is decided within about eight instructions.

#include "core/kernel/seccomp_compile.h"

#include "core/base/error.h"

#include <algorithm>
#include <cstddef>
#include <span>

#include <linux/audit.h>

namespace conductor::kernel {
namespace {

#if defined(__x86_64__)
constexpr uint32_t native_architecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t native_architecture = AUDIT_ARCH_AARCH64;
#elif defined(__riscv)
constexpr uint32_t native_architecture = AUDIT_ARCH_RISCV64;
#else
#error "say here which audit architecture this is"
#endif
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the halves of an argument lie the other way round");

using Program = std::vector<sock_filter>;

// Jumps that leave a test are written with these and patched once it is known how long the rest is.
constexpr uint8_t to_fail = 254, to_success = 255;

sock_filter statement(int code, uint32_t k) { return {static_cast<uint16_t>(code), 0, 0, k}; }
sock_filter jump(int code, uint32_t k, size_t yes, size_t no)
{
  return {static_cast<uint16_t>(BPF_JMP | BPF_K | code), static_cast<uint8_t>(yes), static_cast<uint8_t>(no), k};
}
sock_filter load(size_t offset) { return statement(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)); }
sock_filter give(Verdict verdict) { return statement(BPF_RET | BPF_K, verdict); }

uint32_t low(uint64_t value) { return static_cast<uint32_t>(value); }
uint32_t high(uint64_t value) { return static_cast<uint32_t>(value >> 32); }

// One test; its jumps end at to_success or to_fail, or fall through to the next instruction (0).
Program test_program(const ArgumentTest& test)
{
  const size_t offset = offsetof(seccomp_data, args) + 8 * test.index;
  const bool wide = test.width == Width::full_64;
  const uint32_t value = low(test.value), top = high(test.value);
  Program code;
  const auto halves = [&](sock_filter on_top, sock_filter on_low) {
    if (wide) code.insert(code.end(), {load(offset + 4), on_top});
    code.insert(code.end(), {load(offset), on_low});
  };
  // Greater is decided by the upper half unless that is equal; then by the lower.
  const auto ordered = [&](int lower_code, uint8_t yes, uint8_t no) {
    if (wide) code.insert(code.end(), {load(offset + 4), jump(BPF_JGT, top, yes, 0), jump(BPF_JEQ, top, 0, no)});
    code.insert(code.end(), {load(offset), jump(lower_code, value, yes, no)});
  };
  switch (test.compare) {
  case Compare::equal: halves(jump(BPF_JEQ, top, 0, to_fail), jump(BPF_JEQ, value, to_success, to_fail)); break;
  case Compare::not_equal: halves(jump(BPF_JEQ, top, 0, to_success), jump(BPF_JEQ, value, to_fail, to_success)); break;
  case Compare::greater: ordered(BPF_JGT, to_success, to_fail); break;
  case Compare::greater_equal: ordered(BPF_JGE, to_success, to_fail); break;
  case Compare::less: ordered(BPF_JGE, to_fail, to_success); break;
  case Compare::less_equal: ordered(BPF_JGT, to_fail, to_success); break;
  case Compare::masked_equal:
    if (wide)
      code.insert(code.end(), {load(offset + 4), statement(BPF_ALU | BPF_AND | BPF_K, high(test.mask)),
                               jump(BPF_JEQ, top & high(test.mask), 0, to_fail)});
    code.insert(code.end(), {load(offset), statement(BPF_ALU | BPF_AND | BPF_K, low(test.mask)),
                             jump(BPF_JEQ, value & low(test.mask), to_success, to_fail)});
    break;
  }
  return code;
}

void patch(Program& code, uint8_t marker, size_t target)
{
  for (size_t i = 0; i < code.size(); ++i) {
    if (BPF_CLASS(code[i].code) != BPF_JMP) continue;
    const size_t distance = target - i - 1;
    if ((code[i].jt == marker || code[i].jf == marker) && distance >= to_fail)
      throw Error{"seccomp: a rule has too many conditions on one system call"};
    if (code[i].jt == marker) code[i].jt = static_cast<uint8_t>(distance);
    if (code[i].jf == marker) code[i].jf = static_cast<uint8_t>(distance);
  }
}

Program rule_program(const CallRule& rule)
{
  Program code;
  for (const Clause& clause : rule.clauses) {
    Program tests;
    for (const ArgumentTest& test : clause.tests) {
      Program one = test_program(test);
      patch(one, to_success, one.size());
      tests.insert(tests.end(), one.begin(), one.end());
    }
    tests.push_back(give(clause.verdict));
    patch(tests, to_fail, tests.size());
    code.insert(code.end(), tests.begin(), tests.end());
  }
  code.push_back(give(rule.otherwise));
  return code;
}

struct Range {
  uint32_t first = 0;             // up to the next range's first
  const CallRule* rule = nullptr; // with conditions; else `verdict` alone
  Verdict verdict = allow_call;
};

std::vector<Range> ranges_of(const Policy& policy)
{
  std::vector<const CallRule*> sorted;
  for (const CallRule& rule : policy.rules) sorted.push_back(&rule);
  std::ranges::sort(sorted, {}, &CallRule::number);
  std::vector<Range> ranges;
  const auto append = [&](Range range) {
    const bool same = !ranges.empty() && ranges.back().rule == nullptr && range.rule == nullptr &&
                      ranges.back().verdict == range.verdict;
    if (!same) ranges.push_back(range);
  };
  uint32_t next = 0;
  for (const CallRule* rule : sorted) {
    if (rule->number > next) append({.first = next, .verdict = policy.unknown});
    append({.first = rule->number, .rule = rule->clauses.empty() ? nullptr : rule, .verdict = rule->otherwise});
    next = rule->number + 1;
  }
  append({.first = next, .verdict = policy.unknown});
  return ranges;
}

void append_tree(Program& code, std::span<const Range> ranges)
{
  if (ranges.size() == 1) {
    const Range& only = ranges.front();
    const Program leaf = only.rule != nullptr ? rule_program(*only.rule) : Program{give(only.verdict)};
    code.insert(code.end(), leaf.begin(), leaf.end());
    return;
  }
  const size_t middle = ranges.size() / 2;
  Program below;
  append_tree(below, ranges.first(middle));
  // A conditional jump reaches 255 instructions; over a longer half it goes by an unconditional one.
  if (below.size() <= 255) {
    code.push_back(jump(BPF_JGE, ranges[middle].first, below.size(), 0));
  } else {
    code.push_back(jump(BPF_JGE, ranges[middle].first, 0, 1));
    code.push_back(statement(BPF_JMP | BPF_JA, static_cast<uint32_t>(below.size())));
  }
  code.insert(code.end(), below.begin(), below.end());
  append_tree(code, ranges.subspan(middle));
}

} // namespace

std::vector<sock_filter> compile_seccomp(const Policy& policy)
{
  // The number alone says little: 32-bit code has other numbers for the same calls, so it is not let in at all. The x32
  // numbers of x86-64 lie above all that are known and meet policy.unknown.
  Program code{load(offsetof(seccomp_data, arch)), jump(BPF_JEQ, native_architecture, 1, 0),
               give(SECCOMP_RET_KILL_PROCESS), load(offsetof(seccomp_data, nr))};
  append_tree(code, ranges_of(policy));
  if (code.size() > BPF_MAXINSNS) throw Error{"seccomp: the filter is longer than the kernel takes"};
  return code;
}

} // namespace conductor::kernel
