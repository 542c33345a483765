// What a child may ask: attributes, status, modes, settings, size. No answer holds anything that a child wrote.
#pragma once

#include <cstdint>

namespace conductor::terminal {

class Interpreter;
struct Sequence;

void report_primary_attributes(Interpreter& terminal, const Sequence& sequence);   ///< DA1
void report_secondary_attributes(Interpreter& terminal, const Sequence& sequence); ///< DA2
void report_tertiary_attributes(Interpreter& terminal, const Sequence& sequence);  ///< DA3
void report_status(Interpreter& terminal, const Sequence& sequence);               ///< DSR, CPR
void report_mode(Interpreter& terminal, const Sequence& sequence);                 ///< DECRQM
void report_version(Interpreter& terminal, const Sequence& sequence);              ///< XTVERSION
void report_size(Interpreter& terminal, int kind);                                 ///< XTWINOPS 18 and 19
void save_modes(Interpreter& terminal, const Sequence& sequence);                  ///< XTSAVE, in modes.cpp
void restore_modes(Interpreter& terminal, const Sequence& sequence);               ///< XTRESTORE, in modes.cpp

/// Answer to OSC 4, 10, 11, 12: `prefix` is what stands before the colour.
void report_colour(Interpreter& terminal, const char* prefix, std::uint32_t colour, bool bell);

} // namespace conductor::terminal
