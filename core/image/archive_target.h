// Where a saved image goes: a tar archive on a descriptor, or a directory.
#pragma once

#include "core/base/handle.h"
#include "core/base/trace.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace conductor::image {

class ArchiveTarget {
public:
  virtual ~ArchiveTarget() = default;
  // What a file of that name holds already, at most 4 MiB: of a layout that images are added to.
  virtual std::optional<std::string> present(const std::string& name) const = 0;
  virtual void put(const std::string& name, std::string_view content) = 0;
  // The file from its current offset, `size` bytes.
  virtual void put_file(const std::string& name, int fd, uint64_t size) = 0;
  // Everything is there: makes it visible.
  virtual void finish() = 0;
  virtual uint64_t bytes() const = 0;
};

// path as in SaveRequest::file. Throws Error.
std::unique_ptr<ArchiveTarget> open_target(Trace& trace, const std::string& path);

// A file of the user's that shows when it is complete; stdout for an empty path. Until then it has no name (O_TMPFILE),
// so that nothing is left of it however we end; where the file system cannot do that, a name beside its own.
class OutputFile {
public:
  OutputFile(Trace& trace, std::string path);
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile();
  void write(std::string_view bytes);
  void finish();
  uint64_t bytes() const { return bytes_; }

private:
  bool open_nameless();
  void open_named();
  void give_name(const std::string& name);

  Trace& trace_;
  std::string path_;      // empty for stdout
  std::string temporary_; // its name until it is complete
  bool nameless_ = false;
  Fd file_;
  uint64_t bytes_ = 0;
};

} // namespace conductor::image
