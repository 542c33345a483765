#include "core/base/event_json.h"

#include "core/base/error.h"

#include <array>

#include <nlohmann/json.hpp>

namespace conductor {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::pair<EventKind, std::string_view>, 9> kind_names{{
    {EventKind::hello, "hello"},
    {EventKind::step_began, "step_began"},
    {EventKind::call_began, "call_began"},
    {EventKind::call_ended, "call_ended"},
    {EventKind::progress, "progress"},
    {EventKind::step_ended, "step_ended"},
    {EventKind::notice, "notice"},
    {EventKind::output, "output"},
    {EventKind::result, "result"},
}};

std::string_view name_of(EventKind kind)
{
  for (const auto& [each, name] : kind_names)
    if (each == kind) return name;
  return "notice";
}

std::optional<EventKind> kind_of(std::string_view text)
{
  for (const auto& [kind, name] : kind_names)
    if (name == text) return kind;
  return std::nullopt;
}

void put_call(Json& json, const Event& event)
{
  json["step"] = event.id;
  json["call"] = event.detail;
  json["name"] = event.topic;
  json["by_hand"] = event.by_hand;
}

} // namespace

std::string to_json(const Event& event)
{
  Json json;
  json["event"] = name_of(event.kind);
  json["time_us"] = event.time_us;
  switch (event.kind) {
  case EventKind::hello: json["schema"] = 1; break;
  case EventKind::step_began:
    json["id"] = event.id;
    json["parent"] = event.parent;
    json["topic"] = event.topic;
    json["detail"] = event.detail;
    break;
  case EventKind::call_began: put_call(json, event); break;
  case EventKind::call_ended:
    put_call(json, event);
    json["errno"] = errno_name(event.error);
    json["number"] = event.error;
    json["duration_us"] = event.duration_us;
    json["skipped"] = event.skipped;
    break;
  case EventKind::progress:
    json["step"] = event.id;
    json["done"] = event.done;
    json["total"] = event.total;
    json["unit"] = event.unit;
    break;
  case EventKind::step_ended:
    json["id"] = event.id;
    json["outcome"] = event.outcome == Outcome::done ? "done" : "failed";
    json["duration_us"] = event.duration_us;
    break;
  case EventKind::notice:
  case EventKind::output:
    json["step"] = event.id;
    json["text"] = event.detail;
    break;
  case EventKind::result: json["result"] = Json::parse(event.detail, nullptr, false); break;
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<Event> event_from_json(std::string_view line)
{
  const Json json = Json::parse(line, nullptr, false);
  if (!json.is_object() || !json.contains("event") || !json["event"].is_string()) return std::nullopt;
  const auto kind = kind_of(json["event"].get<std::string>());
  if (!kind) return std::nullopt;
  const auto text = [&](const char* key) {
    return json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : std::string{};
  };
  const auto number = [&](const char* key) -> uint64_t {
    return json.contains(key) && json[key].is_number_unsigned() ? json[key].get<uint64_t>() : 0;
  };
  Event event{.kind = *kind, .time_us = number("time_us")};
  event.id = static_cast<uint32_t>(json.contains("id") ? number("id") : number("step"));
  event.parent = static_cast<uint32_t>(number("parent"));
  const bool call = *kind == EventKind::call_began || *kind == EventKind::call_ended;
  event.topic = call ? text("name") : text("topic");
  event.detail = call ? text("call") : json.contains("text") ? text("text") : text("detail");
  if (*kind == EventKind::result && json.contains("result")) event.detail = json["result"].dump();
  event.by_hand = text("by_hand");
  event.error = static_cast<int>(number("number"));
  event.duration_us = number("duration_us");
  event.done = number("done");
  event.total = number("total");
  event.unit = text("unit");
  event.outcome = text("outcome") == "failed" ? Outcome::failed : Outcome::done;
  event.skipped = json.contains("skipped") && json["skipped"].is_boolean() && json["skipped"].get<bool>();
  return event;
}

std::string hello_line() { return R"({"event":"hello","schema":1})"; }

} // namespace conductor
