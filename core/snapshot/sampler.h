// Makes pictures of the world, one after the other, at little cost.
//
// What is stored is read again only when inotify told of a change; files of control groups stay open and are read in
// place; processes and interfaces are looked at for the selected container only. It never blocks, and everything it
// looks at may vanish at any moment. One thread at a time.
#pragma once

#include "core/network.h"
#include "core/snapshot/snapshot.h"
#include "core/store/root.h"

#include <memory>
#include <string>
#include <vector>

namespace conductor {

struct SampleWish {
  std::string selected;             // id of the container whose details are wanted, or empty
  std::vector<std::string> visible; // ids measured each time; others every 5 s. Empty: all are visible
};

class Sampler {
public:
  // Root and network must outlive it, and belong to this thread.
  Sampler(const Root& root, Network& network);
  ~Sampler();
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

  // Becomes readable when something stored has changed, or a container ended: then call sample() again. -1 when the
  // host gives no inotify; then sample() looks at everything each time.
  int fd() const;

  // Figures are measured at most once in 900 ms; a sample called for sooner carries the last ones. Throws Error only
  // when the state directory itself cannot be read.
  std::shared_ptr<const Snapshot> sample(const SampleWish& wish);

private:
  struct State;
  std::unique_ptr<State> state_;
};

} // namespace conductor
