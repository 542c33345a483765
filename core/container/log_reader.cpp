// The reading half of log.h.
#include "core/container/log.h"

#include "core/base/await.h"
#include "core/base/error.h"
#include "core/container/log_format.h"
#include "core/kernel/files.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

namespace conductor {
namespace {

using namespace log_format;

constexpr size_t largest_record = log_record_limit + around_record;
constexpr size_t buffer_size = largest_record + (32 << 10);
constexpr uint32_t watched_events = IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE;

// 0 for "log", 3 for "log.3"; none for another name.
std::optional<unsigned> age_of(std::string_view entry)
{
  if (entry == "log") return 0;
  if (entry.substr(0, 4) != "log.") return std::nullopt;
  unsigned age = 0;
  const char* end = entry.data() + entry.size();
  const auto [stop, error] = std::from_chars(entry.data() + 4, end, age);
  if (error != std::errc{} || stop != end || age == 0) return std::nullopt;
  return age;
}

uint64_t size_of(int fd)
{
  struct stat status {};
  return ::fstat(fd, &status) == 0 ? static_cast<uint64_t>(status.st_size) : 0;
}

} // namespace

LogReader::LogReader(Fd directory, const LogQuery& query) : directory_(std::move(directory)), query_(query)
{
  buffer_.resize(buffer_size);
  if (query_.follow) {
    watch_ = Fd{::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
    const std::string path = "/proc/self/fd/" + std::to_string(directory_.get());
    if (!watch_ || ::inotify_add_watch(watch_.get(), path.c_str(), watched_events) < 0)
      throw Error{"watch the log " + kernel::path_of(directory_.get()), errno};
  }
  if (query_.tail_lines) seek_tail(*query_.tail_lines);
}

// From new to old, as the writer moves them, so that none slips through between two looks; then turned round.
std::vector<LogReader::File> LogReader::files() const
{
  std::vector<std::pair<unsigned, std::string>> names;
  for (std::string& entry : kernel::list_directory(directory_.get(), "."))
    if (const auto age = age_of(entry)) names.emplace_back(*age, std::move(entry));
  std::sort(names.begin(), names.end());

  std::vector<File> found;
  for (const auto& [age, entry] : names) {
    auto fd = kernel::find_file(directory_.get(), entry);
    struct stat status {};
    FileHead head{};
    if (!fd || ::fstat(fd->get(), &status) < 0 || !S_ISREG(status.st_mode)) continue;
    if (::pread(fd->get(), &head, sizeof head, 0) != sizeof head) continue;
    const std::string_view title{head.name.data(), head.name.size()};
    if (title != name) {
      if (title.substr(0, family.size()) != family) continue; // none of ours
      throw Error{"read the log " + kernel::path_of(fd->get()) + ": a newer conductor wrote it"};
    }
    if (std::any_of(found.begin(), found.end(), [&](const File& file) { return file.inode == status.st_ino; }))
      continue;
    found.push_back({std::move(*fd), status.st_ino, head.mark, sizeof(FileHead)});
  }
  std::reverse(found.begin(), found.end());
  return found;
}

// The file that is newer than the one we read; the oldest when that one is gone or we have none. None: ours is newest.
std::optional<LogReader::File> LogReader::newer() const
{
  std::vector<File> all = files();
  size_t index = 0;
  for (size_t at = 0; file_ && at < all.size(); at++)
    if (all[at].inode == file_->inode) index = at + 1;
  if (index >= all.size()) return std::nullopt;
  return std::move(all[index]);
}

// What the file holds at `offset`, at most `size` bytes; fewer at its end.
std::string_view LogReader::window(uint64_t offset, size_t size)
{
  if (offset < buffer_offset_ || offset + size > buffer_offset_ + buffer_size_) {
    // Who goes backwards gets what lies before, so that a buffer serves many records in both directions.
    const bool backwards = buffer_size_ > 0 && offset < buffer_offset_;
    const uint64_t end = offset + size;
    buffer_offset_ = !backwards ? offset : end > buffer_.size() ? end - buffer_.size() : 0;
    const ssize_t got = ::pread(file_->fd.get(), buffer_.data(), buffer_.size(), static_cast<off_t>(buffer_offset_));
    buffer_size_ = got > 0 ? static_cast<size_t>(got) : 0;
  }
  const size_t begin = static_cast<size_t>(offset - buffer_offset_);
  if (begin >= buffer_size_) return {};
  return {buffer_.data() + begin, std::min(size, buffer_size_ - begin)};
}

// The record at the offset; none when there is no whole one. The view lies in buffer_.
std::optional<LogRecord> LogReader::read_record()
{
  const std::string_view head_bytes = window(file_->offset, sizeof(RecordHead));
  if (head_bytes.size() < sizeof(RecordHead)) return std::nullopt;
  const auto head = load<RecordHead>(head_bytes.data());
  if (head.mark != file_->mark || head.length > log_record_limit) return std::nullopt;
  const std::string_view whole = window(file_->offset, head.length + around_record);
  if (whole.size() < head.length + around_record) return std::nullopt;
  if (load<RecordTail>(whole.data() + sizeof(RecordHead) + head.length) != head.length) return std::nullopt;
  const auto stream = static_cast<LogStream>(std::min<uint8_t>(head.stream, 3));
  return LogRecord{head.time_ns, stream, whole.substr(sizeof(RecordHead), head.length)};
}

// After what a crash tore: moves the offset on to the next mark. False when there is none yet; what is too long to be
// the beginning of a record is then passed over.
bool LogReader::skip_to_mark()
{
  const std::string_view mark{file_->mark.data(), file_->mark.size()};
  for (uint64_t offset = file_->offset + 1;;) {
    const std::string_view part = window(offset, buffer_.size());
    if (const size_t found = part.find(mark); found != std::string_view::npos) {
      file_->offset = offset + found;
      return true;
    }
    if (part.size() < buffer_.size()) return false;
    offset += part.size() - mark.size() + 1;
    file_->offset = offset - 1;
  }
}

std::optional<LogRecord> LogReader::next()
{
  if (watch_) { // emptied before we look, so that what comes after the look is news again
    alignas(inotify_event) std::array<char, 4096> events{};
    while (::read(watch_.get(), events.data(), events.size()) > 0) {
    }
  }
  std::optional<File> after;
  for (;;) {
    if (!file_ && !(file_ = newer())) return std::nullopt;
    auto record = read_record();
    if (!record) { // the buffer may be older than the file
      buffer_size_ = 0;
      record = read_record();
    }
    if (record) {
      file_->offset += record->bytes.size() + around_record;
      record->bytes.remove_prefix(std::min<size_t>(std::exchange(skip_, 0), record->bytes.size()));
      if (record->time_ns < query_.since_ns || record->time_ns >= query_.until_ns || record->bytes.empty()) continue;
      return record;
    }
    skip_ = 0;
    if (skip_to_mark()) continue;
    if (after) {
      file_ = std::move(*std::exchange(after, {}));
      buffer_size_ = 0;
    } else if (!(after = newer())) {
      return std::nullopt;
    } // a newer one exists, so this one is complete now: one more look at it, then on
  }
}

// The beginning of the last `lines` lines, looked for from the end. A last line without newline counts as one.
void LogReader::seek_tail(uint64_t lines)
{
  std::vector<File> all = files();
  bool at_end = true; // nothing of the log seen yet: a newline there ends the last line, and begins none
  uint64_t newlines = 0;
  for (; !all.empty(); all.pop_back()) {
    file_ = std::move(all.back());
    buffer_size_ = 0;
    const std::string_view mark{file_->mark.data(), file_->mark.size()};
    const uint64_t size = size_of(file_->fd.get());
    uint64_t end = size;
    while (end > sizeof(FileHead)) {
      // The length at the end of a record says where it begins; where that does not fit, look for a mark before it.
      const std::string_view tail = window(end - sizeof(RecordTail), sizeof(RecordTail));
      const uint64_t length = tail.size() == sizeof(RecordTail) ? load<RecordTail>(tail.data()) : UINT64_MAX;
      const bool fits = length <= log_record_limit && length + around_record + sizeof(FileHead) <= end;
      file_->offset = fits ? end - length - around_record : 0;
      auto record = fits ? read_record() : std::nullopt;
      if (!record) {
        const uint64_t begin = std::max<uint64_t>(sizeof(FileHead), end > buffer_.size() ? end - buffer_.size() : 0);
        const std::string_view before = window(begin, static_cast<size_t>(end - begin));
        const size_t found = before.rfind(mark);
        if (found == std::string_view::npos) {
          end = begin > sizeof(FileHead) ? begin + mark.size() - 1 : 0;
          continue;
        }
        file_->offset = begin + found;
        record = read_record();
        if (!record || file_->offset + record->bytes.size() + around_record > end) {
          end = file_->offset;
          continue;
        }
      }
      if (lines == 0) {
        file_->offset = size;
        return;
      }
      if (record->time_ns >= query_.until_ns) { // not shown, and so not counted
        end = file_->offset;
        continue;
      }
      const std::string_view bytes = record->bytes;
      for (size_t at = bytes.size(); at > 0; at--) {
        const bool ends_line = bytes[at - 1] == '\n';
        if (ends_line && !at_end && ++newlines == lines) {
          skip_ = at;
          return;
        }
        at_end = false;
      }
      end = file_->offset;
    }
    file_->offset = sizeof(FileHead);
  }
}

bool LogReader::writer_is_alive() const
{
  const Fd file{::openat(directory_.get(), "writer", O_RDONLY | O_NOFOLLOW | O_CLOEXEC)};
  struct flock whole {};
  whole.l_type = F_RDLCK;
  whole.l_whence = SEEK_SET;
  return file && ::fcntl(file.get(), F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
}

bool LogReader::ended()
{
  if (!query_.follow) return true;
  if (writer_is_alive()) return last_look_ = false;
  return std::exchange(last_look_, true);
}

void LogReader::wait(const Trace& trace, int timeout_ms)
{
  if (last_look_) return;
  pollfd news{watch_.get(), POLLIN, 0};
  await(trace, &news, 1, timeout_ms);
}

namespace {

bool is_control(unsigned char byte) { return (byte < 0x20 && byte != '\t') || byte == 0x7f; }

void append_visible(unsigned char byte, std::string& out)
{
  constexpr std::string_view digits = "0123456789abcdef";
  out += "\\x";
  out += digits[byte >> 4];
  out += digits[byte & 15];
}

// 2026-11-22T09:44:02.123456789Z: fixed in width, so that lines stay in columns.
std::string stamp(int64_t time_ns)
{
  const time_t seconds = time_ns / 1'000'000'000;
  tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z ", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, time_ns % 1'000'000'000);
}

} // namespace

void LogPrinter::print(const LogRecord& record, std::string& out)
{
  Line& line = lines_[static_cast<size_t>(record.stream)];
  for (const char c : record.bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (!line.begun && timestamps_) out += stamp(record.time_ns);
    line.begun = byte != '\n';
    if (bytes_ == Bytes::raw) {
      out += c;
      continue;
    }
    const unsigned char before = std::exchange(line.before, byte);
    if (before == '\r' && byte != '\n') append_visible('\r', out);
    if (byte == '\r') continue; // a terminal's line ends are \r\n: shown only where no \n follows
    // 0x80 to 0x9F after 0xC2 are the C1 control characters, which some terminals obey.
    const bool is_c1 = before == 0xC2 && byte >= 0x80 && byte < 0xA0;
    if (byte == '\n' || !(is_control(byte) || is_c1))
      out += c;
    else
      append_visible(byte, out);
  }
}

} // namespace conductor
