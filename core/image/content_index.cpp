#include "core/image/content_index.h"

#include "core/base/error.h"
#include "core/kernel/files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <sys/stat.h>
#include <time.h>

namespace conductor::image {
namespace {

constexpr std::string_view magic = "conductor index 1 of 96 bytes\n\n\n"; // 32 bytes
static_assert(magic.size() == 32 && sizeof(ContentIndex::Entry) == 96);
constexpr size_t most_bytes = 256 << 20;
constexpr const char* directory_name = "build";

constexpr uint64_t has_xattrs = 1;

auto place(const ContentIndex::Entry& entry) { return std::pair{entry.device, entry.inode}; }
bool before(const ContentIndex::Entry& a, const ContentIndex::Entry& b) { return place(a) < place(b); }

ContentIndex::Entry entry_of(const kernel::FileFacts& facts)
{
  return {.device = facts.device,
          .inode = facts.inode,
          .size = facts.size,
          .modified_s = facts.modified.tv_sec,
          .modified_ns = facts.modified.tv_nsec,
          .changed_s = facts.changed.tv_sec,
          .changed_ns = facts.changed.tv_nsec,
          .flags = 0,
          .digest = {}};
}

bool same_facts(const ContentIndex::Entry& a, const ContentIndex::Entry& b)
{
  return a.size == b.size && a.modified_s == b.modified_s && a.modified_ns == b.modified_ns &&
         a.changed_s == b.changed_s && a.changed_ns == b.changed_ns;
}

// A file that changed just now may change again without a new time: clocks of file systems tick every 4 to 10 ms, some
// every 2 s (then their nanoseconds are 0). Such a one is read again next time.
bool is_settled(const timespec& changed)
{
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  const int64_t age_ns = (now.tv_sec - changed.tv_sec) * 1'000'000'000 + (now.tv_nsec - changed.tv_nsec);
  return age_ns > (changed.tv_nsec == 0 ? 2'100'000'000 : 40'000'000);
}

} // namespace

ContentIndex::ContentIndex(const Root& root, int directory, std::string_view name) : root_(root)
{
  struct stat status {};
  if (fstat(directory, &status) < 0) return;
  path_ = fmt::format("{}/{}-{:x}-{:x}", directory_name, name, static_cast<uint64_t>(status.st_dev),
                      static_cast<uint64_t>(status.st_ino));
  std::string text;
  try {
    text = kernel::find_content(root.dir(), path_, most_bytes).value_or("");
  } catch (const Error&) {
    return;
  }
  if (!text.starts_with(magic) || (text.size() - magic.size()) % sizeof(Entry) != 0) return;
  entries_.resize((text.size() - magic.size()) / sizeof(Entry));
  if (!entries_.empty()) memcpy(entries_.data(), text.data() + magic.size(), text.size() - magic.size());
  if (!std::is_sorted(entries_.begin(), entries_.end(), before)) entries_.clear();
  seen_.resize(entries_.size());
}

const KnownContent* ContentIndex::find(const kernel::FileFacts& facts)
{
  const Entry wanted = entry_of(facts);
  const auto found = std::lower_bound(entries_.begin(), entries_.end(), wanted, before);
  if (found == entries_.end() || place(*found) != place(wanted) || !same_facts(*found, wanted)) return nullptr;
  seen_[static_cast<size_t>(found - entries_.begin())] = 1;
  answer_ = {.digest = found->digest, .has_xattrs = (found->flags & has_xattrs) != 0};
  return &answer_;
}

void ContentIndex::note(const kernel::FileFacts& facts, const KnownContent& content)
{
  if (!is_settled(facts.changed)) return;
  Entry entry = entry_of(facts);
  entry.flags = content.has_xattrs ? has_xattrs : 0;
  entry.digest = content.digest;
  fresh_.push_back(entry);
}

void ContentIndex::save()
{
  if (fresh_.empty() || path_.empty()) return;
  std::sort(fresh_.begin(), fresh_.end(), before);
  // Other build files take other files of the same context, so what was not seen stays, until it is most of the file.
  const auto seen = static_cast<size_t>(std::count(seen_.begin(), seen_.end(), 1));
  const bool keep_others = entries_.size() < 1000 + 4 * (seen + fresh_.size());
  std::vector<Entry> all = fresh_;
  for (size_t at = 0; at < entries_.size(); ++at) {
    const bool replaced = std::binary_search(fresh_.begin(), fresh_.end(), entries_[at], before);
    if (!replaced && (seen_[at] != 0 || keep_others)) all.push_back(entries_[at]);
  }
  std::sort(all.begin(), all.end(), before);
  all.erase(std::unique(all.begin(), all.end(), [](const Entry& a, const Entry& b) { return place(a) == place(b); }),
            all.end());
  std::string text{magic};
  text.append(reinterpret_cast<const char*>(all.data()), all.size() * sizeof(Entry));
  try {
    kernel::make_directory(root_.trace(), root_.dir(), directory_name, 0700);
    kernel::write_file(root_.trace(), root_.dir(), path_, text);
    fresh_.clear();
  } catch (const Error& error) {
    root_.trace().notice(error.sentence());
  }
}

} // namespace conductor::image
