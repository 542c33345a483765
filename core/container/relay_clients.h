// The attached clients of a relay loop: who they are, what they say, and handing them chunks of output.
//
// Nothing is queued here. A chunk that a client's socket has no room for stays with the loop, which offers it again; a
// client whose patience (a second at first) is used up misses output from then on and is told how much.
#pragma once

#include "core/base/handle.h"
#include "core/container/log.h"
#include "core/container/wire.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <poll.h>

namespace conductor {

// What goes to the child's stdin, one piece at a time: filled only when empty.
struct RelayInput {
  std::array<char, wire::payload_limit> bytes;
  size_t begin = 0, end = 0;
  bool is_open = false;    // the child has a stdin of ours
  bool ends_after = false; // end of input, once this piece is written
  bool is_empty() const { return begin == end; }
};

class RelayClients {
public:
  static constexpr size_t limit = 16;
  using Mask = uint32_t; // a bit a client

  // listener: -1 for none; pid: of the child; master: its PTY, -1 for pipes.
  RelayClients(int listener, pid_t pid, int master) : listener_(listener), pid_(pid), master_(master) {}

  // One entry for the listener, one a client: what to wait for. blocked: clients that a chunk waits for.
  static constexpr size_t poll_count = limit + 1;
  void prepare(pollfd* polls, const RelayInput& input, Mask blocked) const;
  // What poll(2) found: new clients, messages, ends.
  void handle(const pollfd* polls, RelayInput& input);

  // Offers a chunk to those of `wanted` that are attached. Returns those that have no room yet.
  Mask offer(LogStream stream, std::string_view chunk, Mask wanted = ~Mask{0});
  // How long the most impatient of `blocked` may still be waited for, in ms; -1 for none.
  int patience_ms(Mask blocked) const;
  // Takes what was waited from their patience. Returns those that are out of it: they miss `bytes` now.
  Mask spend_patience(Mask blocked, int waited_ms, size_t bytes);

  void tell_exit(const ExitStatus& status);

private:
  struct Client {
    Fd socket;
    bool greeted = false, attached = false, input = false;
    uint64_t lost = 0; // bytes it missed and was not told of yet
    int patience_ms = 0;
  };
  void accept();
  bool obey(Client& client, const wire::Message& message, RelayInput& input);
  bool attach(Client& client, const wire::Message& message, const RelayInput& input);

  int listener_;
  pid_t pid_;
  int master_;
  std::array<Client, limit> clients_;
  wire::Buffer buffer_;
};

} // namespace conductor
