#include "tui/console/plain.h"

#include "core/base/error.h"
#include "core/container/spec.h"
#include "core/kernel/confine.h"
#include "tui/console/form.h"
#include "tui/console/job.h"
#include "tui/console/view.h"

#include <cerrno>
#include <csignal>
#include <map>

#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace conductor::console {
namespace {

constexpr std::size_t longest_line = 1U << 20;

// The letters of the list in words.
std::string state_text(const ContainerRow& row)
{
  switch (row.state) {
  case '*': return "runs";
  case '!': return "runs and is unhealthy";
  case '=': return "stands still";
  case '.': return "is there and was never started";
  default: return "has ended";
  }
}

// Why it ended; what was never started has no other reason.
std::string reason_of(const ContainerRow& row)
{
  return row.state == 'o' && !row.reason.empty() ? ": " + visible(row.reason) : "";
}

std::string line_of(const ContainerRow& row)
{
  std::string text = fmt::format("{} {}", row.name, state_text(row));
  if (row.running || row.paused)
    text += fmt::format(", up {}, image {}, cpu {} percent, memory {}, processes {}", row.up, visible(row.image),
                        row.cpu, row.memory, row.pids);
  else
    text += fmt::format(", image {}{}", visible(row.image), reason_of(row));
  return text;
}

class Plain {
public:
  Plain(const Place& place, bool read_only) : watch_(place), read_only_(read_only), asks_(::isatty(STDIN_FILENO) == 1)
  {
    // The rights go as well, so it is no promise alone.
    if (read_only) kernel::only_look(trace_);
    // Ctrl-C is for what runs; the next line begins anew.
    struct sigaction action {};
    action.sa_handler = [](int) {};
    ::sigaction(SIGINT, &action, nullptr);
    watch_.begin();
  }
  int run();

private:
  void take_world();
  void take_input();
  void take_line(const std::string& line);
  void execute(const std::vector<std::string>& words);
  void say(const std::vector<std::string>& lines);
  void prompt();

  Trace trace_;
  WorldWatch watch_;
  World world_;
  std::string typed_;
  bool read_only_, asks_, at_prompt_ = false, over_ = false;
  int status_ = 0;
};

void Plain::prompt()
{
  if (!asks_ || over_) return;
  std::fputs("> ", stdout);
  std::fflush(stdout);
  at_prompt_ = true;
}

void Plain::say(const std::vector<std::string>& lines)
{
  if (lines.empty()) return;
  // What is being typed is left as it stands; the terminal still has it.
  if (std::exchange(at_prompt_, false)) std::fputs("\n", stdout);
  for (const auto& line : lines) std::fprintf(stdout, "%s\n", line.c_str());
  std::fflush(stdout);
  prompt();
}

void Plain::take_world()
{
  World world = watch_.take();
  std::vector<std::string> lines;
  if (!world.problem.empty() && world.problem != world_.problem) lines.push_back(world.problem);
  if (world.snapshot && world_.snapshot) {
    for (auto& change : changes(*world_.snapshot, *world.snapshot)) lines.push_back(std::move(change));
  } else if (world.snapshot) {
    lines = list_lines(*world.snapshot);
    if (asks_) lines.emplace_back("Type a verb and its names, list, help or quit.");
  }
  world_ = std::move(world);
  say(lines);
}

void Plain::execute(const std::vector<std::string>& words)
{
  std::vector<std::string> all{conductor_program()};
  for (const auto& word : common_arguments()) all.push_back(word);
  all.insert(all.end(), words.begin(), words.end());
  std::vector<char*> argv;
  argv.reserve(all.size() + 1);
  for (auto& word : all) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  posix_spawnattr_setsigdefault(&attributes, &signals);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  const int failed = ::posix_spawn(&pid, argv[0], nullptr, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0) {
    say({std::string{Error{"start " + all[0], failed}.sentence()}});
    return;
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  if (status_ != 0) say({fmt::format("status {}", status_)});
}

void Plain::take_line(const std::string& line)
{
  at_prompt_ = false;
  const auto words = split_words(line);
  if (!words) {
    say({"a quote is not closed"});
    status_ = 2;
  } else if (words->empty())
    ;
  else if (words->size() == 1 && ((*words)[0] == "quit" || (*words)[0] == "exit"))
    over_ = true;
  else if (words->size() == 1 && (*words)[0] == "list" && world_.snapshot)
    say(list_lines(*world_.snapshot));
  else if (read_only_ && (*words)[0] != "help") {
    say({"this console only looks (--read-only): list, help, quit"});
    status_ = 1;
  } else
    execute(*words);
  if (!at_prompt_) prompt();
}

void Plain::take_input()
{
  char buffer[4096];
  const ssize_t got = ::read(STDIN_FILENO, buffer, sizeof buffer);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (got > 0) typed_.append(buffer, static_cast<std::size_t>(got));
  for (std::size_t end = typed_.find('\n'); end != std::string::npos && !over_; end = typed_.find('\n')) {
    const std::string line = typed_.substr(0, end);
    typed_.erase(0, end + 1);
    take_line(line);
  }
  if (typed_.size() > longest_line) typed_.clear();
  if (got > 0) return;
  if (!over_ && !typed_.empty()) take_line(std::exchange(typed_, {}));
  over_ = true;
  if (asks_) std::fputs("\n", stdout);
}

int Plain::run()
{
  while (!over_) {
    // The list comes before the first answer.
    pollfd watched[] = {{watch_.fd(), POLLIN, 0}, {world_.snapshot ? STDIN_FILENO : -1, POLLIN, 0}};
    if (::poll(watched, 2, -1) < 0 && errno == EINTR) {
      if (std::exchange(at_prompt_, false)) std::fputs("\n", stdout);
      prompt();
      continue;
    }
    if (watched[0].revents != 0) take_world();
    if (watched[1].revents != 0) take_input();
    if (!world_.problem.empty() && !world_.snapshot) return 1;
  }
  std::fflush(stdout);
  return status_;
}

std::map<std::string, ContainerRow> by_id(const Snapshot& snapshot)
{
  std::map<std::string, ContainerRow> rows;
  for (auto& row : container_rows(snapshot, {})) rows.emplace(row.id, row);
  return rows;
}

} // namespace

std::vector<std::string> list_lines(const Snapshot& snapshot)
{
  const auto rows = container_rows(snapshot, {});
  const auto up = std::count_if(rows.begin(), rows.end(), [](const auto& row) { return row.running || row.paused; });
  std::vector<std::string> lines;
  lines.push_back(rows.empty()
                      ? "There are no containers."
                      : fmt::format("{} of {} container{} up:", up, rows.size(), rows.size() == 1 ? " is" : "s are"));
  for (const auto& row : rows) lines.push_back(line_of(row));
  return lines;
}

std::vector<std::string> changes(const Snapshot& before, const Snapshot& after)
{
  const auto old = by_id(before), now = by_id(after);
  std::vector<std::string> lines;
  for (const auto& [id, row] : now) {
    const auto was = old.find(id);
    const std::string why = reason_of(row);
    if (was == old.end())
      lines.push_back(fmt::format("new: {} {}{}", row.name, state_text(row), why));
    else if (was->second.name != row.name)
      lines.push_back(fmt::format("{} is called {} now", was->second.name, row.name));
    else if (was->second.state != row.state)
      lines.push_back(fmt::format("{} {}{}", row.name, state_text(row), why));
  }
  for (const auto& [id, row] : old)
    if (!now.contains(id)) lines.push_back(fmt::format("gone: {}", row.name));
  return lines;
}

int run_plain(const Place& place, bool read_only) { return Plain{place, read_only}.run(); }

} // namespace conductor::console
