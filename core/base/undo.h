// Roll-back: each effect pushes its undo on the line after it; commit() says that all is well.
//
// Without commit() the undos run in reverse order. An undo that fails is told as a notice and the others still run:
// what remains then carries our mark and is found by the next command.
#pragma once

#include "core/base/trace.h"

#include <functional>
#include <string>
#include <vector>

namespace conductor {

class Undo {
public:
  explicit Undo(Trace& trace) : trace_(trace) {}
  Undo(const Undo&) = delete;
  Undo& operator=(const Undo&) = delete;
  ~Undo() { roll_back(); }

  // what: "remove the cgroup"; told when it runs.
  void push(std::string what, std::function<void()> undo);
  void commit() { entries_.clear(); }
  void roll_back();

private:
  struct Entry {
    std::string what;
    std::function<void()> undo;
  };
  Trace& trace_;
  std::vector<Entry> entries_;
};

} // namespace conductor
