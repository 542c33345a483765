// Values that stand in instructions: what a port, a signal, a name is. Pure. And what can be told of them before the
// build begins: a mistake in line 40 is not worth the minutes that the lines above it take.
#pragma once

#include "core/image/recipe.h"

#include <string>
#include <string_view>
#include <vector>

namespace conductor::image {

// All throw Error.

// "80", "80/udp", "8000-8010/tcp" -> each port with its protocol: "80/tcp".
std::vector<std::string> ports_of(std::string_view text);
// "term", "SIGTERM", "15" -> "SIGTERM", "SIGTERM", "15".
std::string stop_signal_of(const std::string& text);
// "linux/amd64", "amd64", "local": only this machine's own is possible, since its programs run here.
void check_platform(std::string_view platform);
// --network of RUN: "internet", "host", "none"; "" for the one of the build.
std::string network_of(const Instruction& instruction);
// Of ARG and ENV.
void check_variable_name(const Instruction& instruction, std::string_view name);
// A flag that is true or false; alone it is true. Without it: `fallback`.
bool switch_of(const Instruction& instruction, std::string_view name, bool fallback);
bool is_address(std::string_view word); // http:// or https://
// As Docker tells repositories from downloads.
bool is_repository(std::string_view word);
// Can an instruction of that stage take files from there? Not from a stage further down.
void check_source(const Recipe& recipe, size_t stage, const Instruction& instruction, const std::string& from);

// Looks at all values of an instruction that hold no variable.
void check_values(const Instruction& instruction, char escape);
// The same with what can be told of whole files: what FROM and --from name. Throws Error with FILE:LINE.
void check_names(const Recipe& recipe);

} // namespace conductor::image
