#include "tui/console/pane_log.h"

#include "core/container/spec.h"
#include "tui/command/values.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <utility>

#include <fcntl.h>
#include <sys/epoll.h>

namespace conductor::console {
namespace {

constexpr std::uint64_t lines_at_first = 2000; // of each log
constexpr std::size_t bytes_a_turn = 256U << 10;
constexpr int stamp_columns = 9; // "09:44:02 "

Role role_of(LogStream stream)
{
  return stream == LogStream::error ? Role::warning : stream == LogStream::notice ? Role::bad : Role::text;
}

} // namespace

std::string LogPane::title_of(const std::vector<Log>& logs)
{
  std::string names;
  for (const Log& log : logs) names += (names.empty() ? "" : ", ") + log.name;
  return names + ": logs";
}

LogPane::LogPane(int number, Loop& loop, std::vector<Log> logs) : TextPane(number, title_of(logs)), loop_(loop)
{
  for (Log& log : logs) logs_.push_back({.log = std::move(log)});
  update_gutter();
  begin();
}

LogPane::~LogPane() { forget(); }

void LogPane::forget()
{
  for (const Reading& each : logs_)
    if (each.reader && each.reader->poll_fd() >= 0) loop_.forget(each.reader->poll_fd());
}

// From the beginning: the newest lines, or all since the time that was asked for.
void LogPane::begin()
{
  forget();
  clear();
  for (Reading& each : logs_) {
    LogQuery query{.since_ns = since_ns_, .follow = true};
    if (since_ns_ == 0) query.tail_lines = lines_at_first;
    each.reader = std::make_unique<LogReader>(Fd{::fcntl(each.log.directory.get(), F_DUPFD_CLOEXEC, 0)}, query);
    each.next.reset();
    each.open_line.reset();
    each.ended = false;
  }
  for (const Reading& each : logs_) // when all of them are there, since an Error leaves nothing behind
    if (each.reader->poll_fd() >= 0) loop_.watch(each.reader->poll_fd(), EPOLLIN, *this);
  follow(true);
  ready(-1, EPOLLIN);
}

void LogPane::ready(int, std::uint32_t)
{
  std::size_t taken = 0;
  while (taken < bytes_a_turn) {
    Reading* oldest = nullptr;
    for (Reading& each : logs_) {
      if (!each.next) each.next = each.reader->next();
      if (each.next && (oldest == nullptr || each.next->time_ns < oldest->next->time_ns)) oldest = &each;
    }
    if (oldest == nullptr) {
      for (Reading& each : logs_)
        if (!each.ended && each.reader->ended()) {
          each.ended = dirty = true;
          if (each.reader->poll_fd() >= 0) loop_.forget(each.reader->poll_fd());
        }
      return;
    }
    taken += oldest->next->bytes.size();
    take(*oldest);
  }
  // More is there, and inotify will not say so again: come back after the others had their turn.
  again = true;
}

// A record may end in the middle of a line, and another log may write before that goes on.
void LogPane::take(Reading& reading)
{
  const LogRecord record = *std::exchange(reading.next, std::nullopt);
  const auto source = static_cast<std::uint8_t>(&reading - logs_.data());
  const Role role = role_of(record.stream);
  for (std::string_view rest = record.bytes; !rest.empty();) {
    const std::size_t end = rest.find('\n');
    const std::string_view part = rest.substr(0, std::min(end, longest_line));
    if (reading.open_line && *reading.open_line < total() - lines()) reading.open_line.reset(); // dropped as too old
    if (reading.open_line && reading.open_text.size() + part.size() <= longest_line) {
      reading.open_text += part;
      set_line(*reading.open_line, {reading.open_text, role, 0, record.time_ns, source});
    } else {
      add({std::string{part}, role, 0, record.time_ns, source});
      ++unseen;
      reading.open_line = total() - 1;
      reading.open_text = part;
    }
    if (end != std::string_view::npos) reading.open_line.reset();
    rest.remove_prefix(std::min(end == std::string_view::npos ? rest.size() : end + 1, rest.size()));
  }
}

std::vector<std::string> LogPane::containers() const
{
  std::vector<std::string> ids;
  for (const Reading& each : logs_) ids.push_back(each.log.id);
  return ids;
}

std::string LogPane::status() const
{
  const bool over = std::all_of(logs_.begin(), logs_.end(), [](const Reading& each) { return each.ended; });
  return over && !copying() ? "ended" : TextPane::status();
}

std::span<const std::string_view> LogPane::hint_names() const
{
  static constexpr std::array<std::string_view, 8> names{"follow", "search", "select", "stamps",
                                                         "since",  "wrap",   "save",   "close"};
  return names;
}

bool LogPane::act(std::string_view name)
{
  if (name == "stamps") {
    stamps_ = !stamps_;
    update_gutter();
    return true;
  }
  if (name != "since") return TextPane::act(name);
  ask("since (10m, 2h, 2026-11-22T09:44:02Z, all)", "", [this](const std::string& text) {
    since_ns_ = text == "all" ? 1 : command::parse_since(text, realtime_ns());
    begin();
  });
  return true;
}

void LogPane::update_gutter()
{
  int columns = stamps_ ? stamp_columns : 0;
  if (logs_.size() > 1) {
    int longest = 0;
    for (const Reading& each : logs_) longest = std::max(longest, text_width(each.log.name));
    columns += std::min(longest, 16) + 1;
  }
  set_gutter(columns);
}

std::string LogPane::gutter(const TextLine& line) const
{
  std::string text;
  if (stamps_) {
    const std::time_t seconds = line.time_ns / 1'000'000'000;
    std::tm local{};
    ::localtime_r(&seconds, &local);
    std::array<char, 16> stamp{};
    text.assign(stamp.data(), std::strftime(stamp.data(), stamp.size(), "%H:%M:%S ", &local));
  }
  if (logs_.size() > 1) text += cut_text(logs_[line.source].log.name, 16);
  return text;
}

} // namespace conductor::console
