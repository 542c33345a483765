// The console as lines: for screen readers, for terminals that can place no cursor, and for pipes. No borders, no
// colours, nothing is drawn over. It prints what there is and what changes, and takes the command line's own verbs.
#pragma once

#include "tui/console/world.h"

#include <string>
#include <vector>

namespace conductor::console {

/// Until the end of the input or `quit`; the exit status of the last verb. Throws Error.
int run_plain(const Place& place, bool read_only);

/// What differs between two pictures, a sentence each: who came, who went, who runs, ends, stands still, falls ill.
std::vector<std::string> changes(const Snapshot& before, const Snapshot& after);
/// All containers, a line each, behind a line that counts them.
std::vector<std::string> list_lines(const Snapshot& snapshot);

} // namespace conductor::console
