// Which system calls a container may make.
//
// Three tables: calls that everybody may make; calls whose only guard is a capability (refused with EPERM, let through
// when the container has one that frees them); calls that depend on their arguments. What is in none of them is
// answered with ENOSYS: it is obsolete, or newer than this table, and libraries then fall back to what they did before
// it came.

#include "core/kernel/seccomp_policy.h"

#include <cerrno>
#include <sched.h>
#include <sys/socket.h>

#include <linux/capability.h>
#include <linux/netlink.h>
#include <sys/ioctl.h>

namespace conductor::kernel {
namespace {

constexpr const char* allowed[] = {
    // files
    "access",
    "chdir",
    "chmod",
    "chown",
    "close",
    "close_range",
    "copy_file_range",
    "creat",
    "dup",
    "dup2",
    "dup3",
    "faccessat",
    "faccessat2",
    "fadvise64",
    "fallocate",
    "fanotify_mark",
    "fchdir",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "fchown",
    "fchownat",
    "fcntl",
    "fdatasync",
    "fgetxattr",
    "file_getattr",
    "file_setattr",
    "flistxattr",
    "flock",
    "fremovexattr",
    "fsetxattr",
    "fstat",
    "fstatfs",
    "fsync",
    "ftruncate",
    "futimesat",
    "getcwd",
    "getdents",
    "getdents64",
    "getxattr",
    "getxattrat",
    "inotify_add_watch",
    "inotify_init",
    "inotify_init1",
    "inotify_rm_watch",
    "lchown",
    "lgetxattr",
    "link",
    "linkat",
    "listmount",
    "listxattr",
    "listxattrat",
    "llistxattr",
    "lremovexattr",
    "lseek",
    "lsetxattr",
    "lstat",
    "mkdir",
    "mkdirat",
    "mknod",
    "mknodat",
    "name_to_handle_at",
    "newfstatat",
    "open",
    "openat",
    "openat2",
    "pread64",
    "preadv",
    "preadv2",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "read",
    "readahead",
    "readlink",
    "readlinkat",
    "readv",
    "removexattr",
    "removexattrat",
    "rename",
    "renameat",
    "renameat2",
    "rmdir",
    "sendfile",
    "setxattr",
    "setxattrat",
    "splice",
    "stat",
    "statfs",
    "statmount",
    "statx",
    "symlink",
    "symlinkat",
    "sync",
    "sync_file_range",
    "syncfs",
    "tee",
    "truncate",
    "umask",
    "unlink",
    "unlinkat",
    "utime",
    "utimensat",
    "utimes",
    "vmsplice",
    "write",
    "writev",
    // waiting and telling
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "eventfd",
    "eventfd2",
    "io_cancel",
    "io_destroy",
    "io_getevents",
    "io_pgetevents",
    "io_setup",
    "io_submit",
    "mq_getsetattr",
    "mq_notify",
    "mq_open",
    "mq_timedreceive",
    "mq_timedsend",
    "mq_unlink",
    "msgctl",
    "msgget",
    "msgrcv",
    "msgsnd",
    "pipe",
    "pipe2",
    "poll",
    "ppoll",
    "pselect6",
    "select",
    "semctl",
    "semget",
    "semop",
    "semtimedop",
    "shmat",
    "shmctl",
    "shmdt",
    "shmget",
    "signalfd",
    "signalfd4",
    "timerfd_create",
    "timerfd_gettime",
    "timerfd_settime",
    // memory
    "brk",
    "cachestat",
    "get_mempolicy",
    "madvise",
    "map_shadow_stack",
    "membarrier",
    "memfd_create",
    "memfd_secret",
    "mincore",
    "mlock",
    "mlock2",
    "mlockall",
    "mmap",
    "mprotect",
    "mremap",
    "mseal",
    "msync",
    "munlock",
    "munlockall",
    "munmap",
    "pkey_alloc",
    "pkey_free",
    "pkey_mprotect",
    "remap_file_pages",
    // processes and threads
    "alarm",
    "arch_prctl",
    "execve",
    "execveat",
    "exit",
    "exit_group",
    "fork",
    "futex",
    "futex_requeue",
    "futex_wait",
    "futex_waitv",
    "futex_wake",
    "get_robust_list",
    "get_thread_area",
    "getcpu",
    "getitimer",
    "getpgid",
    "getpgrp",
    "getpid",
    "getppid",
    "getpriority",
    "getrlimit",
    "getrusage",
    "getsid",
    "gettid",
    "ioprio_get",
    "ioprio_set",
    "kill",
    "landlock_add_rule",
    "landlock_create_ruleset",
    "landlock_restrict_self",
    "modify_ldt",
    "pause",
    "pidfd_open",
    "pidfd_send_signal",
    "prctl",
    "prlimit64",
    "process_mrelease",
    "restart_syscall",
    "riscv_flush_icache",
    "riscv_hwprobe",
    "rseq",
    "rt_sigaction",
    "rt_sigpending",
    "rt_sigprocmask",
    "rt_sigqueueinfo",
    "rt_sigreturn",
    "rt_sigsuspend",
    "rt_sigtimedwait",
    "rt_tgsigqueueinfo",
    "sched_get_priority_max",
    "sched_get_priority_min",
    "sched_getaffinity",
    "sched_getattr",
    "sched_getparam",
    "sched_getscheduler",
    "sched_rr_get_interval",
    "sched_setaffinity",
    "sched_setattr",
    "sched_setparam",
    "sched_setscheduler",
    "sched_yield",
    "seccomp",
    "set_robust_list",
    "set_thread_area",
    "set_tid_address",
    "setitimer",
    "setpgid",
    "setpriority",
    "setrlimit",
    "setsid",
    "sigaltstack",
    "sysinfo",
    "tgkill",
    "times",
    "tkill",
    "uname",
    "vfork",
    "wait4",
    "waitid",
    // A debugger inside sees only processes of its own user namespace: the kernel asks for the same ids or
    // CAP_SYS_PTRACE
    // there (ptrace(2), "access mode checking"), and since 4.8 a tracer cannot get its tracee past the filter.
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    // who I am
    "capget",
    "capset",
    "getegid",
    "geteuid",
    "getgid",
    "getgroups",
    "getresgid",
    "getresuid",
    "getuid",
    "setfsgid",
    "setfsuid",
    "setgid",
    "setgroups",
    "setregid",
    "setresgid",
    "setresuid",
    "setreuid",
    "setuid",
    // time; setting it asks for CAP_SYS_TIME of the host
    "adjtimex",
    "clock_adjtime",
    "clock_getres",
    "clock_gettime",
    "clock_nanosleep",
    "getrandom",
    "gettimeofday",
    "nanosleep",
    "time",
    "timer_create",
    "timer_delete",
    "timer_getoverrun",
    "timer_gettime",
    "timer_settime",
    // network
    "accept",
    "accept4",
    "bind",
    "connect",
    "getpeername",
    "getsockname",
    "getsockopt",
    "listen",
    "recvfrom",
    "recvmmsg",
    "recvmsg",
    "sendmmsg",
    "sendmsg",
    "sendto",
    "setsockopt",
    "shutdown",
    "socketpair",
};

constexpr CapabilitySet sys_admin = capability_bit(CAP_SYS_ADMIN);

struct Guarded {
  const char* name;
  CapabilitySet freed_by; // any of these
};
constexpr Guarded guarded[] = {
    {"chroot", capability_bit(CAP_SYS_CHROOT)},
    // mounts and namespaces
    {"fsconfig", sys_admin},
    {"fsmount", sys_admin},
    {"fsopen", sys_admin},
    {"fspick", sys_admin},
    {"mount", sys_admin},
    {"mount_setattr", sys_admin},
    {"move_mount", sys_admin},
    {"open_tree", sys_admin},
    {"open_tree_attr", sys_admin},
    {"pivot_root", sys_admin},
    {"setdomainname", sys_admin},
    {"sethostname", sys_admin},
    {"setns", sys_admin},
    {"umount", sys_admin},
    {"umount2", sys_admin},
    // large pieces of kernel that few programs need and many exploits did
    {"add_key", sys_admin},
    {"bpf", sys_admin | capability_bit(CAP_BPF)},
    {"io_uring_enter", sys_admin},
    {"io_uring_register", sys_admin},
    {"io_uring_setup", sys_admin},
    {"keyctl", sys_admin},
    {"perf_event_open", sys_admin | capability_bit(CAP_PERFMON)},
    {"request_key", sys_admin},
    {"userfaultfd", sys_admin | capability_bit(CAP_SYS_PTRACE)},
    // the whole machine
    {"acct", capability_bit(CAP_SYS_PACCT)},
    {"clock_settime", capability_bit(CAP_SYS_TIME)},
    {"delete_module", capability_bit(CAP_SYS_MODULE)},
    {"finit_module", capability_bit(CAP_SYS_MODULE)},
    {"init_module", capability_bit(CAP_SYS_MODULE)},
    {"ioperm", capability_bit(CAP_SYS_RAWIO)},
    {"iopl", capability_bit(CAP_SYS_RAWIO)},
    {"kexec_file_load", capability_bit(CAP_SYS_BOOT)},
    {"kexec_load", capability_bit(CAP_SYS_BOOT)},
    {"reboot", capability_bit(CAP_SYS_BOOT)},
    {"settimeofday", capability_bit(CAP_SYS_TIME)},
    {"swapoff", sys_admin},
    {"swapon", sys_admin},
    {"syslog", sys_admin | capability_bit(CAP_SYSLOG)},
    {"vhangup", capability_bit(CAP_SYS_TTY_CONFIG)},
    // files past their permissions
    {"fanotify_init", sys_admin},
    {"lookup_dcookie", sys_admin},
    {"open_by_handle_at", capability_bit(CAP_DAC_READ_SEARCH)},
    {"quotactl", sys_admin},
    {"quotactl_fd", sys_admin},
    // other processes and where memory lies
    {"kcmp", capability_bit(CAP_SYS_PTRACE)},
    {"mbind", capability_bit(CAP_SYS_NICE)},
    {"migrate_pages", capability_bit(CAP_SYS_NICE)},
    {"move_pages", capability_bit(CAP_SYS_NICE)},
    {"pidfd_getfd", capability_bit(CAP_SYS_PTRACE)},
    {"process_madvise", capability_bit(CAP_SYS_PTRACE) | capability_bit(CAP_SYS_NICE)},
    {"set_mempolicy", capability_bit(CAP_SYS_NICE)},
    {"set_mempolicy_home_node", capability_bit(CAP_SYS_NICE)},
};

constexpr unsigned long time_namespace = 0x80; // CLONE_NEWTIME: for unshare; in clone these bits are the exit signal
constexpr unsigned long namespaces =
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
// personality(2) values that only say which system a program was written for; not ADDR_NO_RANDOMIZE and the like.
constexpr uint64_t harmless_personalities[] = {0x0, 0x8, 0x20000, 0x20008, 0xffffffff};

ArgumentTest argument(unsigned index, uint64_t value) { return {.index = index, .value = value}; }

void add_argument_rules(std::vector<CallRule>& rules, CapabilitySet capabilities, int (*number_of)(std::string_view))
{
  const auto add = [&](const char* name, CapabilitySet freed_by, std::vector<Clause> clauses, Verdict otherwise) {
    const int number = number_of(name);
    if (number < 0) return;
    if ((capabilities & freed_by) != 0)
      rules.push_back({.number = static_cast<uint32_t>(number)});
    else
      rules.push_back({static_cast<uint32_t>(number), std::move(clauses), otherwise});
  };
  const auto without_bits = [](uint64_t bits) {
    return Clause{{{.compare = Compare::masked_equal, .value = 0, .mask = bits}}, allow_call};
  };
  add("clone", sys_admin, {without_bits(namespaces)}, refuse_call(EPERM));
  // Its flags lie in memory, where a filter cannot look. libc takes ENOSYS for "use clone".
  add("clone3", sys_admin, {}, refuse_call(ENOSYS));
  add("unshare", sys_admin, {without_bits(namespaces | time_namespace)}, refuse_call(EPERM));

  // "Not supported" is what a kernel without these families says, and programs know what to do then. For the audit
  // socket it must be EINVAL: PAM takes no other refusal for "no audit here".
  std::vector<Clause> sockets = {{{argument(0, AF_ALG)}, refuse_call(EAFNOSUPPORT)},
                                 {{argument(0, AF_VSOCK)}, refuse_call(EAFNOSUPPORT)}};
  if ((capabilities & capability_bit(CAP_AUDIT_WRITE)) == 0)
    sockets.push_back({{argument(0, AF_NETLINK), argument(2, NETLINK_AUDIT)}, refuse_call(EINVAL)});
  add("socket", 0, std::move(sockets), allow_call);

  // Both put bytes into a terminal as if they were typed there; a terminal may be shared with the host's shell.
  add("ioctl", sys_admin,
      {{{argument(1, TIOCSTI)}, refuse_call(EPERM)}, {{argument(1, TIOCLINUX)}, refuse_call(EPERM)}}, allow_call);

  std::vector<Clause> personalities;
  for (const uint64_t each : harmless_personalities) personalities.push_back({{argument(0, each)}, allow_call});
  add("personality", sys_admin, std::move(personalities), refuse_call(EPERM));
}

} // namespace

Policy default_policy(CapabilitySet capabilities, int (*number_of)(std::string_view name))
{
  Policy policy{.unknown = refuse_call(ENOSYS)};
  for (const char* name : allowed)
    if (const int number = number_of(name); number >= 0)
      policy.rules.push_back({.number = static_cast<uint32_t>(number)});
  for (const Guarded& row : guarded) {
    const int number = number_of(row.name);
    if (number < 0) continue;
    const Verdict verdict = (capabilities & row.freed_by) != 0 ? allow_call : refuse_call(EPERM);
    policy.rules.push_back({.number = static_cast<uint32_t>(number), .otherwise = verdict});
  }
  add_argument_rules(policy.rules, capabilities, number_of);
  return policy;
}

} // namespace conductor::kernel
