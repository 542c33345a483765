#include "core/container/session_ring.h"

#include "core/base/error.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <sys/mman.h>

namespace conductor {

SessionRing::SessionRing(size_t size) : size_(size)
{
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw Error{"make room for what a session prints", errno};
  memory_ = static_cast<char*>(memory);
}

SessionRing::~SessionRing() { ::munmap(memory_, size_); }

void SessionRing::came(size_t bytes)
{
  const size_t free = size_ - kept_;
  if (bytes > free) lost_ += bytes - free;
  kept_ = std::min(kept_ + bytes, size_);
  next_ = (next_ + bytes) % size_;
}

void SessionRing::push(std::string_view bytes)
{
  while (!bytes.empty()) {
    const iovec to = room();
    const size_t part = std::min(bytes.size(), to.iov_len);
    std::memcpy(to.iov_base, bytes.data(), part);
    came(part);
    bytes.remove_prefix(part);
  }
}

std::array<std::string_view, 2> SessionRing::pieces() const
{
  const size_t begin = (next_ + size_ - kept_) % size_;
  const size_t first = std::min(kept_, size_ - begin);
  return {std::string_view{memory_ + begin, first}, std::string_view{memory_, kept_ - first}};
}

void SessionRing::clear()
{
  if (kept_ > 0) ::madvise(memory_, size_, MADV_DONTNEED);
  next_ = kept_ = 0;
  lost_ = 0;
}

} // namespace conductor
