#include "core/engine/volumes.h"

#include "core/base/error.h"
#include "core/base/nearest.h"
#include "core/base/undo.h"
#include "core/container/overlay.h"
#include "core/kernel/copy.h"
#include "core/kernel/files.h"
#include "core/kernel/inroot.h"
#include "core/store/journal.h"
#include "core/store/volumes.h"
#include "core/store/workshop.h"

#include <algorithm>
#include <cerrno>
#include <map>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

namespace conductor {
namespace {

std::string clean_target(std::string target)
{
  if (!target.starts_with('/')) target.insert(0, "/");
  while (target.size() > 1 && target.ends_with('/')) target.pop_back();
  return target;
}

// The image's directory at a path, for reading; none where it has none there.
std::optional<Fd> image_directory(const Context& context, const Spec& spec, const std::string& path)
{
  const std::vector<std::string> lower = Images::stack(spec.layers);
  if (lower.empty()) return std::nullopt;
  if (lower.size() == 1) // overlayfs wants two layers at least where nothing is written
    return kernel::find_in_root(kernel::open_directory(context.root.dir(), lower.front()).get(), path,
                                O_RDONLY | O_DIRECTORY);
  const Fd tree = make_overlay(context.root, {.tree = context.root.dir(), .lower = lower});
  return kernel::find_in_root(tree.get(), path, O_RDONLY | O_DIRECTORY);
}

// The plan that copies all that lies in a directory, without devices and sockets.
class Walk {
public:
  explicit Walk(std::vector<kernel::CopyItem>& items) : items_(items) {}

  void run(int directory, const std::string& source, const std::string& target)
  {
    for (const std::string& name : kernel::list_directory(directory, ".")) {
      const std::string below = source.empty() ? name : source + "/" + name;
      struct stat status {};
      if (::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) throw Error{"look at " + below, errno};
      const bool opens = S_ISREG(status.st_mode) || S_ISDIR(status.st_mode);
      if (!opens && !S_ISLNK(status.st_mode) && !S_ISFIFO(status.st_mode)) continue;
      const int flags = opens ? O_RDONLY | O_NONBLOCK : O_PATH;
      const Fd fd{::openat(directory, name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC)};
      if (!fd) throw Error{"open " + below, errno};
      add(fd.get(), below, target + "/" + name);
      if (S_ISDIR(status.st_mode)) run(fd.get(), below, target + "/" + name);
    }
  }
  void add(int fd, const std::string& source, const std::string& target)
  {
    kernel::CopyItem item{.source = source, .target = target, .facts = kernel::facts_of(fd, source)};
    item.uid = item.facts.uid;
    item.gid = item.facts.gid;
    if (!S_ISDIR(item.facts.mode) && item.facts.links > 1) {
      const auto [first, fresh] = links_.try_emplace({item.facts.device, item.facts.inode}, target);
      if (!fresh) item.twin = first->second;
    }
    items_.push_back(std::move(item));
  }

private:
  std::vector<kernel::CopyItem>& items_;
  std::map<std::pair<uint64_t, uint64_t>, std::string> links_;
};

// In a directory of the workshop, which is then put in place.
bool make_volume(const Context& context, const Spec& spec, const Volume& volume)
{
  Trace& trace = context.trace;
  Step step{trace, "make the volume at " + visible(volume.target), "with what the image has there, owners and all"};
  const Workshop shop{context.root};
  const std::string made = shop.path() + "/volume";
  kernel::make_directory(trace, context.root.dir(), made, 0700);
  const Fd place = kernel::open_directory(context.root.dir(), made);
  if (const auto source = image_directory(context, spec, volume.target)) {
    kernel::CopyPlan plan{
        .source_root = source->get(),
        .root = place.get(),
        .text = fmt::format("cp -a IMAGE{}/. \"{}/data\"", visible(volume.target), kernel::path_of(place.get())),
        .items = {}};
    Walk walk{plan.items};
    walk.add(source->get(), "", "data");
    walk.run(source->get(), "", "data");
    kernel::copy_into_root(trace, plan, step);
  } else {
    kernel::make_directory(trace, place.get(), "data", 0755);
    kernel::change_mode(trace, kernel::open_directory(place.get(), "data").get(), 0755);
  }
  const bool is_new = Volumes{context.root}.commit(made, spec.id, volume);
  step.done();
  return is_new;
}

// Which containers use each volume.
std::map<std::string, std::vector<std::string>> users(const Root& root)
{
  std::map<std::string, std::vector<std::string>> found;
  for (const Container& container : Containers{root}.list())
    for (const Volume& volume : container.spec.volumes)
      if (!volume.name.empty() && !volume.anonymous) found[volume.name].push_back(container.spec.name);
  return found;
}

std::string listed(const std::vector<std::string>& names)
{
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "'" : ", '") + name + "'";
  return text;
}

void note(const Context& context, const std::string& name)
{
  try {
    append(context.root, {.time_ns = realtime_ns(), .name = name, .verb = "rmvolume", .outcome = "done"});
  } catch (const Error& error) {
    context.trace.notice(error.sentence());
  }
}

} // namespace

void add_image_volumes(Spec& spec, const ImageConfig& config)
{
  for (const std::string& path : config.volumes) {
    const std::string target = clean_target(path);
    const bool taken = target == "/" ||
                       std::any_of(spec.volumes.begin(), spec.volumes.end(),
                                   [&](const Volume& volume) { return clean_target(volume.target) == target; }) ||
                       std::any_of(spec.tmpfs.begin(), spec.tmpfs.end(), [&](const std::string& text) {
                         return clean_target(memory_mount(text).target) == target;
                       });
    if (!taken) spec.volumes.push_back({.source = {}, .target = target, .anonymous = true});
  }
  size_t number = 0;
  for (Volume& volume : spec.volumes)
    if (volume.anonymous) volume.name = std::to_string(number++);
}

bool has_volumes(const Root& root, const Spec& spec)
{
  return std::all_of(spec.volumes.begin(), spec.volumes.end(), [&](const Volume& volume) {
    return volume.name.empty() || kernel::exists(root.dir(), Volumes::path(spec.id, volume));
  });
}

std::vector<std::string> ensure_volumes(const Context& context, const Spec& spec)
{
  std::vector<std::string> made;
  if (has_volumes(context.root, spec)) return made;
  const Volumes volumes{context.root};
  const Lock lock = volumes.lock(context.verb, context.patience);
  Undo undo{context.trace};
  undo.push("remove the new volumes", [&] {
    for (const std::string& name : made) volumes.remove(name);
  });
  for (const Volume& volume : spec.volumes) {
    if (volume.name.empty() || kernel::exists(context.root.dir(), Volumes::path(spec.id, volume))) continue;
    if (make_volume(context, spec, volume) && !volume.anonymous) made.push_back(volume.name);
  }
  undo.commit();
  return made;
}

std::vector<ListedVolume> list_volumes(Context& context)
{
  const Volumes volumes{context.root};
  auto used = users(context.root);
  std::vector<ListedVolume> list;
  for (const std::string& name : volumes.list()) {
    ListedVolume row{.name = name, .path = volumes.source("", {.name = name}), .used_by = used[name]};
    struct statx status {};
    if (::statx(context.root.dir(), ("volumes/" + name).c_str(), AT_SYMLINK_NOFOLLOW, STATX_BTIME | STATX_MTIME,
                &status) == 0) {
      const auto& time = (status.stx_mask & STATX_BTIME) != 0 ? status.stx_btime : status.stx_mtime;
      row.created_ns = time.tv_sec * int64_t{1'000'000'000} + time.tv_nsec;
    }
    list.push_back(std::move(row));
  }
  return list;
}

std::string volumes_json(const std::vector<ListedVolume>& volumes)
{
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const ListedVolume& row : volumes)
    list.push_back(
        {{"name", row.name}, {"path", row.path}, {"created", rfc3339(row.created_ns)}, {"used_by", row.used_by}});
  return list.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

void remove_volume(Context& context, const std::string& name)
{
  const Volumes volumes{context.root};
  const Lock lock = volumes.lock(context.verb, context.patience);
  const std::vector<std::string> names = volumes.list();
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    const std::string hint = nearest_hint(name, names);
    throw Error{"there is no volume '" + visible(name) + "'", 0, hint.empty() ? "conductor volumes lists all" : hint};
  }
  if (const auto used = users(context.root)[name]; !used.empty())
    throw Error{fmt::format("the volume '{}' is used by {}", name, listed(used)), 0,
                fmt::format("remove what uses it first: conductor rm {}", used.front())};
  Step step{context.trace, "remove the volume '" + name + "'", "all that lies in it"};
  volumes.remove(name);
  note(context, name);
  step.done();
}

std::vector<std::string> prune_volumes(Context& context)
{
  const Volumes volumes{context.root};
  const Lock lock = volumes.lock(context.verb, context.patience);
  const auto used = users(context.root);
  std::vector<std::string> removed;
  for (const std::string& name : volumes.list()) {
    if (used.contains(name)) continue;
    context.trace.throw_if_interrupted();
    volumes.remove(name);
    removed.push_back(name);
  }
  return removed;
}

} // namespace conductor
