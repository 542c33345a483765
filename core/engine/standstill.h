// A container that stands still while what it wrote is read: commit and export of one that runs.
//
// It is written down in the run directory before it begins, so that the next command on a container whose reader was
// killed lets it go on.
#pragma once

#include "core/base/undo.h"
#include "core/engine/engine.h"

namespace conductor {

class Standstill {
public:
  // Stops every process of a running container, as long as this is there; of another one nothing. The caller holds the
  // container's lock. Throws Error.
  Standstill(Context& context, const Container& container);
  // It goes on. Without this it does when this goes.
  void end();

private:
  Context& context_;
  Container container_;
  Undo undo_;
};

// Lets a container go on that a killed reader left standing still. Cheap when there is none, and nothing while the
// reader lives, who holds the lock. Throws Error.
void end_standstill(const Context& context, const Container& container);
// The same for somebody who holds the lock.
void end_standstill_locked(const Context& context, const Container& container);

} // namespace conductor
