#include "core/container/link_index.h"

#include "core/base/error.h"
#include "core/kernel/files.h"

#include <cerrno>
#include <charconv>

#include <fmt/format.h>

namespace conductor {
namespace {

constexpr unsigned links = last_link_index - first_link_index + 1;
constexpr const char* directory = "network";

std::string path_of(LinkIndex index) { return fmt::format("{}/{}", directory, index); }

// A container that is gone (removed after a crash) holds nothing.
bool is_held(const Root& root, const std::string& owner)
{
  return kernel::exists(root.dir(), "containers/id/" + owner) || kernel::exists(root.run(), "c/" + owner);
}

bool take(const Root& root, const std::string& id, LinkIndex index)
{
  Trace& trace = root.trace();
  const std::string path = path_of(index);
  if (kernel::make_symlink(trace, id, root.dir(), path)) return true;
  const auto owner = kernel::read_link(root.dir(), path);
  if (owner && *owner != id && !is_held(root, *owner)) kernel::replace_symlink(trace, id, root.dir(), path);
  return kernel::read_link(root.dir(), path) == id;
}

} // namespace

LinkIndex preferred_link_index(std::string_view name)
{
  uint32_t value = 2166136261U; // FNV-1a
  for (const char c : name) value = (value ^ static_cast<unsigned char>(c)) * 16777619U;
  return static_cast<LinkIndex>(first_link_index + value % links);
}

LinkIndex next_link_index(LinkIndex index)
{
  return index >= last_link_index ? first_link_index : static_cast<LinkIndex>(index + 1);
}

LinkIndex take_link_index(const Root& root, const std::string& id, LinkIndex first)
{
  if (!kernel::exists(root.dir(), directory)) kernel::make_directory(root.trace(), root.dir(), directory, 0700);
  LinkIndex index = first;
  for (unsigned tried = 0; tried < links; ++tried, index = next_link_index(index))
    if (take(root, id, index)) return index;
  throw Error{"find a free address: all are taken", EADDRNOTAVAIL, "conductor rm removes containers that are kept"};
}

void release_link_index(const Root& root, const std::string& id, LinkIndex index)
{
  if (index != 0 && kernel::read_link(root.dir(), path_of(index)) == id)
    kernel::remove_file(root.trace(), root.dir(), path_of(index));
}

std::map<LinkIndex, std::string> link_indexes(const Root& root)
{
  std::map<LinkIndex, std::string> all;
  if (!kernel::exists(root.dir(), directory)) return all;
  for (const std::string& name : kernel::list_directory(root.dir(), directory)) {
    LinkIndex index = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
    if (error != std::errc{} || end != name.data() + name.size()) continue;
    if (auto owner = kernel::read_link(root.dir(), path_of(index))) all.emplace(index, std::move(*owner));
  }
  return all;
}

std::vector<LinkIndex> link_indexes_of(const Root& root, const std::string& id)
{
  std::vector<LinkIndex> indexes;
  for (const auto& [index, owner] : link_indexes(root))
    if (owner == id) indexes.push_back(index);
  return indexes;
}

} // namespace conductor
