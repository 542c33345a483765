// What conductors say to keepers and session holders, over unix sockets of type SOCK_SEQPACKET in the run directory.
//
// A connection opens with a hello both ways that holds the newest version each side speaks; both then speak the smaller
// one. Keepers outlive upgrades, so a conductor speaks every version that ever was; a keeper that is asked for one it
// cannot speak answers with an error in words. A message is one packet: eight bytes of head, then at most 60 KiB;
// descriptors travel beside it (SCM_RIGHTS). All numbers are little-endian.
#pragma once

#include "core/base/handle.h"
#include "core/base/trace.h"
#include "core/container/pty.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace conductor::wire {

inline constexpr uint16_t newest_version = 1;
inline constexpr uint16_t oldest_version = 1;
inline constexpr size_t payload_limit = 60 << 10; // bytes; about what a pipe holds
inline constexpr size_t descriptor_limit = 3;

enum class Type : uint8_t {
  hello = 1,     // both ways, first; number: newest version; detail: Role (from the keeper)
  error = 2,     // to the client; number: errno; payload: the sentence; the connection ends
  attach = 3,    // to the keeper; detail: AttachFlag bits; payload: rows, columns (u16 each; 0 x 0: no terminal)
  attached = 4,  // the answer; detail: AttachedFlag bits; number: pid; payload: bytes lost (u64); descriptors
  output = 5,    // to the client; detail: LogStream
  input = 6,     // to the keeper
  input_end = 7, // to the keeper: end of stdin
  resize = 8,    // to the keeper; payload: rows, columns
  lost = 9,      // to the client: it was too slow; number: bytes left out
  detach = 10,   // to the keeper; a session's client may hand over its screen (a sealed memfd)
  detached = 11, // the answer; or, to a client that another one took the session from, unasked (number: EBUSY)
  exited = 12,   // to the client; number: exit code; detail: signal
  ping = 13,     // answered by pong, which has number: pid of the keeper; detail: a session's: 1 if attached
  pong = 14,
};

enum class Role : uint8_t { keeper = 1, session = 2 };

enum AttachFlag : uint8_t {
  attach_input = 1, // wants to send input
  attach_take = 2,  // takes a session away from the client that holds it
};

enum AttachedFlag : uint8_t {
  attached_terminal = 1, // it is a PTY
  attached_input = 2,    // input is heeded
  attached_master = 4,   // descriptors, in this order: the PTY's master,
  attached_screen = 8,   // the screen that the last client handed over,
  attached_replay = 16,  // and what was printed since; a memfd each
  attached_redraw = 32,  // these are not the whole picture: make the programs redraw
};

struct Head {
  Type type{};
  uint8_t detail = 0;
  uint16_t size = 0; // bytes of payload
  uint32_t number = 0;
};
static_assert(sizeof(Head) == 8);

struct Message {
  Head head;
  std::string_view payload; // lies in the buffer that receive() was given
  std::array<Fd, descriptor_limit> descriptors;
};

using Buffer = std::array<char, sizeof(Head) + payload_limit>;

enum class Sent : char { yes, full, gone };
// Never blocks. full: no room in the socket now, nothing was sent. gone: the other side is closed.
Sent send(int socket, Head head, std::string_view payload = {}, const int* descriptors = nullptr, size_t count = 0);

enum class Received : char { message, nothing, gone };
// Never blocks. A packet that is no message of ours counts as gone.
Received receive(int socket, Buffer& buffer, Message& message);

// The payload of resize and attach. None: no terminal (0 x 0), or no such payload.
std::array<char, 4> pack_size(const WindowSize& size);
std::optional<WindowSize> unpack_size(std::string_view payload);

// A listening socket `name` (mode 0600) in a directory; a dead one there is replaced. Throws Error.
Fd listen_in(Trace& trace, int directory, const std::string& name);
// The next connection of our own user (or root); none when there is none. Non-blocking.
Fd accept_from(int listener);
// A connection; Error with ENOENT or ECONNREFUSED when nobody listens. Non-blocking afterwards.
Fd connect_to(int directory, const std::string& name);
// The client's half of the hello: sends ours, waits (at most 5 s) for theirs. Returns the version both speak and what
// the other side is. Throws Error, also with the sentence the other side answered.
std::pair<uint16_t, Role> greet(int socket);
// The keeper's half: answers a client's first message. False: an error was sent, the connection is to be closed.
bool answer_hello(int socket, const Message& message, Role role);
// The version that both sides speak when the other one's newest is `theirs`.
std::optional<uint16_t> common_version(uint32_t theirs);
// Waits for a message, at most timeout_ms. Throws Error: timeout, connection ended, or the sentence of an error
// message.
void await(int socket, Buffer& buffer, Message& message, int timeout_ms);

// Descriptors over a socketpair (SOCK_SEQPACKET) between our own processes: an init that made a PTY hands its master to
// the keeper.
void send_descriptor(int socket, int fd);
Fd receive_descriptor(int socket);

} // namespace conductor::wire
