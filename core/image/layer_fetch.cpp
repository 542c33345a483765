#include "core/image/layer_fetch.h"

#include "core/base/error.h"
#include "core/base/guard.h"
#include "core/image/byte_queue.h"
#include "core/image/decompress.h"
#include "core/kernel/files.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <exception>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <unistd.h>

namespace conductor::image {
namespace {

constexpr size_t side_by_side = 4;  // layers; more would only take turns at the same line
constexpr size_t queue_blocks = 16; // of 256 KiB, between the socket and the files of one layer
constexpr auto between_progress = std::chrono::milliseconds{100};

void write_whole(int fd, std::string_view bytes)
{
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw Error{"write a packed layer", errno, kernel::cure_of(errno)};
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

// A layer on its way. `made` and `file` belong to the threads between started and finished.
struct Passing {
  explicit Passing(const WantedLayer& layer) : wanted(layer) {}
  const WantedLayer& wanted;
  FetchedLayer made;
  Fd file; // the packed bytes
  std::atomic<uint64_t> done{0};
  std::atomic<bool> started{false}, finished{false};
};

class Unpacking {
public:
  explicit Unpacking(Passing& layer)
      : layer_(layer),
        decompressor_([&layer](std::string_view plain) { layer.made.unpacker->feed(plain); }, layer.wanted.most)
  {}

  void feed(std::string_view packed)
  {
    try {
      decompressor_.feed(packed);
    } catch (const Error& error) {
      throw error.within(layer_.wanted.title);
    }
  }

  void end()
  {
    decompressor_.finish();
    const std::string diff_id = layer_.made.unpacker->end(TarReader::EndMark::may_be_missing);
    if (diff_id != layer_.wanted.diff_id && holds(guard::checked_content))
      throw Error{fmt::format("{} unpacks to sha256:{}, and the configuration of the image says sha256:{}",
                              layer_.wanted.title, diff_id, layer_.wanted.diff_id),
                  EBADMSG};
  }

private:
  Passing& layer_;
  Decompressor decompressor_;
};

// In the caller's thread: each call is told, one after the other.
void fetch_here(Trace& trace, registry::Repository& repository, Passing& layer)
{
  Step step{trace, layer.wanted.title};
  Unpacking unpacking{layer};
  uint64_t told = 0;
  repository.blob(layer.wanted.descriptor, [&](std::string_view bytes) {
    write_whole(layer.file.get(), bytes);
    unpacking.feed(bytes);
    layer.done += bytes.size();
    if (layer.done - told < (1 << 20)) return;
    told = layer.done;
    step.progress(told, layer.wanted.descriptor.size, "bytes");
  });
  unpacking.end();
  step.done();
}

// The threads, and what they share with the caller's.
class Crew {
public:
  Crew(const FetchPlace& place, std::vector<std::unique_ptr<Passing>>& layers) : place_(place), layers_(layers) {}
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;
  ~Crew()
  {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }

  void start()
  {
    // Signals are for the caller's thread, which looks at the flag they set.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    running_ = std::min(side_by_side, layers_.size());
    for (size_t left = running_; left > 0; --left) threads_.emplace_back([this] { work(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  // Calls `tell` until everybody is done. Throws what went wrong first.
  template <class Tell>
  void watch(const Trace& trace, Tell&& tell)
  {
    std::unique_lock guard{lock_};
    while (running_ > 0) {
      changed_.wait_for(guard, between_progress);
      if (trace.interrupted()) stop_ = true;
      guard.unlock();
      tell();
      guard.lock();
    }
    guard.unlock();
    trace.throw_if_interrupted();
    if (thrown_) std::rethrow_exception(thrown_);
  }

private:
  void work()
  {
    try {
      Trace quiet;
      registry::Repository repository{quiet, place_.registry, place_.repository, registry::Rights::pull,
                                      [this] { return stop_.load(); }};
      for (size_t at = next_++; at < layers_.size() && !stop_; at = next_++) {
        layers_[at]->started = true;
        changed_.notify_one();
        fetch(repository, *layers_[at]);
        layers_[at]->finished = true;
        changed_.notify_one();
      }
    } catch (...) {
      const std::lock_guard guard{lock_};
      if (!thrown_) thrown_ = std::current_exception();
      stop_ = true;
    }
    const std::lock_guard guard{lock_};
    --running_;
    changed_.notify_one();
  }

  // This thread stays at the socket, a second one unpacks.
  void fetch(registry::Repository& repository, Passing& layer) const
  {
    ByteQueue queue{queue_blocks};
    std::exception_ptr thrown;
    std::thread unpacker{[&] {
      try {
        Unpacking unpacking{layer};
        std::string used;
        while (auto block = queue.take(std::move(used))) {
          unpacking.feed(*block);
          used = std::move(*block);
        }
        if (queue.complete()) unpacking.end();
      } catch (...) {
        thrown = std::current_exception();
        queue.give_up();
      }
    }};
    std::exception_ptr fault;
    try {
      // The library gives 16 KiB at a time; a block of the queue makes a better write.
      const auto keep = [&](std::string_view block) { write_whole(layer.file.get(), block); };
      repository.blob(layer.wanted.descriptor, [&](std::string_view bytes) {
        if (!queue.put(bytes, keep)) throw Error{"the layer cannot be unpacked", EBADMSG};
        layer.done += bytes.size();
      });
      queue.close(keep);
    } catch (...) {
      fault = std::current_exception();
      queue.abandon();
    }
    unpacker.join();
    if (thrown) std::rethrow_exception(thrown);
    if (fault) std::rethrow_exception(fault);
  }

  const FetchPlace& place_;
  std::vector<std::unique_ptr<Passing>>& layers_;
  std::vector<std::thread> threads_;
  std::mutex lock_;
  std::condition_variable changed_;
  std::atomic<size_t> next_{0};
  std::atomic<bool> stop_{false};
  size_t running_ = 0; // under the lock, as the next
  std::exception_ptr thrown_;
};

// The steps of layers that come side by side, told by the caller's thread.
class Telling {
public:
  Telling(Trace& trace, const std::vector<std::unique_ptr<Passing>>& layers)
      : trace_(trace), layers_(layers), first_id_(trace.reserve_ids()), told_(layers.size())
  {}
  Telling(const Telling&) = delete;
  Telling& operator=(const Telling&) = delete;
  ~Telling()
  {
    try {
      for (size_t at = 0; at < told_.size(); ++at)
        if (told_[at].begun && !told_[at].ended) end(at, Outcome::failed);
    } catch (...) { // a listener that fails while we unwind must not end the program
    }
  }

  void operator()()
  {
    if (!trace_.listening()) return;
    for (size_t at = 0; at < told_.size(); ++at) {
      Told& told = told_[at];
      const Passing& layer = *layers_[at];
      if (told.ended || !layer.started) continue;
      if (!told.begun) begin(at);
      const uint64_t done = layer.done;
      if (done != told.done) {
        told.done = done;
        Event event{.kind = EventKind::progress, .id = id(at), .done = done, .total = layer.wanted.descriptor.size};
        event.unit = "bytes";
        send(event);
      }
      if (layer.finished) end(at, Outcome::done);
    }
  }

private:
  struct Told {
    bool begun = false, ended = false;
    uint64_t began_us = 0, done = 0;
  };

  uint32_t id(size_t at) const { return first_id_ + static_cast<uint32_t>(at); }

  void send(Event& event)
  {
    event.time_us = monotonic_us();
    trace_.forward(event);
  }

  void begin(size_t at)
  {
    Event event{.kind = EventKind::step_began, .id = id(at), .parent = trace_.current_step()};
    event.topic = layers_[at]->wanted.title;
    send(event);
    told_[at].begun = true;
    told_[at].began_us = event.time_us;
  }

  void end(size_t at, Outcome outcome)
  {
    Event event{.kind = EventKind::step_ended, .id = id(at), .outcome = outcome};
    event.duration_us = monotonic_us() - told_[at].began_us;
    told_[at].ended = true;
    send(event);
  }

  Trace& trace_;
  const std::vector<std::unique_ptr<Passing>>& layers_;
  uint32_t first_id_;
  std::vector<Told> told_;
};

std::unique_ptr<Passing> prepare(const FetchPlace& place, const WantedLayer& wanted, size_t number)
{
  auto layer = std::make_unique<Passing>(wanted);
  layer->made.unpacker = std::make_unique<LayerUnpacker>(place.root, place.shop, "layer-" + std::to_string(number));
  layer->made.blob = place.shop.path() + "/blob-" + std::to_string(number);
  layer->file = kernel::make_file(place.root.trace(), place.root.dir(), layer->made.blob);
  layer->made.form = {wanted.descriptor.digest.substr(wanted.descriptor.digest.find(':') + 1), wanted.descriptor.size,
                      wanted.descriptor.media_type};
  return layer;
}

} // namespace

std::vector<FetchedLayer> fetch_layers(const FetchPlace& place, const std::vector<WantedLayer>& wanted)
{
  Trace& trace = place.root.trace();
  std::vector<std::unique_ptr<Passing>> layers;
  for (const WantedLayer& layer : wanted) layers.push_back(prepare(place, layer, layers.size()));
  if (trace.gated()) {
    registry::Repository repository{trace, place.registry, place.repository, registry::Rights::pull};
    for (const auto& layer : layers) fetch_here(trace, repository, *layer);
  } else if (!layers.empty()) {
    Telling telling{trace, layers};
    Crew crew{place, layers};
    crew.start();
    crew.watch(trace, telling);
    telling();
  }
  std::vector<FetchedLayer> made;
  for (auto& layer : layers) made.push_back(std::move(layer->made));
  return made;
}

} // namespace conductor::image
