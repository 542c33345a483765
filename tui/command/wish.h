// From the options of run, create and exec to what the engine is asked for.
#pragma once

#include "core/engine/engine.h"
#include "tui/command/invocation.h"

namespace conductor::command {

// Throw a usage Error for a value that is not understood.
CreateRequest create_request(const Invocation& invocation);
ProcessSpec process_wish(const Invocation& invocation);
// Changes `limits` as the options say; what they do not name stays.
void change_limits(const Invocation& invocation, Limits& limits);
// Of all --expose, each once.
std::vector<PublishedPort> published_ports(const Invocation& invocation);
// Whether these words, as behind `conductor` ("run", "box", "--memory", "1G"), ask for something that can be made; for
// who composes them. Looks at files that they name, changes nothing. Throws the Error that run would.
void check_wish(const std::vector<std::string>& words);

} // namespace conductor::command
