// The modes of a terminal that those around it need: the encoder of keys and mouse, and the painter.
#pragma once

#include <cstdint>

namespace conductor::terminal {

enum class MouseMode : std::uint8_t {
  off,
  press,  ///< DEC 9: presses only
  click,  ///< DEC 1000: presses and releases
  drag,   ///< DEC 1002: and motion while a button is held
  motion, ///< DEC 1003: and all motion
};

/// DECSCUSR
enum class CursorShape : std::uint8_t { standard, block, underline, bar };

struct Modes {
  MouseMode mouse = MouseMode::off;
  bool mouse_sgr = false;          ///< DEC 1006; otherwise the X10 encoding, which ends at column 223
  bool bracketed_paste = false;    ///< DEC 2004
  bool focus_events = false;       ///< DEC 1004
  bool application_cursor = false; ///< DECCKM
  bool application_keypad = false; ///< DECNKM, DECKPAM
  bool newline = false;            ///< LNM: Enter sends CR LF
  bool backarrow = false;          ///< DECBKM: Backspace sends BS instead of DEL
  bool alternate_scroll = false;   ///< DEC 1007: the wheel sends cursor keys on the alternate screen
  bool synchronised = false;       ///< DEC 2026: hold the paint
  bool alternate_screen = false;
  bool reverse_screen = false; ///< DECSCNM

  bool operator==(const Modes&) const = default;
};

} // namespace conductor::terminal
