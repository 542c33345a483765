// What the kernel offers and this distribution's libc does not declare: system calls without a wrapper, and numbers
// that came after the headers of Linux 6.1. Everything here is from the kernel's own uapi headers.
#pragma once

#include <cstddef>
#include <cstdint>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace conductor::kernel {

// openat2(2). A descriptor, or -1 with errno.
inline int sys_openat2(int at, const char* path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
  open_how how{};
  how.flags = flags;
  how.mode = mode;
  how.resolve = resolve;
  return static_cast<int>(::syscall(SYS_openat2, at, path, &how, sizeof how));
}

// System calls newer than libseccomp 2.5.4 and the 6.1 headers. From number 424 on all architectures share one table.
struct NewSyscall {
  const char* name;
  int number;
};
inline constexpr NewSyscall new_syscalls[] = {
    {"cachestat", 451},         {"fchmodat2", 452},         {"map_shadow_stack", 453}, {"futex_wake", 454},
    {"futex_wait", 455},        {"futex_requeue", 456},     {"statmount", 457},        {"listmount", 458},
    {"lsm_get_self_attr", 459}, {"lsm_set_self_attr", 460}, {"lsm_list_modules", 461}, {"mseal", 462},
    {"setxattrat", 463},        {"getxattrat", 464},        {"listxattrat", 465},      {"removexattrat", 466},
    {"open_tree_attr", 467},    {"file_getattr", 468},      {"file_setattr", 469},
};

} // namespace conductor::kernel
