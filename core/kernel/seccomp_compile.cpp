// The numbers are cut into ranges of equal verdict; a balanced tree of "is the number at least N" finds the range, so
// that each call is decided within about eight instructions.

#include "core/kernel/seccomp_compile.h"

#include "core/base/error.h"

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>

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

uint32_t low(uint64_t value) { return static_cast<uint32_t>(value); }
uint32_t high(uint64_t value) { return static_cast<uint32_t>(value >> 32); }

// A program written from its end to its beginning: jumps of BPF go forwards only, so each target is known when the jump
// to it is written. A label counts instructions from the end.
class Backwards {
public:
  using Label = size_t;

  Label give(Verdict verdict)
  {
    // One return for all who reach it: a short program is translated to machine code sooner.
    for (const auto& [known, label] : returns_)
      if (known == verdict && near(label)) return label;
    const Label made = append(statement(BPF_RET | BPF_K, verdict));
    returns_.emplace_back(verdict, made);
    return made;
  }

  // `code` compares what was loaded with k and goes on at yes or no.
  Label branch(int code, uint32_t k, Label yes, Label no)
  {
    yes = reachable(yes);
    no = reachable(no);
    sock_filter made = statement(BPF_JMP | BPF_K | code, k);
    made.jt = static_cast<uint8_t>(distance(yes));
    made.jf = static_cast<uint8_t>(distance(no));
    return append(made);
  }

  // What is written next goes on at `label`.
  void go_to(Label label)
  {
    if (distance(label) > 0) append(statement(BPF_JMP | BPF_JA, static_cast<uint32_t>(distance(label))));
  }

  // These go on at what was written last.
  Label load(size_t offset) { return append(statement(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset))); }
  Label mask(uint32_t bits) { return append(statement(BPF_ALU | BPF_AND | BPF_K, bits)); }

  std::vector<sock_filter> program() const { return {code_.rbegin(), code_.rend()}; }

private:
  static sock_filter statement(int code, uint32_t k) { return {static_cast<uint16_t>(code), 0, 0, k}; }
  Label append(sock_filter step)
  {
    code_.push_back(step);
    return code_.size() - 1;
  }
  size_t distance(Label label) const { return code_.size() - label - 1; }
  // With room for two more instructions: conditional jumps reach 255.
  bool near(Label label) const { return distance(label) <= 250; }
  Label reachable(Label label)
  {
    if (near(label)) return label;
    return append(statement(BPF_JMP | BPF_JA, static_cast<uint32_t>(distance(label))));
  }

  std::vector<sock_filter> code_;
  std::vector<std::pair<Verdict, Label>> returns_;
};

using Label = Backwards::Label;

Label write_test(Backwards& code, const ArgumentTest& test, Label yes, Label no)
{
  const size_t offset = offsetof(seccomp_data, args) + 8 * test.index;
  const uint32_t value = low(test.value), top = high(test.value);
  const bool wide = test.width == Width::full_64;
  // What the lower half is asked, and what the upper half decides before: on which side a difference there ends.
  const auto ask = [&](int lower_code, Label on_yes, Label on_no, Label top_greater, Label top_less) {
    code.branch(lower_code, value, on_yes, on_no);
    const Label lower = code.load(offset);
    if (!wide) return lower;
    const Label unequal = top_greater == top_less ? top_less : code.branch(BPF_JGT, top, top_greater, top_less);
    code.branch(BPF_JEQ, top, lower, unequal);
    return code.load(offset + 4);
  };
  switch (test.compare) {
  case Compare::equal: return ask(BPF_JEQ, yes, no, no, no);
  case Compare::not_equal: return ask(BPF_JEQ, no, yes, yes, yes);
  case Compare::greater: return ask(BPF_JGT, yes, no, yes, no);
  case Compare::greater_equal: return ask(BPF_JGE, yes, no, yes, no);
  case Compare::less: return ask(BPF_JGE, no, yes, no, yes);
  case Compare::less_equal: return ask(BPF_JGT, no, yes, no, yes);
  case Compare::masked_equal: break;
  }
  code.branch(BPF_JEQ, value & low(test.mask), yes, no);
  code.mask(low(test.mask));
  const Label lower = code.load(offset);
  if (!wide) return lower;
  code.branch(BPF_JEQ, top & high(test.mask), lower, no);
  code.mask(high(test.mask));
  return code.load(offset + 4);
}

Label write_rule(Backwards& code, const CallRule& rule)
{
  Label next = code.give(rule.otherwise);
  for (auto clause = rule.clauses.rbegin(); clause != rule.clauses.rend(); ++clause) {
    Label begin = code.give(clause->verdict);
    for (auto test = clause->tests.rbegin(); test != clause->tests.rend(); ++test)
      begin = write_test(code, *test, begin, next);
    next = begin;
  }
  return next;
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

// The kernel runs the program for each of its numbers when it is loaded, and callers use the long ranges most: so a cut
// leaves about as many numbers, not as many ranges, on either side.
constexpr uint32_t tried_numbers = 480;

size_t cut_of(std::span<const Range> ranges, uint32_t end)
{
  const auto start = [&](size_t i) { return std::min(ranges[i].first, tried_numbers); };
  const uint32_t half = (start(0) + std::min(end, tried_numbers)) / 2;
  const auto distance = [&](size_t i) { return start(i) > half ? start(i) - half : half - start(i); };
  size_t best = 1;
  for (size_t i = 2; i < ranges.size(); ++i)
    if (distance(i) < distance(best)) best = i;
  return best;
}

// end: the first number behind the last range.
Label write_tree(Backwards& code, std::span<const Range> ranges, uint32_t end)
{
  if (ranges.size() == 1) {
    const Range& only = ranges.front();
    return only.rule != nullptr ? write_rule(code, *only.rule) : code.give(only.verdict);
  }
  const size_t cut = cut_of(ranges, end);
  const Label above = write_tree(code, ranges.subspan(cut), end);
  const Label below = write_tree(code, ranges.first(cut), ranges[cut].first);
  return code.branch(BPF_JGE, ranges[cut].first, above, below);
}

} // namespace

std::vector<sock_filter> compile_seccomp(const Policy& policy)
{
  Backwards code;
  const std::vector<Range> ranges = ranges_of(policy);
  code.go_to(write_tree(code, ranges, ~0U));
  const Label native = code.load(offsetof(seccomp_data, nr));
  // The number alone says little: 32-bit code has other numbers for the same calls, so it is not let in at all. The x32
  // numbers of x86-64 lie above all that are known and meet policy.unknown.
  const Label foreign = code.give(SECCOMP_RET_KILL_PROCESS);
  code.branch(BPF_JEQ, native_architecture, native, foreign);
  code.load(offsetof(seccomp_data, arch));
  std::vector<sock_filter> program = code.program();
  if (program.size() > BPF_MAXINSNS) throw Error{"seccomp: the filter is longer than the kernel takes"};
  return program;
}

} // namespace conductor::kernel
