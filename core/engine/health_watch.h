// Health checks: the keeper's part, a guest of its loop.
//
// Each check is a process of its own that the keeper clones, so nothing that a check does can make the relay wait, and
// the keeper's memory stays as it is. That process goes in as exec does, into a v2 group below the container's by which
// all that the check forks ends with it; it keeps what the check prints, ends it at the time-out, and writes down what
// came of it. It dies with the keeper. A paused container is not checked, and time that a check spends paused does not
// count.
#pragma once

#include "core/container/health.h"
#include "core/container/relay_loop.h"
#include "core/store/root.h"

#include <optional>

namespace conductor {

inline constexpr const char* health_group = "health"; // below the container's group

class HealthWatch : public LoopGuest {
public:
  // For a life that has just begun. The root must outlive it; spec.health is there.
  HealthWatch(const Root& root, const Spec& spec);
  int fd() const override { return checker_.pidfd(); }
  int patience_ms() const override;
  void act() override;

private:
  void begin();
  void end();
  void plan_next();
  int64_t age_ns() const;

  const Root& root_;
  const std::string id_;
  const Healthcheck check_;
  const uint64_t started_us_; // CLOCK_MONOTONIC, and so is the next
  uint64_t next_us_ = 0;
  HealthState state_ = HealthState::starting;
  Child checker_; // none between two checks
};

} // namespace conductor
