#include "core/kernel/process.h"

#include "core/base/await.h"
#include "core/base/error.h"
#include "core/kernel/call.h"
#include "core/kernel/files.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sched.h>
#include <sched.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace conductor::kernel {
namespace {

struct FlagName {
  uint64_t flag;
  const char* name;
  const char* unshare_option;
};
constexpr std::array<FlagName, 8> namespace_flags{{
    {CLONE_NEWUSER, "CLONE_NEWUSER", "--user"},
    {CLONE_NEWNS, "CLONE_NEWNS", "--mount"},
    {CLONE_NEWPID, "CLONE_NEWPID", "--pid"},
    {CLONE_NEWNET, "CLONE_NEWNET", "--net"},
    {CLONE_NEWUTS, "CLONE_NEWUTS", "--uts"},
    {CLONE_NEWIPC, "CLONE_NEWIPC", "--ipc"},
    {CLONE_NEWCGROUP, "CLONE_NEWCGROUP", "--cgroup"},
    {CLONE_INTO_CGROUP, "CLONE_INTO_CGROUP", ""},
}};

constexpr const char* limits_hint = "see /proc/sys/user/max_*_namespaces";

std::string names_of(uint64_t flags, bool as_options)
{
  std::string text;
  for (const auto& each : namespace_flags) {
    if ((flags & each.flag) == 0) continue;
    if (as_options && each.unshare_option[0] == '\0') continue;
    if (!text.empty()) text += as_options ? " " : "|";
    text += as_options ? each.unshare_option : each.name;
  }
  return text;
}

} // namespace

std::optional<Child> clone_process(Trace& trace, const CloneRequest& request, const char* what)
{
  int pidfd = -1;
  clone_args arguments{};
  arguments.flags = request.flags | CLONE_PIDFD;
  if (request.cgroup_fd >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<uint64_t>(request.cgroup_fd);
  }
  arguments.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  // The answer of the call comes twice, so the child leaves before the event of its end is told a second time.
  bool child = false;
  const auto result = perform(
      trace, "clone3",
      [&] {
        const std::string flags = names_of(arguments.flags, false);
        return CallText{fmt::format("clone3({}) for {}", flags.empty() ? "0" : flags, what),
                        request.flags == 0 ? fmt::format("# a new process: {}", what)
                                           : fmt::format("unshare --fork {}", names_of(request.flags, true))};
      },
      [&]() -> long {
        const long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
        child = pid == 0;
        if (child) trace.restart(trace.reserve_ids(), trace.current_step());
        return pid;
      });
  if (child) return std::nullopt;
  if (result.failed()) {
    std::string hint;
    if (result.error == ENOSPC || result.error == EUSERS) hint = limits_hint;
    if (result.error == EPERM && (request.flags & CLONE_NEWUSER) != 0)
      throw Error{fmt::format("clone {}", what), EPERM, "this kernel may forbid user namespaces"}.with_flag_hint(
          "run --userns host does without");
    throw Error{fmt::format("clone {}", what), result.error, hint};
  }
  if (result.skipped) throw Error{fmt::format("clone {}: skipped at the gate", what), ECANCELED};
  trace.reserve_ids();
  return Child{static_cast<pid_t>(result.value), Fd{pidfd}};
}

void unshare_namespaces(Trace& trace, uint64_t flags)
{
  const auto result = perform(
      trace, "unshare",
      [&] {
        return CallText{fmt::format("unshare({})", names_of(flags, false)),
                        fmt::format("unshare {}", names_of(flags, true))};
      },
      [&] { return ::unshare(static_cast<int>(flags)); });
  if (result.failed())
    throw Error{"make namespaces", result.error, result.error == ENOSPC || result.error == EUSERS ? limits_hint : ""};
}

void enter_namespaces(Trace& trace, int fd, int nstype, const std::string& by_hand)
{
  const auto result = perform(
      trace, "setns",
      [&] {
        return CallText{fmt::format("setns({}, {})", path_of(fd), names_of(static_cast<uint64_t>(nstype), false)),
                        by_hand};
      },
      [&] { return ::setns(fd, nstype); });
  if (result.failed()) throw Error{"enter the namespaces of the container", result.error};
}

bool send_signal(Trace& trace, int pidfd, int signal, pid_t pid_for_text)
{
  const auto result = perform(
      trace, "pidfd_send_signal",
      [&] {
        return CallText{fmt::format("pidfd_send_signal(process {}, SIG{})", pid_for_text, ::sigabbrev_np(signal)),
                        fmt::format("kill -{} {}", ::sigabbrev_np(signal), pid_for_text)};
      },
      [&] { return ::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0); });
  if (result.error == ESRCH) return false;
  if (result.failed()) throw Error{fmt::format("send signal {} to process {}", signal, pid_for_text), result.error};
  return true;
}

std::optional<Fd> open_pidfd(pid_t pid)
{
  Fd fd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
  if (fd) return fd;
  if (errno == ESRCH || errno == EINVAL) return std::nullopt;
  throw Error{fmt::format("open process {}", pid), errno};
}

namespace {

struct ProcessLine {
  char state = '?';
  uint64_t start = 0;
};

// None when there is no such process. That we cannot look (no descriptor, no memory) is an error: a container that is
// taken for dead is taken down.
std::optional<ProcessLine> process_line(pid_t pid)
{
  if (pid <= 0) return std::nullopt;
  const std::string path = fmt::format("/proc/{}/stat", pid);
  const Fd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  const auto gone = [] { return errno == ENOENT || errno == ESRCH; };
  if (!fd && gone()) return std::nullopt;
  if (!fd) throw Error{fmt::format("look at process {}", pid), errno};
  std::array<char, 1024> buffer{};
  const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
  if (got == 0 || (got < 0 && gone())) return std::nullopt;
  if (got < 0) throw Error{fmt::format("look at process {}", pid), errno};
  std::string_view text{buffer.data(), static_cast<size_t>(got)};
  // The second field is the name in brackets, which may hold anything; fields count from behind the last bracket.
  const size_t bracket = text.rfind(')');
  if (bracket == std::string_view::npos || bracket + 2 >= text.size()) return std::nullopt;
  text.remove_prefix(bracket + 2);
  ProcessLine line{.state = text.front()};
  for (int field = 3; field < 22; ++field) {
    const size_t space = text.find(' ');
    if (space == std::string_view::npos) return std::nullopt;
    text.remove_prefix(space + 1);
  }
  std::from_chars(text.data(), text.data() + text.size(), line.start);
  return line;
}

} // namespace

std::optional<uint64_t> start_time(pid_t pid)
{
  const auto line = process_line(pid);
  if (!line) return std::nullopt;
  return line->start;
}

bool is_alive(pid_t pid, uint64_t start)
{
  const auto line = process_line(pid);
  return line && line->start == start && line->state != 'Z' && line->state != 'X';
}

void show_process_as(const char* name)
{
  ::prctl(PR_SET_NAME, name);
  // Where the arguments lie (proc_pid_stat(5), fields 48 and 49). Without /proc nobody sees them either.
  const Fd fd{::open("/proc/self/stat", O_RDONLY | O_CLOEXEC)};
  std::array<char, 2048> buffer{};
  const ssize_t got = fd ? ::read(fd.get(), buffer.data(), buffer.size() - 1) : -1;
  if (got <= 0) return;
  std::string_view text{buffer.data(), static_cast<size_t>(got)};
  text.remove_prefix(std::min(text.rfind(')') + 2, text.size()));
  for (int field = 3; field < 48; ++field) text.remove_prefix(std::min(text.find(' ') + 1, text.size()));
  uintptr_t begin = 0, end = 0;
  const size_t space = std::min(text.find(' '), text.size());
  std::from_chars(text.data(), text.data() + space, begin);
  std::from_chars(text.data() + std::min(space + 1, text.size()), text.data() + text.size(), end);
  const size_t length = std::strlen(name);
  if (begin == 0 || end <= begin + length) return;
  auto* arguments = reinterpret_cast<char*>(begin); // NOLINT: our own stack
  std::memset(arguments, 0, end - begin);
  std::memcpy(arguments, name, length);
}

const std::string& boot_id()
{
  static const std::string id = [] {
    std::string text = read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id");
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  }();
  return id;
}

void leave_session(Trace& trace)
{
  perform(
      trace, "setsid",
      [] {
        return CallText{"setsid()", "setsid"};
      },
      [] { return ::setsid(); });
  const Fd null{::open("/dev/null", O_RDWR | O_CLOEXEC)};
  for (int fd = 0; fd <= 2 && null; ++fd) ::dup2(null.get(), fd);
  if (::chdir("/") < 0) throw Error{"change directory to /", errno};
}

void close_descriptors_except(std::vector<int> keep)
{
  std::erase_if(keep, [](int fd) { return fd <= 2; });
  std::sort(keep.begin(), keep.end());
  unsigned from = 3;
  for (const int fd : keep) {
    const auto kept = static_cast<unsigned>(fd);
    if (kept > from) ::syscall(SYS_close_range, from, kept - 1, 0);
    if (kept >= from) from = kept + 1;
  }
  ::syscall(SYS_close_range, from, ~0U, 0);
}

namespace {

// The program's directory is set without a shell: posix_spawn's own action (glibc 2.29).
pid_t spawn(const std::vector<std::string>& argv, const std::vector<std::string>& env, const std::string& directory,
            int output)
{
  std::vector<char*> arguments;
  for (const auto& each : argv) arguments.push_back(const_cast<char*>(each.c_str()));
  arguments.push_back(nullptr);
  std::vector<char*> environment;
  for (const auto& each : env) environment.push_back(const_cast<char*>(each.c_str()));
  environment.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, 1);
  posix_spawn_file_actions_adddup2(&actions, output, 2);
  posix_spawn_file_actions_addchdir_np(&actions, directory.c_str());
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  pid_t pid = -1;
  const int number = ::posix_spawnp(&pid, arguments[0], &actions, &attributes, arguments.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (number == 0) return pid;
  errno = number;
  return -1;
}

} // namespace

ProgramResult run_program(Trace& trace, const std::vector<std::string>& argv, const std::vector<std::string>& env,
                          const std::string& directory, Output output)
{
  std::string line;
  for (const auto& each : argv) line += (line.empty() ? "" : " ") + each;
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) throw Error{"make a pipe", errno};
  Fd reader{ends[0]};
  Fd writer{ends[1]};
  ProgramResult outcome;
  const auto result = perform(
      trace, "spawn",
      [&] {
        return CallText{"posix_spawn: " + line, line};
      },
      [&]() -> long {
        const pid_t pid = spawn(argv, env, directory, writer.get());
        if (pid < 0) return -1;
        Child child{pid, Fd{}};
        writer.reset();
        std::array<char, 16384> buffer; // NOLINT: filled by read(2)
        for (;;) {
          pollfd watched{reader.get(), POLLIN, 0};
          try {
            await(trace, &watched, 1, -1);
          } catch (const Error&) {
            // The program has a process group of its own, so an interrupt of ours does not reach it by itself.
            ::kill(-pid, SIGTERM);
            child.kill_and_reap();
            errno = EINTR;
            return -1;
          }
          const ssize_t got = ::read(reader.get(), buffer.data(), buffer.size());
          if (got < 0 && errno == EINTR) continue;
          if (got <= 0) break;
          const std::string_view bytes{buffer.data(), static_cast<size_t>(got)};
          if (output == Output::told) trace.output(bytes);
          outcome.tail.append(bytes);
          if (outcome.tail.size() > 8192) outcome.tail.erase(0, outcome.tail.size() - 8192);
        }
        outcome.status = child.wait();
        return 0;
      });
  if (result.error == ENOENT) throw Error{fmt::format("start {}", argv[0]), ENOENT};
  if (result.failed()) throw Error{fmt::format("run {}", line), result.error};
  return outcome;
}

} // namespace conductor::kernel
