#include "core/image/tree_writer.h"

#include <utility>

namespace conductor::image {

void TreeWriter::begin(const TarEntry& entry)
{
  trace_.throw_if_interrupted();
  facts_ = {.mode = entry.mode, .uid = entry.uid, .gid = entry.gid, .modified = entry.modified};
  for (const auto& [key, value] : entry.xattrs)
    if (kernel::is_carried(key)) facts_.xattrs.emplace_back(key, value);
  switch (entry.type) {
  case EntryType::directory: return tree_.directory(entry.name, facts_);
  case EntryType::hard_link: return tree_.hard_link(entry.name, entry.link);
  case EntryType::symlink: return tree_.symlink(entry.name, entry.link, facts_);
  case EntryType::fifo: return tree_.fifo(entry.name, facts_);
  case EntryType::character:
  case EntryType::block: ++devices_; return;
  case EntryType::file: break;
  }
  tree_.begin_file(entry.name, entry.size);
  in_file_ = true;
}

void TreeWriter::data(std::string_view bytes)
{
  trace_.throw_if_interrupted();
  tree_.write(bytes);
}

void TreeWriter::end()
{
  if (std::exchange(in_file_, false)) tree_.end_file(facts_);
}

} // namespace conductor::image
