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

// The two levels of steps below the verb's own, live output, progress. On a terminal each step that tells its progress
// has a line that is rewritten, several steps (layers that come side by side) one below the other; elsewhere only whole
// lines are written, and progress is left out.
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
  struct Open {
    uint32_t id = 0;
    size_t level = 0;
    std::string topic;
  };
  struct Bar {
    uint32_t id = 0;
    std::string topic;
    uint64_t done = 0, total = 0;
    std::string unit;
    uint64_t drawn_us = 0;
  };
  const Open* find_open(uint32_t id) const;
  std::string tell_begin(const Event& event);
  std::string tell_end(const Event& event);
  static std::string draw(const Bar& bar, bool alone);

  std::vector<Open> open_; // steps, in the order in which they began
  std::vector<Bar> bars_;
  std::string partial_;    // a line of output that has not ended yet
  size_t open_lines_ = 0;  // of progress, that stand on the screen
  uint32_t last_told_ = 0; // the step whose line came last
};

} // namespace conductor::command
