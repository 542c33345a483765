// What only the images program holds: it links what the others must not load.
#pragma once

#include "tui/command/invocation.h"

#include <string>

namespace conductor::command {

int build_image(Invocation& invocation);
void obtain_image(Invocation& invocation, const std::string& reference);

} // namespace conductor::command
