#include "core/store/journal.h"

#include "core/base/error.h"
#include "core/container/spec.h"
#include "core/kernel/files.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include <unistd.h>

#include <nlohmann/json.hpp>

namespace conductor {
namespace {

using Json = nlohmann::ordered_json;

constexpr off_t full_size = 4 << 20;
constexpr size_t longest_line = 4096; // one write of at most a page is never torn by another appender

// Who is behind this command, without the name service: that would load libraries and may ask the network.
std::string caller()
{
  const uid_t uid = ::getuid();
  const char* behind_sudo = uid == 0 ? std::getenv("SUDO_USER") : nullptr;
  if (behind_sudo != nullptr && *behind_sudo != '\0') return behind_sudo;
  return uid == 0 ? "root" : std::to_string(uid);
}

void rotate_when_full(const Root& root)
{
  struct stat status {};
  const auto is_full = [&] {
    return ::fstatat(root.run(), "journal", &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_size >= full_size;
  };
  if (!is_full()) return;
  // Under a lock and looked at again, or two appenders would rotate twice and lose the older file.
  const Lock lock{root.run(), "journal.lock", "rotate", std::chrono::seconds{1}, "the journal"};
  if (is_full()) kernel::rename_entry(root.trace(), root.run(), "journal", root.run(), "journal.1");
}

// The last `most` lines of a text that may begin inside a line.
std::vector<std::string_view> last_lines(std::string_view text, size_t most)
{
  std::vector<std::string_view> lines;
  while (!text.empty() && lines.size() < most) {
    if (text.back() == '\n') text.remove_suffix(1);
    const size_t before = text.rfind('\n');
    const size_t begin = before == std::string_view::npos ? 0 : before + 1;
    lines.push_back(text.substr(begin));
    text = text.substr(0, begin);
  }
  std::reverse(lines.begin(), lines.end());
  return lines;
}

std::vector<JournalEntry> entries_in(std::string_view text, size_t most)
{
  std::vector<JournalEntry> entries;
  for (const std::string_view line : last_lines(text, most))
    if (auto entry = journal_entry_from_json(line)) entries.push_back(std::move(*entry));
  return entries;
}

// The end of a file, enough for `most` lines as long as lines are of ordinary length.
std::string tail(int at, const std::string& path, size_t most)
{
  const auto file = kernel::find_file(at, path);
  struct stat status {};
  if (!file || ::fstat(file->get(), &status) < 0) return {};
  const off_t wanted = std::min<off_t>(status.st_size, static_cast<off_t>(std::min<size_t>(most, 1 << 14) * 512));
  std::string text(static_cast<size_t>(wanted), '\0');
  size_t filled = 0;
  while (filled < text.size()) {
    const ssize_t got = ::pread(file->get(), text.data() + filled, text.size() - filled,
                                status.st_size - wanted + static_cast<off_t>(filled));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    filled += static_cast<size_t>(got);
  }
  text.resize(filled);
  return text;
}

} // namespace

std::string to_json(const JournalEntry& entry)
{
  const Json json{{"time", rfc3339(entry.time_ns)},
                  {"time_ns", entry.time_ns},
                  {"id", entry.id},
                  {"name", entry.name},
                  {"verb", entry.verb},
                  {"outcome", entry.outcome},
                  {"user", entry.user}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<JournalEntry> journal_entry_from_json(std::string_view line)
{
  const Json json = Json::parse(line, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto text = [&](const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string{};
  };
  const auto time = json.find("time_ns");
  if (time == json.end() || !time->is_number_integer()) return std::nullopt;
  return JournalEntry{.time_ns = time->get<int64_t>(),
                      .id = text("id"),
                      .name = text("name"),
                      .verb = text("verb"),
                      .outcome = text("outcome"),
                      .user = text("user")};
}

void append(const Root& root, const JournalEntry& entry)
{
  JournalEntry whole = entry;
  if (whole.time_ns == 0) whole.time_ns = realtime_ns();
  if (whole.user.empty()) whole.user = caller();
  std::string line = to_json(whole);
  if (line.size() >= longest_line) {
    for (std::string* text : {&whole.id, &whole.name, &whole.verb, &whole.outcome, &whole.user}) *text = visible(*text);
    line = to_json(whole);
  }
  rotate_when_full(root);
  kernel::append_line(root.trace(), root.run(), "journal", line);
}

std::vector<JournalEntry> last_entries(const Root& root, size_t most)
{
  std::string text = tail(root.run(), "journal", most);
  const size_t lines = static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  if (lines < most) text.insert(0, tail(root.run(), "journal.1", most - lines) + "\n");
  return entries_in(text, most);
}

bool JournalTail::open()
{
  auto file = kernel::find_file(root_.run(), "journal");
  if (!file) return false;
  file_ = std::move(*file);
  offset_ = 0;
  unfinished_.clear();
  return true;
}

bool JournalTail::was_rotated() const
{
  struct stat ours {};
  struct stat there {};
  if (::fstat(file_.get(), &ours) < 0) return true;
  if (::fstatat(root_.run(), "journal", &there, AT_SYMLINK_NOFOLLOW) < 0) return true;
  return ours.st_ino != there.st_ino || ours.st_dev != there.st_dev || there.st_size < offset_;
}

// Everything from the offset to the end, at most a full journal.
std::string JournalTail::read_on()
{
  std::string text = std::move(unfinished_);
  unfinished_.clear();
  std::array<char, 16384> buffer; // NOLINT: filled by pread(2)
  while (text.size() < static_cast<size_t>(2 * full_size)) {
    const ssize_t got = ::pread(file_.get(), buffer.data(), buffer.size(), offset_);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(buffer.data(), static_cast<size_t>(got));
    offset_ += got;
  }
  const size_t end = text.rfind('\n');
  const size_t whole = end == std::string::npos ? 0 : end + 1;
  unfinished_ = text.substr(whole);
  text.resize(whole);
  return text;
}

std::vector<JournalEntry> JournalTail::next(size_t most)
{
  std::string text;
  if (!began_) {
    began_ = true;
    // Where the end is now is where the next call goes on; what is before it comes from the end backwards.
    if (open()) {
      text = read_on();
      const size_t lines = static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
      if (lines < most) text.insert(0, tail(root_.run(), "journal.1", most - lines) + "\n");
    }
  } else if (file_ || open()) {
    text = read_on();
    if (was_rotated() && open()) text += read_on();
  }
  return entries_in(text, most);
}

} // namespace conductor
