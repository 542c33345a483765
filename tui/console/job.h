// A verb at work: a child `conductor VERB ... --events 3` and what it tells. The console changes nothing itself; all it
// does is start these, draw their events and, to cancel, send a signal, upon which the verb rolls back.
//
// The child is in a session of its own: a console that dies, or whose terminal goes away, cuts nothing in half.
#pragma once

#include "core/base/handle.h"
#include "core/base/trace.h"
#include "tui/console/loop.h"

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace conductor::console {

class Job;

/// Who hears of jobs; all on the UI thread.
class JobListener {
public:
  virtual void job_said(Job& job, const Event& event) = 0;
  virtual void job_ended(Job& job) = 0;

protected:
  ~JobListener() = default;
};

enum class JobState : char { running, done, failed, cancelled };

class Job final : public Source {
public:
  /// arguments: without the program ("start", "id:..."). Starts it at once. Throws Error.
  Job(Loop& loop, JobListener& listener, int number, std::string title, std::vector<std::string> arguments);
  ~Job();
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  int number() const { return number_; }
  const std::string& title() const { return title_; }
  const std::vector<std::string>& arguments() const { return arguments_; }
  JobState state() const { return state_; }
  bool running() const { return state_ == JobState::running; }
  const std::deque<Event>& events() const { return events_; }
  const std::string& result() const { return result_; }   ///< JSON of the `result` event, or empty
  const std::string& printed() const { return printed_; } ///< what it wrote on stdout
  /// The sentence of its error and its hint, or empty.
  std::string error() const;
  std::string hint() const;
  int status() const { return status_; }
  std::uint64_t began_us() const { return began_us_; }
  std::uint64_t ended_us() const { return ended_us_; }

  /// Asks it by SIGINT to stop and take back what it did. A verb may be looking elsewhere just then, so ask_again() is
  /// to be called from time to time until it has ended.
  void cancel();
  bool cancelling() const { return cancelled_ && running(); }
  void ask_again();
  std::uint64_t asked_us() const { return asked_us_; }
  /// Gives it up without ending it: the console is leaving.
  void release();
  void ready(int fd, std::uint32_t events) override;

private:
  void take_lines();
  void end();
  bool drain(Fd& fd, std::string& into, std::size_t limit);

  Loop& loop_;
  JobListener& listener_;
  int number_;
  std::string title_;
  std::vector<std::string> arguments_;
  JobState state_ = JobState::running;
  Child child_;
  Fd events_fd_, out_, err_;
  std::string partial_, printed_, complained_, result_;
  std::deque<Event> events_;
  int status_ = 0;
  bool cancelled_ = false;
  std::uint64_t asked_us_ = 0;
  std::uint64_t began_us_, ended_us_ = 0;
};

/// A text of the job's result ("session"), or of the first of its results; empty where there is none.
std::string result_text(const Job& job, const char* key);

/// The line a person would type for it: "conductor run debian:bookworm web -d". Words are quoted where a shell needs
/// it.
std::string command_line(const std::vector<std::string>& arguments);

/// Options that every child gets, so that it works on the same state: --root, --run, --config.
void set_common_arguments(std::vector<std::string> arguments);
const std::vector<std::string>& common_arguments();

/// Path of the program `conductor` that belongs to this console.
std::string conductor_program();

} // namespace conductor::console
