// That a container with a limit of memory has run out of it, told at the moment: a guest of its keeper's loop, which
// the kernel wakes. Who was killed goes into the journal; the container may well live on.
#pragma once

#include "core/container/relay_loop.h"
#include "core/kernel/cgroup.h"
#include "core/store/root.h"

#include <memory>
#include <string>
#include <vector>

namespace conductor {

// "'dd', 'sort'", each once; empty for nobody.
std::string names_of(const std::vector<kernel::OomVictim>& victims);

class OomWatch : public LoopGuest {
public:
  // None where the kernel tells nothing: then it is seen at the end. The root must outlive it.
  static std::unique_ptr<OomWatch> begin(const Root& root, const std::string& id);
  int fd() const override { return notice_.fd.get(); }
  short events() const override { return notice_.events; }
  int patience_ms() const override;
  void act() override;

private:
  OomWatch(const Root& root, std::string id, kernel::OomNotice notice);
  void tell(uint64_t kills);

  const Root& root_;
  const std::string id_;
  const kernel::OomNotice notice_;
  uint64_t told_ = 0;    // how many kills
  uint64_t look_us_ = 0; // CLOCK_MONOTONIC; 0: when the kernel says so
  int looks_left_ = 0;
};

} // namespace conductor
