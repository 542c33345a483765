#include "tui/console/pane_log.h"

#include <sys/epoll.h>

namespace conductor::console {
namespace {

constexpr std::uint64_t lines_at_first = 2000;
constexpr std::size_t bytes_a_turn = 256U << 10;

} // namespace

LogPane::LogPane(int number, Loop& loop, std::string container_name, Fd directory)
    : TextPane(number, container_name + ": logs"), loop_(loop),
      reader_(std::move(directory), LogQuery{.tail_lines = lines_at_first, .follow = true})
{
  if (reader_.poll_fd() >= 0) loop_.watch(reader_.poll_fd(), EPOLLIN, *this);
  ready(reader_.poll_fd(), EPOLLIN);
}

LogPane::~LogPane()
{
  if (reader_.poll_fd() >= 0) loop_.forget(reader_.poll_fd());
}

void LogPane::ready(int, std::uint32_t)
{
  std::size_t taken = 0;
  while (taken < bytes_a_turn) {
    const auto record = reader_.next();
    if (!record) {
      if (!ended_ && reader_.ended()) {
        ended_ = true;
        dirty = true;
        if (reader_.poll_fd() >= 0) loop_.forget(reader_.poll_fd());
      }
      return;
    }
    taken += record->bytes.size();
    const Role role = record->stream == LogStream::error    ? Role::warning
                      : record->stream == LogStream::notice ? Role::bad
                                                            : Role::text;
    add_bytes(record->bytes, role);
  }
  // More is there, and inotify will not say so again: come back after the others had their turn.
  again = true;
}

std::string LogPane::status() const { return ended_ ? "ended" : TextPane::status(); }

} // namespace conductor::console
