// What only the images program holds: it links what the others must not load.
#pragma once

#include "tui/command/invocation.h"

#include <string>

namespace conductor::command {

int build_image(Invocation& invocation);
int exchange_images(Invocation& invocation); // save, load, export, import, commit, cp (exchange_verbs.cpp)
int copy_files(Invocation& invocation);      // cp (copy_verb.cpp)
void obtain_image(Invocation& invocation, const std::string& reference, bool refresh);

// registry_verbs.cpp
int pull_images(Invocation& invocation);
int push_image(Invocation& invocation);
int log_in(Invocation& invocation);
int log_out(Invocation& invocation);

} // namespace conductor::command
