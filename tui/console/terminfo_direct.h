// The terminfo entry for 24-bit colour that we bring along; see terminfo_direct.cpp.
#pragma once

namespace conductor::console {

extern const char* const direct_terminal_name;
extern const char* const direct_terminal_entry; ///< value for TERMINFO, "b64:..."

} // namespace conductor::console
