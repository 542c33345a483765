#include "core/image/copy_target.h"

#include "core/base/error.h"
#include "core/container/spec.h"
#include "core/image/layer_packer.h"
#include "core/image/tree_writer.h"
#include "core/kernel/files.h"
#include "core/kernel/inroot.h"
#include "core/kernel/layer_tree.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace conductor::image {
namespace {

constexpr std::string_view stage_prefix = ".conductor-cp-";
constexpr const char* files_name = "files";
constexpr int most_links = 40; // as the kernel's own MAXSYMLINKS

std::string join(const std::string& directory, const std::string& name)
{
  return directory.empty() || directory.ends_with('/') ? directory + name : directory + "/" + name;
}

std::string directory_of(const std::string& path)
{
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}
std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// Two directories may be on one file system and yet on two mounts, between which nothing can be renamed.
uint64_t mount_of(int fd)
{
  struct statx found {};
  return ::statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &found) == 0 ? found.stx_mnt_id : 0;
}

bool is_exchange_unknown(int number) { return number == EINVAL || number == ENOSYS || number == EOPNOTSUPP; }

// What a copy that was killed left in a directory: nobody holds its lock. In somebody else's directory of that name
// nothing is looked for.
void sweep(Trace& trace, int directory)
{
  const Fd list{::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!list) return;
  for (const std::string& name : kernel::list_directory(list.get(), ".")) {
    if (!name.starts_with(stage_prefix)) continue;
    const Fd left{::openat(list.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    struct stat status {};
    if (!left || ::fstat(left.get(), &status) < 0 || status.st_uid != ::geteuid()) continue;
    if (::flock(left.get(), LOCK_EX | LOCK_NB) == 0) kernel::remove_tree(trace, list.get(), name);
  }
}

} // namespace

// The directory in which files wait until they are put in place.
class CopyTarget::Stage {
public:
  Stage(Trace& trace, int directory)
      : trace_(trace), parent_(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC))
  {
    if (!parent_) throw Error{"open the directory", errno};
    sweep(trace, parent_.get());
    name_ = std::string{stage_prefix} + random_hex(16);
    kernel::make_directory(trace, parent_.get(), name_, 0700);
    own_ = kernel::open_directory(parent_.get(), name_);
    ::flock(own_.get(), LOCK_EX | LOCK_NB);
    // A directory of a group that all in it inherit would give that group to what is copied.
    kernel::change_mode(trace, own_.get(), 0700);
    tree_.emplace(trace, own_.get(), files_name, kernel::TreeUse::files);
  }
  kernel::LayerTree& tree() { return *tree_; }
  Fd files() const { return kernel::open_directory(own_.get(), files_name); }
  uint64_t mount_id() const { return mount_of(own_.get()); }
  void remove()
  {
    tree_.reset();
    if (!name_.empty()) kernel::remove_tree(trace_, parent_.get(), name_);
  }

private:
  Trace& trace_;
  Fd parent_, own_;
  std::string name_;
  std::optional<kernel::LayerTree> tree_;
};

// Entries as they come, onto a stage. What had to be left out is told at the end.
class CopyTarget::StageWriter : public TreeWriter {
public:
  using TreeWriter::TreeWriter;
  ~StageWriter() override
  {
    const uint64_t attributes = tree().left_out();
    if (devices() > 0) trace().notice(fmt::format("{} device node{} left out", devices(), devices() == 1 ? "" : "s"));
    if (attributes > 0)
      trace().notice(fmt::format("{} extended attribute{} left out: this file system has none", attributes,
                                 attributes == 1 ? "" : "s"));
  }
  StageWriter(const StageWriter&) = delete;
  StageWriter& operator=(const StageWriter&) = delete;
};

CopyTarget::CopyTarget(Trace& trace, const Place& place, CopyWish wish)
    : trace_(trace), place_(place), wish_(std::move(wish)), reader_(*this), undo_(trace)
{
  if (wish_.stream) find_place(true);
}

CopyTarget::~CopyTarget() = default;

// ---- arriving

void CopyTarget::begin(const TarEntry& entry)
{
  if (!began_ && !wish_.stream) find_place(entry.type == EntryType::directory);
  began_ = true;
  ++entries_;
  writer_->begin(adapted(entry));
}

void CopyTarget::data(std::string_view bytes)
{
  bytes_ += bytes.size();
  writer_->data(bytes);
}

void CopyTarget::end() { writer_->end(); }

// Under the name of the stage, and as whom it is to belong to.
TarEntry CopyTarget::adapted(const TarEntry& entry) const
{
  TarEntry made = entry;
  if (wish_.stream) {
    made.name = entry.name.empty() ? copy_top : join(copy_top, entry.name);
    if (entry.type == EntryType::hard_link) made.link = join(copy_top, entry.link);
  }
  if (wish_.keep_owner) {
    if (wish_.ids && (entry.uid >= *wish_.ids || entry.gid >= *wish_.ids))
      throw Error{fmt::format("'{}' belongs to {}:{}, and the container has ids below {} only",
                              visible(entry.name, 200), entry.uid, entry.gid, *wish_.ids),
                  0, "without --archive it belongs to root inside"};
    return made;
  }
  made.uid = made.gid = 0;
  // On this host root would give its rights to whoever runs it: that is for the owner to say, and he is not kept.
  if (place_.side() == Side::host) {
    made.mode &= ~static_cast<mode_t>(S_ISUID | S_ISGID);
    std::erase_if(made.xattrs, [](const auto& each) { return each.first == "security.capability"; });
  }
  return made;
}

// ---- where it goes

void CopyTarget::find_place(bool is_directory)
{
  const CopyPath& target = wish_.target;
  const std::string shown = place_.shown(target.path);
  if (auto directory = place_.find(target.path, O_PATH | O_DIRECTORY)) {
    directory_ = std::move(*directory);
    directory_path_ = target.path;
    merges_ = is_directory && wish_.contents;
    name_ = wish_.base;
  } else {
    const bool there = place_.find(target.path, O_PATH).has_value();
    if (wish_.stream || target.directory || (there && is_directory)) {
      if (there) throw Error{shown + " is no directory"};
      if (!is_directory || wish_.stream)
        throw Error{"there is no directory " + shown, 0,
                    "make it first: " + place_.by_hand("mkdir -p " + visible(target.path))};
    }
    find_name();
  }
  make_stage(directory_.get(), directory_path_);
  writer_ = std::make_unique<StageWriter>(trace_, stages_.front()->tree());
}

// The target itself gets the name. In a container a link there is followed as far as it leads, also to nothing; on this
// host it is replaced: it may have come from a container, with an earlier copy.
void CopyTarget::find_name()
{
  CopyPath at = wish_.target;
  for (int hops = 0; hops < most_links; ++hops) {
    auto parent = place_.find(at.parent(), O_PATH | O_DIRECTORY);
    if (!parent)
      throw Error{"there is no directory " + place_.shown(at.parent()), 0,
                  "make it first: " + place_.by_hand("mkdir -p " + visible(at.parent()))};
    const auto link =
        place_.side() == Side::container ? kernel::read_link(parent->get(), at.base()) : std::optional<std::string>{};
    if (!link) {
      directory_ = std::move(*parent);
      directory_path_ = at.parent();
      name_ = at.base();
      return;
    }
    at = CopyPath::of(link->starts_with('/') ? *link : join(at.parent(), *link));
  }
  throw Error{"find " + place_.shown(wish_.target.path), ELOOP};
}

size_t CopyTarget::make_stage(int directory, const std::string& path)
{
  try {
    stages_.push_back(std::make_unique<Stage>(trace_, directory));
  } catch (const Error& error) {
    if (error.number() == EINTR || error.number() == ECANCELED) throw;
    throw Error{"write into " + place_.shown(path), error.number(),
                error.number() == EROFS && place_.side() == Side::container
                    ? "the container's root or this volume is read-only; a volume may be written to"
                    : kernel::cure_of(error.number())};
  }
  if (stages_.size() == 1)
    undo_.push("leave the target as it was", [this] {
      put_back();
      remove_stages();
    });
  return stages_.size() - 1;
}

void CopyTarget::finish()
{
  reader_.finish(TarReader::EndMark::needed);
  if (!began_) return; // an archive of nothing
  writer_.reset();
  Stage& stage = *stages_.front();
  stage.tree().finish();
  trace_.throw_if_interrupted();
  Step step{trace_, "put the files in place",
            "by renaming: nothing was there until now, and everything is from now on"};
  const Fd files = stage.files();
  if (merges_) {
    const Fd top = kernel::open_directory(files.get(), copy_top);
    for (const std::string& name : kernel::list_directory(top.get(), "."))
      put(0, {top.get(), name, join(copy_top, name)}, {directory_.get(), name, join(directory_path_, name)});
  } else {
    put(0, {files.get(), copy_top, copy_top}, {directory_.get(), name_, join(directory_path_, name_)});
  }
  undo_.commit();
  trace_.set_interrupt(nullptr); // too late for that
  remove_stages();
  step.done();
}

// ---- putting in place

void CopyTarget::put(size_t stage, const Spot& from, const Spot& to)
{
  struct stat staged {
  }, there{};
  if (::fstatat(from.directory, from.name.c_str(), &staged, AT_SYMLINK_NOFOLLOW) < 0)
    throw Error{"look at what was copied to " + place_.shown(to.path), errno};
  const bool exists = ::fstatat(to.directory, to.name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0;
  if (!exists && errno != ENOENT) throw Error{"look at " + place_.shown(to.path), errno};
  if (!exists || !S_ISDIR(staged.st_mode)) {
    if (exists && S_ISDIR(there.st_mode))
      throw Error{"cannot copy over the directory " + place_.shown(to.path) + " what is none"};
    return rename(stage, from, to, exists);
  }
  const auto into = directory_at(to, there.st_mode);
  if (!into) throw Error{"cannot copy a directory over " + place_.shown(to.path) + ", which is none"};
  // A directory that is there keeps its owner, mode and time.
  if (mount_of(into->get()) != stages_[stage]->mount_id()) return put_by_copy(from, into->get(), to.path);
  put_content(stage, from, into->get(), to.path);
}

void CopyTarget::put_content(size_t stage, const Spot& from, int to, const std::string& path)
{
  const Fd staged = kernel::open_directory(from.directory, from.name);
  for (const std::string& name : kernel::list_directory(staged.get(), "."))
    put(stage, {staged.get(), name, join(from.path, name)}, {to, name, join(path, name)});
}

// Something else is mounted at the target (a volume): there it gets a stage of its own.
void CopyTarget::put_by_copy(const Spot& from, int to, const std::string& path)
{
  const size_t made = make_stage(to, path);
  kernel::LayerTree& tree = stages_[made]->tree();
  {
    StageWriter writer{trace_, tree};
    TarReader reader{writer};
    const Fd staged = kernel::open_directory(from.directory, from.name);
    uint64_t left_out = 0;
    pack_entry(
        trace_, staged.get(), copy_top, [&](std::string_view bytes) { reader.feed(bytes); }, left_out);
    reader.feed(tar_end());
    reader.finish(TarReader::EndMark::needed);
    tree.finish();
  }
  const Fd files = stages_[made]->files();
  put_content(made, {files.get(), copy_top, copy_top}, to, path);
}

// A directory that is there; in a container also one that a link leads to. On this host such a link may have come with
// an earlier copy, and leads nowhere.
std::optional<Fd> CopyTarget::directory_at(const Spot& to, mode_t mode) const
{
  if (S_ISDIR(mode)) return kernel::open_directory(to.directory, to.name);
  if (S_ISLNK(mode) && place_.side() == Side::container) return place_.find(to.path, O_RDONLY | O_DIRECTORY);
  return std::nullopt;
}

void CopyTarget::rename(size_t stage, const Spot& from, const Spot& to, bool exists)
{
  const auto attempt = [&](unsigned flags) {
    kernel::rename_entry(trace_, from.directory, from.name, to.directory, to.name, flags);
    moves_.push_back({stage, from.path, to.path, flags == RENAME_EXCHANGE});
  };
  try {
    attempt(exists ? RENAME_EXCHANGE : RENAME_NOREPLACE);
  } catch (const Error& error) {
    if (error.number() == EBUSY)
      throw Error{place_.shown(to.path) + " is a mount of its own and cannot be replaced", EBUSY};
    if (!is_exchange_unknown(error.number()))
      throw Error{"put " + place_.shown(to.path) + " in place", error.number(), kernel::cure_of(error.number())};
    attempt(0);
    if (exists) {
      moves_.pop_back();
      ++for_good_;
    }
  }
}

// ---- and back

void CopyTarget::put_back()
{
  for (; !moves_.empty(); moves_.pop_back()) {
    const Move& move = moves_.back();
    const auto placed = place_.find(directory_of(move.placed), O_PATH | O_DIRECTORY);
    if (!placed) continue; // somebody has removed it
    const Fd files = stages_[move.stage]->files();
    const Fd staged = kernel::open_in_root(files.get(), directory_of(move.staged), O_PATH | O_DIRECTORY);
    kernel::rename_entry(trace_, placed->get(), name_of(move.placed), staged.get(), name_of(move.staged),
                         move.exchanged ? RENAME_EXCHANGE : 0);
  }
  if (for_good_ > 0)
    trace_.notice(fmt::format("{} file{} had been replaced already, and this file system cannot take that back",
                              for_good_, for_good_ == 1 ? "" : "s"));
}

void CopyTarget::remove_stages()
{
  writer_.reset(); // it writes into one of them
  for (auto& stage : stages_) {
    try {
      try {
        stage->remove();
      } catch (const Error& error) {
        if (error.number() != ECANCELED) throw;
        trace_.set_gate(nullptr); // what is in place cannot be undone by leaving this
        stage->remove();
      }
    } catch (const Error& error) {
      trace_.notice(error.sentence()); // the next copy into that directory takes it away
    }
  }
  stages_.clear();
}

} // namespace conductor::image
