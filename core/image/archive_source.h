// An image that somebody else wrote, as files by name: spooled from a tar archive into a workshop, or read from a
// directory. Names are only looked up; none becomes a path on this host.
#pragma once

#include "core/base/handle.h"
#include "core/store/root.h"
#include "core/store/workshop.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace conductor::image {

class ArchiveSource {
public:
  virtual ~ArchiveSource() = default;
  // For reading; none when there is no such file. Throws Error.
  virtual std::optional<Fd> open(const std::string& name) = 0;
  // Root-relative path of the file where it may be taken over by rename; none where it is the user's.
  virtual std::optional<std::string> own_path(const std::string& name) = 0;
};

// path: a file, a directory, "-" or empty for stdin. An archive may be packed with gzip or zstd.
std::unique_ptr<ArchiveSource> open_source(const Root& root, const Workshop& shop, const std::string& path);

// A file or stdin ("-" or empty) for reading; refuses a terminal. Throws Error.
Fd open_input(const std::string& path);

// Feeds what lies behind a descriptor through a decompressor, in pieces.
void feed_plain(Trace& trace, int fd, uint64_t most, const std::function<void(std::string_view)>& sink,
                const std::function<void(std::string_view)>& packed = {});

} // namespace conductor::image
