// What the table of verbs says about itself: help, the usage line of an error, the manual page, shell completion.
#pragma once

#include "tui/command/verbs.h"

#include <string>
#include <string_view>

namespace conductor::command {

// "conductor run IMAGE [NAME] [options] [-- CMD ARG...]"
std::string usage(const Verb& verb);
// "-d, --detach" or "    --memory SIZE".
std::string spelling(const Option& option);

std::string help_overview();
std::string help_for(const Verb& verb);
// conductor(1) as roff, man(7).
std::string manual_page();
// The completion script for bash, zsh or fish. Throws a usage Error for another shell.
std::string completion_script(std::string_view shell);

} // namespace conductor::command
