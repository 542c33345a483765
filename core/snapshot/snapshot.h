// One picture of the world at one moment. It never changes after it was made, so threads share it without a lock.
//
// What is stored of containers, images and events is shared with the picture before it as long as it is the same; only
// the figures are new each time.
#pragma once

#include "core/container/health.h"
#include "core/container/links.h"
#include "core/network.h"
#include "core/store/containers.h"
#include "core/store/images.h"
#include "core/store/journal.h"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace conductor {

// A value for each of the last 60 seconds, the newest at the end.
inline constexpr size_t history_seconds = 60;
struct History {
  std::array<float, history_seconds> values{};
  size_t known = 0; // how many of them, counted from the end, were measured
  void push(float value, size_t times = 1);
};

struct HostPicture {
  std::string name;
  int cpus = 1;
  double cpu_percent = 0; // of all CPUs together, 0 to 100
  uint64_t memory_total_bytes = 0, memory_used_bytes = 0;
  uint64_t uptime_seconds = 0;
};

// What a running container uses. Rates are per second since the measurement before; 0 at the first.
struct Figures {
  double cpu_percent = 0;    // 100 is one CPU
  uint64_t memory_bytes = 0; // without file pages that could be dropped at once
  std::optional<uint64_t> memory_limit_bytes;
  uint64_t pids = 0;
  std::optional<uint64_t> pids_limit;
  double throttled_percent = 0;                          // of the scheduler's periods
  std::optional<uint64_t> io_read_bytes, io_write_bytes; // none where this host does not count them
  uint64_t rx_bytes = 0, tx_bytes = 0;                   // of its own links, without lo
  double rx_rate = 0, tx_rate = 0;                       // bytes per second
};

// Packets between two links that the rules refused lately. An id is empty where the link is no container's of this
// root.
struct RefusalPicture {
  std::string from_link, to_link; // as the host names them: "cond7", "eth0"
  std::string from_id, to_id;     // of containers
  uint64_t packets = 0;
};

// What passed one permission since it was given.
struct PassagePicture {
  std::string from_id, to_id;
  bool to_internet = false;
  uint16_t port = 0;    // of a published port of `from_id`, as it is inside: nothing of the above then
  std::string protocol; // of a published port
  uint64_t bytes = 0, packets = 0;
  double rate = 0; // bytes per second
};

struct NetworkPicture {
  std::vector<RefusalPicture> refusals;
  std::vector<PassagePicture> passages;
  bool rules_missing = false; // containers have links, and the rules that keep them apart were taken away
  std::string problem;        // why something of it could not be read
};

struct ContainerPicture {
  std::shared_ptr<const Container> stored;
  State state = State::created; // what is true now: a container whose process is gone has exited
  std::string why;              // in words, where state and exit code do not say it
  uint64_t uptime_seconds = 0;
  bool measured = false; // figures are there
  Figures figures;
  History cpu_history;                  // percent, as cpu_percent
  std::shared_ptr<const LinkView> link; // how it is connected; null: not at all
  std::optional<Health> health;         // of one that runs and is checked; the log only of the selected one
  const Spec& spec() const { return stored->spec; }
  const Status& status() const { return stored->status; }
};

struct ImagePicture {
  Image image;
  uint64_t size_bytes = 0;
  std::vector<std::string> used_by; // names of containers
};

struct ProcessInfo {
  int pid = 0;      // as the container numbers it
  int host_pid = 0; // as the host does
  int ppid = 0;     // inside; 0 for one whose parent is outside
  std::string user; // "root", else the number, as the container sees it
  char state = '?'; // R S D Z T ... (proc_pid_stat(5))
  double cpu_percent = 0;
  uint64_t rss_bytes = 0;
  std::string command; // raw bytes of its own choosing: show it through visible()
  std::string wchan;   // the kernel function it waits in, or empty
};

struct InterfacePicture {
  Interface interface;
  double rx_rate = 0, tx_rate = 0; // bytes per second
  History rx_history;              // bytes per second
};

// What is read of the selected container only.
struct Details {
  std::string id;
  std::vector<ProcessInfo> processes; // by pid inside
  uint64_t processes_left_out = 0;    // more than are shown
  std::vector<InterfacePicture> interfaces;
  std::string problem; // why something of it could not be read
};

struct Snapshot {
  int64_t time_ns = 0;  // CLOCK_REALTIME
  uint64_t time_us = 0; // CLOCK_MONOTONIC
  HostPicture host;
  std::vector<ContainerPicture> containers; // in order of creation
  std::shared_ptr<const std::vector<ImagePicture>> images;
  std::shared_ptr<const std::vector<JournalEntry>> events; // the newest last, at most 500
  std::optional<Details> details;
  NetworkPicture network;
  std::vector<std::string> problems; // containers that cannot be read, and why
};

} // namespace conductor
