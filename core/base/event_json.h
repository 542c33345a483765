// The event stream as JSON lines: the schema that --events, --explain=json and the console speak.
#pragma once

#include "core/base/trace.h"

#include <optional>
#include <string>
#include <string_view>

namespace conductor {

// One line without the newline: {"event":"call_began","id":3,...}. Bytes that are no UTF-8 are replaced.
std::string to_json(const Event& event);
// The reverse; none for a line that is not of this schema.
std::optional<Event> event_from_json(std::string_view line);
// The first line of every stream.
std::string hello_line();

} // namespace conductor
