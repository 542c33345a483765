// Small files of the kernel, read without allocation or error: what is gone is an empty text.
#pragma once

#include "core/base/handle.h"

#include <array>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

namespace conductor {

// One buffer for many files. A view is good until the next read.
class TextReader {
public:
  // Of a file that stays open.
  std::string_view read(const Fd& file) { return file ? read(file.get()) : std::string_view{}; }
  // Opens, reads, closes. What is longer than the buffer is cut.
  std::string_view read_path(int at, const char* path)
  {
    const Fd file{::openat(at, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
    return read(file);
  }

private:
  std::string_view read(int fd)
  {
    const ssize_t got = ::pread(fd, buffer_.data(), buffer_.size(), 0);
    return {buffer_.data(), got > 0 ? static_cast<size_t>(got) : 0};
  }
  std::array<char, 16384> buffer_; // NOLINT: filled before it is looked at
};

} // namespace conductor
