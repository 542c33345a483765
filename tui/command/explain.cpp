// The narration. A call is told when it has ended, with its result in front, so that results stand in one column; a
// call that takes long enough for something else to be told meanwhile is told first without one.
#include "tui/command/explain.h"

#include "core/base/error.h"
#include "tui/command/stream.h"
#include "tui/command/text.h"

#include <algorithm>

#include <fmt/format.h>

namespace conductor::command {
namespace {

constexpr std::string_view bold = "1", dim = "2", red = "1;31", green = "32", yellow = "33", cyan = "36";
constexpr size_t result_width = 9, time_width = 9;

} // namespace

ExplainListener::~ExplainListener()
{
  if (is_waiting_ && !waiting_told_) write_all(fd_, tell_waiting());
}

void ExplainListener::on(const Event& event) { write_all(fd_, tell(event)); }

std::string ExplainListener::paint(std::string_view colour, std::string_view text) const
{
  if (!colour_) return std::string{text};
  return fmt::format("\x1b[{}m{}\x1b[0m", colour, text);
}

// Text at a depth; each of its own further lines is indented as the first.
std::string ExplainListener::line(size_t depth, std::string_view text) const
{
  const std::string indent(depth * 3, ' ');
  std::string result;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    result += indent + std::string{text.substr(0, end)} + "\n";
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return result;
}

// A command with the prompt in front; a remark (# ...) stands without one.
std::string ExplainListener::by_hand_text(const Event& event) const
{
  return paint(cyan, (event.by_hand.starts_with('#') ? "" : "$ ") + shown(event.by_hand));
}

std::string ExplainListener::tell_step(const Event& event)
{
  // What a child program tells lies below the step that its parent is in; a step that was never ended is over when its
  // parent goes on.
  while (!levels_.empty() && levels_.back().id != event.parent &&
         std::any_of(levels_.begin(), levels_.end(), [&](const Level& each) { return each.id == event.parent; }))
    levels_.pop_back();
  if (event.parent == 0) levels_.clear();
  Level level{.id = event.id};
  if (levels_.empty()) {
    level.number = std::to_string(++steps_);
  } else {
    level.number = fmt::format("{}.{}", levels_.back().number, ++levels_.back().steps);
  }
  const size_t depth = levels_.size();
  std::string text = depth == 0 && steps_ > 1 ? "\n" : "";
  text += line(depth, paint(cyan, level.number) + "  " + paint(bold, shown(event.topic)));
  if (!event.detail.empty()) text += line(depth + 1, paint(dim, "why   " + shown(event.detail)));
  levels_.push_back(std::move(level));
  return text;
}

std::string ExplainListener::tell_end(const Event& event)
{
  const auto found =
      std::find_if(levels_.rbegin(), levels_.rend(), [&](const Level& each) { return each.id == event.id; });
  if (found == levels_.rend()) return {};
  const Level level = *found;
  const auto depth = static_cast<size_t>(levels_.rend() - found) - 1;
  levels_.resize(depth);
  const std::string time = short_time(event.duration_us);
  if (event.outcome == Outcome::failed) return line(depth + 1, paint(red, "failed") + " after " + time);
  return line(depth + 1, paint(green, "done") + paint(dim, " in " + time));
}

std::string ExplainListener::tell_call(const Event& event)
{
  std::string_view colour = green;
  std::string result = "ok";
  if (event.skipped) {
    colour = yellow;
    result = "skipped";
  } else if (event.error != 0) {
    colour = red;
    result = errno_name(event.error);
  }
  const std::string time = event.skipped ? "" : short_time(event.duration_us);
  const size_t depth = levels_.size();
  const std::string head = paint(colour, fmt::format("{:<{}}", result, result_width)) + " " +
                           paint(dim, fmt::format("{:>{}}", time, time_width)) + "  ";
  const std::string indent(result_width + 1 + time_width + 2, ' ');
  // What was told when it began is not told twice.
  if (waiting_told_) return line(depth, head + paint(dim, shown(event.topic) + " ended"));
  std::string text = line(depth, head + shown(event.detail));
  if (!event.by_hand.empty()) text += line(depth, indent + by_hand_text(event));
  return text;
}

std::string ExplainListener::tell_waiting()
{
  const size_t depth = levels_.size();
  const std::string indent(result_width + 1 + time_width + 2, ' ');
  std::string text = line(depth, paint(yellow, fmt::format("{:<{}}", "...", result_width)) +
                                     std::string(time_width + 3, ' ') + shown(waiting_.detail));
  if (!waiting_.by_hand.empty()) text += line(depth, indent + by_hand_text(waiting_));
  waiting_told_ = true;
  return text;
}

std::string ExplainListener::tell(const Event& event)
{
  std::string text;
  if (is_waiting_ && !waiting_told_ && event.kind != EventKind::call_ended) text = tell_waiting();
  switch (event.kind) {
  case EventKind::step_began: return text + tell_step(event);
  case EventKind::step_ended: return text + tell_end(event);
  case EventKind::call_began:
    waiting_ = event;
    is_waiting_ = true;
    waiting_told_ = false;
    return text;
  case EventKind::call_ended:
    text += tell_call(event);
    is_waiting_ = waiting_told_ = false;
    return text;
  case EventKind::notice: return text + line(levels_.size(), paint(yellow, "note  " + shown(event.detail)));
  case EventKind::output: {
    std::string_view rest = event.detail;
    while (!rest.empty()) {
      const size_t end = rest.find('\n');
      text += line(levels_.size(), paint(dim, "| ") + shown(rest.substr(0, end), true));
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
    return text;
  }
  case EventKind::progress:
  case EventKind::hello:
  case EventKind::result: return text;
  }
  return text;
}

} // namespace conductor::command
