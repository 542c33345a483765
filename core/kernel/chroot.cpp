#include "core/kernel/chroot.h"

#include "core/base/error.h"
#include "core/kernel/call.h"
#include "core/kernel/mount.h"
#include "core/kernel/namespaces.h"
#include "core/kernel/process.h"

#include <cerrno>
#include <string>

#include <fcntl.h>
#include <linux/stat.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

namespace conductor::kernel {
namespace {

bool look(const char* path, struct statx& answer) { return ::statx(AT_FDCWD, path, 0, STATX_MNT_ID, &answer) == 0; }

// chroot(".") in what `tree` is.
void enter_tree(Trace& trace, int tree)
{
  if (::fchdir(tree) < 0) throw Error{"enter the copy of the root", errno};
  const auto result = perform(
      trace, "chroot",
      [] {
        return CallText{"chroot(\".\")", "chroot ."};
      },
      [] { return ::chroot("."); });
  if (result.failed()) throw Error{"make the copy of the root the root", result.error};
}

} // namespace

bool in_chroot()
{
  struct statx own {
  }, first{};
  if (!look("/", own)) return false;
  if ((own.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0 && (own.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0)
    return true;
  struct stat mine {
  }, theirs{};
  if (::stat("/proc/self/ns/mnt", &mine) < 0 || ::stat("/proc/1/ns/mnt", &theirs) < 0) return false;
  return mine.st_ino == theirs.st_ino && look("/proc/1/root", first) && first.stx_mnt_id != own.stx_mnt_id;
}

void leave_chroot(Trace& trace)
{
  char working_directory[4096];
  if (::getcwd(working_directory, sizeof working_directory) == nullptr)
    throw Error{"find the working directory", errno};
  unshare_namespaces(trace, CLONE_NEWNS);
  const Fd tree = clone_tree(trace, AT_FDCWD, "/", true);
  // Joining the namespace that we are in does one thing: it makes its root ours (setns(2)).
  const auto self = open_pidfd(::getpid());
  if (!self) throw Error{"open a descriptor of this process", errno};
  enter_namespaces(trace, self->get(), CLONE_NEWNS, "nsenter --mount=/proc/self/ns/mnt");
  // Slaves before the tree goes over "/", or it would lie over everybody's.
  make_slave(trace);
  const Fd top{::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)};
  if (!top) throw Error{"open /", errno};
  attach(trace, tree.get(), top.get(), "/");
  enter_tree(trace, tree.get());
  make_slave(trace);
  if (::chdir(working_directory) < 0 && ::chdir("/") < 0) throw Error{"enter the working directory again", errno};
}

} // namespace conductor::kernel
