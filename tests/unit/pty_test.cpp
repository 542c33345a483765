// Pseudo-terminals: opened from a devpts and from nothing else, owned and sized as asked.
#include "core/base/error.h"
#include "core/container/pty.h"
#include "tests/unit/process_support.h"

#include <fstream>

#include <gtest/gtest.h>
#include <sys/stat.h>

using namespace conductor;
using namespace conductor::testing;

TEST(Pty, ComesFromADevptsSizedAndUnlocked)
{
  const Fd devpts{::open("/dev/pts", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (::faccessat(devpts.get(), "ptmx", R_OK | W_OK, 0) != 0) GTEST_SKIP() << "/dev/pts/ptmx is for root here";
  Trace trace;
  const Pty pty = open_pty(trace, devpts.get(), {31, 97}, ::getuid());
  EXPECT_EQ(::isatty(pty.slave.get()), 1);
  EXPECT_EQ(window_size(pty.slave.get()), (WindowSize{31, 97}));
  EXPECT_NE(::fcntl(pty.master.get(), F_GETFL) & O_NONBLOCK, 0);
  struct stat status {};
  ::fstat(pty.slave.get(), &status);
  EXPECT_EQ(status.st_uid, ::getuid());
}

TEST(Pty, IsNotTakenFromAFileThatAnImagePutThere)
{
  ScratchDirectory directory;
  std::ofstream{directory.path() + "/ptmx"} << "no terminal";
  Trace trace;
  EXPECT_THROW(open_pty(trace, directory.fd(), {}), Error);
}

TEST(Pty, IsNotTakenThroughALink)
{
  ScratchDirectory directory;
  ASSERT_EQ(::symlink("/dev/pts/ptmx", (directory.path() + "/ptmx").c_str()), 0);
  Trace trace;
  EXPECT_THROW(open_pty(trace, directory.fd(), {}), Error);
}

TEST(Pty, WindowSizeOfSomethingElseIsNone)
{
  const Fd file{::open("/dev/null", O_RDWR | O_CLOEXEC)};
  EXPECT_FALSE(window_size(file.get()));
}

TEST(Streams, ReachTheChildEvenWhenTheCallersStandardStreamsAreClosed)
{
  Child child = fork_child([] {
    ::close(0);
    ::close(1);
    ::close(2);
    StreamPair pair = make_pipes(Stdin::empty); // its descriptors take the numbers 0 to 2
    Child shell = shell_on(pair, "echo out; echo err >&2");
    const bool is_well = read_until(pair.ours.output.get(), "") == "out\n" &&
                         read_until(pair.ours.error.get(), "") == "err\n" && shell.wait().shell() == 0;
    return is_well ? 0 : 1;
  });
  EXPECT_EQ(end_of(child).shell(), 0);
}
