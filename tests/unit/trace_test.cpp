// The event stream itself: what a gate and a signal may do to an operation, and what not.
#include "core/base/error.h"
#include "core/base/trace.h"
#include "core/base/undo.h"
#include "core/kernel/call.h"

#include <set>

#include <gtest/gtest.h>

namespace conductor {
namespace {

struct Recorder : Listener {
  std::vector<Event> events;
  void on(const Event& event) override { events.push_back(event); }
};

struct FixedGate : Gate {
  Decision decision = Decision::go;
  int asked = 0;
  Decision before(const Event&) override
  {
    ++asked;
    return decision;
  }
};

kernel::CallResult call(Trace& trace, int& made)
{
  return kernel::perform(
      trace, "mkdir",
      [] {
        return kernel::CallText{"mkdir(\"/x\")", "mkdir /x"};
      },
      [&]() -> long {
        ++made;
        return 0;
      });
}

TEST(Trace, CallIsToldBeforeAndAfter)
{
  Trace trace;
  Recorder recorder;
  trace.add(recorder);
  int made = 0;
  call(trace, made);
  ASSERT_EQ(recorder.events.size(), 2u);
  EXPECT_EQ(recorder.events[0].kind, EventKind::call_began);
  EXPECT_EQ(recorder.events[1].kind, EventKind::call_ended);
  EXPECT_EQ(recorder.events[1].by_hand, "mkdir /x");
}

TEST(Trace, GateThatSkipsKeepsTheCallFromBeingMade)
{
  Trace trace;
  FixedGate gate;
  gate.decision = Decision::skip;
  trace.set_gate(&gate);
  int made = 0;
  EXPECT_TRUE(call(trace, made).skipped);
  EXPECT_EQ(made, 0);
}

TEST(Trace, GateThatLetsACallFailKeepsItFromBeingMade)
{
  Trace trace;
  FixedGate gate;
  gate.decision = fail_with(ENOSPC);
  trace.set_gate(&gate);
  int made = 0;
  const auto result = call(trace, made);
  EXPECT_TRUE(result.failed());
  EXPECT_EQ(result.error, ENOSPC);
  EXPECT_EQ(made, 0);
}

TEST(Trace, GateThatAbortsThrows)
{
  Trace trace;
  FixedGate gate;
  gate.decision = Decision::abort;
  trace.set_gate(&gate);
  int made = 0;
  EXPECT_THROW(call(trace, made), Error);
  EXPECT_EQ(made, 0);
}

TEST(Trace, SignalEndsTheOperationBeforeTheNextCall)
{
  Trace trace;
  volatile bool signal = false;
  trace.set_interrupt(&signal);
  int made = 0;
  call(trace, made);
  signal = true;
  try {
    call(trace, made);
    FAIL() << "the call was made";
  } catch (const Error& error) {
    EXPECT_EQ(error.number(), EINTR);
  }
  EXPECT_EQ(made, 1);
}

TEST(Trace, SignalDoesNotStopTheUndo)
{
  Trace trace;
  volatile bool signal = true;
  trace.set_interrupt(&signal);
  int made = 0;
  {
    Undo undo{trace};
    undo.push("take it back", [&] { call(trace, made); });
  }
  EXPECT_EQ(made, 1);
}

// What a process does when it makes another: both reserve, in their copies of one trace.
void make_child(Trace& parent, Trace& child)
{
  const uint32_t first = parent.reserve_ids();
  child.restart(first, parent.current_step());
}

TEST(Trace, NoStepOfTwoGenerationsHasTheIdOfAnother)
{
  Trace verb;
  std::set<uint32_t> ids;
  size_t steps = 0;
  const auto take = [&](Trace& trace) {
    for (int i = 0; i < 50; ++i, ++steps) ids.insert(Step{trace, "step"}.id());
  };
  for (int containers = 0; containers < 3; ++containers) {
    take(verb);
    Trace keeper;
    make_child(verb, keeper);
    for (int processes = 0; processes < 3; ++processes) {
      take(keeper);
      Trace init;
      make_child(keeper, init);
      take(init);
    }
    take(keeper);
  }
  take(verb);
  EXPECT_EQ(ids.size(), steps);
}

TEST(Undo, CommittedOneLeavesTheGateInPlace)
{
  Trace trace;
  FixedGate gate;
  trace.set_gate(&gate);
  {
    Undo undo{trace};
    undo.push("take it back", [] {});
    undo.commit();
  }
  int made = 0;
  call(trace, made);
  EXPECT_EQ(gate.asked, 1);
}

} // namespace
} // namespace conductor
