#include "core/base/undo.h"

#include "core/base/error.h"

#include <utility>

namespace conductor {

void Undo::push(std::string what, std::function<void()> undo)
{
  entries_.push_back({std::move(what), std::move(undo)});
}

void Undo::roll_back()
{
  if (entries_.empty()) return;
  // The gate or the interrupt that ended the operation must not stop its undoing as well.
  trace_.set_gate(nullptr);
  trace_.set_interrupt(nullptr);
  while (!entries_.empty()) {
    Entry entry = std::move(entries_.back());
    entries_.pop_back();
    try {
      Step step{trace_, "undo: " + entry.what};
      entry.undo();
      step.done();
    } catch (const std::exception& error) {
      try {
        trace_.notice("could not " + entry.what + ": " + error.what());
      } catch (...) { // a listener that is gone
      }
    }
  }
}

} // namespace conductor
