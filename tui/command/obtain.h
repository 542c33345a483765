// An image that must be there before a container can be made from it.
#pragma once

#include "tui/command/invocation.h"

#include <string>

namespace conductor::command {

// Returns when the image is local. One that is not is got as FROM would get it; only the images program can do that, so
// `conductor` becomes it and the verb begins anew there. Throws Error: no such image.
void require_image(Invocation& invocation, const std::string& reference);

} // namespace conductor::command
