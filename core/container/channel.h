// What a program that sets up a container and the one that asked for it say to each other: a SOCK_SEQPACKET pair.
//
// Upwards go events (in order), questions of a gate, the namespaces' and the terminal's descriptors, the error that
// ended it all; downwards go the gate's answers, "your ids are mapped", the groups, the mounts, "you have a link". The
// upper end closes by itself when the lower program executes the command, since every descriptor is close-on-exec: that
// silence is success.
#pragma once

#include "core/base/error.h"
#include "core/base/handle.h"
#include "core/base/trace.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace conductor {

enum class MessageKind : char {
  event = 'E',      // payload: Event as JSON
  question = 'Q',   // payload: Event as JSON; answered with `decision`
  decision = 'D',   // payload: one Decision
  failed = 'F',     // payload: an Error
  terminal = 'P',   // descriptor: the PTY's master
  namespaces = 'N', // descriptors: the mount namespace, and where it gets a link the network namespace
  groups = 'G',     // descriptors: tasks files of the groups to join (none on v2 alone); the limits hold in them
  mapped = 'M',     // the user namespace has its ids
  mounts = 'T',     // descriptors: mounts to put in place
  linked = 'L',     // the network namespace has its link
  started = 'S',    // payload: text (a keeper: the container runs)
};

struct Message {
  MessageKind kind = MessageKind::event;
  std::string payload;
  std::vector<Fd> descriptors;
};

class Channel {
public:
  Channel() = default;
  explicit Channel(Fd socket) : socket_(std::move(socket)) {}
  static std::pair<Channel, Channel> pair(); // upper, lower; both close-on-exec

  // False when the other end is gone. Throws Error for anything else.
  bool send(MessageKind kind, std::string_view payload = {}, const std::vector<int>& descriptors = {}) const;
  bool send_error(const Error& error) const;
  // None when the other end is gone.
  std::optional<Message> receive() const;
  // The next message of that kind. What comes before it is kept for receive(): a child that asks its gate may be told
  // meanwhile that its ids are mapped.
  std::optional<Message> receive(MessageKind kind) const;
  int fd() const { return socket_.get(); }
  void close() { socket_.reset(); }

private:
  std::optional<Message> receive_from_socket() const;
  Fd socket_;
  mutable std::vector<Message> kept_; // came before it was waited for
};

class Uplink;

// How a child must set up its Trace so that the parent's listeners hear it. Asked before the clone.
struct TraceSettings {
  bool heard = false, steps = false, calls = false, gated = false;
  static TraceSettings of(const Trace& trace)
  {
    return {.heard = trace.heard(), .steps = trace.listening(), .calls = trace.calls_wanted(), .gated = trace.gated()};
  }
  void apply(Trace& trace, Uplink& uplink) const;
};

// In the lower program: the listener and gate of its Trace.
class Uplink : public Listener, public Gate {
public:
  Uplink(const Channel& channel, const TraceSettings& settings);
  void on(const Event& event) override;
  bool wants_calls() const override { return calls_; }
  bool wants_steps() const override { return steps_; }
  Decision before(const Event& call) override;

private:
  const Channel& channel_;
  bool calls_, steps_;
};

// In the upper program: takes messages until one is not an event or a question; those are passed to `trace` and
// answered. None when the other end is gone. Throws the Error that the lower program sent.
std::optional<Message> receive_relaying(const Channel& channel, Trace& trace);
// One message of the same, for whoever has something else to wait for as well. False when the other end is gone.
bool relay_next(const Channel& channel, Trace& trace);

} // namespace conductor
