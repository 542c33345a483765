#include "core/engine/health_watch.h"

#include "core/base/error.h"
#include "core/container/enter.h"
#include "core/container/signals.h"
#include "core/kernel/cgroup.h"
#include "core/kernel/files.h"
#include "core/kernel/process.h"
#include "core/store/journal.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace conductor {
namespace {

constexpr uint64_t ns_per_us = 1000;
// How long a killed check may take to be gone: one that hangs in the kernel is left to the container's end.
constexpr int death_patience_ms = 10'000;
// What entering a container may take, on top of the check's own time. A frozen one is waited for no longer either.
constexpr unsigned entering_seconds = 30;
// How the checker ends: with the state that holds now, or with this when its check says nothing about it.
constexpr int does_not_count = 3;

int64_t timeout_ns(const Healthcheck& check)
{
  return check.timeout_ns == 0 ? default_health_timeout_ns : check.timeout_ns;
}

// "1m30s" as a person would write it: whole seconds, else milliseconds.
std::string duration_text(int64_t ns)
{
  const int64_t ms = ns / 1'000'000;
  return ms % 1000 == 0 ? fmt::format("{} s", ms / 1000) : fmt::format("{} ms", ms);
}

// PID 1 takes every process of its namespace along when it ends, and is gone for others only after them; whoever kills
// the container kills PID 1 first. So a check that was killed may be the first that is seen of the end: by PF_EXITING
// (linux/sched.h) in the flags of proc_pid_stat(5), the sixth field behind the name and the state, or by a SIGKILL that
// waits in proc_pid_status(5).
bool is_ending(const Status& status)
{
  constexpr unsigned long long exiting = 0x4, killed = 1ULL << (SIGKILL - 1);
  if (!kernel::is_alive(status.pid, status.pid_start)) return true;
  const auto text_of = [&](const char* file) {
    return kernel::find_content(AT_FDCWD, fmt::format("/proc/{}/{}", status.pid, file)).value_or("");
  };
  const std::string stat = text_of("stat");
  size_t flags = stat.rfind(')');
  for (int field = 0; field < 7 && flags != std::string::npos; ++field) flags = stat.find(' ', flags + 1);
  if (flags == std::string::npos || (std::strtoull(stat.c_str() + flags, nullptr, 10) & exiting) != 0) return true;
  const std::string about = text_of("status");
  for (const std::string_view key : {"\nSigPnd:", "\nShdPnd:"}) {
    const size_t at = about.find(key);
    if (at == std::string::npos) return true; // gone meanwhile
    if ((std::strtoull(about.c_str() + at + key.size(), nullptr, 16) & killed) != 0) return true;
  }
  return false;
}

// Ends everything in the group of the checks and takes it away: what was killed once by cgroup.kill is of no use for a
// later clone (the sequence number by which Linux 6.14 and later tell who was forked before the kill stays). Who is not
// reaped yet is in no group any more. Where somebody in it hangs in the kernel, the next check finds it.
void clear_group(const Root& root, const std::string& id)
{
  const std::string leaf = id + "/" + health_group;
  if (kernel::cgroup_host().v2.empty()) return;
  try {
    kernel::kill_cgroup(root.trace(), root.id(), leaf);
    kernel::remove_cgroup(root.trace(), root.id(), leaf);
  } catch (const Error&) { // gone with the container, or busy
  }
}

// A check that runs, seen from the checker.
class Checking {
public:
  Checking(const Root& root, const Container& container, const Healthcheck& check)
      : root_(root), id_(container.spec.id), timeout_ns_(timeout_ns(check)), container_(container), check_(check)
  {}
  HealthResult run();

private:
  Child enter();
  void follow(Child& child);
  void read_output();
  void note_frozen();
  uint64_t deadline_us() const;
  void end_all(Child& child);

  const Root& root_;
  const std::string& id_;
  const int64_t timeout_ns_;
  const Container& container_;
  const Healthcheck& check_;
  Fd output_, events_;
  HealthResult result_;
  bool is_cut_ = false, timed_out_ = false;
  uint64_t began_us_ = 0, frozen_since_us_ = 0, frozen_us_ = 0;
};

Child Checking::enter()
{
  ProcessSpec process = container_.spec.process;
  process.args = health_command(check_);
  process.terminal = false;
  process.interactive = false;
  StreamPair streams = make_pipes(Stdin::empty, container_.status.first_id);
  // One pipe for both, so that what is said stays in its order.
  streams.theirs.error = Fd{::fcntl(streams.theirs.output.get(), F_DUPFD_CLOEXEC, 3)};
  output_ = std::move(streams.ours.output);
  clear_group(root_, id_); // of a checker that was killed
  const Fd group = kernel::make_subgroup(root_.trace(), root_.id(), id_, health_group);
  return enter_container({.root = root_,
                          .container = container_,
                          .process = process,
                          .streams = std::move(streams.theirs),
                          .birthplace = group.get()});
}

HealthResult Checking::run()
{
  result_.start_ns = realtime_ns();
  try {
    events_ = kernel::open_group_events(root_.id(), id_);
    ::alarm(static_cast<unsigned>(timeout_ns_ / 1'000'000'000) + entering_seconds);
    Child child = enter();
    ::alarm(0);
    began_us_ = monotonic_us();
    follow(child);
  } catch (const Error& error) {
    ::alarm(0);
    clear_group(root_, id_);
    result_.exit_code = error.status() > 1 ? error.status() : -1;
    result_.output = error.sentence();
    if (!error.hint().empty()) result_.output += "\nhint: " + std::string{error.hint()};
  }
  result_.end_ns = realtime_ns();
  return std::move(result_);
}

void Checking::note_frozen()
{
  const bool frozen = kernel::is_frozen(root_.id(), id_);
  const uint64_t now = monotonic_us();
  if (frozen && frozen_since_us_ == 0) frozen_since_us_ = now;
  if (frozen || frozen_since_us_ == 0) return;
  frozen_us_ += now - frozen_since_us_;
  frozen_since_us_ = 0;
}

// Never while it is frozen.
uint64_t Checking::deadline_us() const
{
  if (frozen_since_us_ != 0) return UINT64_MAX;
  return began_us_ + frozen_us_ + static_cast<uint64_t>(timeout_ns_) / ns_per_us;
}

// What comes is taken and, behind its beginning, dropped: a check must not hang because nobody reads. At most so much
// at a time, since another may write faster than we read.
void Checking::read_output()
{
  std::array<char, 16384> chunk; // NOLINT: filled by read(2)
  for (int round = 0; round < 16; ++round) {
    const ssize_t got = ::read(output_.get(), chunk.data(), chunk.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return output_.reset();
    const size_t room = health_output_bytes - result_.output.size();
    const size_t size = std::min(static_cast<size_t>(got), room);
    result_.output.append(chunk.data(), size);
    is_cut_ = is_cut_ || size < static_cast<size_t>(got);
  }
}

void Checking::follow(Child& child)
{
  constexpr uint64_t hour_ms = 3'600'000;
  for (;;) {
    const uint64_t now = monotonic_us(), deadline = deadline_us();
    if (now >= deadline) {
      timed_out_ = true;
      break;
    }
    std::array<pollfd, 3> watched{pollfd{child.pidfd(), POLLIN, 0}, pollfd{output_.get(), POLLIN, 0},
                                  pollfd{events_.get(), POLLPRI, 0}};
    ::poll(watched.data(), watched.size(), static_cast<int>(std::min((deadline - now) / 1000 + 1, hour_ms)));
    if (watched[1].revents != 0) {
      read_output();
      // A flood is held back, since draining it costs the host's time and not the container's: a pipe's content at a
      // time, 13 MB a second at most.
      if (is_cut_) ::poll(nullptr, 0, 5);
    }
    if (watched[2].revents != 0 || monotonic_us() >= deadline) note_frozen();
    if (watched[0].revents != 0) break;
  }
  end_all(child);
  if (output_) read_output();
  if (is_cut_) result_.output += "...";
  if (!timed_out_) return;
  result_.exit_code = -1;
  result_.output = fmt::format("ended after {}, its time-out{}{}", duration_text(timeout_ns_),
                               result_.output.empty() ? "" : ": ", result_.output);
}

// The check, and whatever it has left behind. Where the host has no v2, its children are the container's own.
void Checking::end_all(Child& child)
{
  if (timed_out_) kernel::send_signal(root_.trace(), child.pidfd(), SIGKILL, child.pid());
  clear_group(root_, id_);
  pollfd watched{child.pidfd(), POLLIN, 0};
  if (::poll(&watched, 1, death_patience_ms) == 1)
    result_.exit_code = child.wait().shell();
  else
    child.release(); // to the PID 1 of its namespace
}

// Writes down what came of a check; what holds now. For a change the journal is told.
HealthState record(const Root& root, const Container& container, const Healthcheck& check, HealthResult result,
                   bool in_start_period)
{
  Health health = find_health(root, container).value_or(Health{});
  const HealthState before = health.state;
  judge(health, check, std::move(result), in_start_period);
  save_health(root, container.spec.id, health);
  if (health.state == before) return before;
  try {
    append(root, {.id = container.spec.id,
                  .name = container.spec.name,
                  .verb = "health_status",
                  .outcome = std::string{health_name(health.state)}});
  } catch (const Error&) { // a full disk: history is lost, the state is not
  }
  return health.state;
}

// From its clone to its end; the exit code tells the keeper what holds now.
[[noreturn]] void be_checker(const Root& root, const std::string& id, const Healthcheck& check, pid_t keeper,
                             bool in_start_period)
{
  int code = does_not_count;
  try {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != keeper) ::_exit(code);
    root.trace().restart(1, 0); // nobody hears what happens behind the verb that started the container
    // The keeper's own streams, sockets and terminal must end when it lets them go.
    kernel::leave_session(root.trace());
    kernel::close_descriptors_except({root.dir(), root.run()});
    forget_signals();
    const auto container = Containers{root}.find(id);
    if (!container || is_ending(container->status)) ::_exit(code);
    HealthResult result = Checking{root, *container, check}.run();
    if (!is_ending(container->status))
      code = static_cast<int>(record(root, *container, check, std::move(result), in_start_period));
  } catch (const std::exception&) { // what cannot be written down does not count
  }
  ::_exit(code);
}

} // namespace

HealthWatch::HealthWatch(const Root& root, const Spec& spec)
    : root_(root), id_(spec.id), check_(*spec.health), started_us_(monotonic_us())
{
  plan_next();
}

int64_t HealthWatch::age_ns() const { return static_cast<int64_t>((monotonic_us() - started_us_) * ns_per_us); }

void HealthWatch::plan_next()
{
  next_us_ = monotonic_us() + static_cast<uint64_t>(pause_before_check(check_, state_, age_ns())) / ns_per_us;
}

int HealthWatch::patience_ms() const
{
  constexpr uint64_t most_ms = 24ULL * 3'600'000;
  if (checker_) return -1; // it has a deadline of its own
  const uint64_t now = monotonic_us();
  return now >= next_us_ ? 0 : static_cast<int>(std::min((next_us_ - now + 999) / 1000, most_ms));
}

void HealthWatch::act()
{
  if (checker_) {
    pollfd watched{checker_.pidfd(), POLLIN, 0};
    if (::poll(&watched, 1, 0) == 1) end();
  } else if (monotonic_us() >= next_us_) {
    begin();
  }
}

void HealthWatch::begin()
{
  // It may be paused, or gone.
  if (kernel::is_frozen(root_.id(), id_)) return plan_next();
  const pid_t keeper = ::getpid();
  const bool in_start_period = age_ns() < check_.start_period_ns;
  Trace silent; // an --explain has told its story, and a gate was asked about the start
  try {
    auto checker = kernel::clone_process(silent, {}, "a health check");
    if (!checker) be_checker(root_, id_, check_, keeper, in_start_period);
    checker_ = std::move(*checker);
  } catch (const Error&) { // the host has no process left: that says nothing about this container
    plan_next();
  }
}

void HealthWatch::end()
{
  const ExitStatus status = checker_.wait();
  checker_ = Child{};
  if (status.signal == 0 && status.code < does_not_count) state_ = static_cast<HealthState>(status.code);
  // It hung before the check began, or somebody killed it: somebody has to say so, unless all of it stands still.
  if (status.signal != 0 && !kernel::is_frozen(root_.id(), id_)) {
    try {
      if (const auto container = Containers{root_}.find(id_); container && !is_ending(container->status)) {
        clear_group(root_, id_);
        HealthResult lost{.start_ns = realtime_ns(), .end_ns = realtime_ns(), .exit_code = -1};
        lost.output = status.signal == SIGALRM ? "could not be begun in time" : "the process that checks was killed";
        state_ = record(root_, *container, check_, std::move(lost), age_ns() < check_.start_period_ns);
      }
    } catch (const Error&) { // the next check says it
    }
  }
  plan_next();
}

} // namespace conductor
