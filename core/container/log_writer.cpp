// The writing half of log.h.
#include "core/container/log.h"

#include "core/base/error.h"
#include "core/container/log_format.h"
#include "core/container/spec.h"
#include "core/kernel/files.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace conductor {
namespace {

using namespace log_format;

constexpr const char* current = "log";

std::string older(unsigned number) { return "log." + std::to_string(number); }

} // namespace

LogWriter::LogWriter(Trace& trace, Fd directory, const LogLimits& limits)
    : trace_(&trace), directory_(std::move(directory)), limits_(limits)
{
  limits_.files = std::max(limits_.files, 1U);
  lock_ = Fd{::openat(directory_.get(), "writer", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600)};
  if (!lock_) throw Error{"open " + kernel::path_of(directory_.get()) + "/writer", errno};
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  if (::fcntl(lock_.get(), F_OFD_SETLK, &whole) < 0)
    throw Error{"lock the log " + kernel::path_of(directory_.get()), errno};
}

void LogWriter::close() noexcept
{
  file_.reset();
  lock_.reset();
  directory_.reset();
}

void LogWriter::write(LogStream stream, std::string_view bytes) noexcept
{
  if (!directory_) return;
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, log_record_limit);
    bytes.remove_prefix(part.size());
    try {
      if (!file_) open();
      if (size_ > sizeof(FileHead) && size_ + part.size() + around_record > limits_.size_bytes) rotate();
      if (lost_ > 0) {
        const std::string words = "[conductor: " + std::to_string(lost_) + " bytes could not be logged]\n";
        if (append(LogStream::notice, words)) lost_ = 0;
      }
      if (lost_ == 0 && append(stream, part)) continue;
    } catch (const std::exception&) { // no file can be made now; the next record tries again
      file_.reset();
    }
    lost_ += part.size();
  }
}

// Goes on with the file that is there when it is one of this version; any other is put aside as an older one.
void LogWriter::open()
{
  file_ = Fd{::openat(directory_.get(), current, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600)};
  struct stat status {};
  if (!file_ || ::fstat(file_.get(), &status) < 0) throw Error{"open the log", errno};
  size_ = static_cast<uint64_t>(status.st_size);
  FileHead head{};
  if (size_ >= sizeof head) {
    if (::pread(file_.get(), &head, sizeof head, 0) == sizeof head &&
        std::memcmp(head.name.data(), name.data(), name.size()) == 0) {
      mark_ = head.mark;
      return;
    }
  }
  if (size_ > 0) return rotate();

  std::memcpy(head.name.data(), name.data(), name.size());
  head.created_ns = realtime_ns();
  if (::getrandom(head.mark.data(), head.mark.size(), 0) != static_cast<ssize_t>(head.mark.size()))
    throw Error{"draw a mark for the log", errno};
  if (::write(file_.get(), &head, sizeof head) != sizeof head) {
    const int number = errno;
    if (::ftruncate(file_.get(), 0) < 0) size_ = 1; // not empty and no head: put aside at the next try
    throw Error{"write the log", number};
  }
  mark_ = head.mark;
  size_ = sizeof head;
}

// Files only ever move towards older names, so a reader that looks from new to old misses none.
void LogWriter::rotate()
{
  file_.reset();
  for (const std::string& entry : kernel::list_directory(directory_.get(), ".")) {
    unsigned number = 0;
    if (entry.rfind("log.", 0) != 0) continue;
    const auto [end, error] = std::from_chars(entry.data() + 4, entry.data() + entry.size(), number);
    if (error == std::errc{} && end == entry.data() + entry.size() && number + 1 >= limits_.files)
      kernel::remove_file(*trace_, directory_.get(), entry);
  }
  for (unsigned number = limits_.files - 1; number >= 1; number--) {
    const std::string from = number == 1 ? current : older(number - 1);
    if (kernel::exists(directory_.get(), from))
      kernel::rename_entry(*trace_, directory_.get(), from, directory_.get(), older(number));
  }
  if (limits_.files == 1) kernel::remove_file(*trace_, directory_.get(), current);
  open();
}

// False when the record is not in the file, of which nothing of it is left then.
bool LogWriter::append(LogStream stream, std::string_view bytes)
{
  RecordHead head{.mark = mark_,
                  .time_ns = realtime_ns(),
                  .length = static_cast<uint32_t>(bytes.size()),
                  .stream = static_cast<uint8_t>(stream),
                  .zero = {}};
  RecordTail tail = head.length;
  std::array<iovec, 3> parts{iovec{&head, sizeof head}, iovec{const_cast<char*>(bytes.data()), bytes.size()},
                             iovec{&tail, sizeof tail}};
  const size_t whole = bytes.size() + around_record;
  ssize_t written = 0;
  do written = ::writev(file_.get(), parts.data(), parts.size());
  while (written < 0 && errno == EINTR);
  if (written == static_cast<ssize_t>(whole)) {
    size_ += whole;
    return true;
  }
  // A disk that fills up takes a part. We are the only writer, so it can be taken back.
  if (written > 0 && ::ftruncate(file_.get(), static_cast<off_t>(size_)) < 0) size_ += static_cast<uint64_t>(written);
  return false;
}

} // namespace conductor
