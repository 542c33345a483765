// Filters from profile files: the JSON of the OCI runtime specification (config-linux.md, "Seccomp") with docker's
// additions (errnoRet, includes, excludes), so that a profile somebody has works as it is.

#include "core/kernel/seccomp.h"

#include "core/base/error.h"
#include "core/base/nearest.h"
#include "core/kernel/seccomp_compile.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/utsname.h>

namespace conductor::kernel {
namespace {

using Json = nlohmann::json;

template <class Value>
struct Named {
  const char* name;
  Value value;
};

constexpr std::array actions = {
    Named<Verdict>{"SCMP_ACT_ALLOW", SECCOMP_RET_ALLOW},
    Named<Verdict>{"SCMP_ACT_ERRNO", SECCOMP_RET_ERRNO},
    Named<Verdict>{"SCMP_ACT_KILL", SECCOMP_RET_KILL_THREAD},
    Named<Verdict>{"SCMP_ACT_KILL_PROCESS", SECCOMP_RET_KILL_PROCESS},
    Named<Verdict>{"SCMP_ACT_KILL_THREAD", SECCOMP_RET_KILL_THREAD},
    Named<Verdict>{"SCMP_ACT_LOG", SECCOMP_RET_LOG},
    Named<Verdict>{"SCMP_ACT_TRACE", SECCOMP_RET_TRACE},
    Named<Verdict>{"SCMP_ACT_TRAP", SECCOMP_RET_TRAP},
};
constexpr std::array comparisons = {
    Named<Compare>{"SCMP_CMP_EQ", Compare::equal},     Named<Compare>{"SCMP_CMP_GE", Compare::greater_equal},
    Named<Compare>{"SCMP_CMP_GT", Compare::greater},   Named<Compare>{"SCMP_CMP_LE", Compare::less_equal},
    Named<Compare>{"SCMP_CMP_LT", Compare::less},      Named<Compare>{"SCMP_CMP_MASKED_EQ", Compare::masked_equal},
    Named<Compare>{"SCMP_CMP_NE", Compare::not_equal},
};

#if defined(__x86_64__)
constexpr const char* architecture = "amd64";
#elif defined(__aarch64__)
constexpr const char* architecture = "arm64";
#else
constexpr const char* architecture = "riscv64";
#endif

template <class Table>
auto value_named(const Table& table, const std::string& name, const char* what)
{
  for (const auto& row : table)
    if (name == row.name) return row.value;
  std::vector<std::string> known;
  for (const auto& row : table) known.emplace_back(row.name);
  throw Error{fmt::format("'{}' is no {}", name, what), 0, nearest_hint(name, known)};
}

Verdict verdict_of(const std::string& action, const Json& holder, const char* errno_field)
{
  const Verdict verdict = value_named(actions, action, "seccomp action");
  if (verdict != SECCOMP_RET_ERRNO && verdict != SECCOMP_RET_TRACE) return verdict;
  const unsigned number = holder.value(errno_field, static_cast<unsigned>(EPERM));
  if (number > SECCOMP_RET_DATA) throw Error{fmt::format("{} {} is no errno", errno_field, number)};
  return verdict | number;
}

bool kernel_is_at_least(const std::string& wanted)
{
  utsname name{};
  int have[2] = {}, want[2] = {};
  if (::uname(&name) < 0 || std::sscanf(name.release, "%d.%d", &have[0], &have[1]) != 2) return true;
  if (std::sscanf(wanted.c_str(), "%d.%d", &want[0], &want[1]) != 2)
    throw Error{fmt::format("'{}' is no kernel version", wanted)};
  return std::pair{have[0], have[1]} >= std::pair{want[0], want[1]};
}

bool has_capability(const Json& name, CapabilitySet capabilities)
{
  const std::optional<int> number = capability_number(name.get<std::string>());
  return number && (capabilities & capability_bit(*number)) != 0;
}

// Docker's conditions on a whole entry: all of `includes`, none of `excludes`.
bool applies(const Json& entry, CapabilitySet capabilities)
{
  const auto holds = [&](const Json& name) { return has_capability(name, capabilities); };
  const auto is_native = [](const Json& name) { return name.get<std::string>() == architecture; };
  const Json includes = entry.value("includes", Json::object()), excludes = entry.value("excludes", Json::object());
  for (const Json* each : {&includes, &excludes})
    if (!each->is_object()) throw Error{"includes and excludes are objects"};
  const Json caps = includes.value("caps", Json::array()), arches = includes.value("arches", Json::array());
  if (!std::ranges::all_of(caps, holds)) return false;
  if (!arches.empty() && std::ranges::none_of(arches, is_native)) return false;
  if (includes.contains("minKernel") && !kernel_is_at_least(includes["minKernel"])) return false;
  const Json not_caps = excludes.value("caps", Json::array()), not_arches = excludes.value("arches", Json::array());
  if (std::ranges::any_of(not_caps, holds) || std::ranges::any_of(not_arches, is_native)) return false;
  return !excludes.contains("minKernel") || !kernel_is_at_least(excludes["minKernel"]);
}

ArgumentTest test_of(const Json& argument)
{
  ArgumentTest test{.index = argument.at("index").get<unsigned>(),
                    .compare = value_named(comparisons, argument.at("op").get<std::string>(), "seccomp comparison"),
                    .value = argument.at("value").get<uint64_t>(),
                    .width = Width::full_64};
  if (test.index > 5) throw Error{fmt::format("a system call has no argument {}", test.index)};
  // masked: value is the mask and valueTwo what must be left of it.
  if (test.compare == Compare::masked_equal) {
    test.mask = test.value;
    test.value = argument.value("valueTwo", uint64_t{0});
  }
  return test;
}

std::vector<Clause> clauses_of(const Json& entry, Verdict verdict)
{
  std::vector<ArgumentTest> tests;
  bool repeated = false;
  for (const Json& argument : entry.value("args", Json::array())) {
    const ArgumentTest test = test_of(argument);
    repeated = repeated || std::ranges::find(tests, test.index, &ArgumentTest::index) != tests.end();
    tests.push_back(test);
  }
  if (tests.empty()) return {};
  // Several tests of one argument are alternatives, as runc reads it; else all must hold.
  if (!repeated) return {{std::move(tests), verdict}};
  std::vector<Clause> clauses;
  for (const ArgumentTest& test : tests) clauses.push_back({{test}, verdict});
  return clauses;
}

void add_entry(std::map<int, CallRule>& rules, const Json& entry, Verdict fallback)
{
  const Verdict verdict = verdict_of(entry.at("action").get<std::string>(), entry, "errnoRet");
  const std::vector<Clause> clauses = clauses_of(entry, verdict);
  std::vector<std::string> names = entry.value("names", std::vector<std::string>{});
  if (entry.contains("name")) names.push_back(entry["name"]);
  for (const std::string& name : names) {
    // Profiles name the calls of all architectures.
    const int number = syscall_number(name);
    if (number < 0) continue;
    CallRule& rule = rules.try_emplace(number, CallRule{static_cast<uint32_t>(number), {}, fallback}).first->second;
    if (clauses.empty()) rule.otherwise = verdict;
    rule.clauses.insert(rule.clauses.end(), clauses.begin(), clauses.end());
  }
}

Policy policy_of(const Json& profile, CapabilitySet capabilities)
{
  const Verdict fallback = verdict_of(profile.at("defaultAction").get<std::string>(), profile, "defaultErrnoRet");
  std::map<int, CallRule> rules;
  for (const Json& entry : profile.value("syscalls", Json::array()))
    if (applies(entry, capabilities)) add_entry(rules, entry, fallback);
  Policy policy{.unknown = fallback};
  if ((fallback & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO) {
    // A call that came after this program and the profile "does not exist", so that libraries fall back.
    policy.unknown = refuse_call(ENOSYS);
    for (int number = 0; number < 1024; ++number)
      if (!syscall_name(number).empty())
        rules.try_emplace(number, CallRule{static_cast<uint32_t>(number), {}, fallback});
  }
  for (auto& [number, rule] : rules) policy.rules.push_back(std::move(rule));
  return policy;
}

} // namespace

SeccompFilter seccomp_profile(std::string_view json, const std::string& where, CapabilitySet capabilities)
{
  try {
    return compile_seccomp(policy_of(Json::parse(json), capabilities));
  } catch (const Json::exception& error) {
    throw Error{fmt::format("read the seccomp profile {}: {}", where, error.what()), 0,
                "it is JSON as in the OCI runtime specification: defaultAction, syscalls: [{names, action, args}]"};
  } catch (const Error& error) {
    throw error.within(fmt::format("read the seccomp profile {}", where));
  }
}

} // namespace conductor::kernel
