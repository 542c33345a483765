// logs and events: what containers wrote, what happened to them; both can be followed.
#include "core/base/error.h"
#include "core/container/log.h"
#include "core/kernel/files.h"
#include "core/snapshot/watch.h"
#include "core/store/journal.h"
#include "tui/command/invocation.h"
#include "tui/command/runs.h"
#include "tui/command/stream.h"
#include "tui/command/text.h"
#include "tui/command/values.h"

#include <csignal>

#include <poll.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

namespace conductor::command {
namespace {

constexpr uint64_t most_lines = 1'000'000'000;

// Ctrl-C is how one stops to follow: we end as the signal would have ended us, and the shell knows.
void end_when_interrupted(Invocation& invocation)
{
  if (!invocation.trace().interrupted()) return;
  invocation.flush();
  std::signal(SIGINT, SIG_DFL);
  ::raise(SIGINT);
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

} // namespace

int run_logs(Invocation& invocation)
{
  LogQuery query{.tail_lines = tail_of(invocation), .follow = invocation.has("follow")};
  if (const auto text = invocation.value("since")) query.since_ns = parse_since(*text, realtime_ns());
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
    end_when_interrupted(invocation);
    if (!query.follow || reader.ended()) return 0;
    reader.wait(-1);
  }
}

int run_events(Invocation& invocation)
{
  constexpr size_t most = 1000;
  const bool follow = invocation.has("follow");
  const auto tail = tail_of(invocation);
  Root& root = invocation.root();
  if (!follow) {
    std::string document;
    for (const JournalEntry& entry : last_entries(root, tail.value_or(most))) {
      invocation.print(event_line(entry));
      document += (document.empty() ? "" : ",") + to_json(entry);
    }
    invocation.result("[" + document + "]");
    return 0;
  }
  Watch watch{root};
  JournalTail journal{root};
  // The first look gives what is there already: as much of it as was asked for.
  for (size_t wanted = tail.value_or(0), first = true;; wanted = most, first = false) {
    for (const JournalEntry& entry : journal.next(wanted)) {
      if (first && wanted == 0) break;
      invocation.json() ? invocation.write(json_shown(to_json(entry)) + "\n") : invocation.print(event_line(entry));
    }
    invocation.flush();
    pollfd watched{watch.fd(), POLLIN, 0};
    ::poll(&watched, 1, watch.fd() < 0 ? 200 : -1);
    end_when_interrupted(invocation);
    watch.drain();
  }
}

} // namespace conductor::command
