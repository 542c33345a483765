// What a verb does, told by its events: live, as the log of its steps (a build), or afterwards with every call and what
// a person would type instead (`x`).
#pragma once

#include "core/base/trace.h"
#include "tui/console/pane_text.h"

#include <deque>
#include <map>

namespace conductor::console {

class Job;

/// Live steps with marks (.. runs, ok, !! failed), what programs print, and how it ended.
class JobPane : public TextPane {
public:
  JobPane(int number, std::string title, int job) : TextPane(number, std::move(title)), job_(job) {}
  int job() const { return job_; }
  void said(const Event& event);
  void ended(const Job& job);
  bool busy() const override { return running_; }
  std::string status() const override { return running_ ? "running" : "ended"; }
  std::span<const std::string_view> hint_names() const override;

private:
  struct StepLine {
    std::uint64_t line;
    std::string text;
    int depth;
  };
  int job_;
  bool running_ = true;
  std::map<std::uint32_t, StepLine> steps_;
  std::uint64_t progress_us_ = 0;
};

/// The lines of `x`: steps, calls, by-hand commands, durations.
std::deque<TextLine> step_lines(const Job& job);
std::string took_text(std::uint64_t microseconds); ///< "41 ms", "2.3 s", "180 us"

} // namespace conductor::console
