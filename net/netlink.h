// The rtnetlink socket: dumps as plain bytes, so that whoever reads them needs no library and a test can forge them.
//
// A message is <header><fixed part><attributes>; an attribute is {length, type, value}, padded to 4 bytes (netlink(7),
// rtnetlink(7)). The kernel is trusted, the lengths are checked all the same: what reads memory by lengths it was told
// does so once, here.
#pragma once

#include "core/base/handle.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <type_traits>

namespace conductor::net {

using Bytes = std::span<const std::byte>;

struct Attribute {
  uint16_t type = 0;
  Bytes value;
};

// The attributes in a piece of a message: for (const Attribute& attribute : Attributes{bytes}). Ends at the first one
// whose length cannot be true.
class Attributes {
public:
  explicit Attributes(Bytes bytes) : bytes_(bytes) {}

  class Iterator {
  public:
    explicit Iterator(Bytes rest);
    const Attribute& operator*() const { return current_; }
    Iterator& operator++();
    bool operator!=(std::nullptr_t) const { return valid_; }

  private:
    void take();
    Bytes rest_;
    Attribute current_;
    bool valid_ = false;
  };
  Iterator begin() const { return Iterator{bytes_}; }
  std::nullptr_t end() const { return nullptr; }

private:
  Bytes bytes_;
};

// A structure of the kernel from the beginning of `bytes`; what a shorter (older) one lacks stays zero.
template <class Structure>
Structure structure_from(Bytes bytes)
{
  static_assert(std::is_trivially_copyable_v<Structure>);
  Structure structure{};
  std::memcpy(&structure, bytes.data(), std::min(bytes.size(), sizeof structure));
  return structure;
}

// Text of an attribute: to its first zero byte, or its end.
std::string text_from(Bytes bytes);

// One NETLINK_ROUTE socket. It belongs to the network namespace in which it was opened.
class Netlink {
public:
  Netlink(); // throws Error

  // type: of one message of the answer (RTM_NEWLINK); payload: behind the header.
  using Visitor = std::function<void(uint16_t type, Bytes payload)>;
  // Sends `request_type` (RTM_GETLINK) with `fixed` as its payload and hands each message of the answer to `visit`.
  // When something changed meanwhile (NLM_F_DUMP_INTR) `restart` is called and all is asked again, a few times at most.
  // Throws Error.
  void dump(uint16_t request_type, Bytes fixed, const std::function<void()>& restart, const Visitor& visit);

private:
  enum class Round { complete, interrupted };
  Round dump_once(uint16_t request_type, Bytes fixed, const Visitor& visit);
  Fd socket_;
  uint32_t sequence_ = 0;
};

} // namespace conductor::net
