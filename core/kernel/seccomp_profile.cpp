// Filters from profile files: the JSON of the OCI runtime specification (config-linux.md, "Seccomp") with docker's
// additions (errnoRet, includes, excludes), so that a profile somebody has works as it is.
//
// A profile counts by what is in it, so it is read at each start and exec: half a millisecond for podman's own, most of
// it for the JSON. A cache of filters would save little more than half of that, and be one more file to be trusted.

#include "core/kernel/seccomp.h"

#include "core/base/error.h"
#include "core/base/nearest.h"
#include "core/container/spec.h" // visible()
#include "core/kernel/seccomp_compile.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <optional>

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

// Without effect here: one thread loads the filter before there is another.
constexpr std::string_view harmless_flags[] = {"SECCOMP_FILTER_FLAG_TSYNC"};
constexpr std::string_view known_flags[] = {"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG",
                                            "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"};

// A value of the profile and where it stands: "syscalls[3].args[0].index". As in Go, in which these profiles are read
// elsewhere, null is as good as nothing.
class Field {
public:
  Field(const Json& json, std::string path) : json_(json), path_(std::move(path)) {}

  [[noreturn]] void refuse(const std::string& why, std::string hint = {}) const
  {
    throw Error{path_.empty() ? why : path_ + ": " + why, 0, std::move(hint)};
  }
  std::optional<Field> find(const char* name) const
  {
    if (!json_.is_object()) refuse("this is no object");
    const auto found = json_.find(name);
    if (found == json_.end() || found->is_null()) return std::nullopt;
    return Field{*found, path_.empty() ? name : path_ + "." + name};
  }
  Field get(const char* name) const
  {
    if (auto found = find(name)) return *found;
    refuse(fmt::format("'{}' is missing", name));
  }
  std::string text() const
  {
    if (!json_.is_string()) refuse("this is no text");
    return json_.get<std::string>();
  }
  uint64_t number(uint64_t most = UINT64_MAX) const
  {
    if (!json_.is_number_unsigned() || json_.get<uint64_t>() > most)
      refuse(most == UINT64_MAX ? "this is no whole number" : fmt::format("this is no whole number up to {}", most));
    return json_.get<uint64_t>();
  }
  std::vector<Field> list() const
  {
    if (!json_.is_array()) refuse("this is no list");
    std::vector<Field> all;
    for (size_t at = 0; at < json_.size(); ++at) all.emplace_back(json_[at], fmt::format("{}[{}]", path_, at));
    return all;
  }
  // Of a list that may be left out.
  std::vector<Field> list(const char* name) const
  {
    const auto found = find(name);
    return found ? found->list() : std::vector<Field>{};
  }
  template <class Table>
  auto named(const Table& table, const char* what) const
  {
    const std::string name = text();
    for (const auto& row : table)
      if (name == row.name) return row.value;
    std::vector<std::string> known;
    for (const auto& row : table) known.emplace_back(row.name);
    refuse(fmt::format("'{}' is no {}", visible(name), what), nearest_hint(name, known));
  }

private:
  const Json& json_;
  std::string path_;
};

// Podman's profiles have the errno by name as well, which then counts.
unsigned errno_of(const Field& holder, const char* number_field, const char* name_field)
{
  if (const auto name = holder.find(name_field)) {
    const std::string wanted = name->text();
    for (int number = 1; number < 256; ++number)
      if (const char* known = ::strerrorname_np(number); known != nullptr && wanted == known)
        return static_cast<unsigned>(number);
    name->refuse(fmt::format("'{}' is no errno", visible(wanted)));
  }
  constexpr uint64_t most = 4095; // MAX_ERRNO of the kernel: what is above is cut to it
  const auto number = holder.find(number_field);
  return number ? static_cast<unsigned>(number->number(most)) : static_cast<unsigned>(EPERM);
}

Verdict verdict_of(const Field& holder, const char* field, const char* number_field, const char* name_field)
{
  const Field action = holder.get(field);
  if (action.text() == "SCMP_ACT_NOTIFY")
    action.refuse("conductor has no program that would answer such calls", "SCMP_ACT_ERRNO or SCMP_ACT_ALLOW");
  const Verdict verdict = action.named(actions, "seccomp action");
  if (verdict != SECCOMP_RET_ERRNO && verdict != SECCOMP_RET_TRACE) return verdict;
  return verdict | errno_of(holder, number_field, name_field);
}

bool kernel_is_at_least(const Field& wanted)
{
  const std::string text = wanted.text();
  utsname name{};
  int have[2] = {}, want[2] = {}, read = 0;
  if (std::sscanf(text.c_str(), "%d.%d%n", &want[0], &want[1], &read) != 2 || static_cast<size_t>(read) != text.size())
    wanted.refuse(fmt::format("'{}' is no kernel version", visible(text)), "4.8");
  if (::uname(&name) < 0 || std::sscanf(name.release, "%d.%d", &have[0], &have[1]) != 2) return true;
  return std::pair{have[0], have[1]} >= std::pair{want[0], want[1]};
}

bool has_capability(const Field& name, CapabilitySet capabilities)
{
  // One that a newer kernel has is one that nobody has here.
  const std::optional<int> number = capability_number(name.text());
  return number && (capabilities & capability_bit(*number)) != 0;
}

// Docker's conditions on a whole entry: all of `includes`, none of `excludes`.
bool applies(const Field& entry, CapabilitySet capabilities)
{
  const auto holds = [&](const Field& name) { return has_capability(name, capabilities); };
  const auto is_native = [](const Field& name) { return name.text() == architecture; };
  bool result = true; // each field is looked at, so that a mistake is told on every host
  if (const auto includes = entry.find("includes")) {
    const auto caps = includes->list("caps"), arches = includes->list("arches");
    for (const Field& each : caps) result = holds(each) && result;
    bool native = arches.empty();
    for (const Field& each : arches) native = is_native(each) || native;
    result = result && native;
    if (const auto least = includes->find("minKernel")) result = kernel_is_at_least(*least) && result;
  }
  if (const auto excludes = entry.find("excludes")) {
    for (const Field& each : excludes->list("caps")) result = !holds(each) && result;
    for (const Field& each : excludes->list("arches")) result = !is_native(each) && result;
    if (const auto least = excludes->find("minKernel")) result = !kernel_is_at_least(*least) && result;
  }
  return result;
}

ArgumentTest test_of(const Field& argument)
{
  const Field index = argument.get("index");
  if (index.number() > 5) index.refuse(fmt::format("a system call has no argument {}", index.number()), "0 to 5");
  ArgumentTest test{.index = static_cast<unsigned>(index.number()),
                    .compare = argument.get("op").named(comparisons, "seccomp comparison"),
                    .value = argument.get("value").number(),
                    .width = Width::full_64};
  // masked: value is the mask and valueTwo what must be left of it.
  if (test.compare == Compare::masked_equal) {
    test.mask = test.value;
    const auto rest = argument.find("valueTwo");
    test.value = rest ? rest->number() : 0;
  }
  return test;
}

std::vector<Clause> clauses_of(const Field& entry, Verdict verdict)
{
  std::vector<ArgumentTest> tests;
  bool repeated = false;
  for (const Field& argument : entry.list("args")) {
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

std::vector<std::string> names_of(const Field& entry)
{
  const auto single = entry.find("name");
  std::vector<std::string> names;
  for (const Field& name : entry.list("names")) names.push_back(name.text());
  if (single && !names.empty()) single->refuse("'name' and 'names' are both there", "names alone");
  if (single) names.push_back(single->text());
  if (names.empty() && !entry.find("names")) entry.refuse("it names no system call", R"("names": ["read", "write"])");
  return names;
}

void add_entry(std::map<int, CallRule>& rules, const Field& entry, Verdict fallback, bool is_meant)
{
  const Verdict verdict = verdict_of(entry, "action", "errnoRet", "errno");
  const std::vector<Clause> clauses = clauses_of(entry, verdict);
  for (const std::string& name : names_of(entry)) {
    // Profiles name the calls of all architectures.
    const int number = syscall_number(name);
    if (number < 0 || !is_meant) continue;
    CallRule& rule = rules.try_emplace(number, CallRule{static_cast<uint32_t>(number), {}, fallback}).first->second;
    if (clauses.empty()) rule.otherwise = verdict;
    rule.clauses.insert(rule.clauses.end(), clauses.begin(), clauses.end());
  }
}

// The other architectures that a profile lets in are read and left out: conductor runs native programs only.
void check_architectures(const Field& profile)
{
  const auto list = profile.find("architectures"), map = profile.find("archMap");
  if (list && map) list->refuse("'architectures' and 'archMap' are both there", "archMap alone");
  const auto check = [](const Field& name) {
    if (!name.text().starts_with("SCMP_ARCH_"))
      name.refuse(fmt::format("'{}' is no architecture", visible(name.text())));
  };
  for (const Field& each : profile.list("architectures")) check(each);
  for (const Field& each : profile.list("archMap")) {
    check(each.get("architecture"));
    for (const Field& other : each.list("subArchitectures")) check(other);
  }
}

void check_flags(const Field& profile)
{
  for (const Field& flag : profile.list("flags")) {
    const std::string name = flag.text();
    if (std::ranges::find(harmless_flags, name) != std::end(harmless_flags)) continue;
    if (std::ranges::find(known_flags, name) == std::end(known_flags))
      flag.refuse(fmt::format("'{}' is no flag of a filter", visible(name)));
    flag.refuse(fmt::format("{} is not set by conductor", name), "leave it out");
  }
  for (const char* field : {"listenerPath", "listenerMetadata"})
    if (const auto found = profile.find(field); found && !found->text().empty())
      found->refuse("conductor hands system calls to no other program", "leave it out");
}

Policy policy_of(const Json& json, CapabilitySet capabilities)
{
  const Field profile{json, ""};
  const Verdict fallback = verdict_of(profile, "defaultAction", "defaultErrnoRet", "defaultErrno");
  check_architectures(profile);
  check_flags(profile);
  std::map<int, CallRule> rules;
  for (const Field& entry : profile.list("syscalls")) add_entry(rules, entry, fallback, applies(entry, capabilities));
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
    throw Error{fmt::format("read the seccomp profile {}: {}", where, visible(error.what(), 300)), 0,
                "it is JSON as in the OCI runtime specification: defaultAction, syscalls: [{names, action, args}]"};
  } catch (const Error& error) {
    throw error.within(fmt::format("read the seccomp profile {}", where));
  }
}

} // namespace conductor::kernel
