// Which program a command means inside a container's root, and why it cannot be run when it cannot.
//
// execve(2) answers ENOENT for a missing interpreter as for a missing file, and ENOEXEC for half a dozen reasons. The
// first bytes of the file tell them apart, so the error names the cause and its cure.

#include "core/kernel/inroot.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include <elf.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace conductor::kernel {
namespace {

constexpr size_t head_bytes = 4096;

struct Machine {
  uint16_t number; // e_machine, elf(5)
  const char* name;
};
constexpr Machine machines[] = {
    {EM_X86_64, "x86-64"}, {EM_AARCH64, "aarch64"}, {EM_386, "i386"},   {EM_ARM, "arm"},
    {EM_RISCV, "riscv64"}, {EM_PPC64, "ppc64"},     {EM_S390, "s390x"}, {EM_MIPS, "mips"},
};

#if defined(__x86_64__)
constexpr uint16_t native_machine = EM_X86_64;
#elif defined(__aarch64__)
constexpr uint16_t native_machine = EM_AARCH64;
#elif defined(__riscv)
constexpr uint16_t native_machine = EM_RISCV;
#else
#error "say here which ELF machine this is"
#endif

template <class T>
std::optional<T> take(std::string_view bytes, size_t offset)
{
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

void read_elf(std::string_view head, ProgramHead& program)
{
  program.kind = ProgramHead::Kind::elf;
  const std::optional<Elf64_Ehdr> header = take<Elf64_Ehdr>(head, 0);
  if (!header) return;
  // e_machine lies at the same offset in 32-bit headers.
  const auto known = std::ranges::find(machines, header->e_machine, &Machine::number);
  program.architecture = known != std::end(machines) ? known->name : fmt::format("machine {}", header->e_machine);
  program.native = header->e_machine == native_machine && header->e_ident[EI_CLASS] == ELFCLASS64;
  if (header->e_ident[EI_CLASS] != ELFCLASS64) return;
  for (size_t i = 0; i < header->e_phnum; ++i) {
    const std::optional<Elf64_Phdr> segment = take<Elf64_Phdr>(head, header->e_phoff + i * sizeof(Elf64_Phdr));
    if (!segment) return;
    if (segment->p_type != PT_INTERP || segment->p_offset >= head.size()) continue;
    const std::string_view path = head.substr(segment->p_offset, segment->p_filesz);
    program.interpreter = path.substr(0, path.find('\0'));
    return;
  }
}

void read_script(std::string_view head, ProgramHead& program)
{
  program.kind = ProgramHead::Kind::script;
  std::string_view line = head.substr(2, head.find('\n') - 2);
  if (line.ends_with('\r')) {
    program.carriage_return = true;
    line.remove_suffix(1);
  }
  const size_t begin = line.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return;
  line.remove_prefix(begin);
  program.interpreter = line.substr(0, line.find_first_of(" \t"));
}

std::string absolute(const std::string& cwd, const std::string& path)
{
  if (path.starts_with('/')) return path;
  return (cwd.ends_with('/') ? cwd : cwd + "/") + path;
}

// What one candidate is. Errors other than "not there" (a link loop, no permission) make it not executable.
Lookup look_at(int root, const std::string& path)
{
  std::optional<Fd> entry;
  try {
    entry = find_in_root(root, path, O_PATH);
  } catch (const Error& error) {
    return error.number() == ENAMETOOLONG ? Lookup::not_found : Lookup::not_executable;
  }
  if (!entry) return Lookup::not_found;
  struct stat about {};
  if (::fstat(entry->get(), &about) < 0) return Lookup::not_found;
  return S_ISREG(about.st_mode) && (about.st_mode & 0111) != 0 ? Lookup::ok : Lookup::not_executable;
}

// The head of a regular file; empty where it cannot be read.
std::string head_of(int root, const std::string& path)
{
  try {
    const std::optional<Fd> file = find_in_root(root, path, O_RDONLY | O_NONBLOCK);
    if (!file) return {};
    std::string head(head_bytes, '\0');
    const ssize_t length = ::pread(file->get(), head.data(), head.size(), 0);
    head.resize(length > 0 ? static_cast<size_t>(length) : 0);
    return head;
  } catch (const Error&) {
    return {};
  }
}

Error cannot_run(const std::string& name, const std::string& reason, const std::string& hint, int status)
{
  return Error{fmt::format("cannot run '{}': {}", name, reason), 0, hint}.with_status(status);
}

Error no_executable(int root, const std::string& name, const std::string& path)
{
  struct stat about {};
  try {
    const Fd entry = open_in_root(root, path, O_PATH);
    if (::fstat(entry.get(), &about) < 0) about = {};
  } catch (const Error& error) {
    return cannot_run(name, std::string{error.sentence()}, "", 126);
  }
  if (S_ISDIR(about.st_mode)) return cannot_run(name, path + " is a directory", "", 126);
  if (!S_ISREG(about.st_mode)) return cannot_run(name, path + " is no regular file", "", 126);
  return cannot_run(name, path + " is not executable", fmt::format("add 'RUN chmod +x {}' to its build file", path),
                    126);
}

// Whether the file lies on a file system from which nothing may be executed (mount(8), noexec).
bool is_on_noexec(int root, const std::string& path)
{
  try {
    struct statvfs about {};
    const Fd entry = open_in_root(root, path, O_PATH);
    return ::fstatvfs(entry.get(), &about) == 0 && (about.f_flag & ST_NOEXEC) != 0;
  } catch (const Error&) {
    return false;
  }
}

Error on_noexec(const std::string& name, const std::string& path)
{
  return cannot_run(name, path + " lies on a file system that is mounted noexec",
                    "keep programs in the image, or mount what is behind that volume without noexec on the host", 126);
}

Error bad_script(int root, const std::string& name, const std::string& path, const ProgramHead& head)
{
  if (head.carriage_return)
    return cannot_run(name, fmt::format("the first line of {} ends in a carriage return (CRLF)", path),
                      fmt::format("save it with Unix line ends: sed -i 's/\\r$//' {}", path), 126);
  if (look_at(root, head.interpreter) == Lookup::not_found)
    return cannot_run(name,
                      fmt::format("{} names the interpreter {}, which is not in the image", path, head.interpreter),
                      "install it in the image, or change the first line of the script", 127);
  if (is_on_noexec(root, head.interpreter)) return on_noexec(name, head.interpreter);
  return cannot_run(name, fmt::format("{}, the interpreter of {}, cannot be executed", head.interpreter, path), "",
                    126);
}

Error bad_elf(int root, const std::string& name, const std::string& path, const ProgramHead& head)
{
  if (!head.native)
    return cannot_run(
        name, fmt::format("{} is a program for {}, which does not run on this machine", path, head.architecture),
        "use an image for this architecture", 126);
  if (!head.interpreter.empty() && look_at(root, head.interpreter) == Lookup::not_found)
    return cannot_run(name, fmt::format("{} needs the loader {}, which is not in the image", path, head.interpreter),
                      "link it statically, or build it for the image's C library (musl and glibc differ)", 127);
  return cannot_run(name, path + " is no program that this kernel runs", "", 126);
}

} // namespace

ProgramHead read_program_head(std::string_view head)
{
  ProgramHead program;
  if (head.starts_with("\177ELF"))
    read_elf(head, program);
  else if (head.starts_with("#!"))
    read_script(head, program);
  return program;
}

Executable lookup_executable_in_root(int root, const std::string& cwd, std::string_view path_list,
                                     const std::string& name)
{
  if (name.empty()) return {};
  if (name.find('/') != std::string::npos) {
    const std::string path = absolute(cwd, name);
    const Lookup found = look_at(root, path);
    return {.result = found, .path = path};
  }
  Executable denied;
  for (size_t begin = 0; begin <= path_list.size();) {
    const size_t end = std::min(path_list.find(':', begin), path_list.size());
    const std::string directory = absolute(cwd, std::string{path_list.substr(begin, end - begin)});
    const std::string path = absolute(directory, name);
    begin = end + 1;
    // As execvp(3): one that may not be run does not hide a later one that may.
    const Lookup found = look_at(root, path);
    if (found == Lookup::ok) return {.result = found, .path = path};
    if (found == Lookup::not_executable && denied.path.empty()) denied = {.result = found, .path = path};
  }
  return denied;
}

Error executable_error(int root, const std::string& name, const Executable& found, int number)
{
  if (found.result == Lookup::not_found) {
    if (name.empty()) return cannot_run(name, "the command is empty", "give one, or set CMD in the build file", 127);
    const bool is_path = name.find('/') != std::string::npos;
    return cannot_run(name, is_path ? "there is no such file in the image" : "no such program in the image's PATH", "",
                      127);
  }
  if (found.result == Lookup::not_executable) return no_executable(root, name, found.path);
  if (number == EACCES && is_on_noexec(root, found.path)) return on_noexec(name, found.path);
  const std::string head = head_of(root, found.path);
  const ProgramHead program = read_program_head(head);
  if (number == ENOENT || number == ENOEXEC || number == ELIBBAD || number == EACCES || number == 0) {
    if (program.kind == ProgramHead::Kind::script) return bad_script(root, name, found.path, program);
    if (program.kind == ProgramHead::Kind::elf && number != EACCES) return bad_elf(root, name, found.path, program);
    if (number == ENOEXEC && head.empty()) return cannot_run(name, found.path + " is empty", "", 126);
    if (number == ENOEXEC)
      return cannot_run(name, found.path + " is neither a program nor a script with a #! line",
                        "put '#!/bin/sh' in its first line", 126);
  }
  std::string hint;
  if (number == EACCES)
    hint = fmt::format("its user may not execute it: add 'RUN chmod a+rx {}' to its build file", found.path);
  return Error{fmt::format("cannot run '{}': execute {}", name, found.path), number, hint}.with_status(
      number == ENOENT ? 127 : 126);
}

} // namespace conductor::kernel
