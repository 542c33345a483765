// What is wanted of a container (Spec) and what became of it (Status): values, their JSON, their validation.
#pragma once

#include "core/container/healthcheck.h"
#include "core/container/limits.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace conductor {

// What appears at `target`. With a source: that directory or file of the host. With a name: the volume of this root
// that is called so; an anonymous one has a number for a name, lies in the container's own directory and goes with it.
struct Volume {
  std::string source; // absolute path on the host; empty with a name
  std::string target; // absolute path inside
  bool read_only = false;
  std::string name;
  bool anonymous = false;
};

// A file system in memory, as --tmpfs says it: "/run", "/run:size=64M,mode=755,ro".
struct MemoryMount {
  std::string target;      // absolute path inside
  uint64_t size_bytes = 0; // 0: half of the memory, the kernel's own limit
  std::string mode = "1777";
  bool read_only = false;
  bool executable = true;
};
// Throws a usage Error.
MemoryMount memory_mount(std::string_view text);

struct Ulimit {
  std::string name; // "nofile"
  uint64_t soft = 0, hard = 0;
};

enum class NetworkMode : char {
  none, // a namespace of its own; only lo until addnetwork
  host  // the host's
};

// One process to run inside: PID 1, an exec, a RUN step.
struct ProcessSpec {
  std::vector<std::string> args;
  std::vector<std::string> env; // K=V
  std::string workdir = "/";
  std::string user; // "", "1000", "1000:1000", "name", "name:group"
  bool terminal = false;
  bool interactive = false; // stdin is kept open
};

inline constexpr uint64_t default_shm_bytes = 64 << 20;

struct Spec {
  std::string id; // 32 hex digits
  std::string name;
  std::string image; // the reference it was made from
  std::string image_id;
  std::vector<std::string> layers; // layer ids, base first
  std::string hostname;
  std::map<std::string, std::string> labels;
  ProcessSpec process;
  std::vector<Volume> volumes;
  std::vector<std::string> tmpfs; // as memory_mount() reads them
  std::vector<Ulimit> ulimits;
  std::vector<std::string> devices;           // host paths
  std::vector<std::string> cap_add, cap_drop; // "NET_ADMIN", "ALL"
  std::string seccomp;                        // "" the default, "unconfined", or the path of a profile
  bool read_only = false;
  bool allow_new_privileges = false;
  bool user_namespace = true;
  // Namespaces that it does not get, but has in common with the host.
  bool host_pid = false, host_ipc = false, host_uts = false, host_cgroup = false;
  std::vector<std::string> mask;   // absolute paths inside that it does not see, besides the default's
  std::vector<std::string> unmask; // of the default's, as --unmask takes them: paths, patterns, "ALL"
  bool init = false;
  std::optional<int> oom_score_adj;  // -1000 to 1000; empty: our own
  std::optional<uint64_t> shm_bytes; // of /dev/shm; empty: default_shm_bytes
  bool auto_remove = false;
  Limits limits;
  NetworkMode network = NetworkMode::none;
  bool networked = false; // network.json says what it wants: without one, nobody looks for it
  std::string stop_signal = "SIGTERM";
  int stop_seconds = 10;
  std::string restart = "no";
  std::optional<Healthcheck> health; // none: nobody looks
  int64_t created_ns = 0;            // CLOCK_REALTIME
};

enum class State : char { created, running, paused, exited };

struct Status {
  State state = State::created;
  std::string boot_id;    // of the boot that `running` speaks of
  pid_t pid = 0;          // PID 1 of the container, host's number
  uint64_t pid_start = 0; // its start time in clock ticks, so that a reused pid is not taken for it
  pid_t keeper = 0;
  uint64_t keeper_start = 0;
  uint32_t first_id = 0;     // first host uid and gid of its range, 0 without a user namespace
  int exit_code = 0;         // as a shell shows it: 128+N for signal N
  bool exit_unknown = false; // it has ended and nobody saw how: exit_code says nothing
  bool oom_killed = false;
  std::string why; // in words, where the code does not say it: "host restarted", "keeper was killed"
  int64_t started_ns = 0;
  int64_t finished_ns = 0;
  unsigned restarts = 0;  // how often its policy has started it again since somebody did
  int64_t restart_ns = 0; // when it will next, while its keeper waits for that (exited, and keeper is there)
};

std::string to_json(const Spec& spec);
std::string to_json(const Status& status);
// Every limit, also those that are none (null).
std::string to_json(const Limits& limits);
// Throw Error naming the field when the text is not one of ours.
Spec spec_from_json(std::string_view text);
Status status_from_json(std::string_view text);

std::string_view state_name(State state);

// Throws a usage Error: names are [a-z0-9][a-z0-9_.-]{0,62}; upper case is refused with the lower-case form as the
// hint.
void check_name(std::string_view name);
bool is_name(std::string_view name);
// Throws a usage Error that names the first thing wrong: names, host name, zero bytes, relative paths, impossible
// limits.
void check_spec(const Spec& spec);
// A name's or an image's text with control characters made visible (\x1b), cut at 80 characters: for messages.
std::string visible(std::string_view text, size_t most = 80);

// RFC 3629.
bool is_utf8(std::string_view text);

// 2026-11-22T09:44:02Z
std::string rfc3339(int64_t realtime_ns);
int64_t realtime_ns();
// Lower-case random hex digits from getrandom(2).
std::string random_hex(size_t digits);

} // namespace conductor
