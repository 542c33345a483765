"""A small static program for inside a container: tries system calls that no shell can, and prints their errno."""
import subprocess

SOURCE = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static void tell(const char* name, long result) { printf("%s %s\n", name, result < 0 ? strerrorname_np(errno) : "ok"); }

int main(int count, char** arguments)
{
  if (count > 1 && strcmp(arguments[1], "old-architecture") == 0) {
#ifdef __x86_64__
    long number = 20; /* getpid of i386 */
    __asm__ volatile("int $0x80" : "+a"(number) : : "memory");
    printf("it ran\n");
#endif
    return 0;
  }
  tell("socket-inet", socket(AF_INET, SOCK_STREAM, 0));
  tell("socket-route", socket(AF_NETLINK, SOCK_RAW, 0));
  tell("socket-audit", socket(AF_NETLINK, SOCK_RAW, 9));
  tell("socket-alg", socket(AF_ALG, SOCK_SEQPACKET, 0));
  tell("socket-alg-high-bits", syscall(SYS_socket, 0xdead00000000L | AF_ALG, SOCK_SEQPACKET, 0));
  tell("socket-vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
  tell("unshare-user", unshare(CLONE_NEWUSER));
  tell("unshare-net", unshare(CLONE_NEWNET));
  tell("unshare-files", unshare(CLONE_FILES));
  long child = syscall(SYS_clone, CLONE_NEWUSER | 17, 0, 0, 0, 0);
  if (child == 0) _exit(0);
  tell("clone-user", child);
  tell("clone3", syscall(SYS_clone3, 0, 0));
  tell("mount", syscall(SYS_mount, "x", "/", "tmpfs", 0, 0));
  tell("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
  tell("open_tree", syscall(SYS_open_tree, -100, "/", 0));
  tell("setns", syscall(SYS_setns, 0, 0));
  tell("keyctl", syscall(SYS_keyctl, 0, 0, 0));
  tell("bpf", syscall(SYS_bpf, 0, 0, 0));
  tell("perf_event_open", syscall(SYS_perf_event_open, 0, 0, 0, 0, 0));
  tell("io_uring_setup", syscall(SYS_io_uring_setup, 1, 0));
  tell("userfaultfd", syscall(SYS_userfaultfd, 1));
  tell("open_by_handle_at", syscall(SYS_open_by_handle_at, 0, 0, 0));
  tell("reboot", syscall(SYS_reboot, 0, 0, 0, 0));
  tell("no-such-call", syscall(1000));
  tell("tiocsti", ioctl(0, TIOCSTI, "x"));
  return 0;
}
"""


def compile_probe(directory):
    """Compiles it into `directory`/probe; the path."""
    source, program = directory / "probe.c", directory / "probe"
    source.write_text(SOURCE)
    subprocess.run(["cc", "-static", "-O1", "-o", program, source], check=True)
    return program
