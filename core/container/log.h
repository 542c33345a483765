// The log of a container: what its command printed, as records {time, stream, bytes}.
//
// A log is a directory: `log` is being written, `log.1` is older, `log.2` older still. Each file opens with a header
// that names its version and draws eight random bytes, the mark with which each of its records begins: nothing that a
// container prints can look like a record. A record is one write(2) under O_APPEND, so a reader sees whole ones; what a
// crash or a full disk tore is skipped by looking for the next mark. The length stands at both ends of a record, so
// that the last lines are found from the end without reading the rest.
//
// The writer holds a lock on the file `writer` (F_OFD_SETLK, fcntl(2)), which a follower can ask about without taking
// it. That is how it tells "nothing new yet" from "over", even when the writer was killed.
#pragma once

#include "core/base/handle.h"
#include "core/base/trace.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace conductor {

enum class LogStream : uint8_t {
  notice = 0,   // the keeper's own words: bytes that could not be logged
  output = 1,   // stdout
  error = 2,    // stderr
  terminal = 3, // both, through a PTY
};

inline constexpr size_t log_record_limit = 64 << 10; // bytes a record can hold; longer output is several records

struct LogLimits {
  uint64_t size_bytes = 10 << 20; // a file is rotated before it grows beyond this
  unsigned files = 3;             // kept altogether, the one being written included; at least 1
};

// Appends records. Never throws once it is made: a log that cannot be written (disk full) must not stop a container;
// what was lost is counted and told in a notice record as soon as there is room again.
class LogWriter {
public:
  LogWriter() = default; // no log: everything is dropped
  // directory: of the log (kept open, locked). The file is made with the first record. Throws Error when another writer
  // holds the log.
  LogWriter(Trace& trace, Fd directory, const LogLimits& limits);
  LogWriter(LogWriter&& other) noexcept = default;
  LogWriter& operator=(LogWriter&& other) noexcept = default;

  // One record, stamped with CLOCK_REALTIME; split when it is longer than log_record_limit.
  void write(LogStream stream, std::string_view bytes) noexcept;
  // Ends the log: a follower that has read everything ends too.
  void close() noexcept;
  uint64_t lost_bytes() const { return lost_; }

private:
  void open();
  void rotate();
  bool append(LogStream stream, std::string_view bytes);

  Trace* trace_ = nullptr;
  Fd directory_, lock_, file_;
  LogLimits limits_;
  uint64_t size_ = 0, lost_ = 0;
  std::array<char, 8> mark_{};
};

struct LogRecord {
  int64_t time_ns = 0; // CLOCK_REALTIME
  LogStream stream = LogStream::output;
  std::string_view bytes; // valid until the next call of the reader
};

struct LogQuery {
  std::optional<uint64_t> tail_lines; // only the last so many lines
  int64_t since_ns = 0;               // only records of this time or later (CLOCK_REALTIME)
  int64_t until_ns = INT64_MAX;       // ... and before this one
  bool follow = false;                // wait for more until the writer ends
};

// Reads a log, oldest record first, through rotations. Memory is bounded by one record, whatever the content.
class LogReader {
public:
  // directory: of the log. A log that is not there yet is an empty one. Throws Error.
  LogReader(Fd directory, const LogQuery& query);
  LogReader(LogReader&&) noexcept = default;
  LogReader& operator=(LogReader&&) noexcept = default;

  // The next record; none when there is nothing (more) at the moment. With tail_lines the first record may begin within
  // a written one, at the beginning of a line.
  std::optional<LogRecord> next();
  // After next() said none: will never come more? Without follow always true.
  bool ended();
  // Readable (inotify) when next() is worth another try; -1 without follow. A console polls it.
  int poll_fd() const { return watch_.get(); }
  // Blocks until then, at most timeout_ms (-1: no limit). Throws Error (EINTR) when the operation is interrupted.
  void wait(const Trace& trace, int timeout_ms);

private:
  struct File {
    Fd fd;
    uint64_t inode = 0;
    std::array<char, 8> mark{};
    uint64_t offset = 0; // of the next record
  };
  std::vector<File> files() const; // oldest first
  std::optional<File> newer() const;
  std::optional<LogRecord> read_record();
  bool skip_to_mark();
  void seek_tail(uint64_t lines);
  std::string_view window(uint64_t offset, size_t size);
  bool writer_is_alive() const;

  Fd directory_, watch_;
  LogQuery query_;
  std::optional<File> file_;
  uint64_t skip_ = 0; // bytes of the next record that seek_tail() leaves out
  std::vector<char> buffer_;
  uint64_t buffer_offset_ = 0; // in the file
  size_t buffer_size_ = 0;
  bool last_look_ = false; // the writer is gone; what is there now is all
};

// Turns records into what `logs` prints. Stamps are put at the beginning of each line of each stream; lines are never
// held back.
class LogPrinter {
public:
  enum class Bytes : bool {
    raw,    // as they were printed: for a pipe or a file
    visible // control characters as text (\x1b): for a terminal, which a container's log must not be able to command
  };
  LogPrinter(bool timestamps, Bytes bytes) : timestamps_(timestamps), bytes_(bytes) {}
  // The text of a record, appended to `out`; stderr's belongs on our stderr, all else on stdout.
  void print(const LogRecord& record, std::string& out);

private:
  struct Line {
    bool begun = false;
    unsigned char before = 0; // the last byte, where its meaning hangs on the next: '\r', or 0xC2
  };
  bool timestamps_;
  Bytes bytes_;
  std::array<Line, 4> lines_{};
};

} // namespace conductor
