// The recipe that turns a process of ours into one of the container. The order is the point: what needs a capability
// comes before the capabilities go, and what the filter would refuse comes before the filter.

#include "core/kernel/confine.h"

#include "core/base/error.h"
#include "core/base/guard.h"
#include "core/base/nearest.h"
#include "core/kernel/abi.h"
#include "core/kernel/call.h"
#include "core/kernel/files.h"
#include "core/kernel/inroot.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

namespace conductor::kernel {
namespace {

struct LimitName {
  const char* name;
  int number;
  const char* ulimit_option; // of the shell
};
constexpr std::array<LimitName, 16> limit_names = {{
    {"as", RLIMIT_AS, "-v"},
    {"core", RLIMIT_CORE, "-c"},
    {"cpu", RLIMIT_CPU, "-t"},
    {"data", RLIMIT_DATA, "-d"},
    {"fsize", RLIMIT_FSIZE, "-f"},
    {"locks", RLIMIT_LOCKS, "-x"},
    {"memlock", RLIMIT_MEMLOCK, "-l"},
    {"msgqueue", RLIMIT_MSGQUEUE, "-q"},
    {"nice", RLIMIT_NICE, "-e"},
    {"nofile", RLIMIT_NOFILE, "-n"},
    {"nproc", RLIMIT_NPROC, "-u"},
    {"rss", RLIMIT_RSS, "-m"},
    {"rtprio", RLIMIT_RTPRIO, "-r"},
    {"rttime", RLIMIT_RTTIME, "-R"},
    {"sigpending", RLIMIT_SIGPENDING, "-i"},
    {"stack", RLIMIT_STACK, "-s"},
}};

const LimitName& limit_row(int number) { return *std::ranges::find(limit_names, number, &LimitName::number); }

std::string limit_text(uint64_t value) { return value == RLIM_INFINITY ? "unlimited" : std::to_string(value); }

void reset_umask(Trace& trace)
{
  perform(
      trace, "umask",
      [] {
        return CallText{"umask(022)", "umask 022"};
      },
      [] { return static_cast<long>(::umask(022)); });
}

// Signals that whoever started conductor ignores (nohup, Python) would stay ignored over execve(2).
void reset_signals(Trace& trace)
{
  perform(
      trace, "rt_sigaction",
      [] {
        return CallText{"rt_sigaction(every signal, SIG_DFL), rt_sigprocmask(empty)", "env --default-signal ..."};
      },
      []() -> long {
        struct sigaction fallback {};
        fallback.sa_handler = SIG_DFL;
        // The two below SIGRTMIN are libc's own, and it refuses them.
        for (int signal = 1; signal <= SIGSYS; ++signal)
          if (signal != SIGKILL && signal != SIGSTOP) ::sigaction(signal, &fallback, nullptr);
        sigset_t none;
        ::sigemptyset(&none);
        return ::sigprocmask(SIG_SETMASK, &none, nullptr);
      });
}

// The caller's session keyring would lend its keys to the container (session-keyring(7)).
void join_new_keyring(Trace& trace)
{
  const CallResult result = perform(
      trace, "keyctl",
      [] {
        return CallText{"keyctl(KEYCTL_JOIN_SESSION_KEYRING, NULL)", "keyctl session - ..."};
      },
      [] { return ::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr); });
  // ENOSYS: a kernel without keys has none to lend.
  if (result.failed() && result.error != ENOSYS) throw Error{"join a new session keyring", result.error};
}

void set_limit(Trace& trace, const ResourceLimit& wanted)
{
  rlimit limit{.rlim_cur = std::min(wanted.soft, wanted.hard), .rlim_max = wanted.hard};
  const LimitName& row = limit_row(wanted.resource);
  const auto set = [&] {
    return perform(
        trace, "prlimit64",
        [&] {
          return CallText{
              fmt::format("prlimit64(0, {}, {}:{})", row.name, limit_text(limit.rlim_cur), limit_text(limit.rlim_max)),
              fmt::format("ulimit -S{0} {1}; ulimit -H{0} {2}", row.ulimit_option + 1, limit_text(limit.rlim_cur),
                          limit_text(limit.rlim_max))};
        },
        [&] { return ::setrlimit(static_cast<__rlimit_resource>(wanted.resource), &limit); });
  };
  CallResult result = set();
  if (result.error == EPERM) {
    // Raising a hard limit takes CAP_SYS_RESOURCE of the host, which a container's process never has and some hosts do
    // not give out at all. What may be had is better than no start.
    rlimit present{};
    ::getrlimit(static_cast<__rlimit_resource>(wanted.resource), &present);
    limit.rlim_max = std::min(limit.rlim_max, present.rlim_max);
    limit.rlim_cur = std::min(limit.rlim_cur, limit.rlim_max);
    result = set();
  }
  if (result.failed()) throw Error{fmt::format("set the limit {}", row.name), result.error};
}

void set_ids(Trace& trace, const Confinement& wanted)
{
  const std::string groups = fmt::format("{}", fmt::join(wanted.groups, ","));
  CallResult result = perform(
      trace, "setgroups",
      [&] {
        return CallText{fmt::format("setgroups({}, [{}])", wanted.groups.size(), groups),
                        fmt::format("setpriv --{} ...", groups.empty() ? "clear-groups" : "groups " + groups)};
      },
      [&] { return ::setgroups(wanted.groups.size(), wanted.groups.data()); });
  if (result.failed()) throw Error{fmt::format("set the supplementary groups [{}]", groups), result.error};
  result = perform(
      trace, "setresgid",
      [&] {
        return CallText{fmt::format("setresgid({0}, {0}, {0})", wanted.gid),
                        fmt::format("setpriv --regid {} ...", wanted.gid)};
      },
      [&] { return ::setresgid(wanted.gid, wanted.gid, wanted.gid); });
  if (result.failed()) throw Error{fmt::format("become the group {}", wanted.gid), result.error};
  result = perform(
      trace, "setresuid",
      [&] {
        return CallText{fmt::format("setresuid({0}, {0}, {0})", wanted.uid),
                        fmt::format("setpriv --reuid {} ...", wanted.uid)};
      },
      [&] { return ::setresuid(wanted.uid, wanted.uid, wanted.uid); });
  if (!result.failed()) return;
  const std::string sentence = fmt::format("become the user {}", wanted.uid);
  if (result.error != EINVAL) throw Error{sentence, result.error};
  throw Error{sentence, EINVAL, "a container has the ids 0 to 65535"}.with_flag_hint(
      "run --userns host has all of them");
}

// After the ids, because a change of ids clears it (prctl(2)).
void die_with_parent(Trace& trace, const Confinement& wanted)
{
  if (wanted.death_signal == 0) return;
  const CallResult result = perform(
      trace, "prctl",
      [&] {
        return CallText{fmt::format("prctl(PR_SET_PDEATHSIG, {})", wanted.death_signal),
                        fmt::format("setpriv --pdeathsig {} ...", wanted.death_signal)};
      },
      [&] { return ::prctl(PR_SET_PDEATHSIG, wanted.death_signal, 0, 0, 0); });
  if (result.failed()) throw Error{"ask to end with the parent", result.error};
  if (wanted.parent < 0) return;
  // It may have ended before we asked; its pidfd is readable then.
  pollfd parent{.fd = wanted.parent, .events = POLLIN, .revents = 0};
  if (::poll(&parent, 1, 0) > 0) throw Error{"the parent of this process ended while it was being set up", ECANCELED};
}

// As the user, whose permissions count. A path through /proc/self/fd is refused on the way, and afterwards the kernel
// itself is asked where we are: getcwd(2) says "(unreachable)" outside of the root (CVE-2024-21626).
void enter_workdir(Trace& trace, const std::string& path)
{
  const auto refused = [&](const std::string& why, int number) {
    return Error{fmt::format("enter the working directory '{}'{}", path, why), number, "set another one with --workdir"}
        .with_status(126);
  };
  if (!path.starts_with('/')) throw refused(", which is not absolute", 0);
  const CallResult result = perform(
      trace, "fchdir",
      [&] {
        return CallText{
            fmt::format("fchdir(openat2(AT_FDCWD, \"{}\", O_PATH | O_DIRECTORY, RESOLVE_NO_MAGICLINKS))", path),
            fmt::format("cd {}", path)};
      },
      [&]() -> long {
        const Fd directory{sys_openat2(AT_FDCWD, path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC, 0,
                                       holds(guard::plain_workdir) ? RESOLVE_NO_MAGICLINKS : 0)};
        return directory ? ::fchdir(directory.get()) : -1;
      });
  if (result.error == ELOOP) throw refused(", which leads through a link of /proc", ELOOP);
  if (result.failed()) throw refused("", result.error);
  if (!holds(guard::reachable_workdir)) return;
  std::array<char, PATH_MAX> where{};
  if (::syscall(SYS_getcwd, where.data(), where.size()) < 0) throw refused("", errno);
  if (where[0] != '/') throw refused(", which lies outside the container", 0);
}

void close_descriptors(Trace& trace, std::vector<int> keep)
{
  std::ranges::sort(keep);
  unsigned first = 3;
  const auto close_up_to = [&](unsigned last) {
    if (last < first) return;
    const CallResult result = perform(
        trace, "close_range",
        [&] {
          const std::string end = last == ~0U ? "~0" : std::to_string(last);
          return CallText{fmt::format("close_range({}, {}, CLOSE_RANGE_CLOEXEC)", first, end),
                          "for fd in /proc/self/fd/*; do fd=${fd##*/}; [ $fd -gt 2 ] && eval \"exec $fd>&-\"; done"};
        },
        [&] { return ::syscall(SYS_close_range, first, last, CLOSE_RANGE_CLOEXEC); });
    if (result.failed()) throw Error{"mark the host's descriptors to be closed", result.error};
  };
  for (const int fd : keep) {
    if (fd < 3) continue;
    close_up_to(static_cast<unsigned>(fd) - 1);
    first = static_cast<unsigned>(fd) + 1;
  }
  close_up_to(~0U);
}

void forbid_new_privileges(Trace& trace)
{
  const CallResult result = perform(
      trace, "prctl",
      [] {
        return CallText{"prctl(PR_SET_NO_NEW_PRIVS, 1)", "setpriv --no-new-privs ..."};
      },
      [] { return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); });
  if (result.failed()) throw Error{"forbid new privileges", result.error};
}

} // namespace

int limit_number(std::string_view name)
{
  const auto found = std::ranges::find(limit_names, name, &LimitName::name);
  if (found != limit_names.end()) return found->number;
  std::vector<std::string> known;
  for (const LimitName& row : limit_names) known.emplace_back(row.name);
  throw usage_error(fmt::format("no limit is named '{}'", name), nearest_hint(name, known));
}

std::vector<ResourceLimit> default_limits()
{
  return {{.resource = RLIMIT_NOFILE, .soft = 1024, .hard = 524288}, {.resource = RLIMIT_CORE, .soft = 0, .hard = 0}};
}

std::vector<ResourceLimit> merge_limits(const std::vector<ResourceLimit>& more)
{
  std::vector<ResourceLimit> limits = default_limits();
  for (const ResourceLimit& limit : more) {
    const auto present = std::ranges::find(limits, limit.resource, &ResourceLimit::resource);
    if (present != limits.end())
      *present = limit;
    else
      limits.push_back(limit);
  }
  return limits;
}

std::vector<std::string> raise_limits(Trace& trace, pid_t pid, const std::vector<ResourceLimit>& limits)
{
  std::vector<std::string> refused;
  for (const ResourceLimit& wanted : limits) {
    const auto resource = static_cast<__rlimit_resource>(wanted.resource);
    rlimit present{};
    if (::prlimit(pid, resource, nullptr, &present) < 0 || wanted.hard <= present.rlim_max) continue;
    const LimitName& row = limit_row(wanted.resource);
    const rlimit raised{.rlim_cur = present.rlim_cur, .rlim_max = wanted.hard};
    const CallResult result = perform(
        trace, "prlimit64",
        [&] {
          const std::string text = fmt::format("{}:{}", limit_text(raised.rlim_cur), limit_text(raised.rlim_max));
          return CallText{
              fmt::format("prlimit64({}, {}, {})", pid, row.name, text),
              fmt::format("prlimit --pid {} --{}={}", pid == 0 ? "$$" : std::to_string(pid), row.name, text)};
        },
        [&] { return ::prlimit(pid, resource, &raised, nullptr); });
    if (result.error == EPERM)
      refused.push_back(fmt::format("--ulimit {}={}: this host lets nobody have more than {}, and so much it is",
                                    row.name, limit_text(wanted.hard), limit_text(present.rlim_max)));
    else if (result.failed())
      throw Error{fmt::format("raise the limit {}", row.name), result.error};
  }
  return refused;
}

void set_oom_score_adj(Trace& trace, pid_t pid, int value)
{
  const std::string file = fmt::format("/proc/{}/oom_score_adj", pid == 0 ? "self" : std::to_string(pid));
  try {
    write_value(trace, AT_FDCWD, file, std::to_string(value));
  } catch (const Error& error) {
    if (error.number() != EACCES) throw;
    throw Error{fmt::format("set --oom-score-adj {}", value), EACCES,
                "a value below that of this shell takes CAP_SYS_RESOURCE, which this host does not give"};
  }
}

std::vector<std::pair<std::string, ResourceLimit>> limits_of(pid_t pid)
{
  // A heading, then a line each in the order of their numbers: a name in 26 columns, soft, hard, unit.
  std::string text = find_content(AT_FDCWD, fmt::format("/proc/{}/limits", pid)).value_or("");
  std::vector<std::pair<std::string, ResourceLimit>> limits;
  int number = -1;
  for (size_t at = 0; at < text.size(); ++number) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    const auto row = std::ranges::find(limit_names, number, &LimitName::number);
    std::array<char, 24> soft{}, hard{};
    if (row == limit_names.end() || line.size() < 26 ||
        std::sscanf(line.c_str() + 26, "%23s %23s", soft.data(), hard.data()) != 2)
      continue;
    const auto value = [](const std::array<char, 24>& word) {
      return word[0] == 'u' ? RLIM_INFINITY : std::strtoull(word.data(), nullptr, 10);
    };
    limits.emplace_back(row->name, ResourceLimit{.resource = number, .soft = value(soft), .hard = value(hard)});
  }
  std::ranges::sort(limits, {}, &std::pair<std::string, ResourceLimit>::first);
  return limits;
}

void hide_from_container(Trace& trace)
{
  if (!holds(guard::hidden_entry)) return;
  const CallResult result = perform(
      trace, "prctl",
      [] {
        return CallText{"prctl(PR_SET_DUMPABLE, 0)", "# no shell command: nobody may look into this process"};
      },
      [] { return ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); });
  if (result.failed()) throw Error{"hide this process from the container", result.error};
}

void only_look(Trace& trace)
{
  // Neither nobody's (65534), whom daemons and containers with --userns host run as, nor one that Debian or systemd
  // give out (65520 to 65533 are free).
  constexpr uid_t looker = 65533;
  drop_bounding(trace, 0);
  const CallResult result = perform(
      trace, "prctl",
      [] {
        return CallText{"prctl(PR_SET_KEEPCAPS, 1)", "# until the capabilities are chosen"};
      },
      [] { return ::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0); });
  if (result.failed()) throw Error{"keep a capability over the change of user", result.error};
  set_ids(trace, {.uid = looker, .gid = looker});
  set_capabilities(trace, capability_bit(CAP_DAC_READ_SEARCH));
  forbid_new_privileges(trace);
}

void confine(Trace& trace, const Confinement& wanted)
{
  reset_umask(trace);
  join_new_keyring(trace);
  for (const ResourceLimit& limit : wanted.limits) set_limit(trace, limit);
  close_descriptors(trace, wanted.keep);

  // With no_new_privs the filter comes last and so sees none of our own calls. Without, loading it takes CAP_SYS_ADMIN,
  // which is about to go; the default filter allows what follows.
  if (!wanted.no_new_privileges) load_seccomp(trace, wanted.seccomp);
  const CapabilitySet capabilities = holds(guard::few_capabilities) ? wanted.capabilities : all_capabilities;
  drop_bounding(trace, capabilities); // takes CAP_SETPCAP
  set_ids(trace, wanted);             // takes CAP_SETUID and CAP_SETGID
  // The change from root to another user has cleared permitted and effective already; inheritable it leaves.
  set_capabilities(trace, wanted.uid == 0 ? capabilities : 0);
  die_with_parent(trace, wanted);
  enter_workdir(trace, wanted.workdir);
  reset_signals(trace);
  if (!wanted.no_new_privileges) return;
  forbid_new_privileges(trace);
  load_seccomp(trace, wanted.seccomp);
}

void execute(Trace& trace, const std::string& path, const std::vector<std::string>& args,
             const std::vector<std::string>& env)
{
  const auto pointers = [](const std::vector<std::string>& texts) {
    std::vector<char*> list;
    for (const std::string& text : texts) list.push_back(const_cast<char*>(text.c_str()));
    list.push_back(nullptr);
    return list;
  };
  const std::vector<char*> arguments = pointers(args), environment = pointers(env);
  const CallResult result = perform(
      trace, "execve",
      [&] {
        return CallText{
            fmt::format("execve(\"{}\", [\"{}\"], {} variables)", path, fmt::join(args, "\", \""), env.size()),
            fmt::format("exec {}", fmt::join(args, " "))};
      },
      [&] { return ::execve(path.c_str(), arguments.data(), environment.data()); });
  const Fd root{::open("/", O_PATH | O_CLOEXEC)};
  throw executable_error(root.get(), args.empty() ? path : args.front(), {.result = Lookup::ok, .path = path},
                         result.error);
}

} // namespace conductor::kernel
