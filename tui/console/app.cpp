#include "tui/console/app.h"

#include "core/base/error.h"
#include "core/kernel/confine.h"
#include "tui/console/pane_job.h"
#include "tui/console/pane_terminal.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace conductor::console {
namespace {

constexpr std::uint64_t frame_us = 16'000, strip_us = 400'000, hold_us = 150'000, ask_again_us = 500'000;
constexpr int most_failures = 20;
constexpr std::size_t most_messages = 500, most_jobs = 50;

// Blocked before any thread starts, so that every one of them has them blocked, and read from a descriptor.
Fd take_signals()
{
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGHUP, SIGINT, SIGTSTP, SIGCONT, SIGWINCH, SIGCHLD}) sigaddset(&set, signal);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return Fd{signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
}

// Where there are no colours, the settings cannot ask for any; who types --theme shall have it.
Theme wanted_theme(const Themes& themes, const Options& options, const std::string& set, Depth depth)
{
  if (!options.theme.empty()) return themes.load(options.theme);
  return themes.load(depth == Depth::mono ? "mono" : set.empty() ? "default" : set);
}

// The directory of the settings: editors write a new file and rename it, so the file itself is not watched.
Fd watch_directory_of(const std::string& path)
{
  const std::string directory = path.substr(0, path.rfind('/'));
  if (::access(directory.c_str(), R_OK) != 0) return {};
  Fd watch{::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)};
  if (!watch || ::inotify_add_watch(watch.get(), directory.c_str(), IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE) < 0)
    return {};
  return watch;
}

// Takes what the watch has to say: is this file in it?
bool has_changed(int watch, const std::string& path)
{
  const std::string name = path.substr(path.rfind('/') + 1);
  alignas(inotify_event) std::array<char, 4096> events; // NOLINT: filled by read(2)
  bool found = false;
  for (ssize_t got = 0; (got = ::read(watch, events.data(), events.size())) > 0;)
    for (const char* at = events.data(); at < events.data() + got;) {
      const auto* event = reinterpret_cast<const inotify_event*>(at);
      found = found || (event->len > 0 && name == event->name);
      at += sizeof(inotify_event) + event->len;
    }
  return found;
}

std::optional<std::string> content_of(const std::string& path)
{
  constexpr std::size_t most = 1U << 20;
  const Fd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (!file) return std::nullopt;
  std::string text(most, '\0');
  const ssize_t got = ::read(file.get(), text.data(), text.size());
  if (got < 0) return std::nullopt;
  text.resize(static_cast<std::size_t>(got));
  return text;
}

} // namespace

App::App(Options options)
    : options_(std::move(options)), signals_(take_signals()),
      root_(trace_, options_.place.root_path, options_.place.run_path),
      theme_(wanted_theme(themes_, options_, {}, screen_.depth())), watch_(options_.place)
{
  grid_.resize(screen_.rows(), screen_.columns());
  loop_.watch(screen_.fd(), EPOLLIN, *this);
  loop_.watch(signals_.get(), EPOLLIN, *this);
  loop_.watch(watch_.fd(), EPOLLIN, *this);
  use_theme(std::move(theme_));
  watch_settings();
  read_settings();
  begin_as_left();
  // All that needs more is open by now: the terminal, the store.
  if (options_.read_only) kernel::only_look(trace_);
  watch_.begin();
  place_panes();
  if (!screen_.can().notice.empty()) say(Role::warning, screen_.can().notice);
}

App::~App()
{
  if (world_.snapshot) remember();
  // Shells go on without us; verbs that run do too.
  for (auto& [number, each] : panes_) {
    if (auto* shell = dynamic_cast<TerminalPane*>(each.get())) {
      try {
        shell->leave();
      } catch (const Error&) {
        // Its holder is gone or does not answer: nothing is left to hand over.
      }
    }
  }
  for (auto& job : jobs_) job->release();
}

int App::run()
{
  int failures = 0;
  while (!quit_) {
    // What one key or one pane could not do is said, and everything else goes on; what fails at every turn ends us.
    try {
      maybe_paint();
      loop_.wait(timeout_ms());
      on_time();
      tend_panes();
      failures = 0;
    } catch (const Error& error) {
      if (++failures == most_failures) throw;
      say(Role::message_bad, std::string{error.sentence()});
    }
  }
  return status_;
}

int App::timeout_ms() const
{
  const std::uint64_t now = monotonic_us();
  std::uint64_t next = UINT64_MAX;
  const auto at = [&](std::uint64_t time) { next = std::min(next, time); };
  const bool pane_dirty = std::any_of(
      panes_.begin(), panes_.end(), [&](const auto& each) { return each.second->dirty && tree_.contains(each.first); });
  if ((everything_dirty_ || pane_dirty) && screen_.flushed()) at(last_paint_us_ + frame_us);
  if (keys_.waiting()) at(escape_since_us_ + escape_wait_ms * 1000ULL);
  if (prefix_ && !strip_) at(prefix_since_us_ + strip_us);
  for (const auto& [number, each] : panes_) {
    if (each->again) return 0;
    if (const auto* shell = dynamic_cast<const TerminalPane*>(each.get());
        shell != nullptr && shell->rests_until() != 0)
      at(shell->rests_until());
    if (const auto* shell = dynamic_cast<const TerminalPane*>(each.get()); shell != nullptr && shell->held_since() != 0)
      at(shell->held_since() + hold_us);
  }
  for (const auto& job : jobs_)
    if (job->cancelling()) at(job->asked_us() + ask_again_us);
  if (next == UINT64_MAX) return -1;
  return next <= now ? 0 : static_cast<int>((next - now + 999) / 1000);
}

void App::on_time()
{
  const std::uint64_t now = monotonic_us();
  if (keys_.waiting() && now >= escape_since_us_ + escape_wait_ms * 1000ULL) {
    keys_.expire();
    while (auto key = keys_.next()) on_key(*key);
  }
  if (prefix_ && !strip_ && now >= prefix_since_us_ + strip_us) {
    strip_ = true;
    redraw();
  }
  for (auto& job : jobs_)
    if (job->cancelling() && now >= job->asked_us() + ask_again_us) job->ask_again();
  for (auto& [number, each] : panes_) {
    if (std::exchange(each->again, false)) each->turn();
    if (auto* shell = dynamic_cast<TerminalPane*>(each.get());
        shell != nullptr && shell->rests_until() != 0 && now >= shell->rests_until())
      shell->read_on();
    if (auto* shell = dynamic_cast<TerminalPane*>(each.get());
        shell != nullptr && shell->held_since() != 0 && now >= shell->held_since() + hold_us)
      shell->stop_holding();
  }
}

void App::maybe_paint()
{
  if (!screen_.flushed()) {
    if (!screen_.flush()) quit_ = true;
    // Whoever cannot take the last frame gets no new one; the poll says when.
    loop_.watch(screen_.fd(), EPOLLIN | (screen_.flushed() ? 0U : static_cast<unsigned>(EPOLLOUT)), *this);
    if (!screen_.flushed()) return;
  }
  const bool pane_dirty = std::any_of(
      panes_.begin(), panes_.end(), [&](const auto& each) { return each.second->dirty && tree_.contains(each.first); });
  if (!everything_dirty_ && !pane_dirty) return;
  const std::uint64_t now = monotonic_us();
  if (now < last_paint_us_ + frame_us) return;
  last_paint_us_ = now;
  compose();
  screen_.paint(grid_, cursor());
  if (screen_.flushed()) return;
  if (!screen_.flush()) quit_ = true;
  if (!screen_.flushed()) loop_.watch(screen_.fd(), EPOLLIN | EPOLLOUT, *this);
}

void App::ready(int fd, std::uint32_t)
{
  if (fd == screen_.fd())
    read_terminal();
  else if (fd == signals_.get())
    read_signals();
  else if (fd == watch_.fd())
    take_world();
  else if (fd == settings_watch_.get() && has_changed(fd, command::settings_path()))
    read_settings();
}

void App::read_terminal()
{
  bool gone = false;
  const std::string bytes = screen_.read(gone);
  if (gone) {
    quit_ = true;
    return;
  }
  if (bytes.empty()) return;
  keys_.feed(bytes);
  while (auto key = keys_.next()) on_key(*key);
  if (keys_.waiting()) escape_since_us_ = monotonic_us();
}

void App::read_signals()
{
  signalfd_siginfo info{};
  while (read(signals_.get(), &info, sizeof info) == sizeof info) {
    switch (info.ssi_signo) {
    case SIGTERM:
    case SIGINT:
    case SIGHUP:
      quit_ = true;
      status_ = 128 + static_cast<int>(info.ssi_signo);
      break;
    case SIGTSTP: suspend(); break;
    case SIGWINCH:
    case SIGCONT: resized(); break;
    default: break;
    }
  }
}

void App::suspend()
{
  screen_.leave();
  // SIGSTOP, since SIGTSTP is blocked; the shell that started us sees the same.
  kill(0, SIGSTOP);
  screen_.enter();
  resized();
  redraw();
}

void App::resized()
{
  screen_.update_size();
  if (grid_.rows() != screen_.rows() || grid_.columns() != screen_.columns())
    grid_.resize(screen_.rows(), screen_.columns());
  place_panes();
  redraw();
}

void App::take_world()
{
  World world = watch_.take();
  if (!world.problem.empty() && world.problem != world_.problem) say(Role::bad, world.problem);
  if (world.snapshot) watch_network(*world.snapshot);
  if (updates_paused_ && world_.snapshot) return;
  const bool first = !world_.snapshot;
  world_ = std::move(world);
  if (!world_.snapshot) return;
  rebuild_rows();
  if (!settings_watch_) {
    watch_settings();
    if (settings_watch_) read_settings();
  }
  if (first) {
    restore_panes();
    wish_details();
  }
  remember();
  const auto left = left_sessions().size();
  if (left != std::exchange(left_count_, left)) place_panes();
  // Said once, at the beginning; later ones were left by this console, which said so then.
  if (first && left > 0 && !options_.read_only)
    say(Role::message_info, (left == 1 ? std::string{"a shell was"} : std::to_string(left) + " shells were") +
                                " left running: 4 goes to PANES, Enter takes up");
  redraw();
}

// Where there is no such directory yet, each look at the world tries again.
void App::watch_settings()
{
  const auto path = command::settings_path();
  if (path.empty() || settings_watch_) return;
  settings_watch_ = watch_directory_of(path);
  if (settings_watch_) loop_.watch(settings_watch_.get(), EPOLLIN, *this);
}

// What is wrong in the file is said; the rest counts. A file that is gone means what there is without one.
void App::read_settings()
{
  const std::string path = command::settings_path();
  const auto text = content_of(path);
  if (!text && !has_settings_) return;
  has_settings_ = text.has_value();
  std::vector<std::string> problems;
  const auto is_key = [](std::string_view word) { return key_from_name(word).has_value(); };
  command::Settings read;
  if (text) read = command::parse_settings(*text, path, is_key, problems);
  for (auto& problem : command::bind_keys(read.keys)) problems.push_back(std::move(problem));
  if (read.theme != settings_.theme && options_.theme.empty()) {
    try {
      use_theme(wanted_theme(themes_, options_, read.theme, screen_.depth()));
    } catch (const Error& error) {
      problems.push_back(path + ": " + std::string{error.sentence()});
    }
  }
  if (read.mouse != screen_.has_mouse()) screen_.use_mouse(read.mouse);
  settings_ = std::move(read);
  for (const auto& problem : problems) say(Role::message_bad, problem);
  redraw();
}

void App::use_theme(Theme theme)
{
  theme_ = std::move(theme);
  look_ = {&theme_, theme_.ascii_borders() || !screen_.can().unicode_borders,
           theme_.ascii_graphs() || !screen_.can().unicode_graphs};
  for (auto& [number, each] : panes_)
    if (auto* shell = dynamic_cast<TerminalPane*>(each.get())) shell->use(theme_);
  redraw();
}

void App::say(Role role, std::string text)
{
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  messages_.push_back({now.tv_sec * 1'000'000'000LL + now.tv_nsec, role, std::move(text)});
  if (messages_.size() > most_messages) messages_.pop_front();
  redraw();
}

Job& App::start_job(std::string title, std::vector<std::string> arguments, Finish finish)
{
  // Old ones that are over make room; their steps are forgotten.
  if (jobs_.size() >= most_jobs) {
    const auto over = std::find_if(jobs_.begin(), jobs_.end(),
                                   [&](const auto& job) { return !job->running() && job.get() != ending_; });
    if (over != jobs_.end()) jobs_.erase(over);
  }
  const int number = next_job_++;
  jobs_.push_back(std::make_unique<Job>(loop_, *this, number, std::move(title), std::move(arguments)));
  if (finish) finish_[number] = std::move(finish);
  redraw();
  return *jobs_.back();
}

void App::job_said(Job& job, const Event& event)
{
  bool has_pane = false;
  for (auto& [number, each] : panes_) {
    auto* log = dynamic_cast<JobPane*>(each.get());
    if (log == nullptr || log->job() != job.number()) continue;
    log->said(event);
    has_pane = true;
  }
  if (!has_pane && event.kind == EventKind::notice) say(Role::warning, job.title() + ": " + event.detail);
}

void App::job_ended(Job& job)
{
  for (auto& [number, each] : panes_)
    if (auto* log = dynamic_cast<JobPane*>(each.get()); log != nullptr && log->job() == job.number()) log->ended(job);
  const std::string took = " in " + took_text(job.ended_us() - job.began_us());
  const std::string killed = result_text(job, "why_killed");
  if (job.state() == JobState::done)
    say(killed.empty() ? Role::message_good : Role::warning,
        "ok  " + job.title() + took + (killed.empty() ? "" : " (killed: " + killed + ")"));
  else if (job.state() == JobState::cancelled)
    say(Role::warning, "cancelled  " + job.title() + ", and taken back");
  else
    say(Role::message_bad, job.error() + (job.hint().empty() ? "" : "  hint: " + job.hint()));
  const auto found = finish_.find(job.number());
  if (found == finish_.end()) return;
  const Finish finish = std::move(found->second);
  finish_.erase(found);
  ending_ = &job;
  finish(job);
  ending_ = nullptr;
}

} // namespace conductor::console
