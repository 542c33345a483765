// The one event stream of conductor: what an operation does, told while it does it.
//
// The engine never prints. It opens Steps on a Trace, and every state-changing call of the two waists (core/kernel,
// net/netlink) passes Trace::before() and after(). Listeners turn that into progress lines, JSON, the narration of
// --explain, the console's log. Without a listener a call costs one branch: no text is made.
//
// A gate may stop before each call and say go, skip or abort, or let the call fail. A child program (init, keeper) has
// a Trace of its own whose only listener sends the events to its parent over a socket (core/base/relay.h), in order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace conductor {

// What a gate says to a call; a number between is the errno that the call shall fail with instead of being made.
enum class Decision : unsigned char { go = 0, skip = 254, abort = 255 };
inline Decision fail_with(int error) { return static_cast<Decision>(error); }
inline int failure_in(Decision decision)
{
  return decision == Decision::skip || decision == Decision::abort ? 0 : static_cast<int>(decision);
}
enum class Outcome : char { done = 'd', failed = 'f' };

enum class EventKind : char { hello, step_began, call_began, call_ended, progress, step_ended, notice, output, result };

// One line of the stream. Which fields are set follows from the kind.
struct Event {
  EventKind kind = EventKind::notice;
  uint64_t time_us = 0;         // CLOCK_MONOTONIC
  uint32_t id = 0;              // of the step (step_*: its own; call_*, progress: the step it belongs to)
  uint32_t parent = 0;          // step_began: the step around it, 0 for none
  std::string topic;            // step_began: what ("mount the root"); call_*: name of the system call ("mount")
  std::string detail;           // step_began: why; call_*: the whole call; notice, output: the text; result: JSON
  std::string by_hand;          // call_*: what a person would type
  int error = 0;                // call_ended: errno, 0 for success
  uint64_t duration_us = 0;     // call_ended, step_ended
  uint64_t done = 0, total = 0; // progress (total 0: unknown)
  std::string unit;             // progress: "bytes", "files"
  Outcome outcome = Outcome::done;
  bool skipped = false; // call_ended: a gate said skip
};

class Listener {
public:
  virtual ~Listener() = default;
  virtual void on(const Event& event) = 0;
  // Listeners that draw only steps (a progress line) leave the calls out, and then they cost nothing.
  virtual bool wants_calls() const { return true; }
  // One that hears only notices leaves the steps out too: then a verb is as fast as without a listener.
  virtual bool wants_steps() const { return true; }
};

// Asked before each call; blocks as long as it likes.
class Gate {
public:
  virtual ~Gate() = default;
  virtual Decision before(const Event& call) = 0;
};

class Trace;

// A step of an operation. done() ends it; leaving its scope without that means that it failed.
class Step {
public:
  Step(Trace& trace, std::string_view topic, std::string_view why = {});
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;
  ~Step();
  void done();
  void progress(uint64_t done, uint64_t total, std::string_view unit);
  uint32_t id() const { return id_; }

private:
  Trace& trace_;
  uint32_t id_ = 0;
  uint32_t outer_ = 0;
  uint64_t began_us_ = 0;
  bool ended_ = false;
};

class Trace {
public:
  Trace() = default;
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  void add(Listener& listener); // not owned; must outlive the trace
  void remove(Listener& listener);
  void set_gate(Gate* gate) { gate_ = gate; }
  // While it lives nobody is asked and no interrupt counts: for an effect that must end, whatever became of the work.
  class Undisturbed {
  public:
    explicit Undisturbed(Trace& trace) : trace_(trace), gate_(trace.gate_), interrupt_(trace.interrupt_)
    {
      trace.gate_ = nullptr;
      trace.interrupt_ = nullptr;
    }
    ~Undisturbed()
    {
      trace_.gate_ = gate_;
      trace_.interrupt_ = interrupt_;
    }
    Undisturbed(const Undisturbed&) = delete;
    Undisturbed& operator=(const Undisturbed&) = delete;

  private:
    Trace& trace_;
    Gate* gate_;
    const volatile bool* interrupt_;
  };
  bool gated() const { return gate_ != nullptr; }
  // Is anybody interested in single calls? The waists make their texts only then.
  bool calls_wanted() const { return calls_wanted_ || gate_ != nullptr; }
  // ... and in steps?
  bool listening() const { return steps_wanted_; }
  // ... or at least in notices?
  bool heard() const { return !listeners_.empty(); }

  // A flag that a signal handler sets: before() then throws Error (EINTR), so the operation rolls back.
  void set_interrupt(const volatile bool* flag) { interrupt_ = flag; }
  bool interrupted() const { return interrupt_ != nullptr && *interrupt_; }
  void throw_if_interrupted() const;

  void notice(std::string_view text);
  // Bytes that a program of the operation printed (a RUN step): shown live.
  void output(std::string_view bytes);
  void result(std::string json);

  // Before and after a state-changing call. `call` has topic, detail and by_hand set. before() throws Error (ECANCELED)
  // when the gate says abort.
  Decision before(Event& call);
  void after(Event& call, int error, bool skipped);

  // The gate's word on a call of a child program; go where there is no gate.
  Decision ask(const Event& call) { return gate_ == nullptr ? Decision::go : gate_->before(call); }

  // A whole event made elsewhere (a child program), passed on as it is.
  void forward(const Event& event);

  // The same, for a program that may end by execve(2) in the middle of a step: end_relayed() ends what it left open.
  void relay(const Event& event);
  void end_relayed(Outcome outcome);

  // Step ids for a child program: the child counts up from the returned number, we go on 10,000 later; a child that has
  // children itself gives each of them a small part of its own.
  uint32_t reserve_ids();
  // In a fresh child: no listeners, no gate, ids from `first`, steps lie below `parent`.
  void restart(uint32_t first_id, uint32_t parent);
  uint32_t current_step() const { return current_; }

private:
  friend class Step;
  void send(Event& event);
  std::vector<Listener*> listeners_;
  std::vector<std::pair<uint32_t, uint64_t>> relayed_; // steps of a child program that are open: id, time_us
  std::vector<Event> relayed_calls_;                   // its call that began and has not ended
  Gate* gate_ = nullptr;
  const volatile bool* interrupt_ = nullptr;
  bool calls_wanted_ = false, steps_wanted_ = false;
  uint32_t next_id_ = 1;
  uint32_t child_ids_ = 10'000;
  uint32_t current_ = 0;
};

// CLOCK_MONOTONIC in microseconds.
uint64_t monotonic_us();

} // namespace conductor
