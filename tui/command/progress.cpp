// Steps and output as lines. Everything that programs print goes through shown(): it may come from an image.
#include "tui/command/progress.h"

#include "tui/command/stream.h"
#include "tui/command/text.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace conductor::command {
namespace {

constexpr size_t shown_level = 1;                 // level 0 is the verb itself; what lies deeper is for --explain
constexpr uint64_t quick_us = 100'000;            // a step's time is told when it took longer
constexpr uint64_t between_progress_us = 100'000; // at most ten lines a second
constexpr size_t longest_partial = 4096;          // bytes of a line without an end

} // namespace

void NoticeListener::on(const Event& event)
{
  if (event.kind == EventKind::notice) write_all(fd_, "conductor: " + shown(event.detail) + "\n");
}

ProgressListener::~ProgressListener() { write_all(fd_, fresh_line()); }

void ProgressListener::on(const Event& event)
{
  const std::string text = tell(event);
  if (!text.empty()) write_all(fd_, text);
}

std::string ProgressListener::paint(std::string_view colour, std::string_view text) const
{
  if (!colour_) return std::string{text};
  return fmt::format("\x1b[{}m{}\x1b[0m", colour, text);
}

// Ends what stands in an open line, so that the next text begins at the left.
std::string ProgressListener::fresh_line()
{
  std::string text;
  if (std::exchange(line_is_open_, false)) text += "\r\x1b[K";
  if (!partial_.empty()) text += paint("2", "  | " + shown(std::exchange(partial_, {}), true)) + "\n";
  return text;
}

std::string ProgressListener::tell_output(std::string_view bytes)
{
  std::string text;
  partial_ += bytes;
  size_t end = 0;
  while ((end = partial_.find('\n')) != std::string::npos || partial_.size() > longest_partial) {
    std::string rest = partial_.substr(std::min(end, partial_.size() - 1) + 1);
    partial_.resize(std::min(end, partial_.size()));
    while (partial_.ends_with('\r')) partial_.pop_back();
    // A program that rewrites its line (a percentage) is shown as it left it.
    if (const size_t again = partial_.rfind('\r'); again != std::string::npos) partial_.erase(0, again + 1);
    const bool is_empty = partial_.empty();
    text += fresh_line();
    if (is_empty) text += paint("2", "  |") + "\n";
    partial_ = std::move(rest);
  }
  return text;
}

std::string ProgressListener::tell_progress(const Event& event)
{
  if (!terminal_ || event.time_us - last_progress_us_ < between_progress_us) return {};
  last_progress_us_ = event.time_us;
  const bool bytes = event.unit == "bytes";
  const auto amount = [&](uint64_t count) {
    return bytes ? short_size(count) : std::to_string(count) + " " + shown(event.unit);
  };
  std::string text = fresh_line();
  line_is_open_ = true;
  if (event.total == 0) return text + "  " + amount(event.done);
  constexpr uint64_t width = 30;
  const uint64_t filled = std::min(event.done, event.total) * width / event.total;
  return text + fmt::format("  [{:#<{}}{:.<{}}] {} of {}", "", filled, "", width - filled, amount(event.done),
                            amount(event.total));
}

std::string ProgressListener::tell(const Event& event)
{
  switch (event.kind) {
  case EventKind::step_began: {
    const size_t level = levels_.size();
    levels_.push_back(event.id);
    if (level != shown_level || event.topic.starts_with("undo: ")) return {};
    const std::string why = event.detail.empty() ? "" : paint("2", "  (" + shown(event.detail) + ")");
    return fresh_line() + paint("1", shown(event.topic)) + why + "\n";
  }
  case EventKind::step_ended: {
    const auto found = std::find(levels_.begin(), levels_.end(), event.id);
    if (found == levels_.end()) return {};
    const auto level = static_cast<size_t>(found - levels_.begin());
    levels_.erase(found, levels_.end());
    if (level != shown_level) return {};
    if (event.outcome == Outcome::failed) return fresh_line() + paint("1;31", "failed") + "\n";
    if (event.duration_us < quick_us) return fresh_line();
    return fresh_line() + paint("2", "done in " + short_time(event.duration_us)) + "\n";
  }
  case EventKind::output: return tell_output(event.detail);
  case EventKind::progress: return tell_progress(event);
  case EventKind::notice: return fresh_line() + paint("33", shown(event.detail)) + "\n";
  case EventKind::hello:
  case EventKind::call_began:
  case EventKind::call_ended:
  case EventKind::result: return {};
  }
  return {};
}

} // namespace conductor::command
