// Bytes on their way from one thread to another: a bounded queue of blocks, so that the one at the socket waits when
// the one that unpacks is behind, and memory stays small whatever is sent.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace conductor::image {

class ByteQueue {
public:
  // most: blocks of block_bytes that may wait.
  explicit ByteQueue(size_t most) : most_(most) {}
  ByteQueue(const ByteQueue&) = delete;
  ByteQueue& operator=(const ByteQueue&) = delete;

  // Gathers bytes; each block that is full passes through `seen` (the writer's own work on it, in its thread) and waits
  // for room. False when the other side has given up: nobody will read this.
  template <class Seen>
  bool put(std::string_view bytes, Seen&& seen)
  {
    while (!bytes.empty()) {
      const size_t taken = gather(bytes);
      bytes.remove_prefix(taken);
      if (open_.size() < block_bytes) return true;
      seen(std::string_view{open_});
      if (!push()) return false;
    }
    return true;
  }
  // The same for what is left, and no more will come.
  template <class Seen>
  void close(Seen&& seen)
  {
    if (!open_.empty()) seen(std::string_view{open_});
    if (open_.empty() || push()) end(true);
  }
  // No more will come, and what has come is not the whole.
  void abandon() { end(false); }

  // The next block; none at the end. What was taken before may be given back to be filled again.
  std::optional<std::string> take(std::string used = {});
  // After take() gave none: was that the whole?
  bool complete();
  // The reader's end: put() returns false from now on.
  void give_up();

private:
  static constexpr size_t block_bytes = 256 << 10;
  size_t gather(std::string_view bytes);
  bool push();
  void end(bool complete);

  const size_t most_;
  std::mutex lock_;
  std::condition_variable filled_, emptied_;
  std::deque<std::string> blocks_, spare_;
  std::string open_; // the writer's, not full yet
  bool closed_ = false, complete_ = false, given_up_ = false;
};

} // namespace conductor::image
