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
constexpr size_t most_bars = 8;                   // lines of progress at a time
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
  for (size_t line = std::exchange(open_lines_, 0); line > 0; --line) text += line > 1 ? "\r\x1b[K\x1b[A" : "\r\x1b[K";
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

const ProgressListener::Open* ProgressListener::find_open(uint32_t id) const
{
  const auto found = std::find_if(open_.begin(), open_.end(), [&](const Open& step) { return step.id == id; });
  return found == open_.end() ? nullptr : &*found;
}

std::string ProgressListener::draw(const Bar& bar, bool alone)
{
  const auto amount = [&](uint64_t count) {
    return bar.unit == "bytes" ? short_size(count) : std::to_string(count) + " " + shown(bar.unit);
  };
  std::string text = alone ? "  " : fmt::format("  {:28.28} ", shown(bar.topic));
  if (bar.total == 0) return text + amount(bar.done);
  const uint64_t width = alone ? 30 : 24;
  const uint64_t filled = std::min(bar.done, bar.total) * width / bar.total;
  return text +
         fmt::format("[{:#<{}}{:.<{}}] {} of {}", "", filled, "", width - filled, amount(bar.done), amount(bar.total));
}

std::string ProgressListener::tell_progress(const Event& event)
{
  if (!terminal_) return {};
  auto bar = std::find_if(bars_.begin(), bars_.end(), [&](const Bar& each) { return each.id == event.id; });
  if (bar == bars_.end()) {
    const Open* step = find_open(event.id);
    bar = bars_.insert(bars_.end(), {.id = event.id, .topic = step == nullptr ? "" : step->topic});
  }
  bar->done = event.done;
  bar->total = event.total;
  bar->unit = event.unit;
  // Each bar for itself: one that was left out because another had just been drawn would stay wrong when it stalls.
  if (event.time_us - bar->drawn_us < between_progress_us) return {};
  bar->drawn_us = event.time_us;
  std::string text = fresh_line();
  open_lines_ = std::min(bars_.size(), most_bars);
  for (size_t at = 0; at < open_lines_; ++at) text += (at > 0 ? "\n" : "") + draw(bars_[at], bars_.size() == 1);
  return text;
}

std::string ProgressListener::tell_begin(const Event& event)
{
  const Open* outer = find_open(event.parent);
  const size_t level = outer != nullptr ? outer->level + 1 : event.parent == 0 ? 0 : open_.size();
  open_.push_back({event.id, level, event.topic});
  if (level != shown_level || event.topic.starts_with("undo: ")) return {};
  last_told_ = event.id;
  const std::string why = event.detail.empty() ? "" : paint("2", "  (" + shown(event.detail) + ")");
  return fresh_line() + paint("1", shown(event.topic)) + why + "\n";
}

std::string ProgressListener::tell_end(const Event& event)
{
  const Open* found = find_open(event.id);
  if (found == nullptr) return {};
  const Open step = *found;
  std::erase_if(open_, [&](const Open& each) { return each.id == step.id; });
  const bool had_bar = std::erase_if(bars_, [&](const Bar& bar) { return bar.id == step.id; }) > 0;
  if (step.level != shown_level) return had_bar ? fresh_line() : "";
  // Where steps go side by side, the line above need not be this one's.
  const std::string whose = step.id == last_told_ ? "" : shown(step.topic) + ": ";
  if (event.outcome == Outcome::failed) return fresh_line() + paint("1;31", whose + "failed") + "\n";
  if (event.duration_us < quick_us) return fresh_line();
  last_told_ = step.id;
  return fresh_line() + paint("2", whose + "done in " + short_time(event.duration_us)) + "\n";
}

std::string ProgressListener::tell(const Event& event)
{
  switch (event.kind) {
  case EventKind::step_began: return tell_begin(event);
  case EventKind::step_ended: return tell_end(event);
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
