#include "core/image/byte_queue.h"

#include <algorithm>
#include <utility>

namespace conductor::image {

size_t ByteQueue::gather(std::string_view bytes)
{
  open_.reserve(block_bytes);
  const size_t taken = std::min(block_bytes - open_.size(), bytes.size());
  open_.append(bytes.substr(0, taken));
  return taken;
}

bool ByteQueue::push()
{
  std::unique_lock guard{lock_};
  emptied_.wait(guard, [this] { return blocks_.size() < most_ || given_up_; });
  if (given_up_) return false;
  blocks_.push_back(std::exchange(open_, {}));
  if (!spare_.empty()) {
    open_ = std::move(spare_.front());
    spare_.pop_front();
    open_.clear();
  }
  filled_.notify_one();
  return true;
}

void ByteQueue::end(bool complete)
{
  const std::lock_guard guard{lock_};
  closed_ = true;
  complete_ = complete;
  filled_.notify_one();
}

std::optional<std::string> ByteQueue::take(std::string used)
{
  std::unique_lock guard{lock_};
  if (used.capacity() >= block_bytes) spare_.push_back(std::move(used));
  filled_.wait(guard, [this] { return !blocks_.empty() || closed_; });
  if (blocks_.empty()) return std::nullopt;
  std::string block = std::move(blocks_.front());
  blocks_.pop_front();
  emptied_.notify_one();
  return block;
}

bool ByteQueue::complete()
{
  const std::lock_guard guard{lock_};
  return complete_;
}

void ByteQueue::give_up()
{
  const std::lock_guard guard{lock_};
  given_up_ = true;
  emptied_.notify_one();
}

} // namespace conductor::image
