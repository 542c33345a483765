#include "core/store/volumes.h"

#include "core/base/error.h"
#include "core/kernel/files.h"
#include "core/store/workshop.h"

#include <cerrno>

namespace conductor {
namespace {

constexpr const char* all = "volumes";
constexpr const char* content = "/data";

std::string directory_of(const std::string& name) { return std::string{all} + "/" + name; }

} // namespace

std::vector<std::string> Volumes::list() const
{
  if (!kernel::exists(root_.dir(), all)) return {};
  std::vector<std::string> names = kernel::list_directory(root_.dir(), all);
  std::erase_if(names, [](const std::string& name) { return !is_name(name); });
  return names;
}

bool Volumes::exists(const std::string& name) const
{
  return is_name(name) && kernel::exists(root_.dir(), directory_of(name) + content);
}

std::string Volumes::path(const std::string& container_id, const Volume& volume)
{
  const std::string above = volume.anonymous ? "containers/id/" + container_id + "/volumes/" : std::string{all} + "/";
  return above + volume.name + content;
}

std::string Volumes::source(const std::string& container_id, const Volume& volume) const
{
  return volume.name.empty() ? volume.source : root_.path() + "/" + path(container_id, volume);
}

bool Volumes::commit(const std::string& made, const std::string& container_id, const Volume& volume) const
{
  std::string place = path(container_id, volume);
  place.resize(place.size() - std::string_view{content}.size());
  kernel::make_directories(root_.trace(), root_.dir(), place.substr(0, place.rfind('/')), 0700);
  try {
    kernel::rename_entry(root_.trace(), root_.dir(), made, root_.dir(), place, RENAME_NOREPLACE);
    return true;
  } catch (const Error& error) {
    if (error.number() != EEXIST) throw;
    return false;
  }
}

void Volumes::remove(const std::string& name) const
{
  const Workshop shop{root_};
  try {
    kernel::rename_entry(root_.trace(), root_.dir(), directory_of(name), root_.dir(), shop.path() + "/volume");
  } catch (const Error& error) {
    if (error.number() != ENOENT) throw;
  }
}

Lock Volumes::lock(std::string_view verb, std::chrono::milliseconds patience) const
{
  kernel::make_directory(root_.trace(), root_.dir(), all, 0700);
  return Lock{root_.dir(), directory_of(".lock"), verb, patience, "the volumes"};
}

} // namespace conductor
