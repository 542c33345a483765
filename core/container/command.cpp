#include "core/container/command.h"

#include "core/base/error.h"
#include "core/base/guard.h"
#include "core/container/user.h"
#include "core/kernel/call.h"
#include "core/kernel/files.h"
#include "core/kernel/inroot.h"

#include <algorithm>
#include <csignal>

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

namespace conductor {
namespace {

constexpr const char* default_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::string_view value_of(const std::vector<std::string>& env, std::string_view key)
{
  // The last one counts, as later settings replace earlier ones.
  for (auto each = env.rbegin(); each != env.rend(); ++each)
    if (each->size() > key.size() && each->starts_with(key) && (*each)[key.size()] == '=')
      return std::string_view{*each}.substr(key.size() + 1);
  return {};
}

bool has(const std::vector<std::string>& env, std::string_view key)
{
  return std::any_of(env.begin(), env.end(), [&](const std::string& each) {
    return each.size() > key.size() && each.starts_with(key) && each[key.size()] == '=';
  });
}

std::vector<std::string> complete_environment(const Spec& spec, const ProcessSpec& process, const User& user)
{
  std::vector<std::string> env;
  if (!has(process.env, "PATH")) env.push_back(fmt::format("PATH={}", default_path));
  if (!has(process.env, "HOSTNAME") && !spec.hostname.empty()) env.push_back("HOSTNAME=" + spec.hostname);
  if (process.terminal && !has(process.env, "TERM")) env.emplace_back("TERM=xterm-256color");
  for (auto each = process.env.begin(); each != process.env.end(); ++each) {
    const std::string_view key = std::string_view{*each}.substr(0, each->find('='));
    const bool replaced = std::any_of(each + 1, process.env.end(), [&](const std::string& later) {
      return later.size() > key.size() && later.starts_with(key) && later[key.size()] == '=';
    });
    if (!replaced) env.push_back(*each);
  }
  if (!has(process.env, "HOME")) env.push_back("HOME=" + user.home);
  if (!holds(guard::clean_environment))
    for (char** each = environ; *each != nullptr; ++each) env.emplace_back(*each);
  return env;
}

std::vector<std::string> command_or_shell(int root, const ProcessSpec& process)
{
  if (!process.args.empty()) return process.args;
  for (const char* shell : {"/bin/bash", "/bin/sh"})
    if (kernel::lookup_executable_in_root(root, "/", "", shell).result == kernel::Lookup::ok) return {shell};
  throw Error{"the image names no command and has neither /bin/bash nor /bin/sh", 0,
              "put the command behind --, for example: -- /program"}
      .with_status(127);
}

// Programs open /dev/stdout anew (nginx's log), which asks for rights on the pipe or PTY behind it.
void own_streams(Trace& trace, const User& user)
{
  for (int fd = 0; fd <= 2; ++fd) {
    struct stat status {};
    if (::fstat(fd, &status) < 0 || (!S_ISFIFO(status.st_mode) && ::isatty(fd) == 0)) continue;
    kernel::perform(
        trace, "fchown",
        [&] {
          return kernel::CallText{fmt::format("fchown({}, {}, -1)", fd, user.uid),
                                  fmt::format("chown {} /proc/self/fd/{}", user.uid, fd)};
        },
        [&] { return ::fchown(fd, user.uid, static_cast<gid_t>(-1)); });
  }
}

User choose_user(int root, const ProcessSpec& process, kernel::Confinement& confinement)
{
  User user = resolve_user_in_root(root, process.user);
  confinement.uid = user.uid;
  confinement.gid = user.gid;
  confinement.groups = user.groups;
  return user;
}

} // namespace

kernel::Confinement plan_confinement(const Spec& spec)
{
  kernel::Confinement wanted;
  wanted.capabilities = kernel::apply_capabilities(spec.cap_add, spec.cap_drop);
  wanted.no_new_privileges = !spec.allow_new_privileges;
  if (spec.seccomp.empty())
    wanted.seccomp = kernel::seccomp_filter(wanted.capabilities);
  else if (spec.seccomp != "unconfined")
    wanted.seccomp =
        kernel::seccomp_profile(kernel::read_file(AT_FDCWD, spec.seccomp, 4 << 20), spec.seccomp, wanted.capabilities);
  std::vector<kernel::ResourceLimit> limits;
  limits.reserve(spec.ulimits.size());
  for (const auto& each : spec.ulimits)
    limits.push_back({.resource = kernel::limit_number(each.name), .soft = each.soft, .hard = each.hard});
  wanted.limits = kernel::merge_limits(limits);
  return wanted;
}

uint64_t own_namespaces(const Spec& spec)
{
  uint64_t flags = CLONE_NEWNS;
  for (const auto& [shared, flag] :
       {std::pair{!spec.user_namespace, CLONE_NEWUSER}, std::pair{spec.host_pid, CLONE_NEWPID},
        std::pair{spec.host_ipc, CLONE_NEWIPC}, std::pair{spec.host_uts, CLONE_NEWUTS},
        std::pair{spec.host_cgroup, CLONE_NEWCGROUP}, std::pair{spec.network == NetworkMode::host, CLONE_NEWNET}})
    if (!shared) flags |= static_cast<uint64_t>(flag);
  return flags;
}

void confine_as(Trace& trace, const ProcessSpec& process, kernel::Confinement confinement)
{
  const Fd root = kernel::open_directory(AT_FDCWD, "/", O_PATH);
  choose_user(root.get(), process, confinement);
  kernel::confine(trace, confinement);
}

void become_command(Trace& trace, const Spec& spec, const ProcessSpec& process, kernel::Confinement confinement,
                    ChildStreams streams)
{
  const Fd root = kernel::open_directory(AT_FDCWD, "/", O_PATH);
  const User user = choose_user(root.get(), process, confinement);
  confinement.workdir = process.workdir.empty() ? "/" : process.workdir;
  const auto args = command_or_shell(root.get(), process);
  const auto env = complete_environment(spec, process, user);
  const auto program =
      kernel::lookup_executable_in_root(root.get(), confinement.workdir, value_of(env, "PATH"), args[0]);
  if (program.result != kernel::Lookup::ok) throw kernel::executable_error(root.get(), args[0], program);
  adopt_streams(trace, std::move(streams));
  if (user.uid != 0) own_streams(trace, user);
  kernel::confine(trace, confinement);
  kernel::execute(trace, program.path, args, env);
}

} // namespace conductor
