#include "core/image/sources.h"

#include "core/base/error.h"
#include "core/base/nearest.h"
#include "core/container/spec.h"
#include "core/kernel/files.h"
#include "core/kernel/inroot.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>

#include <fcntl.h>
#include <sys/stat.h>

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

mode_t final_mode(const kernel::FileFacts& facts, const std::optional<FileMode>& mode)
{
  return mode && !S_ISLNK(facts.mode) ? mode->applied(facts.mode) : facts.mode;
}

// What is at `name` in an open directory, by one statx(2); the target of a link by one more call.
kernel::FileFacts look_in(int directory, const std::string& name, const std::string& path)
{
  struct stat status {};
  if (fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0)
    throw Error{"look at '" + visible(path) + "'", errno};
  if (S_ISLNK(status.st_mode)) {
    const Fd link = kernel::open_in_root(directory, name, O_PATH | O_NOFOLLOW);
    return kernel::facts_of(link.get(), path);
  }
  return {.mode = status.st_mode,
          .size = static_cast<uint64_t>(status.st_size),
          .modified = status.st_mtim,
          .changed = status.st_ctim,
          .device = status.st_dev,
          .inode = status.st_ino,
          .links = status.st_nlink,
          .uid = status.st_uid,
          .gid = status.st_gid};
}

// Where a link that was named ends, below the root: what is opened again by that name later.
std::string real_path(int root, const std::string& path)
{
  std::string at = path;
  for (int hops = 0; hops < 40; ++hops) {
    const Fd fd = kernel::open_in_root(root, at.empty() ? "." : at, O_PATH | O_NOFOLLOW);
    const auto facts = kernel::facts_of(fd.get(), at);
    if (!S_ISLNK(facts.mode)) return at;
    bool climbs = false; // in the root: what climbs ends at the top, as openat2(RESOLVE_IN_ROOT) has it
    at = clean_path(facts.link.starts_with('/') ? facts.link : join(parent_of(at), facts.link), climbs);
  }
  throw Error{"'" + path + "'", ELOOP};
}

// Walks one source, in an order that depends on names only.
class Walker {
public:
  Walker(const SourceRoot& root, const Selection& selection) : root_(root), selection_(selection) {}

  Source walk(const std::string& path)
  {
    // The source itself is followed as a link, inside its root; links below it are copied as links.
    Source source{.name = name_of(path)};
    const std::string real = real_path(root_.fd, path);
    const Fd top =
        kernel::open_in_root(root_.fd, parent_of(real).empty() ? "." : parent_of(real), O_RDONLY | O_DIRECTORY);
    twins_.clear();
    source_ = &source;
    const std::string name = real.empty() ? "." : name_of(real);
    source.directory = S_ISDIR(look_in(top.get(), name, path).mode);
    entry(top.get(), name, real, "", 0);
    return source;
  }

  // A directory on the way to a source, for --parents.
  kernel::FileFacts directory(const std::string& path)
  {
    const Fd fd = kernel::open_in_root(root_.fd, path, O_RDONLY | O_DIRECTORY);
    return kernel::facts_of(fd.get(), path);
  }

private:
  void entry(int directory, const std::string& name, const std::string& path, const std::string& tail, int depth)
  {
    if (path.size() > longest_path) throw Error{"the path '" + visible(path) + "'", ENAMETOOLONG};
    if (++count_ > most_entries)
      throw Error{"more than " + std::to_string(most_entries) + " files", 0, "is this the right context?"};
    SourceEntry found{.path = path, .tail = tail, .facts = look_in(directory, name, path)};
    const mode_t type = found.facts.mode & S_IFMT;
    if (type != S_IFREG && type != S_IFDIR && type != S_IFLNK && type != S_IFIFO)
      throw Error{"'" + visible(path) + "' is " + kind_of(found.facts.mode), 0, "leave it out with .conductorignore"};
    if (type == S_IFREG && found.facts.links > 1) {
      const auto [first, fresh] = twins_.emplace(std::pair{found.facts.device, found.facts.inode}, tail);
      if (!fresh) found.twin = first->second;
    }
    found.fingerprint = fingerprint(found, directory, name);
    source_->entries.push_back(std::move(found));
    if (type == S_IFDIR) content(directory, name, path, tail, depth);
  }

  // Takes the attributes into the facts too.
  std::string fingerprint(SourceEntry& found, int directory, const std::string& name)
  {
    Digest digest;
    kernel::FileFacts& facts = found.facts;
    const bool opens = S_ISREG(facts.mode) || S_ISDIR(facts.mode);
    const KnownContent known = opens ? content_of(facts, directory, name, found.path) : KnownContent{};
    digest.field(final_mode(facts, selection_.mode)).field(facts.link).field(found.twin).field(facts.xattrs.size());
    for (const auto& [key, value] : facts.xattrs) digest.field(key).field(value);
    if (S_ISREG(facts.mode)) digest.field({reinterpret_cast<const char*>(known.digest.data()), known.digest.size()});
    if (root_.owners && !selection_.chown) digest.field(facts.uid).field(facts.gid);
    return digest.hex();
  }

  KnownContent content_of(kernel::FileFacts& facts, int directory, const std::string& name, const std::string& path)
  {
    const KnownContent* known = root_.index != nullptr ? root_.index->find(facts) : nullptr;
    if (known != nullptr && !known->has_xattrs) return *known;
    const int kind = S_ISDIR(facts.mode) ? O_DIRECTORY : O_NONBLOCK;
    const Fd fd{openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | kind)};
    if (!fd) throw Error{"open '" + visible(path) + "'", errno};
    facts = kernel::facts_of(fd.get(), path);
    KnownContent read = known != nullptr ? *known : KnownContent{};
    read.has_xattrs = !facts.xattrs.empty();
    if (known == nullptr && S_ISREG(facts.mode)) read.digest = digest_of(fd.get(), path);
    if (root_.index != nullptr && known == nullptr) root_.index->note(facts, read);
    return read;
  }

  void content(int directory, const std::string& name, const std::string& path, const std::string& tail, int depth)
  {
    if (depth > 1000) throw Error{"directories are nested more than 1000 deep"};
    const Fd fd{openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    if (!fd) throw Error{"open '" + visible(path) + "'", errno};
    for (const std::string& each : kernel::list_directory(fd.get(), ".")) {
      const std::string below = join(path, each), inner = join(tail, each);
      const Left left = left_out(below, inner);
      // Something below may be taken back: then its directory comes too.
      if (left == Left::out || (left == Left::maybe && !has_kept(fd.get(), each, below, inner, depth + 1))) continue;
      entry(fd.get(), each, below, inner, depth + 1);
    }
  }

  enum class Left : char { in, maybe, out };
  Left left_out(const std::string& path, const std::string& tail) const
  {
    const bool ignored = root_.ignore != nullptr && root_.ignore->covers(path);
    const bool excluded = selection_.exclude.covers(tail);
    if (!ignored && !excluded) return Left::in;
    const bool returns =
        (!ignored || root_.ignore->has_exceptions()) && (!excluded || selection_.exclude.has_exceptions());
    return returns ? Left::maybe : Left::out;
  }

  bool has_kept(int directory, const std::string& name, const std::string& path, const std::string& tail,
                int depth) const
  {
    if (depth > 1000) return false;
    const Fd fd{openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    if (!fd) return false; // no directory
    for (const std::string& each : kernel::list_directory(fd.get(), ".")) {
      const std::string below = join(path, each), inner = join(tail, each);
      const Left left = left_out(below, inner);
      if (left == Left::in || (left == Left::maybe && has_kept(fd.get(), each, below, inner, depth + 1))) return true;
    }
    return false;
  }

  const SourceRoot& root_;
  const Selection& selection_;
  Source* source_ = nullptr;
  std::map<std::pair<uint64_t, uint64_t>, std::string> twins_;
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
  const auto found = kernel::find_in_root(root.fd, path.empty() ? "." : path, O_PATH);
  if (!found || root.ignore == nullptr || path.empty() || !root.ignore->covers(path)) return found.has_value();
  return root.ignore->has_exceptions() && S_ISDIR(kernel::facts_of(found->get(), path).mode);
}

// The directories themselves and all below them.
std::vector<std::string> with_all_below(const SourceRoot& root, const std::vector<std::string>& directories)
{
  std::vector<std::string> all = directories;
  for (size_t at = 0; at < all.size(); ++at) {
    if (all.size() > most_entries) throw Error{"'**' means too many directories"};
    const std::string directory = all[at];
    const auto fd =
        kernel::find_in_root(root.fd, directory.empty() ? "." : directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!fd) continue;
    for (const std::string& name : kernel::list_directory(fd->get(), ".")) {
      struct stat status {};
      if (fstatat(fd->get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode))
        all.push_back(join(directory, name));
    }
  }
  return all;
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
    if (part == "**") {
      found = with_all_below(root, found);
      continue;
    }
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

// What the image has at the places that a plan asks for.
class Destination {
public:
  explicit Destination(const Target& target) : root_(target.image_root), layers_(target.layers) {}

  bool is_directory(const std::string& path)
  {
    if (layers_ != nullptr) return look(path) == Kind::directory;
    return kernel::find_in_root(root_, path.empty() ? "." : path, O_PATH | O_DIRECTORY).has_value();
  }
  // A link to a file stands for that one, always inside the image.
  std::string real_place(const std::string& path)
  {
    if (layers_ != nullptr) {
      look(path);
      return path;
    }
    const auto there = kernel::find_in_root(root_, path.empty() ? "." : path, O_PATH);
    if (!there || S_ISDIR(kernel::facts_of(there->get(), path).mode)) return path;
    return real_path(root_, path);
  }
  // A link was met, and what it stands for cannot be told from the layers.
  bool met_link() const { return met_link_; }

private:
  using Kind = kernel::LayerView::Kind;
  Kind look(const std::string& path)
  {
    const Kind kind = layers_->find(path);
    met_link_ = met_link_ || kind == Kind::link || kind == Kind::beyond_link;
    return kind;
  }

  int root_;
  kernel::LayerView* layers_;
  bool met_link_ = false;
};

// What stands in front of "/./" in a word is left out of what --parents keeps.
std::string pivot_of(const std::string& word)
{
  const size_t at = word.find("/./");
  if (at == std::string::npos) return "";
  bool climbs = false;
  return clean_path(word.substr(0, at), climbs);
}

// The plan of one COPY, growing.
class Planner {
public:
  Planner(kernel::CopyPlan& plan, const Target& target, bool several) : plan_(plan), target_(target), image_(target)
  {
    bool climbs = false;
    path_ = clean_path(target.destination, climbs); // ".." at the top is the top
    const bool ends_open = target.destination.ends_with('/') || target.destination.ends_with("/.");
    into_ = ends_open || several || image_.is_directory(path_);
  }

  const std::string& path() const { return path_; }
  // A file whose destination is a link to another file replaces that one, as Docker has it.
  std::string place_of(const std::string& name) { return image_.real_place(into_ ? join(path_, name) : path_); }
  bool met_link() const { return image_.met_link(); }

  // The destination and what is on the way to it: those that are there stay as they are.
  void way_to(const std::string& path)
  {
    std::string grown;
    for (const std::string& part : split_path(path)) {
      grown = join(grown, part);
      if (!planned_.insert(grown).second) continue;
      const auto [uid, gid] = target_.owner.value_or(std::pair<uid_t, gid_t>{0, 0});
      plan_.items.push_back({"", grown, {.mode = S_IFDIR | 0755, .modified = target_.now}, uid, gid});
    }
  }

  void add(kernel::CopyItem item, bool owners)
  {
    if (!target_.as_it_is) item.facts.mode = final_mode(item.facts, target_.mode);
    if (target_.owner && !target_.as_it_is) {
      item.uid = target_.owner->first;
      item.gid = target_.owner->second;
    } else if (owners) {
      item.uid = item.facts.uid;
      item.gid = item.facts.gid;
    }
    item.dress = S_ISDIR(item.facts.mode);
    planned_.insert(item.target);
    plan_.items.push_back(std::move(item));
  }

private:
  kernel::CopyPlan& plan_;
  const Target& target_;
  Destination image_;
  std::string path_;
  bool into_ = false;
  std::set<std::string> planned_;
};

void plan_source(Planner& planner, const SourceRoot& from, const Source& source)
{
  std::string top = source.directory ? planner.path() : planner.place_of(source.name);
  if (!source.pivot.empty() || !source.parent.empty()) top = planner.path();
  planner.way_to(source.directory || !source.parent.empty() ? top : parent_of(top));
  if (!source.parent.empty()) {
    std::string grown;
    for (const std::string& part : split_path(source.parent)) {
      grown = join(grown, part);
      const Fd fd = kernel::open_in_root(from.fd, join(source.pivot, grown), O_RDONLY | O_DIRECTORY);
      planner.add({"", join(planner.path(), grown), kernel::facts_of(fd.get(), grown)}, from.owners);
    }
    top = join(planner.path(), source.parent);
  }
  for (const SourceEntry& entry : source.entries) {
    // Of a directory that is named only the content is taken; --parents takes itself.
    if (entry.tail.empty() && source.directory && source.parent.empty()) continue;
    const std::string base = source.parent.empty() || source.directory ? top : join(top, source.name);
    const std::string place = entry.tail.empty() ? base : join(top, entry.tail);
    if (place.empty()) throw Error{"'" + entry.path + "' cannot replace the root directory", EISDIR};
    kernel::CopyItem item{entry.path, place, entry.facts};
    if (!entry.twin.empty()) item.twin = join(top, entry.twin);
    planner.add(std::move(item), from.owners);
  }
}

} // namespace

std::vector<Source> look_at_sources(const SourceRoot& root, const Selection& selection)
{
  std::vector<Source> sources;
  Walker walker{root, selection};
  for (const std::string& word : selection.words) {
    for (const std::string& path : paths_of(root, word)) {
      if (selection.exclude.covers(name_of(path))) continue;
      Source source = walker.walk(path);
      if (selection.parents) {
        source.pivot = pivot_of(word);
        const std::string whole = source.directory ? path : parent_of(path);
        source.parent = whole.substr(std::min(whole.size(), source.pivot.empty() ? 0 : source.pivot.size() + 1));
      }
      sources.push_back(std::move(source));
    }
  }
  return sources;
}

namespace {

struct Planned {
  kernel::CopyPlan plan;
  bool met_link = false;
};

Planned plan_all(const SourceRoot& from, const std::vector<Source>& sources, const Target& target,
                 const std::vector<LooseFile>& loose)
{
  kernel::CopyPlan plan{
      .source_root = from.fd, .root = target.image_root, .below = target.layers, .text = "cp -a", .items = {}};
  Planner planner{plan, target, sources.size() + loose.size() > 1};
  for (const Source& source : sources) {
    plan_source(planner, from, source);
    plan.text += " " + (source.entries.front().path.empty() ? "." : source.entries.front().path);
  }
  for (const LooseFile& file : loose) {
    const std::string place = planner.place_of(file.name);
    if (place.empty()) throw Error{"'" + file.name + "' cannot replace the root directory", EISDIR};
    planner.way_to(parent_of(place));
    planner.add({.source = file.path, .target = place, .facts = file.facts, .content = file.content}, false);
    plan.text += " " + file.name;
  }
  plan.text += " " + target.destination;
  return {std::move(plan), planner.met_link()};
}

} // namespace

kernel::CopyPlan plan_copy(const SourceRoot& from, const std::vector<Source>& sources, const Target& target,
                           const std::vector<LooseFile>& loose)
{
  return plan_all(from, sources, target, loose).plan;
}

std::optional<kernel::CopyPlan> plan_copy_onto_layers(const SourceRoot& from, const std::vector<Source>& sources,
                                                      const Target& target, const std::vector<LooseFile>& loose)
{
  Planned planned = plan_all(from, sources, target, loose);
  if (planned.met_link || !kernel::fits_onto(planned.plan, *target.layers)) return std::nullopt;
  return std::move(planned.plan);
}

} // namespace conductor::image
