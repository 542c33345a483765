#include "core/store/spare.h"

#include "core/base/error.h"
#include "core/kernel/files.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include <sys/stat.h>
#include <sys/xattr.h>

namespace conductor {
namespace {

constexpr size_t most_spares = 4;
constexpr std::string_view overlays_own = "trusted.overlay."; // marks that overlayfs makes in an upper

// Only what every container has, and that empty; anything else is a reason to remove it all.
bool is_untouched(int upper)
{
  if (!kernel::list_directory(upper, ".").empty()) return false;
  std::array<char, 4096> names{};
  const ssize_t size = ::flistxattr(upper, names.data(), names.size());
  if (size < 0) return errno == ENOTSUP;
  for (const char* name = names.data(); name < names.data() + size; name += std::strlen(name) + 1)
    if (!std::string_view{name}.starts_with(overlays_own)) return false;
  return true;
}

void remove_marks(Trace& trace, int upper)
{
  std::array<char, 4096> names{};
  const ssize_t size = ::flistxattr(upper, names.data(), names.size());
  for (const char* name = names.data(); size > 0 && name < names.data() + size; name += std::strlen(name) + 1)
    kernel::remove_attribute(trace, upper, name);
}

void empty_log(Trace& trace, int directory)
{
  const Fd log = kernel::open_directory(directory, "log");
  for (const auto& name : kernel::list_directory(log.get(), ".")) kernel::remove_file(trace, log.get(), name);
}

void clean(Trace& trace, int directory)
{
  for (const auto& name : kernel::list_directory(directory, "."))
    if (name != "rw" && name != "log" && name != "lock") kernel::remove_file(trace, directory, name);
  empty_log(trace, directory);
  if (auto upper = kernel::find_directory(directory, "rw/upper")) {
    remove_marks(trace, upper->get());
    kernel::change_mode(trace, upper->get(), untouched_mode);
  }
  // An overlay refuses a work directory that a volatile one used before.
  if (kernel::exists(directory, "rw/work/incompat/volatile"))
    kernel::remove_directory(trace, directory, "rw/work/incompat/volatile");
}

} // namespace

bool take_spare(const Root& root, const std::string& made)
{
  if (!kernel::exists(root.dir(), spare_directory)) return false;
  for (const auto& name : kernel::list_directory(root.dir(), spare_directory)) {
    try {
      kernel::rename_entry(root.trace(), root.dir(), std::string{spare_directory} + "/" + name, root.dir(), made);
      return true;
    } catch (const Error& error) {
      if (error.number() != ENOENT) throw; // somebody else took it
    }
  }
  return false;
}

bool keep_as_spare(const Root& root, const std::string& doomed, const std::string& id)
{
  Trace& trace = root.trace();
  try {
    const Fd directory = kernel::open_directory(root.dir(), doomed);
    const auto upper = kernel::find_directory(directory.get(), "rw/upper");
    if (!upper || !is_untouched(upper->get())) return false;
    kernel::make_directory(trace, root.dir(), spare_directory, 0700);
    if (kernel::list_directory(root.dir(), spare_directory).size() >= most_spares) return false;
    clean(trace, directory.get());
    kernel::rename_entry(trace, root.dir(), doomed, root.dir(), std::string{spare_directory} + "/" + id);
    return true;
  } catch (const Error&) {
    return false; // removing it is always right
  }
}

void remove_spares(const Root& root) { kernel::remove_tree(root.trace(), root.dir(), spare_directory); }

} // namespace conductor
