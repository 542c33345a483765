// How an error is told: a sentence, a hint, the right usage, an exit status.
#pragma once

#include "core/base/error.h"
#include "tui/command/arguments.h"

#include <span>
#include <string>

namespace conductor::command {

// Of an Error that means "not root": told as status 1 by every verb, also by those that have 125 for failures of ours.
inline constexpr int no_root_status = -1;

// The text for stderr: as JSON, or as `conductor: ...`, `hint: ...` and for wrong usage `usage: ...`.
std::string error_text(const Error& error, const Arguments& arguments, bool json);
// The exit status of CLI.md for it.
int exit_status(const Error& error, const Arguments& arguments);

// Writes the text and returns the status. words: what was typed, since --json may stand behind what was not understood.
int report(const Error& error, std::span<const char* const> words, const Arguments& arguments);

} // namespace conductor::command
