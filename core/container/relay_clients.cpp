#include "core/container/relay_clients.h"

#include "core/container/pty.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <unistd.h>

namespace conductor {
namespace {

constexpr int full_patience_ms = 1000;
constexpr int second_patience_ms = 200; // of one that has missed something before
constexpr short ended = POLLHUP | POLLERR | POLLNVAL;

} // namespace

void RelayClients::prepare(pollfd* polls, const RelayInput& input, Mask blocked) const
{
  const bool is_full = std::all_of(clients_.begin(), clients_.end(), [](const Client& c) { return bool(c.socket); });
  polls[0] = {is_full ? -1 : listener_, POLLIN, 0};
  for (size_t index = 0; index < limit; index++) {
    const Client& client = clients_[index];
    // Who sends input faster than the child reads it waits in its own socket.
    const bool listen = !client.input || input.is_empty();
    const bool wants_room = ((blocked >> index) & 1) != 0;
    polls[index + 1] = {client.socket.get(), static_cast<short>((listen ? POLLIN : 0) | (wants_room ? POLLOUT : 0)), 0};
  }
}

void RelayClients::handle(const pollfd* polls, RelayInput& input)
{
  for (size_t index = 0; index < limit; index++) {
    Client& client = clients_[index];
    const short found = polls[index + 1].revents;
    if (!client.socket || found == 0) continue;
    bool keep = true;
    if ((found & POLLIN) != 0) {
      if (client.input && !input.is_empty()) continue; // another client was faster in this round
      wire::Message message;
      const wire::Received received = wire::receive(client.socket.get(), buffer_, message);
      keep =
          received == wire::Received::nothing || (received == wire::Received::message && obey(client, message, input));
    } else if ((found & ended) != 0) {
      keep = false;
    }
    if (!keep) client = Client{};
  }
  if (polls[0].revents != 0) accept();
}

void RelayClients::accept()
{
  Fd socket = wire::accept_from(listener_);
  if (!socket) return;
  const auto free = std::find_if(clients_.begin(), clients_.end(), [](const Client& c) { return !c.socket; });
  if (free == clients_.end()) return;
  *free = Client{};
  free->socket = std::move(socket);
}

// False: the connection is to be closed.
bool RelayClients::obey(Client& client, const wire::Message& message, RelayInput& input)
{
  const int socket = client.socket.get();
  if (!client.greeted) return client.greeted = wire::answer_hello(socket, message, wire::Role::keeper);
  switch (message.head.type) {
  case wire::Type::attach: return attach(client, message, input);
  case wire::Type::input:
    // More than one piece cannot be here: a client is listened to only while the last one is gone.
    if (client.input && input.is_open && input.is_empty()) {
      std::memcpy(input.bytes.data(), message.payload.data(), message.payload.size());
      input.begin = 0;
      input.end = message.payload.size();
    }
    return true;
  case wire::Type::input_end:
    if (client.input && input.is_open) input.ends_after = true;
    return true;
  case wire::Type::resize:
    if (const auto size = wire::unpack_size(message.payload); size && master_ >= 0) set_window_size(master_, *size);
    return true;
  case wire::Type::ping:
    return wire::send(socket, {.type = wire::Type::pong, .number = static_cast<uint32_t>(::getpid())}) ==
           wire::Sent::yes;
  case wire::Type::detach: wire::send(socket, {.type = wire::Type::detached}); return false;
  default: return true; // of a later version: what is not known is left alone
  }
}

bool RelayClients::attach(Client& client, const wire::Message& message, const RelayInput& input)
{
  client.attached = true;
  client.patience_ms = full_patience_ms;
  client.input = input.is_open && (message.head.detail & wire::attach_input) != 0;
  const int flags = (master_ >= 0 ? wire::attached_terminal : 0) | (client.input ? wire::attached_input : 0);
  const wire::Head answer{
      .type = wire::Type::attached, .detail = static_cast<uint8_t>(flags), .number = static_cast<uint32_t>(pid_)};
  if (wire::send(client.socket.get(), answer) != wire::Sent::yes) return false;
  // The newcomer's screen is empty: let the programs paint it.
  if (const auto size = wire::unpack_size(message.payload); size && master_ >= 0) kick_window_size(master_, *size);
  return true;
}

RelayClients::Mask RelayClients::offer(LogStream stream, std::string_view chunk, Mask wanted)
{
  Mask blocked = 0;
  for (size_t index = 0; index < limit; index++) {
    Client& client = clients_[index];
    if (!client.attached || ((wanted >> index) & 1) == 0) continue;
    wire::Sent sent = wire::Sent::yes;
    if (client.lost > 0) {
      const auto missed = static_cast<uint32_t>(std::min<uint64_t>(client.lost, UINT32_MAX));
      sent = wire::send(client.socket.get(), {.type = wire::Type::lost, .number = missed});
      if (sent == wire::Sent::full) {
        client.lost += chunk.size();
        continue;
      }
      client.lost = 0;
      client.patience_ms = second_patience_ms;
    }
    const wire::Head head{.type = wire::Type::output, .detail = static_cast<uint8_t>(stream)};
    if (sent == wire::Sent::yes) sent = wire::send(client.socket.get(), head, chunk);
    if (sent == wire::Sent::full) blocked |= Mask{1} << index;
    if (sent == wire::Sent::gone) client = Client{};
  }
  return blocked;
}

int RelayClients::patience_ms(Mask blocked) const
{
  int least = -1;
  for (size_t index = 0; index < limit; index++) {
    if (((blocked >> index) & 1) == 0 || !clients_[index].attached) continue;
    const int patience = std::max(clients_[index].patience_ms, 0);
    least = least < 0 ? patience : std::min(least, patience);
  }
  return least;
}

RelayClients::Mask RelayClients::spend_patience(Mask blocked, int waited_ms, size_t bytes)
{
  Mask out = 0;
  for (size_t index = 0; index < limit; index++) {
    Client& client = clients_[index];
    if (((blocked >> index) & 1) == 0 || !client.attached) continue;
    client.patience_ms -= waited_ms;
    if (client.patience_ms > 0) continue;
    client.lost += bytes;
    out |= Mask{1} << index;
  }
  return out;
}

void RelayClients::tell_exit(const ExitStatus& status)
{
  const wire::Head head{.type = wire::Type::exited,
                        .detail = static_cast<uint8_t>(status.signal),
                        .number = static_cast<uint32_t>(status.code)};
  for (Client& client : clients_) {
    if (client.attached && wire::send(client.socket.get(), head) == wire::Sent::full) {
      pollfd room{client.socket.get(), POLLOUT, 0};
      ::poll(&room, 1, std::max(client.patience_ms, 0));
      wire::send(client.socket.get(), head);
    }
    client = Client{};
  }
}

} // namespace conductor
