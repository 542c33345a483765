// The sampler thread: it makes pictures of the world and puts the newest into a mailbox. The UI thread takes it from
// there, and says what it looks at; they share nothing else.
#pragma once

#include "core/base/handle.h"
#include "core/snapshot/sampler.h"
#include "core/store/root.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace conductor::console {

/// An interactive shell that a holder keeps.
struct KeptSession {
  std::string container, session; ///< ids
  std::int64_t since_ns = 0;      ///< when it was begun
  bool operator==(const KeptSession&) const = default;
};

struct World {
  std::shared_ptr<const Snapshot> snapshot;
  std::vector<KeptSession> sessions;
  std::string problem; ///< why there is no new snapshot, or empty
};

/// Where the state lies, and how to look at networks (the program gives it, since the console does not know net/).
struct Place {
  std::string root_path, run_path;
  std::function<std::unique_ptr<Network>(Trace&)> make_network;
};

class WorldWatch {
public:
  /// Opens the store. Throws Error.
  explicit WorldWatch(Place place);
  ~WorldWatch();
  WorldWatch(const WorldWatch&) = delete;
  WorldWatch& operator=(const WorldWatch&) = delete;

  /// Starts the thread, with the rights that the caller has now.
  void begin();
  /// Readable when there is something new; take() empties it.
  int fd() const { return news_.get(); }
  World take();
  void wish(SampleWish wish);

private:
  void run();
  void ring(const Fd& bell) const;

  Place place_;
  Trace trace_; ///< for reading only: nothing listens
  Root root_;   ///< the thread's, once that runs
  Fd news_, wake_;
  std::mutex mutex_; ///< guards wish_, newest_, stop_
  SampleWish wish_;
  World newest_;
  bool stop_ = false;
  std::thread thread_;
};

} // namespace conductor::console
