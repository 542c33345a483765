#include "core/container/relay_loop.h"

#include "core/base/error.h"
#include "core/container/attach.h"
#include "core/container/relay_clients.h"
#include "core/container/signals.h"
#include "core/container/terminal_mode.h"
#include "core/kernel/process.h"
#include "core/kernel/signals.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace conductor {
namespace {

constexpr size_t chunk_size = wire::payload_limit;

// What a PTY can hold at most: 8 KiB on the way and 4 KiB in the line discipline (drivers/tty in Linux). Generously.
constexpr size_t pty_capacity = 64 << 10;

// How long a reader of ours may keep the end of the child from being recorded.
constexpr uint64_t sink_patience_us = 1'000'000;

// One stream of the child and the chunk of it that is in flight.
struct Source {
  Fd fd;
  LogStream stream = LogStream::output;
  Fd sink;                            // our own end: the terminal, stdout or stderr; none: nobody is there
  size_t size = 0, written = 0;       // of the chunk; to the sink
  RelayClients::Mask blocked = 0;     // clients that have still to take it
  size_t may_still_read = SIZE_MAX;   // bytes, once the child has ended
  Fd late_sink;                       // our own end again, once it was too slow
  std::string late;                   // what is left for it
  std::array<char, chunk_size> chunk; // NOLINT: filled by read(2)

  bool is_open() const { return static_cast<bool>(fd); }
  bool in_flight() const { return size > 0; }
  bool for_sink() const { return sink && written < size; }
};

ssize_t write_some(int fd, const char* bytes, size_t size)
{
  // A socket does not block with MSG_DONTWAIT whatever its flags say; for all else there is write(2).
  const ssize_t sent = ::send(fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  return sent < 0 && errno == ENOTSOCK ? ::write(fd, bytes, size) : sent;
}

bool is_passing(int number) { return number == EAGAIN || number == EINTR; }

std::initializer_list<int> signals_for(Local local)
{
  static constexpr std::initializer_list<int> background{SIGTERM, SIGHUP, SIGINT, SIGQUIT};
  static constexpr std::initializer_list<int> streams{SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};
  static constexpr std::initializer_list<int> terminal{SIGTERM, SIGINT,   SIGHUP,  SIGQUIT, SIGUSR1,
                                                       SIGUSR2, SIGWINCH, SIGTSTP, SIGCONT};
  if (local == Local::nobody) return background;
  return local == Local::streams ? streams : terminal;
}

} // namespace

class RelayLoop::State {
public:
  explicit State(RelayRequest request);
  RelayEnd run();
  void forget_local();
  void tell_exit(const ExitStatus& status) { clients_.tell_exit(status); }
  void pass_on_rest();
  bool told_to_end();

private:
  enum Slot : size_t {
    child,
    signals,
    output,
    error,
    output_sink,
    error_sink,
    keys,
    input,
    guest,
    second_guest,
    listener
  };
  static constexpr size_t poll_count = listener + RelayClients::poll_count;

  void open_local();
  void prepare(std::array<pollfd, poll_count>& polls) const;
  void obey_signals();
  void end_child();
  void kill_child();
  void take(Source& source);
  void deliver(Source& source);
  void lost_local(Source& source);
  bool read_keys();
  void write_input();
  void end_input();
  void wait_for_clients(int waited_ms);
  void child_ended();
  void set_aside();
  bool waits_for_sink() const;
  int patience_ms() const;
  void drain();
  bool is_over() const;
  void serve_guests(const std::array<pollfd, poll_count>& polls);
  int input_fd() const { return terminal_ ? sources_[0].fd.get() : request_.streams.input.get(); }

  RelayRequest request_;
  bool terminal_;
  std::array<Source, 2> sources_;
  RelayInput input_;
  RelayClients clients_;
  SignalWatch watch_;
  std::optional<TerminalModeGuard> mode_;
  Fd keys_;  // our stdin
  Fd slave_; // of the PTY, while nobody else has it
  DetachKeys detach_keys_;
  bool child_has_ended_ = false;
  bool told_to_end_ = false;
  uint64_t kill_us_ = UINT64_MAX; // when its grace is over, CLOCK_MONOTONIC
  uint64_t ended_us_ = 0;         // when, CLOCK_MONOTONIC
};

RelayLoop::State::State(RelayRequest request)
    : request_(std::move(request)), terminal_(request_.streams.terminal()),
      clients_(request_.listener, request_.child.pid(), request_.streams.master.get()),
      watch_(signals_for(request_.local))
{
  if (terminal_) {
    sources_[0].fd = std::move(request_.streams.master);
    sources_[0].stream = LogStream::terminal;
    input_.is_open = true;
  } else {
    sources_[0].fd = std::move(request_.streams.output);
    sources_[1].fd = std::move(request_.streams.error);
    sources_[1].stream = LogStream::error;
    input_.is_open = static_cast<bool>(request_.streams.input);
  }
  if (request_.local != Local::nobody) open_local();
}

void RelayLoop::State::open_local()
{
  sources_[0].sink = non_blocking_copy(STDOUT_FILENO, O_WRONLY);
  if (!terminal_) sources_[1].sink = non_blocking_copy(STDERR_FILENO, O_WRONLY);
  const bool wants_keys = request_.local == Local::terminal || request_.interactive;
  if (wants_keys) keys_ = non_blocking_copy(STDIN_FILENO, O_RDONLY);
  if (wants_keys && !keys_) input_.ends_after = true;
  if (request_.local != Local::terminal || ::isatty(STDIN_FILENO) == 0) return;
  mode_.emplace(STDIN_FILENO);
  if (const auto size = window_size(STDIN_FILENO)) set_window_size(sources_[0].fd.get(), *size);
}

void RelayLoop::State::forget_local()
{
  mode_.reset();
  keys_.reset();
  for (Source& source : sources_) {
    source.sink.reset();
    deliver(source);
  }
  request_.local = Local::nobody; // the signals stay blocked: one that comes now must not cut the teardown short
}

void RelayLoop::State::prepare(std::array<pollfd, poll_count>& polls) const
{
  const auto when = [](bool wanted, int fd, short events) { return pollfd{wanted ? fd : -1, events, 0}; };
  polls[child] = when(!child_has_ended_, request_.child.pidfd(), POLLIN);
  polls[signals] = {watch_.fd(), POLLIN, 0};
  RelayClients::Mask blocked = 0;
  for (size_t index = 0; index < sources_.size(); index++) {
    const Source& source = sources_[index];
    polls[output + index] = when(source.is_open() && !source.in_flight(), source.fd.get(), POLLIN);
    polls[output_sink + index] = when(source.for_sink(), source.sink.get(), POLLOUT);
    blocked |= source.blocked;
  }
  polls[keys] = when(input_.is_open && input_.is_empty() && !input_.ends_after, keys_.get(), POLLIN);
  polls[input] = when(input_.is_open && !input_.is_empty(), input_fd(), POLLOUT);
  for (size_t index = 0; index < request_.guests.size(); index++) {
    const LoopGuest* each = request_.guests[index];
    polls[guest + index] = when(each != nullptr && !child_has_ended_, each != nullptr ? each->fd() : -1,
                                each != nullptr ? each->events() : POLLIN);
  }
  clients_.prepare(&polls[listener], input_, blocked);
}

RelayEnd RelayLoop::State::run()
{
  std::array<pollfd, poll_count> polls; // NOLINT: filled by prepare()
  while (!is_over()) {
    prepare(polls);
    const int patience = patience_ms();
    const uint64_t before = patience >= 0 ? monotonic_us() : 0;
    const int found = ::poll(polls.data(), polls.size(), patience);
    // EINVAL: more entries than RLIMIT_NOFILE allows descriptors (poll(2)).
    if (found < 0 && errno != EINTR) throw Error{"wait for the container", errno == EINVAL ? EMFILE : errno};
    if (found < 0) continue;
    if (patience >= 0) wait_for_clients(static_cast<int>((monotonic_us() - before) / 1000));

    if (polls[signals].revents != 0) obey_signals();
    clients_.handle(&polls[listener], input_);
    if (polls[keys].revents != 0 && input_.is_empty() && read_keys()) return RelayEnd::detached;
    if (!input_.is_empty() || input_.ends_after) write_input();
    for (size_t index = 0; index < sources_.size(); index++) {
      if (polls[output + index].revents != 0) take(sources_[index]);
      if (sources_[index].in_flight()) deliver(sources_[index]);
    }
    // Last, so that the look at what is left in the streams comes after the child's end.
    if (polls[child].revents != 0) child_ended();
    serve_guests(polls);
    if (!child_has_ended_ && monotonic_us() >= kill_us_) kill_child();
    if (waits_for_sink() && monotonic_us() >= ended_us_ + sink_patience_us) set_aside();
    if (child_has_ended_) drain();
  }
  return RelayEnd::exited;
}

void RelayLoop::State::serve_guests(const std::array<pollfd, poll_count>& polls)
{
  for (size_t index = 0; index < request_.guests.size() && !child_has_ended_; index++) {
    LoopGuest* each = request_.guests[index];
    if (each != nullptr && (polls[guest + index].revents != 0 || each->patience_ms() == 0)) each->act();
  }
}

void RelayLoop::State::obey_signals()
{
  while (const int signal = watch_.next()) {
    const bool on_terminal = request_.local == Local::terminal;
    if (on_terminal && signal == SIGTSTP && mode_) mode_->stop_here();
    if (on_terminal && signal == SIGCONT && mode_) mode_->enter();
    if (on_terminal && (signal == SIGWINCH || signal == SIGCONT || signal == SIGTSTP)) {
      const auto size = window_size(STDIN_FILENO);
      if (size && sources_[0].is_open()) set_window_size(sources_[0].fd.get(), *size);
      continue;
    }
    // A keeper in the background has nobody who could mean it with HUP, INT or QUIT.
    if (request_.local == Local::nobody && signal != SIGTERM) continue;
    if (request_.local == Local::nobody && request_.farewell)
      end_child();
    else if (!child_has_ended_)
      kernel::send_signal(request_.trace, request_.child.pidfd(), signal, request_.child.pid());
  }
}

// Once only: systemd and killall5 send it to everybody, and whoever is impatient sends it again.
void RelayLoop::State::end_child()
{
  if (std::exchange(told_to_end_, true) || child_has_ended_) return;
  const auto [signal, grace_us, to_pid_one] = *request_.farewell;
  const bool is_deaf = to_pid_one && !kernel::notices_signal(request_.child.pid(), signal);
  if (grace_us == 0 || is_deaf) return kill_child();
  kernel::send_signal(request_.trace, request_.child.pidfd(), signal, request_.child.pid());
  kill_us_ = monotonic_us() + grace_us;
}

void RelayLoop::State::kill_child()
{
  kill_us_ = UINT64_MAX;
  kernel::send_signal(request_.trace, request_.child.pidfd(), SIGKILL, request_.child.pid());
}

// One that came since the loop's end counts as well.
bool RelayLoop::State::told_to_end()
{
  obey_signals();
  return told_to_end_;
}

void RelayLoop::State::take(Source& source)
{
  const size_t most = std::min(source.chunk.size(), source.may_still_read);
  const ssize_t got = ::read(source.fd.get(), source.chunk.data(), most);
  if (got < 0 && is_passing(errno)) {
    if (child_has_ended_) source.fd.reset(); // all that it left is passed on
    return;
  }
  if (got <= 0) {
    // Nobody has the other side open. A PTY may be opened anew by a child that lives (login does): our own hold on it
    // lets the master wait for that. A second close of the child is then seen through its exit only.
    const bool may_return = terminal_ && !child_has_ended_;
    if (may_return) slave_ = Fd{::ioctl(source.fd.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)};
    if (!may_return || !slave_) source.fd.reset();
    return;
  }
  source.size = static_cast<size_t>(got);
  source.written = 0;
  if (child_has_ended_) source.may_still_read -= source.size;
  if (source.late_sink) source.late.append(source.chunk.data(), source.size);
  const std::string_view chunk{source.chunk.data(), source.size};
  if (request_.log != nullptr) request_.log->write(source.stream, chunk);
  source.blocked = clients_.offer(source.stream, chunk);
}

void RelayLoop::State::deliver(Source& source)
{
  if (source.for_sink()) {
    const ssize_t put =
        write_some(source.sink.get(), source.chunk.data() + source.written, source.size - source.written);
    if (put >= 0) source.written += static_cast<size_t>(put);
    if (put < 0 && !is_passing(errno)) lost_local(source);
  }
  if (source.blocked != 0)
    source.blocked = clients_.offer(source.stream, {source.chunk.data(), source.size}, source.blocked);
  if (source.for_sink() || source.blocked != 0) return;
  source.size = 0;
}

// Our reader went away (`| head`). With pipes the child is told as it would be without us, by EPIPE.
void RelayLoop::State::lost_local(Source& source)
{
  source.sink.reset();
  if (!terminal_) source.fd.reset();
}

// True when the detach keys were pressed.
bool RelayLoop::State::read_keys()
{
  std::array<char, 4096> typed; // NOLINT: filled by read(2)
  const ssize_t got = ::read(keys_.get(), typed.data(), typed.size());
  if (got < 0 && is_passing(errno)) return false;
  if (got <= 0) {
    keys_.reset();
    input_.ends_after = true;
    return false;
  }
  input_.begin = input_.end = 0;
  if (request_.detach_keys && mode_)
    return detach_keys_.feed(typed.data(), static_cast<size_t>(got), input_.bytes.data(), input_.end);
  std::copy_n(typed.data(), got, input_.bytes.data());
  input_.end = static_cast<size_t>(got);
  return false;
}

void RelayLoop::State::write_input()
{
  if (!input_.is_open) {
    input_.begin = input_.end = 0;
    input_.ends_after = false;
    return;
  }
  if (!input_.is_empty()) {
    const ssize_t put = ::write(input_fd(), input_.bytes.data() + input_.begin, input_.end - input_.begin);
    if (put < 0 && is_passing(errno)) return;
    if (put < 0) return end_input(); // the child closed its stdin
    input_.begin += static_cast<size_t>(put);
  }
  if (!input_.is_empty() || !input_.ends_after) return;
  if (!terminal_) return end_input();
  // A terminal has no end of file but the character for it. It heeds it at the beginning of a line.
  input_.ends_after = false;
  input_.bytes[0] = 'D' - '@';
  input_.begin = 0;
  input_.end = 1;
}

void RelayLoop::State::end_input()
{
  input_.begin = input_.end = 0;
  input_.ends_after = false;
  if (terminal_) return;
  input_.is_open = false;
  request_.streams.input.reset();
  keys_.reset();
}

void RelayLoop::State::wait_for_clients(int waited_ms)
{
  for (Source& source : sources_)
    if (source.blocked != 0) source.blocked &= ~clients_.spend_patience(source.blocked, waited_ms, source.size);
}

// Only what is in the streams now is still passed on: a background process may hold them open and write forever. The
// amount is known, so no clock decides, and a slow reader of ours gets it all.
void RelayLoop::State::child_ended()
{
  child_has_ended_ = true;
  ended_us_ = monotonic_us();
  slave_.reset();
  input_.is_open = false;
  for (Source& source : sources_) {
    if (!source.is_open()) continue;
    int left = 0;
    if (terminal_)
      source.may_still_read = pty_capacity;
    else if (::ioctl(source.fd.get(), FIONREAD, &left) == 0)
      source.may_still_read = static_cast<size_t>(std::max(left, 0));
  }
}

bool RelayLoop::State::waits_for_sink() const
{
  return child_has_ended_ && (sources_[0].for_sink() || sources_[1].for_sink());
}

// Milliseconds that poll(2) may wait for those who have to take a chunk, for our guest, and for the child's end; -1:
// for as long as it takes.
int RelayLoop::State::patience_ms() const
{
  const auto sooner = [](int one, int other) { return one < 0 || (other >= 0 && other < one) ? other : one; };
  int patience = clients_.patience_ms(sources_[0].blocked | sources_[1].blocked);
  for (const LoopGuest* each : request_.guests)
    if (each != nullptr && !child_has_ended_) patience = sooner(patience, each->patience_ms());
  const auto until = [](uint64_t end) {
    const uint64_t now = monotonic_us();
    return now >= end ? 0 : static_cast<int>((end - now + 999) / 1000);
  };
  if (!child_has_ended_ && kill_us_ != UINT64_MAX) patience = sooner(patience, until(kill_us_));
  return waits_for_sink() ? sooner(patience, until(ended_us_ + sink_patience_us)) : patience;
}

void RelayLoop::State::set_aside()
{
  for (Source& source : sources_) {
    if (!source.sink) continue;
    source.late.assign(source.chunk.data() + source.written, source.for_sink() ? source.size - source.written : 0);
    source.late_sink = std::move(source.sink);
    if (source.in_flight()) deliver(source);
  }
}

// Signals end the wait: the container has ended, and its log has it all.
void RelayLoop::State::pass_on_rest()
{
  for (;;) {
    std::array<pollfd, 3> polls{pollfd{watch_.fd(), POLLIN, 0}, pollfd{-1, 0, 0}, pollfd{-1, 0, 0}};
    for (size_t index = 0; index < sources_.size(); index++)
      if (!sources_[index].late.empty()) polls[index + 1] = {sources_[index].late_sink.get(), POLLOUT, 0};
    if (polls[1].fd < 0 && polls[2].fd < 0) return;
    if (::poll(polls.data(), polls.size(), -1) < 0 && errno != EINTR) return;
    while (const int signal = watch_.next())
      if (signal == SIGTERM || signal == SIGINT || signal == SIGHUP || signal == SIGQUIT) return;
    for (size_t index = 0; index < sources_.size(); index++) {
      if (polls[index + 1].revents == 0) continue;
      std::string& late = sources_[index].late;
      const ssize_t put = write_some(sources_[index].late_sink.get(), late.data(), late.size());
      if (put >= 0) late.erase(0, static_cast<size_t>(put));
      if (put < 0 && !is_passing(errno)) late.clear();
    }
  }
}

void RelayLoop::State::drain()
{
  for (Source& source : sources_) {
    while (source.is_open() && !source.in_flight()) {
      if (source.may_still_read == 0)
        source.fd.reset();
      else
        take(source);
      if (source.in_flight()) deliver(source);
    }
  }
}

bool RelayLoop::State::is_over() const
{
  return child_has_ended_ && std::none_of(sources_.begin(), sources_.end(),
                                          [](const Source& source) { return source.is_open() || source.in_flight(); });
}

RelayLoop::RelayLoop(RelayRequest request) : state_(new State(std::move(request))) {}
RelayLoop::~RelayLoop() = default;
RelayEnd RelayLoop::run() { return state_->run(); }
void RelayLoop::forget_local() { state_->forget_local(); }
void RelayLoop::tell_exit(const ExitStatus& status) { state_->tell_exit(status); }
void RelayLoop::pass_on_rest() { state_->pass_on_rest(); }
bool RelayLoop::told_to_end() { return state_->told_to_end(); }

} // namespace conductor
