#include "tui/console/job.h"

#include "core/base/error.h"
#include "core/base/event_json.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <string_view>

#include <fcntl.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

namespace conductor::console {
namespace {

constexpr std::size_t most_events = 4000;
constexpr std::size_t most_printed = 4U << 20, most_complained = 64U << 10, longest_line = 4U << 20;
constexpr int events_fd_number = 3;

std::vector<std::string> common;

std::pair<Fd, Fd> make_pipe()
{
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw Error{"make a pipe", errno};
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  return {Fd{ends[0]}, Fd{ends[1]}};
}

// posix_spawn's attributes and actions, destroyed with the scope.
struct SpawnPlan {
  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};
  SpawnPlan()
  {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes,
                             static_cast<short>(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID));
  }
  ~SpawnPlan()
  {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
};

// The last line that says what went wrong, without the program's name in front, and the one with the hint.
std::string line_with(std::string_view text, std::string_view prefix, bool strip_others)
{
  std::string found;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.starts_with(prefix))
      found = line.substr(prefix.size());
    else if (strip_others && !line.empty() && !line.starts_with("hint: "))
      found = line;
  }
  return found;
}

} // namespace

void set_common_arguments(std::vector<std::string> arguments) { common = std::move(arguments); }
const std::vector<std::string>& common_arguments() { return common; }

std::string conductor_program()
{
  std::array<char, 4096> path{};
  const ssize_t length = readlink("/proc/self/exe", path.data(), path.size() - 1);
  const std::string_view self{path.data(), length > 0 ? static_cast<std::size_t>(length) : 0};
  const std::string directory{self.substr(0, self.rfind('/') + 1)};
  // Beside us in the build tree; installed, the console is in libexec/conductor and the program in bin.
  for (const char* place : {"conductor", "../../bin/conductor"})
    if (access((directory + place).c_str(), X_OK) == 0) return directory + place;
  return "conductor";
}

std::string result_text(const Job& job, const char* key)
{
  auto json = nlohmann::json::parse(job.result(), nullptr, false);
  if (json.is_array() && !json.empty()) json = nlohmann::json(json[0]);
  const bool there = json.is_object() && json.contains(key) && json[key].is_string();
  return there ? json[key].get<std::string>() : std::string{};
}

std::string command_line(const std::vector<std::string>& arguments)
{
  constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+:,./@%";
  std::string line = "conductor";
  for (const auto& word : arguments) {
    line += ' ';
    if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) {
      line += word;
      continue;
    }
    line += '\'';
    for (const char c : word) {
      if (c == '\'')
        line += "'\\''";
      else
        line += c;
    }
    line += '\'';
  }
  return line;
}

Job::Job(Loop& loop, JobListener& listener, int number, std::string title, std::vector<std::string> arguments)
    : loop_(loop), listener_(listener), number_(number), title_(std::move(title)), arguments_(std::move(arguments)),
      began_us_(monotonic_us())
{
  auto [events_in, events_out] = make_pipe();
  auto [printed_in, printed_out] = make_pipe();
  auto [complained_in, complained_out] = make_pipe();
  events_fd_ = std::move(events_in);
  out_ = std::move(printed_in);
  err_ = std::move(complained_in);

  std::vector<std::string> words{conductor_program()};
  words.insert(words.end(), common_arguments().begin(), common_arguments().end());
  words.insert(words.end(), {"--events", std::to_string(events_fd_number)});
  words.insert(words.end(), arguments_.begin(), arguments_.end());
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  SpawnPlan plan;
  posix_spawn_file_actions_addopen(&plan.actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&plan.actions, printed_out.get(), 1);
  posix_spawn_file_actions_adddup2(&plan.actions, complained_out.get(), 2);
  // Should the pipe be number 3 itself, dup2 clears its close-on-exec (POSIX says so of these actions).
  posix_spawn_file_actions_adddup2(&plan.actions, events_out.get(), events_fd_number);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, argv[0], &plan.actions, &plan.attributes, argv.data(), environ);
  if (error != 0) throw Error{"start " + words[0], error};
  child_ = Child{pid, Fd{static_cast<int>(syscall(SYS_pidfd_open, pid, 0))}};
  // Without it its end would never be seen; leaving here kills and reaps it.
  if (child_.pidfd() < 0) throw Error{"watch the process that does it", errno};
  for (const Fd* fd : {&events_fd_, &out_, &err_}) loop_.watch(fd->get(), EPOLLIN, *this);
  loop_.watch(child_.pidfd(), EPOLLIN, *this);
}

Job::~Job() { release(); }

void Job::release()
{
  for (Fd* fd : {&events_fd_, &out_, &err_}) {
    if (!*fd) continue;
    loop_.forget(fd->get());
    fd->reset();
  }
  if (child_) {
    loop_.forget(child_.pidfd());
    child_.release();
  }
}

void Job::cancel()
{
  cancelled_ = true;
  ask_again();
}

void Job::ask_again()
{
  if (!running()) return;
  kill(child_.pid(), SIGINT);
  asked_us_ = monotonic_us();
}

bool Job::drain(Fd& fd, std::string& into, std::size_t limit)
{
  std::array<char, 16384> buffer{};
  for (int turn = 0; turn < 16 && fd; ++turn) {
    const ssize_t got = read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (got <= 0) {
      loop_.forget(fd.get());
      fd.reset();
      return true;
    }
    into.append(buffer.data(), std::min(static_cast<std::size_t>(got), limit - std::min(limit, into.size())));
  }
  return false;
}

void Job::take_lines()
{
  std::size_t begin = 0;
  for (std::size_t end; (end = partial_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    auto event = event_from_json(std::string_view{partial_}.substr(begin, end - begin));
    if (!event || event->kind == EventKind::hello) continue;
    if (event->kind == EventKind::result) result_ = event->detail;
    if (events_.size() == most_events) events_.pop_front();
    events_.push_back(*event);
    listener_.job_said(*this, *event);
  }
  partial_.erase(0, begin);
}

void Job::ready(int fd, std::uint32_t)
{
  if (events_fd_ && fd == events_fd_.get()) {
    drain(events_fd_, partial_, longest_line);
    take_lines();
  } else if (out_ && fd == out_.get())
    drain(out_, printed_, most_printed);
  else if (err_ && fd == err_.get())
    drain(err_, complained_, most_complained);
  else if (child_ && fd == child_.pidfd())
    end();
}

void Job::end()
{
  // What it said last may still be in the pipes. Its keeper may hold them open, so the end of the child decides.
  drain(events_fd_, partial_, longest_line);
  take_lines();
  drain(out_, printed_, most_printed);
  drain(err_, complained_, most_complained);
  loop_.forget(child_.pidfd());
  const ExitStatus ended = child_.wait();
  release();
  status_ = ended.shell();
  ended_us_ = monotonic_us();
  state_ = status_ == 0 ? JobState::done : cancelled_ ? JobState::cancelled : JobState::failed;
  listener_.job_ended(*this);
}

std::string Job::error() const
{
  std::string sentence = line_with(complained_, "conductor: ", true);
  if (sentence.empty() && state_ == JobState::failed) sentence = "ended with status " + std::to_string(status_);
  return sentence;
}

std::string Job::hint() const { return line_with(complained_, "hint: ", false); }

} // namespace conductor::console
