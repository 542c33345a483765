#include "core/image/layer_unpacker.h"

#include "core/base/error.h"
#include "core/base/guard.h"
#include "core/container/spec.h"
#include "core/image/layers.h"
#include "core/image/whiteout.h"
#include "core/kernel/files.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

namespace conductor::image {
namespace {

std::string made_directory(const Root& root, const Workshop& shop, const std::string& name)
{
  const std::string path = shop.path() + "/" + name;
  kernel::make_directory(root.trace(), root.dir(), path, 0700);
  return path;
}

[[noreturn]] void refuse(const TarEntry& entry, const std::string& what)
{
  throw Error{"the archive's entry '" + visible(entry.name, 200) + "' " + what};
}

kernel::NodeFacts facts_of(const TarEntry& entry)
{
  kernel::NodeFacts facts{.mode = entry.mode, .uid = entry.uid, .gid = entry.gid, .modified = entry.modified};
  for (const auto& [key, value] : entry.xattrs) {
    // These steer overlayfs itself: with them a layer could show files that it does not have.
    const bool steers = key.starts_with("trusted.overlay.") || key.starts_with("user.overlay.");
    if (steers && holds(guard::own_attributes))
      refuse(entry, "has the attribute " + visible(key) + ", which only the kernel may set");
    if (kernel::is_carried(key) || steers) facts.xattrs.emplace_back(key, value);
  }
  return facts;
}

bool is_default(const kernel::NodeFacts& facts)
{
  return facts.mode == 0755 && facts.uid == 0 && facts.gid == 0 && facts.xattrs.empty();
}

// What a directory looks like in the layers below, where that is not what it looks like by itself.
std::optional<kernel::NodeFacts> look_below(const Root& root, const std::vector<std::string>& lower,
                                            const std::string& name)
{
  for (size_t at = lower.size(); at-- > 0;) {
    const Fd layer = kernel::open_directory(root.dir(), Images::diff_path(lower[at]));
    kernel::BelowFacts below = kernel::directory_facts(layer.get(), name);
    if (below.found && !is_default(below.facts)) return std::move(below.facts);
    if (below.found || below.hides) break;
  }
  return std::nullopt;
}

} // namespace

std::optional<std::string> find_layer_on(const Root& root, const std::vector<std::string>& lower,
                                         const std::string& diff_id)
{
  const Images images{root};
  std::string chained = chained_id(lower, diff_id);
  if (images.has_layer(chained)) return chained;
  const auto plain = images.find_layer(diff_id);
  if (!plain) return std::nullopt;
  const bool known =
      std::all_of(lower.begin(), lower.end(), [&](const std::string& id) { return images.has_layer(id); });
  for (const std::string& name : plain->implied) {
    // Of layers that are still to come nobody knows; their root nearly always looks as roots do.
    if (known ? look_below(root, lower, name).has_value() : !name.empty()) return std::nullopt;
  }
  return diff_id;
}

LayerUnpacker::LayerUnpacker(const Root& root, const Workshop& shop, const std::string& name)
    : root_(root), path_(made_directory(root, shop, name)), tree_(root.trace(), root.dir(), path_ + "/diff"),
      reader_(*this)
{}

void LayerUnpacker::feed(std::string_view bytes)
{
  root_.trace().throw_if_interrupted();
  digest_.bytes(bytes);
  reader_.feed(bytes);
}

std::string LayerUnpacker::end(TarReader::EndMark mark)
{
  reader_.finish(mark);
  tree_.finish();
  diff_id_ = digest_.hex();
  return diff_id_;
}

void LayerUnpacker::begin(const TarEntry& entry)
{
  const size_t slash = entry.name.rfind('/');
  const std::string parent = slash == std::string::npos ? "" : entry.name.substr(0, slash);
  const std::string_view base = std::string_view{entry.name}.substr(slash == std::string::npos ? 0 : slash + 1);
  if (names_whiteout(parent)) refuse(entry, "lies below a whiteout");
  if (base.starts_with(whiteout_prefix)) return whiteout(entry, parent, base);
  if (entry.type == EntryType::hard_link && names_whiteout(entry.link)) refuse(entry, "is a link to a whiteout");
  kernel::NodeFacts facts = facts_of(entry);
  switch (entry.type) {
  case EntryType::directory: return tree_.directory(entry.name, facts);
  case EntryType::hard_link: return tree_.hard_link(entry.name, entry.link);
  case EntryType::symlink: return tree_.symlink(entry.name, entry.link, facts);
  case EntryType::fifo: return tree_.fifo(entry.name, facts);
  case EntryType::character:
  case EntryType::block:
    // 0/0 is how overlayfs marks what is gone; an archive says that with a name.
    if (entry.type == EntryType::character && entry.major == 0 && entry.minor == 0)
      refuse(entry, "is the device 0/0, which only the kernel may make");
    if (devices_++ == 0) device_ = entry.name;
    return;
  case EntryType::file: break;
  }
  tree_.begin_file(entry.name, entry.size);
  facts_ = std::move(facts);
  in_file_ = true;
}

void LayerUnpacker::data(std::string_view bytes) { tree_.write(bytes); }

void LayerUnpacker::end()
{
  if (!in_file_) return;
  tree_.end_file(facts_);
  in_file_ = false;
}

void LayerUnpacker::whiteout(const TarEntry& entry, const std::string& parent, std::string_view name)
{
  // A hard link is how AUFS packed them.
  if (entry.type != EntryType::file && entry.type != EntryType::hard_link) refuse(entry, "is a whiteout and no file");
  if (entry.size != 0) refuse(entry, "is a whiteout with content");
  if (name == opaque_name) return tree_.opaque(parent);
  if (name.starts_with(aufs_prefix)) return; // AUFS kept its own books under such names
  const std::string_view gone = name.substr(whiteout_prefix.size());
  if (gone.empty() || gone == "." || gone == "..") refuse(entry, "is a whiteout of nothing");
  tree_.whiteout((parent.empty() ? "" : parent + "/") + std::string{gone});
}

// Directories that the archive only implies look as they do in the layers below. True when that says something that the
// archive alone does not.
bool LayerUnpacker::describe_implied(const std::vector<std::string>& lower)
{
  bool described = false;
  for (const std::string& name : tree_.implied()) {
    const auto facts = look_below(root_, lower, name);
    if (!facts) continue;
    tree_.describe(name, *facts);
    described = true;
  }
  return described;
}

void LayerUnpacker::tell_left_out() const
{
  if (devices_ == 0) return;
  const bool one = devices_ == 1;
  root_.trace().notice(fmt::format("{} device node{} left out ('{}'{}): containers have a /dev of their own", devices_,
                                   one ? "" : "s", visible(device_), one ? "" : ", ..."));
}

Layer LayerUnpacker::finish(const std::vector<std::string>& lower, const LayerFacts& facts)
{
  tell_left_out();
  Layer layer{.id = diff_id_,
              .diff_id = diff_id_,
              .parent = lower.empty() ? "" : lower.back(),
              .made_by = facts.made_by,
              .size_bytes = tree_.content_bytes(),
              .created_ns = realtime_ns(),
              .packed = facts.packed,
              .implied = {tree_.implied().begin(), tree_.implied().end()}};
  if (describe_implied(lower)) layer.id = chained_id(lower, diff_id_);
  const Images images{root_};
  images.commit_layer(path_, layer);
  // One that was there already may not know yet how it came this time.
  for (const PackedForm& form : facts.packed) images.add_packed(layer.id, form);
  return layer;
}

} // namespace conductor::image
