// --explain: an operation narrated for people, on stderr; teachers project it.
//
//   1  make the container's root
//      why   layers stay read-only; what the container writes goes to a directory of its own
//      ok         14 us  fsopen("overlay", FSOPEN_CLOEXEC)
//                        $ mount -t overlay ...
//      1.1  a step within
//      done in 120 us
#pragma once

#include "core/base/trace.h"

#include <string>
#include <vector>

namespace conductor::command {

class ExplainListener : public Listener {
public:
  ExplainListener(int fd, bool colour) : fd_(fd), colour_(colour) {}
  ~ExplainListener() override;
  void on(const Event& event) override;

  // The text of one event, with all that came before it taken into account; for tests.
  std::string tell(const Event& event);

private:
  struct Level {
    uint32_t id = 0;
    std::string number; // "1.2"
    unsigned steps = 0; // within it so far
  };
  std::string line(size_t depth, std::string_view text) const;
  std::string paint(std::string_view colour, std::string_view text) const;
  std::string by_hand_text(const Event& event) const;
  std::string tell_step(const Event& event);
  std::string tell_end(const Event& event);
  std::string tell_call(const Event& event);
  std::string tell_waiting();

  int fd_;
  bool colour_;
  std::vector<Level> levels_;
  unsigned steps_ = 0; // at the top
  Event waiting_;      // a call that began and has not ended
  bool is_waiting_ = false, waiting_told_ = false;
};

} // namespace conductor::command
