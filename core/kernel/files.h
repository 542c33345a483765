// Files and directories of our own, through the waist. Everything is relative to a directory descriptor, O_NOFOLLOW and
// O_CLOEXEC; what others may read half-written is written to a temporary name and renamed.
#pragma once

#include "core/base/handle.h"
#include "core/base/trace.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>

namespace conductor::kernel {

// Opens a directory of ours (O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC; O_PATH when asked). Changes nothing. Throws Error.
Fd open_directory(int at, const std::string& path, int extra_flags = 0);
// The same, none when it is not there (ENOENT).
std::optional<Fd> find_directory(int at, const std::string& path);
// Opens a file for reading. Throws Error; none with find_file when it is not there.
Fd open_file(int at, const std::string& path);
std::optional<Fd> find_file(int at, const std::string& path);
// Whole content of a file (of ours, in /proc or a cgroup). limit in bytes: a larger one is an Error. Throws Error.
std::string read_file(int at, const std::string& path, size_t limit = 16 << 20);
std::optional<std::string> find_content(int at, const std::string& path, size_t limit = 16 << 20);
std::string read_all(int fd, const std::string& what, size_t limit = 16 << 20);
// Names in a directory without . and .., sorted. Throws Error.
std::vector<std::string> list_directory(int at, const std::string& path);
bool exists(int at, const std::string& path);

// mkdirat(2); true when it was made, false when it was there already. Throws Error otherwise.
bool make_directory(Trace& trace, int at, const std::string& path, mode_t mode);
// Like mkdir -p.
void make_directories(Trace& trace, int at, const std::string& path, mode_t mode);
// Writes to a temporary name beside it, renames over `path`. Throws Error; on failure the old content stays.
void write_file(Trace& trace, int at, const std::string& path, std::string_view content, mode_t mode = 0600);
// Writes over the content of a file of ours, which stays the same file (a bind mount of it shows the new content), or
// makes it with this mode. Throws Error.
void rewrite_file(Trace& trace, int at, const std::string& path, std::string_view content, mode_t mode);
// One write(2) into an existing kernel or cgroup file. Throws Error that names path and value.
void write_value(Trace& trace, int at, const std::string& path, std::string_view value);
// Makes a file that is not there yet and opens it for writing and reading. Throws Error.
Fd make_file(Trace& trace, int at, const std::string& path, mode_t mode = 0600);
// Appends with one write(2) under O_APPEND, creating the file. Throws Error.
void append_line(Trace& trace, int at, const std::string& path, std::string_view line, mode_t mode = 0600);
// symlinkat(2); false when the name exists already.
bool make_symlink(Trace& trace, const std::string& target, int at, const std::string& path);
// Puts a symlink in place of whatever link is there, atomically.
void replace_symlink(Trace& trace, const std::string& target, int at, const std::string& path);
std::optional<std::string> read_link(int at, const std::string& path);
// renameat2(2); flags as there (RENAME_NOREPLACE ...). Throws Error.
void rename_entry(Trace& trace, int from_at, const std::string& from, int to_at, const std::string& to,
                  unsigned flags = 0);
// fchmod(2) and fremovexattr(2) on what is open. Throw Error.
void change_mode(Trace& trace, int fd, mode_t mode);
void remove_attribute(Trace& trace, int fd, const std::string& name);
// Gone already is success.
void remove_file(Trace& trace, int at, const std::string& path);
void remove_directory(Trace& trace, int at, const std::string& path);
// rm -rf that never follows a link and never leaves the file system it began on. Told as one call. Gone already is
// success.
void remove_tree(Trace& trace, int at, const std::string& path);

// The hint for what a file system refuses: read-only, full; empty for all else.
std::string cure_of(int number);
// "/proc/self/fd/N" of a descriptor, for messages: the path it stands for.
std::string path_of(int fd);

} // namespace conductor::kernel
