// A container that stands still: while what it wrote is read (commit and export of one that runs), or as long as it is
// paused.
//
// It is marked in the run directory before it begins, so that the next command on a container whose reader was killed
// lets it go on. The mark of one whose status says "paused" means nothing: pause and unpause change the status in
// between, so that a container that is killed over is either paused or not.
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
  // It stays still behind this: its status says by now that it is paused.
  void stay();

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
// A paused container goes on, and its status says so. The caller holds the lock. Throws Error; then it is still paused.
void let_go_on(const Context& context, Container container);

} // namespace conductor
