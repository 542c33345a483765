// A tool of the build, not of the program: writes the names of this architecture's system calls and the compiled
// default filter into a header (argv[1]). libseccomp knows the names; it is not loaded at run time.

#include "core/kernel/abi.h"
#include "core/kernel/seccomp_policy.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>

#include <seccomp.h>

using namespace conductor::kernel;

namespace {

constexpr int past_last_call = 600;

std::map<std::string, int, std::less<>>& numbers()
{
  static std::map<std::string, int, std::less<>> table;
  return table;
}

int number_of(std::string_view name)
{
  const auto found = numbers().find(name);
  return found == numbers().end() ? -1 : found->second;
}

void collect_names()
{
  for (int number = 0; number < past_last_call; ++number) {
    char* name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);
    if (name != nullptr) numbers().emplace(name, number);
    std::free(name);
  }
  for (const NewSyscall& call : new_syscalls) numbers().emplace(call.name, call.number);
}

} // namespace

int main(int count, char** arguments)
{
  if (count != 2) return 2;
  collect_names();
  std::ofstream out{arguments[1]};
  out << "// Written by seccomp_generator.cpp when conductor was built.\n#pragma once\n\n#include <linux/filter.h>\n\n"
         "namespace conductor::kernel::generated {\n\n"
         "struct SyscallName {\n  const char* name;\n  int number;\n};\n"
         "// In alphabetical order.\ninline constexpr SyscallName syscall_names[] = {\n";
  for (const auto& [name, number] : numbers()) out << "    {\"" << name << "\", " << number << "},\n";
  out << "};\n\ninline constexpr sock_filter default_filter[] = {\n";
  for (const sock_filter& step : compile_seccomp(default_policy(default_capabilities, number_of)))
    out << "    {" << step.code << ", " << int{step.jt} << ", " << int{step.jf} << ", " << step.k << "u},\n";
  out << "};\n\n} // namespace conductor::kernel::generated\n";
  out.close();
  return out ? 0 : 1;
}
