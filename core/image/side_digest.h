// SHA-256 beside its maker: blocks are hashed by a thread of its own, so that a second processor takes what otherwise
// is half of the time of packing a layer. What is no more than one block is hashed in place.
#pragma once

#include "core/image/digest.h"

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace conductor::image {

class SideDigest {
public:
  SideDigest() = default;
  SideDigest(const SideDigest&) = delete;
  SideDigest& operator=(const SideDigest&) = delete;
  ~SideDigest();

  // Takes a block, and gives room of the same size for the next one. Waits while too many have not been hashed yet.
  void block(std::string& bytes);
  // What is left, in any length; 64 digits. Ends the hash.
  std::string hex(std::string_view rest);

private:
  void start();
  void run();
  void join();

  Digest digest_; // the thread's, while it runs
  std::thread thread_;
  std::mutex lock_;
  std::condition_variable filled_, emptied_;
  std::deque<std::string> full_;
  std::deque<std::string> spare_;
  bool ended_ = false;
};

} // namespace conductor::image
