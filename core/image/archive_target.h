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

// A file of the user's that is written beside its place and renamed when it is complete; stdout for an empty path.
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
  Trace& trace_;
  std::string path_, temporary_; // both empty for stdout
  Fd file_;
  uint64_t bytes_ = 0;
};

} // namespace conductor::image
