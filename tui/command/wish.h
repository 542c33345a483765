// From the options of run, create and exec to what the engine is asked for.
#pragma once

#include "core/engine/engine.h"
#include "tui/command/invocation.h"

namespace conductor::command {

// Throw a usage Error for a value that is not understood.
CreateRequest create_request(const Invocation& invocation);
ProcessSpec process_wish(const Invocation& invocation);

} // namespace conductor::command
