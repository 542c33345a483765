// The one guarded way to a path of a container.
//
// Whoever made the image chose its symlinks, so a path of it means something only below its root. openat2(2) with
// RESOLVE_IN_ROOT treats the root as "/" for absolute links and for "..", RESOLVE_NO_MAGICLINKS refuses links such as
// /proc/self/fd/3 that jump anywhere. What is found is a descriptor, and all further work is done on that. A `root` is
// a descriptor of the container's root directory (O_PATH will do); "/" of the process itself after pivot_root(2).
#pragma once

#include "core/base/error.h"
#include "core/base/handle.h"
#include "core/base/trace.h"

#include <optional>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <sys/types.h>

namespace conductor::kernel {

// Opens what is there. flags as open(2), without O_CREAT and O_TRUNC; O_CLOEXEC is added. Throws Error (with errno).
Fd open_in_root(int root, const std::string& path, int flags);
// The same; none when the path or a directory on the way is not there (ENOENT, ENOTDIR).
std::optional<Fd> find_in_root(int root, const std::string& path, int flags);

// Like mkdir -p, never leaving the root, missing targets of symlinks made too. Returns an O_PATH descriptor of the
// last. New directories belong to the caller's fsuid. Throws Error; ENOTDIR where something else is in the way.
Fd make_directories_in_root(Trace& trace, int root, const std::string& path, mode_t mode);
// The same for a place that must be a directory itself, such as /proc: symlinks on the way are refused, because what is
// mounted there guards the container and may not be led elsewhere. Throws Error (ELOOP, with a hint).
Fd make_plain_directories_in_root(Trace& trace, int root, const std::string& path, mode_t mode);
// An empty file as the target of a mount, with its directories (0755). Something that is there already stays as it is.
// Returns an O_PATH descriptor. Throws Error; EISDIR where it is a directory.
Fd make_file_in_root(Trace& trace, int root, const std::string& path, mode_t mode);
// Opens for writing, creating it when missing (O_CREAT and the caller's flags, O_CLOEXEC, O_NOCTTY, O_NONBLOCK added),
// only a regular file. Its directory must be there. Throws Error.
Fd create_in_root(Trace& trace, int root, const std::string& path, int flags, mode_t mode);

// Content of a regular file of at most `limit` bytes; none when it is not there. Never blocks and never opens a device
// (CVE-2024-9676). Throws Error when it is something else (EINVAL) or larger (EFBIG).
std::optional<std::string> read_in_root(int root, const std::string& path, size_t limit);

enum class Lookup : char { ok, not_found, not_executable };
struct Executable {
  Lookup result = Lookup::not_found;
  std::string path; // absolute, inside the root: for execve(2) after pivot_root; for not_executable what was found
};
// What execvp(3) would run: a name with a slash as it is (relative to cwd), others along path_list ("/usr/bin:/bin";
// an empty element is cwd). Only a regular file with an x bit counts.
Executable lookup_executable_in_root(int root, const std::string& cwd, std::string_view path_list,
                                     const std::string& name);

// Why `name` cannot be run, in words, as the Error to throw: status 127 for what is not found, 126 for what cannot be
// executed. found: what the look-up said; number: errno of execve(2), or 0 when it was not reached. Reads the file to
// tell a missing interpreter, a CRLF first line, a missing ELF loader, a foreign architecture, a missing x bit.
Error executable_error(int root, const std::string& name, const Executable& found, int number = 0);

// The part of executable_error() that needs no disk: what the first bytes of a program say.
struct ProgramHead {
  enum class Kind : char { elf, script, other } kind = Kind::other;
  std::string interpreter;      // script: of the #! line; elf: PT_INTERP, empty for a static one
  bool carriage_return = false; // script: the #! line ends in CR
  bool native = true;           // elf: for this machine
  std::string architecture;     // elf: "x86-64", "aarch64", ...
};
// head: the first bytes of the file, at least 4096 where it has them.
ProgramHead read_program_head(std::string_view head);

} // namespace conductor::kernel
