#include "core/store/root.h"

#include "core/base/error.h"
#include "core/container/spec.h"
#include "core/kernel/files.h"

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <optional>

#include <unistd.h>

namespace conductor {
namespace {

using namespace kernel;

std::string absolute(std::string path, const char* what)
{
  if (path.empty()) throw usage_error(std::string{what} + " directory is empty");
  if (path.find('\0') != std::string::npos) throw usage_error(std::string{what} + " directory holds a zero byte");
  if (path.front() == '/') return path;
  char* here = ::getcwd(nullptr, 0);
  if (here == nullptr) throw Error{"find the working directory", errno};
  path = std::string{here} + "/" + path;
  std::free(here);
  return path;
}

std::string cure(int number, const char* option)
{
  switch (number) {
  case EACCES:
  case EPERM: return "conductor needs root: use sudo";
  case EROFS: return std::string{"give a writable place: "} + option + " DIR";
  case ENOSPC:
  case EDQUOT: return std::string{"free some space, or give another place: "} + option + " DIR";
  case ENOTDIR:
  case ENOENT: return std::string{"give a directory: "} + option + " DIR";
  default: return {};
  }
}

// Opens the directory, making it when it is missing. The "/." lets an administrator's symlink at this place be
// followed, where O_NOFOLLOW would refuse it; below it nothing is ever followed.
Fd open_or_make(Trace& trace, const std::string& path)
{
  auto found = find_directory(AT_FDCWD, path + "/.");
  if (!found) {
    make_directories(trace, AT_FDCWD, path, 0700);
    found = open_directory(AT_FDCWD, path + "/.");
  }
  return std::move(*found);
}

// Errors of the kernel say what was being attempted and how to cure it; sentences of our own say so themselves.
Error unusable(const Error& error, const std::string& what, const char* option)
{
  if (error.number() == 0) return error;
  return error.within("cannot use " + what).with_hint(cure(error.number(), option));
}

// What lies in there is trusted like code, so nobody else may write to it.
void check_owner(int directory, const std::string& path, const char* what)
{
  struct stat status {};
  if (::fstat(directory, &status) < 0) throw Error{"look at '" + path + "'", errno};
  if (status.st_uid != ::geteuid())
    throw Error{std::string{what} + " directory '" + path + "' belongs to uid " + std::to_string(status.st_uid), 0,
                "chown it, or run conductor as its owner"};
  if ((status.st_mode & 022) != 0)
    throw Error{std::string{what} + " directory '" + path + "' can be written by others", 0,
                "chmod 700 '" + path + "'"};
}

std::string first_line(std::string text)
{
  text.resize(std::min(text.find('\n'), text.size()));
  return text;
}

void check_format(const std::string& text, const std::string& path)
{
  int format = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), format);
  if (error != std::errc{} || end != text.data() + text.size() || format < 1)
    throw Error{"'" + path + "/format' holds '" + visible(text) + "', which is no format number"};
  if (format > store_format)
    throw Error{"the state directory '" + path + "' has format " + std::to_string(format) +
                    ", and this conductor knows formats up to " + std::to_string(store_format),
                0, "use the newer conductor that wrote it, or another --root DIR"};
  // Nothing of format 1 was ever released, and its images do not have what an upgrade would need: they are made anew.
  if (format < store_format)
    throw Error{"the state directory '" + path + "' has format " + std::to_string(format) +
                    ", from before images could be exchanged, and this conductor knows format " +
                    std::to_string(store_format) + " only",
                0, "give a new one: --root DIR; or end its containers with the conductor that wrote it, and remove it"};
}

// `format` is written last: once it is there, everything else is.
void furnish(Trace& trace, int root)
{
  const Lock lock{root, "lock", "make the state directory", std::chrono::seconds{10}, "the state directory"};
  if (exists(root, "format")) return;
  for (const char* name : {"layers", "images/id", "images/name", "cache", "containers/id", "containers/name", "tmp"})
    make_directories(trace, root, name, 0700);
  if (!exists(root, "id")) write_file(trace, root, "id", random_hex(32) + "\n");
  write_file(trace, root, "format", std::to_string(store_format) + "\n");
}

std::string read_identity(Trace& trace, int root, const std::string& path)
{
  auto format = find_content(root, "format", 64);
  if (!format) {
    furnish(trace, root);
    format = find_content(root, "format", 64);
  }
  check_format(first_line(format.value_or("")), path);
  std::string id = first_line(read_file(root, "id", 64));
  if (id.size() != 32 || id.find_first_not_of("0123456789abcdef") != std::string::npos)
    throw Error{"'" + path + "/id' is damaged", 0, "it must hold 32 hexadecimal digits"};
  return id;
}

// A runtime directory serves one root. One whose root was deleted is taken over when nothing of it is left.
void claim(Trace& trace, int run, const std::string& run_path, const std::string& id)
{
  const auto owner = read_link(run, "root");
  if (owner == id) return;
  if (owner && exists(run, "c") && !list_directory(run, "c").empty())
    throw Error{"the runtime directory '" + run_path + "' belongs to another state directory", 0,
                "give one of its own: --run DIR"};
  for (const char* name : {"c", "ids"}) make_directories(trace, run, name, 0700);
  replace_symlink(trace, id, run, "root");
}

// And the other way round: ranges of ids and sockets lie in the runtime directory, so a state directory whose
// containers run has one only.
void claim_run(Trace& trace, int root, const std::string& root_path, const std::string& run_path, const std::string& id)
{
  const auto other = read_link(root, "run");
  if (other == run_path) return;
  const bool in_use = other && read_link(AT_FDCWD, *other + "/root") == id && exists(AT_FDCWD, *other + "/c") &&
                      !list_directory(AT_FDCWD, *other + "/c").empty();
  if (in_use)
    throw Error{"containers of the state directory '" + root_path + "' run with the runtime directory '" + *other + "'",
                0, "--run " + *other};
  replace_symlink(trace, run_path, root, "run");
}

} // namespace

void need_root(std::string_view command)
{
  if (::geteuid() != 0)
    throw Error{"conductor needs root: it makes namespaces, mounts and cgroups", 0, "sudo " + std::string{command}};
}

Root::Root(Trace& trace, std::string root_path, std::string run_path)
    : trace_(trace), root_path_(absolute(std::move(root_path), "the state")),
      run_path_(absolute(std::move(run_path), "the runtime"))
{
  try {
    root_ = open_or_make(trace, root_path_);
    check_owner(root_.get(), root_path_, "the state");
    id_ = read_identity(trace, root_.get(), root_path_);
  } catch (const Error& error) {
    throw unusable(error, "the state directory '" + root_path_ + "'", "--root");
  }
  try {
    run_ = open_or_make(trace, run_path_);
    check_owner(run_.get(), run_path_, "the runtime");
    claim(trace, run_.get(), run_path_, id_);
    claim_run(trace, root_.get(), root_path_, run_path_, id_);
  } catch (const Error& error) {
    throw unusable(error, "the runtime directory '" + run_path_ + "'", "--run");
  }
}

} // namespace conductor
