// Netlink: messages as plain bytes, made and read here, so that whoever uses them needs no library and a test can forge
// them.
//
// A message is <header><fixed part><attributes>; an attribute is {length, type, value}, padded to 4 bytes, and its
// value may be attributes again (netlink(7), rtnetlink(7)). The kernel is trusted, the lengths are checked all the
// same: what reads memory by lengths it was told does so once, here. What changes the kernel's state passes perform().
#pragma once

#include "core/base/handle.h"
#include "core/base/trace.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

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
  if (!bytes.empty()) std::memcpy(&structure, bytes.data(), std::min(bytes.size(), sizeof structure));
  return structure;
}

template <class Structure>
Bytes bytes_of(const Structure& structure)
{
  static_assert(std::is_trivially_copyable_v<Structure>);
  return std::as_bytes(std::span{&structure, 1});
}

// The value of the first attribute of that type, empty when there is none.
Bytes attribute_in(Bytes attributes, uint16_t type);
// Text of an attribute: to its first zero byte, or its end.
std::string text_from(Bytes bytes);
// Numbers as nf_tables has them, in network byte order.
uint32_t big32_from(Bytes bytes);
uint64_t big64_from(Bytes bytes);

// A request being built. Attributes are added in order; nest() wraps those that `fill` adds.
class Message {
public:
  // type: RTM_NEWLINK ...; flags: NLM_F_ACK ..., NLM_F_REQUEST is added.
  explicit Message(uint16_t type, uint16_t flags = 0);

  template <class Structure>
  Message& fixed(const Structure& structure)
  {
    return fixed_bytes(bytes_of(structure));
  }
  Message& fixed_bytes(Bytes bytes);
  Message& bytes(uint16_t type, Bytes value);
  Message& text(uint16_t type, std::string_view value); // with a zero byte behind it
  template <class Value>
  Message& value(uint16_t type, const Value& value)
  {
    return bytes(type, bytes_of(value));
  }
  Message& big32(uint16_t type, uint32_t value);
  Message& big64(uint16_t type, uint64_t value);
  // An attribute made of attributes. Throws std::length_error when they are more than an attribute can hold (64 KiB).
  Message& nest(uint16_t type, const std::function<void()>& fill);

  uint16_t type() const;
  bool wants_ack() const;
  void want_ack();
  // The whole message with this sequence number in its header; the view lasts until the message changes.
  Bytes finished(uint32_t sequence);

private:
  std::vector<std::byte> bytes_;
};

// One message of an answer. The payload is what stands behind the header.
struct Received {
  uint16_t type = 0;
  uint16_t flags = 0;
  uint32_t sequence = 0;
  Bytes payload;
};

// Puts together what the kernel answers to the requests first..last of one send. Pure: datagrams in, a verdict out.
class Answer {
public:
  using Visitor = std::function<void(uint16_t type, Bytes payload)>;
  enum class Kind : char {
    dump,           // ends with NLMSG_DONE
    acknowledgement // ends with the NLMSG_ERROR of request `last`, whose number may be 0
  };
  Answer(Kind kind, uint32_t first, uint32_t last, Visitor visit);

  // Each message of the datagram whose sequence number is ours goes to the visitor or into the verdict.
  void feed(Bytes datagram);

  bool finished() const { return finished_; }
  bool interrupted() const { return interrupted_; }               // NLM_F_DUMP_INTR: of two moments
  bool damaged() const { return damaged_; }                       // a length could not be true
  int error() const { return error_; }                            // errno of the first failure, 0 for none
  const std::string& explanation() const { return explanation_; } // the kernel's own words on it (extack), or empty

private:
  void take(const Received& message);
  Kind kind_;
  uint32_t first_, last_;
  Visitor visit_;
  bool finished_ = false, interrupted_ = false, damaged_ = false;
  int error_ = 0;
  std::string explanation_;
};

// The kernel's own words in an NLMSG_ERROR or NLMSG_DONE (NLMSGERR_ATTR_MSG), empty when it has none.
std::string explanation_from(const Received& message);

// What a change is called: in the error sentence, as a call, and by hand.
struct Told {
  std::string what;    // "plug the link cond7": "plug the link cond7: Operation not permitted [...]"
  std::string call;    // "RTM_NEWLINK cond7 type veth ..."
  std::string by_hand; // "ip link add cond7 type veth ..."
};

// One netlink socket. It belongs to the network namespace in which it was opened. One thread at a time may use it.
class Netlink {
public:
  // protocol: NETLINK_ROUTE (0), NETLINK_NETFILTER, NETLINK_SOCK_DIAG. Throws Error.
  explicit Netlink(int protocol = 0);
  // A socket that somebody opened: a test that plays the kernel.
  explicit Netlink(Fd socket) : socket_(std::move(socket)) {}
  Netlink(const Netlink&) = delete;
  Netlink& operator=(const Netlink&) = delete;
  ~Netlink();

  using Visitor = Answer::Visitor;
  // Sends `request` and hands each message of the answer to `visit`. When something changed meanwhile (NLM_F_DUMP_INTR)
  // or the answer did not fit (ENOBUFS), `restart` is called and all is asked again, a few times at most. Throws Error
  // "<what>: ...".
  void dump(std::string_view what, Message& request, const std::function<void()>& restart, const Visitor& visit);
  // Sends `request`, which wants an acknowledgement, and hands what is answered before that to `visit`. Returns 0 or
  // the errno the kernel answers. Throws Error when it does not answer.
  int ask(std::string_view what, Message& request, const Visitor& visit);
  // Sends the messages in one go, through the waist. name: of the call in the trace. Throws Error
  // "<what>: strerror [extack]" with the first failure; what follows a failure was tried all the same, except in a
  // transaction of nf_tables.
  void change(Trace& trace, std::string_view name, const std::function<Told()>& describe, std::span<Message> messages);
  // The same, but the errno of the first failure is returned (0: none), for failures that the caller expects.
  int try_change(Trace& trace, std::string_view name, const std::function<Told()>& describe,
                 std::span<Message> messages);

private:
  enum class Round : char { complete, interrupted };
  Round dump_once(std::string_view what, Message& request, const Visitor& visit);
  int send(std::span<Message> messages);
  int drain(Answer& answer);
  Fd socket_;
  bool keeps_ = false; // is kept for the next one when this goes
  uint32_t sequence_ = 0;
  std::string explanation_; // of the last failure
};

} // namespace conductor::net
