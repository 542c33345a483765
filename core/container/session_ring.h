// The last bytes of a stream, in a ring of fixed size. Its memory is given back to the kernel whenever it is emptied.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <sys/uio.h>

namespace conductor {

class SessionRing {
public:
  // size: bytes, a multiple of the page size. Throws Error.
  explicit SessionRing(size_t size);
  SessionRing(const SessionRing&) = delete;
  SessionRing& operator=(const SessionRing&) = delete;
  ~SessionRing();

  // Where the next bytes go: read(2) into it, then say how many came. The oldest make room.
  iovec room() const { return {memory_ + next_, size_ - next_}; }
  void came(size_t bytes);
  void push(std::string_view bytes);

  // What is kept, oldest first, in at most two pieces.
  std::array<std::string_view, 2> pieces() const;
  size_t kept() const { return kept_; }
  uint64_t lost() const { return lost_; } // bytes that had to make room since it was emptied
  void clear();

private:
  char* memory_ = nullptr;
  size_t size_ = 0, next_ = 0, kept_ = 0;
  uint64_t lost_ = 0;
};

} // namespace conductor
