// The health of a container: what its checks have found, in the words and by the rules of docker's HEALTHCHECK.
//
// It is kept in a file of the container's run directory, in a place that is taken when the container starts and
// written over from then on: so a full disk cannot make an unhealthy container look healthy. When the container has
// ended, the file goes into its directory, for whoever wants to know why it was ended.
#pragma once

#include "core/container/healthcheck.h"
#include "core/store/containers.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace conductor {

// What holds where neither the image nor the user says something.
inline constexpr int64_t default_health_interval_ns = 30'000'000'000;
inline constexpr int64_t default_health_timeout_ns = 30'000'000'000;
inline constexpr int64_t default_health_start_interval_ns = 5'000'000'000;
inline constexpr int64_t default_health_retries = 3;
// Of what a check prints so much is kept, and the results of so many checks.
inline constexpr size_t health_output_bytes = 4096;
inline constexpr size_t health_results = 5;

struct HealthResult {
  int64_t start_ns = 0, end_ns = 0; // CLOCK_REALTIME
  int exit_code = 0;                // as a shell shows it; -1 when it was ended or could not be begun
  std::string output;
};

enum class HealthState : char { starting, healthy, unhealthy };
std::string_view health_name(HealthState state);

struct Health {
  HealthState state = HealthState::starting;
  int64_t failing_streak = 0;
  std::vector<HealthResult> log; // the oldest first
};

// "1m30s", "500ms", "1.5h" in nanoseconds, as Go writes durations. Throws Error.
int64_t parse_duration(std::string_view text);
// A command as HEALTHCHECK and --health-cmd have it: a list of words in JSON, else a line for the shell. Throws Error.
std::vector<std::string> health_test(std::string_view command);
// What `wish` leaves open comes from the image. None: nobody looks. Throws Error where there are times for a check and
// no check.
std::optional<Healthcheck> merge_health(const std::optional<Healthcheck>& wish, const std::optional<Healthcheck>& image,
                                        const std::vector<std::string>& shell);
// The words to execute.
std::vector<std::string> health_command(const Healthcheck& check);

// How long to wait before the next check, since the container runs for `age_ns`.
int64_t pause_before_check(const Healthcheck& check, HealthState state, int64_t age_ns);
// A result changes the health. in_start_period: the check began in it.
void judge(Health& health, const Healthcheck& check, HealthResult result, bool in_start_period);

// All of it fits into the place that is kept for it: where it would not, the oldest output goes first.
std::string to_text(const Health& health);
// None when it is half-written, or nothing of ours.
std::optional<Health> health_from_text(std::string_view text);

// A new life begins: takes the place. Throws Error.
void begin_health(const Root& root, const std::string& id);
// Into the place, if that is there still. Throws Error.
void save_health(const Root& root, const std::string& id, const Health& health);
// Out of the run directory, which will go. Never fails: then only history is lost.
void keep_health(const Root& root, const std::string& id);
// None for a container without a check, or that was never started.
std::optional<Health> find_health(const Root& root, const Container& container);
// The same without the log, of one that runs, at a fraction of the price.
std::optional<Health> find_health_state(const Root& root, const Container& container);

} // namespace conductor
