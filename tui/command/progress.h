// What a person sees while a verb works: the steps of a build with what their programs print, and notices.
#pragma once

#include "core/base/trace.h"

#include <string>
#include <string_view>
#include <vector>

namespace conductor::command {

// Notices only: for verbs that are done before anybody could read a step. Costs nothing while there are none.
class NoticeListener : public Listener {
public:
  explicit NoticeListener(int fd) : fd_(fd) {}
  void on(const Event& event) override;
  bool wants_calls() const override { return false; }
  bool wants_steps() const override { return false; }

private:
  int fd_;
};

// The two levels of steps below the verb's own, live output, progress. On a terminal progress is a line that is
// rewritten; elsewhere only whole lines are written, and progress is left out.
class ProgressListener : public Listener {
public:
  ProgressListener(int fd, bool terminal, bool colour) : fd_(fd), terminal_(terminal), colour_(colour) {}
  ~ProgressListener() override;
  void on(const Event& event) override;
  bool wants_calls() const override { return false; }

  // What an event adds to the screen; for tests.
  std::string tell(const Event& event);

private:
  std::string tell_output(std::string_view bytes);
  std::string tell_progress(const Event& event);
  std::string fresh_line();
  std::string paint(std::string_view colour, std::string_view text) const;

  int fd_;
  bool terminal_, colour_;
  std::vector<uint32_t> levels_;
  std::string partial_;       // a line of output that has not ended yet
  bool line_is_open_ = false; // a progress line stands on the screen
  uint64_t last_progress_us_ = 0;
};

} // namespace conductor::command
