#include "core/image/side_digest.h"

#include <csignal>
#include <utility>

namespace conductor::image {
namespace {

constexpr size_t most_waiting = 4; // blocks

}

SideDigest::~SideDigest() { join(); }

void SideDigest::start()
{
  // Signals are for the thread that looks whether it was interrupted.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  thread_ = std::thread{[this] { run(); }};
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void SideDigest::run()
{
  std::unique_lock held{lock_};
  for (;;) {
    filled_.wait(held, [&] { return ended_ || !full_.empty(); });
    if (full_.empty()) return;
    std::string bytes = std::move(full_.front());
    full_.pop_front();
    held.unlock();
    digest_.bytes(bytes);
    held.lock();
    spare_.push_back(std::move(bytes));
    emptied_.notify_one();
  }
}

void SideDigest::block(std::string& bytes)
{
  if (!thread_.joinable()) start();
  const size_t size = bytes.size();
  std::unique_lock held{lock_};
  emptied_.wait(held, [&] { return full_.size() < most_waiting; });
  full_.push_back(std::move(bytes));
  filled_.notify_one();
  bytes.clear();
  if (spare_.empty()) {
    held.unlock();
    bytes.resize(size);
    return;
  }
  bytes = std::move(spare_.front());
  spare_.pop_front();
}

void SideDigest::join()
{
  if (!thread_.joinable()) return;
  {
    const std::lock_guard held{lock_};
    ended_ = true;
  }
  filled_.notify_one();
  thread_.join();
}

std::string SideDigest::hex(std::string_view rest)
{
  join();
  digest_.bytes(rest);
  return digest_.hex();
}

} // namespace conductor::image
