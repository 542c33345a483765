// logs and events: what containers wrote, what happened to them; both can be followed.
#include "core/base/await.h"
#include "core/base/error.h"
#include "core/container/log.h"
#include "core/kernel/files.h"
#include "core/snapshot/watch.h"
#include "core/store/journal.h"
#include "tui/command/filter.h"
#include "tui/command/invocation.h"
#include "tui/command/runs.h"
#include "tui/command/stream.h"
#include "tui/command/text.h"
#include "tui/command/values.h"

#include <algorithm>
#include <csignal>

#include <poll.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

namespace conductor::command {
namespace {

constexpr uint64_t most_lines = 1'000'000'000;

// Ctrl-C is how one stops to read: we end as the signal would have ended us, and the shell knows.
void end_when_interrupted(Invocation& invocation)
{
  if (!invocation.trace().interrupted()) return;
  invocation.flush();
  std::signal(SIGINT, SIG_DFL);
  ::raise(SIGINT);
}

// wait: as await() does.
template <class Wait>
void follow_on(Invocation& invocation, Wait&& wait)
{
  try {
    wait();
  } catch (const Error&) {
    end_when_interrupted(invocation);
    throw;
  }
}

std::optional<uint64_t> tail_of(const Invocation& invocation)
{
  const auto text = invocation.value("tail");
  if (!text || *text == "all") return std::nullopt;
  return parse_number(*text, "--tail", most_lines);
}

std::string event_line(const JournalEntry& entry)
{
  std::string text = rfc3339(entry.time_ns) + "  " + shown(entry.verb);
  text += " " + shown(entry.name) + "  " + shown(entry.outcome);
  if (!entry.user.empty()) text += "  by " + shown(entry.user);
  return text + "\n";
}

constexpr std::string_view event_keys[] = {"name", "id", "verb", "outcome", "user"};

std::vector<std::string> values_of(const JournalEntry& entry, std::string_view key)
{
  if (key == "name") return {entry.name};
  if (key == "id") return {entry.id};
  if (key == "verb") return {entry.verb};
  return {key == "user" ? entry.user : entry.outcome};
}

// --since and --until, CLOCK_REALTIME.
struct Span {
  int64_t since_ns = 0, until_ns = INT64_MAX;
  bool is_over() const { return realtime_ns() >= until_ns; }
  // How long one who follows waits at most, for poll(2).
  int left_ms() const
  {
    constexpr int64_t hour_ms = 3'600'000;
    if (until_ns == INT64_MAX) return -1;
    return static_cast<int>(std::clamp<int64_t>((until_ns - realtime_ns()) / 1'000'000 + 1, 0, hour_ms));
  }
};

Span span_of(const Invocation& invocation)
{
  Span span;
  const int64_t now = realtime_ns();
  if (const auto text = invocation.value("since")) span.since_ns = parse_since(*text, now);
  if (const auto text = invocation.value("until")) span.until_ns = parse_since(*text, now, "--until");
  if (span.since_ns >= span.until_ns) throw usage_error("--until is not behind --since: nothing lies between them");
  return span;
}

} // namespace

int run_logs(Invocation& invocation)
{
  LogQuery query{.tail_lines = tail_of(invocation), .follow = invocation.has("follow")};
  const Span span = span_of(invocation);
  query.since_ns = span.since_ns;
  query.until_ns = span.until_ns;
  const std::string id = invocation.resolve(invocation.names()[0]);
  auto directory = kernel::find_directory(Containers{invocation.root()}.directory(id).get(), "log");
  if (!directory) return 0;
  LogReader reader{std::move(*directory), query};
  // A container must not be able to command the terminal it is read on; a pipe gets the bytes as they were written.
  const auto bytes = [](int fd) { return ::isatty(fd) == 1 ? LogPrinter::Bytes::visible : LogPrinter::Bytes::raw; };
  LogPrinter output{invocation.has("timestamps"), bytes(STDOUT_FILENO)};
  LogPrinter error{invocation.has("timestamps"), bytes(STDERR_FILENO)};
  for (;;) {
    while (const auto record = reader.next()) {
      end_when_interrupted(invocation);
      std::string text;
      if (record->stream == LogStream::error) {
        error.print(*record, text);
        write_all(STDERR_FILENO, text);
      } else {
        output.print(*record, text);
        invocation.write(text);
      }
    }
    invocation.flush();
    if (!query.follow || reader.ended() || span.is_over()) return 0;
    follow_on(invocation, [&] { reader.wait(invocation.trace(), span.left_ms()); });
  }
}

int run_events(Invocation& invocation)
{
  constexpr size_t most = 1000, all = 100'000;
  const Filter filter{invocation.arguments().values("filter"), event_keys};
  const Span span = span_of(invocation);
  const bool chosen = invocation.has("filter") || invocation.has("since") || invocation.has("until");
  const bool follow = invocation.has("follow");
  const auto tail = tail_of(invocation);
  // The last ones of those that are wanted are found among all that there are.
  const auto pick = [&](std::vector<JournalEntry> entries, size_t wanted) {
    std::erase_if(entries, [&](const JournalEntry& entry) {
      return entry.time_ns < span.since_ns || entry.time_ns >= span.until_ns ||
             !filter.accepts([&](std::string_view key) { return values_of(entry, key); });
    });
    if (entries.size() > wanted) entries.erase(entries.begin(), entries.end() - static_cast<ptrdiff_t>(wanted));
    return entries;
  };
  Root& root = invocation.root();
  if (!follow) {
    std::string document;
    const size_t wanted = tail.value_or(chosen ? all : most);
    for (const JournalEntry& entry : pick(last_entries(root, chosen ? all : wanted), wanted)) {
      invocation.print(event_line(entry));
      document += (document.empty() ? "" : ",") + to_json(entry);
    }
    invocation.result("[" + document + "]");
    return 0;
  }
  Watch watch{root};
  JournalTail journal{root};
  // The first look gives what is there already: as much of it as was asked for.
  for (size_t wanted = tail.value_or(invocation.has("since") ? all : 0), first = true;; wanted = all, first = false) {
    for (const JournalEntry& entry : pick(journal.next(first && !chosen ? wanted : all), wanted)) {
      if (first && wanted == 0) break;
      invocation.json() ? invocation.write(json_shown(to_json(entry)) + "\n") : invocation.print(event_line(entry));
    }
    invocation.flush();
    if (span.is_over()) return 0;
    constexpr int look_ms = 200; // where the host gives no inotify
    const int left_ms = span.left_ms();
    pollfd watched{watch.fd(), POLLIN, 0};
    const int most_ms = watch.fd() >= 0 ? left_ms : left_ms < 0 ? look_ms : std::min(look_ms, left_ms);
    follow_on(invocation, [&] { await(invocation.trace(), &watched, 1, most_ms); });
    watch.drain();
  }
}

} // namespace conductor::command
