#include "core/image/sources.h"

#include "core/base/error.h"
#include "core/base/nearest.h"
#include "core/container/spec.h"
#include "core/kernel/files.h"
#include "core/kernel/inroot.h"

#include <algorithm>
#include <set>

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

namespace conductor::image {
namespace {

constexpr size_t most_entries = 2'000'000;
constexpr size_t longest_path = 3800; // a path is opened in one go later (PATH_MAX)

std::string join(const std::string& directory, const std::string& name)
{
  return directory.empty() ? name : directory + "/" + name;
}

std::string parent_of(const std::string& path)
{
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

const char* kind_of(mode_t mode)
{
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  return S_ISSOCK(mode) ? "a socket" : "no file, directory, link or fifo";
}

mode_t final_mode(const kernel::FileFacts& facts, std::optional<mode_t> mode)
{
  return mode && !S_ISLNK(facts.mode) ? (facts.mode & S_IFMT) | *mode : facts.mode;
}

// Walks one source; the digest grows as it goes, in an order that depends on names only.
class Walker {
public:
  Walker(const SourceRoot& root, std::optional<mode_t> mode, Digest& digest) : root_(root), mode_(mode), digest_(digest)
  {}

  Source walk(const std::string& path)
  {
    // The source itself is followed as a link, inside its root; links below it are copied as links.
    Source source{.name = name_of(path)};
    const Fd found = kernel::open_in_root(root_.fd, path.empty() ? "." : path, O_PATH);
    source.directory = S_ISDIR(kernel::facts_of(found.get(), path).mode);
    digest_.field(source.name).field(source.directory ? "directory" : "file");
    entry(source, real_path(path), "", 0);
    return source;
  }

private:
  // Where a link that was named ends; it is opened again by that name when its content is copied.
  std::string real_path(const std::string& path) const
  {
    std::string at = path;
    for (int hops = 0; hops < 40; ++hops) {
      const Fd fd = kernel::open_in_root(root_.fd, at.empty() ? "." : at, O_PATH | O_NOFOLLOW);
      const auto facts = kernel::facts_of(fd.get(), at);
      if (!S_ISLNK(facts.mode)) return at;
      bool climbs = false; // in the root: what climbs ends at the top, as openat2(RESOLVE_IN_ROOT) has it
      at = clean_path(facts.link.starts_with('/') ? facts.link : join(parent_of(at), facts.link), climbs);
    }
    throw Error{"'" + path + "'", ELOOP};
  }

  void entry(Source& source, const std::string& path, const std::string& tail, int depth)
  {
    if (path.size() > longest_path) throw Error{"the path '" + visible(path) + "'", ENAMETOOLONG};
    if (++count_ > most_entries)
      throw Error{"more than " + std::to_string(most_entries) + " files", 0, "is this the right context?"};
    kernel::FileFacts facts = look(path);
    const mode_t type = facts.mode & S_IFMT;
    if (type != S_IFREG && type != S_IFDIR && type != S_IFLNK && type != S_IFIFO)
      throw Error{"'" + visible(path) + "' is " + kind_of(facts.mode), 0, "leave it out with .conductorignore"};
    hash(tail, path, facts);
    source.entries.push_back({path, tail, std::move(facts)});
    if (type == S_IFDIR) content(source, path, tail, depth);
  }

  kernel::FileFacts look(const std::string& path) const
  {
    const std::string at = path.empty() ? "." : path;
    const Fd fd = kernel::open_in_root(root_.fd, at, O_PATH | O_NOFOLLOW);
    auto facts = kernel::facts_of(fd.get(), path);
    if (!S_ISREG(facts.mode) && !S_ISDIR(facts.mode)) return facts;
    const Fd opened = kernel::open_in_root(root_.fd, at, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    return kernel::facts_of(opened.get(), path);
  }

  void hash(const std::string& tail, const std::string& path, const kernel::FileFacts& facts)
  {
    digest_.field(tail).field(final_mode(facts, mode_)).field(facts.link).field(facts.xattrs.size());
    for (const auto& [name, value] : facts.xattrs) digest_.field(name).field(value);
    if (!S_ISREG(facts.mode)) return;
    const Fd fd = kernel::open_in_root(root_.fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    digest_.file(fd.get(), path);
  }

  void content(Source& source, const std::string& path, const std::string& tail, int depth)
  {
    if (depth > 1000) throw Error{"directories are nested more than 1000 deep"};
    const Fd fd = kernel::open_in_root(root_.fd, path.empty() ? "." : path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    for (const std::string& name : kernel::list_directory(fd.get(), ".")) {
      const std::string below = join(path, name);
      const bool ignored = root_.ignore != nullptr && root_.ignore->covers(below);
      if (ignored && !(root_.ignore->has_exceptions() && is_directory(below))) continue;
      if (ignored && !has_kept(below)) continue; // something below is taken back: then its directory comes too
      entry(source, below, join(tail, name), depth + 1);
    }
  }

  bool is_directory(const std::string& path) const { return S_ISDIR(look(path).mode); }

  bool has_kept(const std::string& path) const
  {
    const Fd fd = kernel::open_in_root(root_.fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    for (const std::string& name : kernel::list_directory(fd.get(), ".")) {
      const std::string below = join(path, name);
      if (!root_.ignore->covers(below) || (is_directory(below) && has_kept(below))) return true;
    }
    return false;
  }

  const SourceRoot& root_;
  std::optional<mode_t> mode_;
  Digest& digest_;
  size_t count_ = 0;
};

// Names in a directory of the root, none when it is not there.
std::vector<std::string> names_in(const SourceRoot& root, const std::string& directory)
{
  const auto fd = kernel::find_in_root(root.fd, directory.empty() ? "." : directory, O_RDONLY | O_DIRECTORY);
  return fd ? kernel::list_directory(fd->get(), ".") : std::vector<std::string>{};
}

bool is_there(const SourceRoot& root, const std::string& path)
{
  if (root.ignore != nullptr && !path.empty() && root.ignore->covers(path) && !root.ignore->has_exceptions())
    return false;
  return kernel::find_in_root(root.fd, path.empty() ? "." : path, O_PATH).has_value();
}

// The paths that one word means.
std::vector<std::string> paths_of(const SourceRoot& root, const std::string& word)
{
  bool climbs = false;
  const std::string path = clean_path(word, climbs);
  if (climbs) throw Error{"'" + visible(word) + "' leaves " + root.shown, 0, "give a wider one: --context DIR"};
  if (is_there(root, path)) return {path};
  if (!has_wildcard(path)) {
    const bool hidden = root.ignore != nullptr && root.ignore->covers(path);
    const auto link = hidden ? std::nullopt : kernel::find_in_root(root.fd, path, O_PATH | O_NOFOLLOW);
    if (link)
      throw Error{"'" + visible(word) + "' is a link to '" + visible(kernel::facts_of(link->get(), path).link) +
                      "', which is not in " + root.shown,
                  0, "copy what it points to into the context, or give a wider one: --context DIR"};
    throw Error{"there is no '" + visible(word) + "' in " + root.shown, 0,
                hidden ? "an ignore file leaves it out" : nearest_hint(name_of(path), names_in(root, parent_of(path)))};
  }
  std::vector<std::string> found{""};
  for (const std::string& part : split_path(path)) {
    std::vector<std::string> next;
    for (const std::string& directory : found)
      for (const std::string& name : names_in(root, directory))
        if (matches_component(part, name)) next.push_back(join(directory, name));
    found = std::move(next);
  }
  std::erase_if(found, [&](const std::string& each) { return root.ignore != nullptr && root.ignore->covers(each); });
  if (found.empty()) throw Error{"nothing in " + root.shown + " matches '" + visible(word) + "'"};
  return found;
}

bool is_directory(int image_root, const std::string& path)
{
  return kernel::find_in_root(image_root, path.empty() ? "." : path, O_PATH | O_DIRECTORY).has_value();
}

} // namespace

std::vector<Source> look_at_sources(const SourceRoot& root, const std::vector<std::string>& words,
                                    std::optional<mode_t> mode, Digest& digest)
{
  std::vector<Source> sources;
  Walker walker{root, mode, digest};
  for (const std::string& word : words)
    for (const std::string& path : paths_of(root, word)) sources.push_back(walker.walk(path));
  return sources;
}

kernel::CopyPlan plan_copy(const SourceRoot& from, const std::vector<Source>& sources, int image_root,
                           const std::string& destination, uid_t uid, gid_t gid, std::optional<mode_t> mode)
{
  kernel::CopyPlan plan{.source_root = from.fd, .root = image_root, .text = "cp -a"};
  bool climbs = false;
  const std::string target = clean_path(destination, climbs); // ".." at the top is the top
  const bool ends_open = destination.ends_with('/') || destination.ends_with("/.");
  const bool into = ends_open || sources.size() > 1 || is_directory(image_root, target);
  const timespec now{.tv_sec = ::time(nullptr), .tv_nsec = 0};

  std::set<std::string> planned;
  const auto make_directory = [&](const std::string& path) {
    std::string grown;
    for (const std::string& part : split_path(path)) {
      grown = join(grown, part);
      if (!planned.insert(grown).second) continue;
      plan.items.push_back({"", grown, {.mode = S_IFDIR | 0755, .modified = now}, uid, gid});
    }
  };
  for (const Source& source : sources) {
    const std::string top = !source.directory && into ? join(target, source.name) : target;
    make_directory(parent_of(top));
    for (const SourceEntry& entry : source.entries) {
      const std::string place = entry.tail.empty() ? top : join(top, entry.tail);
      if (place.empty()) continue; // the root itself is there
      kernel::CopyItem item{entry.path, place, entry.facts, uid, gid};
      item.facts.mode = final_mode(entry.facts, mode);
      plan.items.push_back(std::move(item));
    }
    plan.text += " " + (source.entries.front().path.empty() ? "." : source.entries.front().path);
  }
  plan.text += " " + destination;
  return plan;
}

} // namespace conductor::image
