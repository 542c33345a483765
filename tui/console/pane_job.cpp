#include "tui/console/pane_job.h"

#include "core/base/error.h"
#include "tui/console/job.h"
#include "tui/console/view.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace conductor::console {
namespace {

std::string blanks(int columns) { return std::string(static_cast<std::size_t>(columns), ' '); }

} // namespace

std::string took_text(std::uint64_t microseconds)
{
  if (microseconds < 1000) return fmt::format("{} us", microseconds);
  if (microseconds < 10'000) return fmt::format("{:.1f} ms", static_cast<double>(microseconds) / 1000);
  if (microseconds < 1'000'000) return fmt::format("{} ms", microseconds / 1000);
  if (microseconds < 100'000'000) return fmt::format("{:.1f} s", static_cast<double>(microseconds) / 1e6);
  return duration_text(microseconds / 1'000'000);
}

void JobPane::said(const Event& event)
{
  switch (event.kind) {
  case EventKind::step_began: {
    const auto parent = steps_.find(event.parent);
    const int depth = parent == steps_.end() ? 0 : parent->second.depth + 1;
    const std::string text = blanks(2 * depth) + event.topic;
    add({" ..  " + text, Role::accent, 5});
    steps_[event.id] = {total() - 1, text, depth};
    break;
  }
  case EventKind::step_ended: {
    const auto step = steps_.find(event.id);
    if (step == steps_.end()) break;
    const bool failed = event.outcome == Outcome::failed;
    set_line(step->second.line, {(failed ? " !!  " : " ok  ") + step->second.text + "  " + took_text(event.duration_us),
                                 failed ? Role::bad : Role::good, 5});
    break;
  }
  case EventKind::progress: {
    const auto step = steps_.find(event.id);
    // A fast operation tells more than a reader can see.
    if (step == steps_.end() || event.time_us - progress_us_ < 100'000) break;
    progress_us_ = event.time_us;
    const bool bytes = event.unit == "bytes";
    const auto amount = [&](std::uint64_t n) { return bytes ? size_text(n) : std::to_string(n) + " " + event.unit; };
    std::string text = " ..  " + step->second.text + "  " + amount(event.done);
    if (event.total > 0) text += " of " + amount(event.total) + fmt::format(" ({}%)", event.done * 100 / event.total);
    set_line(step->second.line, {text, Role::accent, 5});
    break;
  }
  case EventKind::output: add_bytes(event.detail); break;
  case EventKind::notice: add({" --  " + event.detail, Role::warning, 5}); break;
  case EventKind::hello:
  case EventKind::call_began:
  case EventKind::call_ended:
  case EventKind::result: break;
  }
}

void JobPane::ended(const Job& job)
{
  running_ = false;
  if (job.state() == JobState::done)
    add({"done in " + took_text(job.ended_us() - job.began_us()), Role::good});
  else if (job.state() == JobState::cancelled)
    add({"cancelled, and taken back", Role::warning});
  else {
    add({job.error(), Role::bad});
    if (!job.hint().empty()) add({"hint: " + job.hint(), Role::warning});
  }
}

std::span<const std::string_view> JobPane::hint_names() const
{
  static constexpr std::array<std::string_view, 5> names{"cancel", "follow", "search", "wrap", "close"};
  return running_ ? names : TextPane::hint_names();
}

std::deque<TextLine> step_lines(const Job& job)
{
  std::deque<TextLine> lines;
  lines.push_back({command_line(job.arguments()), Role::header});
  std::map<std::uint32_t, std::pair<int, std::size_t>> steps; // id -> depth, line
  for (const Event& event : job.events()) {
    const auto step = steps.find(event.id);
    const int depth = step == steps.end() ? 0 : step->second.first;
    switch (event.kind) {
    case EventKind::step_began: {
      const auto parent = steps.find(event.parent);
      const int at = parent == steps.end() ? 0 : parent->second.first + 1;
      steps[event.id] = {at, lines.size()};
      lines.push_back(
          {blanks(2 * at) + event.topic + (event.detail.empty() ? "" : ": " + event.detail), Role::accent, 2 * at + 2});
      break;
    }
    case EventKind::call_ended: {
      const std::string outcome = event.skipped ? "skipped" : event.error != 0 ? errno_name(event.error) : "ok";
      lines.push_back({blanks(2 * depth + 2) + event.detail + "  " + outcome + ", " + took_text(event.duration_us),
                       event.error != 0 ? Role::warning : Role::text, 2 * depth + 4});
      if (!event.by_hand.empty())
        lines.push_back({blanks(2 * depth + 4) + "$ " + event.by_hand, Role::muted, 2 * depth + 6});
      break;
    }
    case EventKind::step_ended:
      if (step != steps.end()) {
        auto& line = lines[step->second.second];
        line.text += "  (" + took_text(event.duration_us) + ")";
        if (event.outcome == Outcome::failed) line.role = Role::bad;
      }
      break;
    case EventKind::notice: lines.push_back({blanks(2 * depth) + event.detail, Role::warning, 2 * depth + 2}); break;
    case EventKind::hello:
    case EventKind::call_began:
    case EventKind::progress:
    case EventKind::output:
    case EventKind::result: break;
    }
  }
  if (!job.error().empty()) lines.push_back({job.error(), Role::bad});
  if (!job.hint().empty()) lines.push_back({"hint: " + job.hint(), Role::warning});
  return lines;
}

} // namespace conductor::console
