#include "core/store/blobs.h"

#include "core/base/error.h"
#include "core/kernel/files.h"
#include "core/store/configuration.h"

#include <cerrno>

#include <sys/stat.h>

namespace conductor {
namespace {

constexpr const char* directory = "blobs/sha256";

std::string path_of(const std::string& hex)
{
  // The last guard: nothing but a digest may become a path here.
  if (!is_digest_hex(hex)) throw Error{"'" + hex.substr(0, 80) + "' is no digest"};
  return std::string{directory} + "/" + hex;
}

} // namespace

bool Blobs::has(const std::string& hex) const { return kernel::exists(root_.dir(), path_of(hex)); }

std::optional<Fd> Blobs::find(const std::string& hex) const { return kernel::find_file(root_.dir(), path_of(hex)); }

uint64_t Blobs::size(const std::string& hex) const
{
  struct stat status {};
  if (fstatat(root_.dir(), path_of(hex).c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) return 0;
  return static_cast<uint64_t>(status.st_size);
}

std::vector<std::string> Blobs::list() const
{
  const auto fd = kernel::find_directory(root_.dir(), directory);
  if (!fd) return {};
  std::vector<std::string> found = kernel::list_directory(fd->get(), ".");
  std::erase_if(found, [](const std::string& name) { return !is_digest_hex(name); });
  return found;
}

void Blobs::commit(const std::string& made, const std::string& hex) const
{
  kernel::make_directories(root_.trace(), root_.dir(), directory, 0700);
  try {
    kernel::rename_entry(root_.trace(), root_.dir(), made, root_.dir(), path_of(hex), RENAME_NOREPLACE);
  } catch (const Error& error) {
    if (error.number() != EEXIST) throw;
    kernel::remove_file(root_.trace(), root_.dir(), made);
  }
}

void Blobs::remove(const std::string& hex) const { kernel::remove_file(root_.trace(), root_.dir(), path_of(hex)); }

} // namespace conductor
