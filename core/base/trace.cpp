#include "core/base/trace.h"

#include "core/base/error.h"

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <utility>

namespace conductor {

uint64_t monotonic_us()
{
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
}

void Trace::add(Listener& listener)
{
  listeners_.push_back(&listener);
  calls_wanted_ = calls_wanted_ || listener.wants_calls();
  steps_wanted_ = steps_wanted_ || listener.wants_steps();
}

void Trace::remove(Listener& listener)
{
  std::erase(listeners_, &listener);
  calls_wanted_ = std::any_of(listeners_.begin(), listeners_.end(), [](Listener* each) { return each->wants_calls(); });
  steps_wanted_ = std::any_of(listeners_.begin(), listeners_.end(), [](Listener* each) { return each->wants_steps(); });
}

void Trace::send(Event& event)
{
  event.time_us = monotonic_us();
  forward(event);
}

void Trace::forward(const Event& event)
{
  for (Listener* listener : listeners_) listener->on(event);
}

void Trace::relay(const Event& event)
{
  if (event.kind == EventKind::call_began) relayed_calls_.push_back(event);
  if (event.kind == EventKind::call_ended) relayed_calls_.clear();
  if (event.kind == EventKind::step_began) relayed_.emplace_back(event.id, event.time_us);
  if (event.kind == EventKind::step_ended)
    std::erase_if(relayed_, [&](const auto& open) { return open.first == event.id; });
  forward(event);
}

void Trace::end_relayed(Outcome outcome)
{
  for (; !relayed_calls_.empty(); relayed_calls_.pop_back()) {
    Event call = relayed_calls_.back();
    after(call, outcome == Outcome::done ? 0 : ECANCELED, false);
  }
  for (; !relayed_.empty(); relayed_.pop_back()) {
    const auto [id, began_us] = relayed_.back();
    Event event{.kind = EventKind::step_ended, .id = id, .outcome = outcome};
    event.duration_us = monotonic_us() - began_us;
    send(event);
  }
}

void Trace::notice(std::string_view text)
{
  if (listeners_.empty()) return;
  Event event{.kind = EventKind::notice, .id = current_, .detail = std::string{text}};
  send(event);
}

void Trace::output(std::string_view bytes)
{
  if (listeners_.empty()) return;
  Event event{.kind = EventKind::output, .id = current_, .detail = std::string{bytes}};
  send(event);
}

void Trace::result(std::string json)
{
  if (listeners_.empty()) return;
  Event event{.kind = EventKind::result, .detail = std::move(json)};
  send(event);
}

void Trace::throw_if_interrupted() const
{
  if (interrupted()) throw Error{"interrupted", EINTR};
}

Decision Trace::before(Event& call)
{
  call.kind = EventKind::call_began;
  call.id = current_;
  send(call);
  if (gate_ == nullptr) return Decision::go;
  Decision decision = gate_->before(call);
  if (decision == Decision::abort) {
    after(call, ECANCELED, false);
    throw Error{"stopped at the gate before " + call.detail, ECANCELED};
  }
  return decision;
}

void Trace::after(Event& call, int error, bool skipped)
{
  call.kind = EventKind::call_ended;
  call.error = error;
  call.skipped = skipped;
  call.duration_us = monotonic_us() - call.time_us;
  send(call);
}

uint32_t Trace::reserve_ids() { return std::exchange(next_id_, next_id_ + child_ids_); }

void Trace::restart(uint32_t first_id, uint32_t parent)
{
  listeners_.clear();
  relayed_.clear();
  relayed_calls_.clear();
  gate_ = nullptr;
  interrupt_ = nullptr;
  calls_wanted_ = steps_wanted_ = false;
  next_id_ = first_id;
  child_ids_ = std::max(child_ids_ / 20, 1U);
  current_ = parent;
}

Step::Step(Trace& trace, std::string_view topic, std::string_view why)
    : trace_(trace), id_(trace.next_id_++), outer_(std::exchange(trace.current_, id_))
{
  if (!trace_.listening()) return;
  Event event{.kind = EventKind::step_began,
              .id = id_,
              .parent = outer_,
              .topic = std::string{topic},
              .detail = std::string{why}};
  trace_.send(event);
  began_us_ = event.time_us;
}

void Step::done()
{
  if (std::exchange(ended_, true)) return;
  trace_.current_ = outer_;
  if (!trace_.listening()) return;
  Event event{.kind = EventKind::step_ended, .id = id_, .duration_us = monotonic_us() - began_us_};
  trace_.send(event);
}

Step::~Step()
{
  if (std::exchange(ended_, true)) return;
  trace_.current_ = outer_;
  if (!trace_.listening()) return;
  Event event{
      .kind = EventKind::step_ended, .id = id_, .duration_us = monotonic_us() - began_us_, .outcome = Outcome::failed};
  try {
    trace_.send(event);
  } catch (...) { // a listener that fails while we unwind must not end the program
  }
}

void Step::progress(uint64_t done, uint64_t total, std::string_view unit)
{
  if (!trace_.listening()) return;
  Event event{.kind = EventKind::progress, .id = id_, .done = done, .total = total, .unit = std::string{unit}};
  trace_.send(event);
}

} // namespace conductor
