#include "core/kernel/own_program.h"

#include "core/base/error.h"
#include "core/base/guard.h"
#include "core/kernel/mount.h"

#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/mount.h>
#include <linux/stat.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace conductor::kernel {
namespace {

constexpr const char* own_link = "/proc/self/exe";

} // namespace

std::string own_program()
{
  char path[4096];
  const ssize_t length = ::readlink(own_link, path, sizeof path);
  if (length < 0) throw Error{"find where conductor is installed", errno, "is /proc mounted?"};
  const std::string found{path, static_cast<size_t>(length)};
  // A file that is the root of a mount attached nowhere is "/", and execute_protected() has said where it came from.
  return found == "/" || found == "/ (deleted)" ? program_invocation_name : found;
}

bool program_is_protected()
{
  if (!holds(guard::protected_program)) return true;
  struct statx about {};
  struct statvfs mount {};
  if (::statx(AT_FDCWD, own_link, 0, STATX_TYPE, &about) < 0 || ::statvfs(own_link, &mount) < 0) return false;
  return (about.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0 && (mount.f_flag & ST_RDONLY) != 0;
}

void require_protected_program()
{
  if (!program_is_protected())
    throw Error{"conductor does not run from a read-only mount, so root inside could overwrite it", EPERM};
}

Fd read_only_program(Trace& trace)
{
  Step step{trace, "begin again from a read-only mount",
            "root inside is root of the host, and could keep our program open to write it later"};
  const Fd file{::open(own_link, O_PATH | O_CLOEXEC)};
  if (!file) throw Error{"open our own program", errno, "is /proc mounted?"};
  Fd program = clone_tree(trace, file.get(), "", false);
  set_attributes(trace, program.get(), MOUNT_ATTR_RDONLY, false);
  step.done();
  return program;
}

void execute_again(int program, const std::vector<std::string>& words)
{
  std::vector<std::string> arguments{own_program()};
  arguments.insert(arguments.end(), words.begin(), words.end());
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  ::syscall(SYS_execveat, program, "", argv.data(), environ, AT_EMPTY_PATH);
  throw Error{fmt::format("execute {} from a read-only mount", arguments[0]), errno};
}

void take_own_name()
{
  const std::string path = own_program();
  ::prctl(PR_SET_NAME, path.c_str() + path.rfind('/') + 1);
}

} // namespace conductor::kernel
