// The state machine that cuts a child's bytes into text, controls and sequences, after Paul Williams' picture of the
// VT500 (vt100.net/emu/dec_ansi_parser), with UTF-8 in front. All of its state is here, so a stream may be cut
// anywhere.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace conductor::terminal {

class Interpreter;

/// A control sequence (CSI), or the head of a device control string (DCS).
struct Sequence {
  static constexpr int capacity = 32;              ///< further parameters are dropped
  static constexpr std::uint32_t ceiling = 65'535; ///< larger values count as this

  std::array<std::uint16_t, capacity> values{};
  int count = 0;
  std::uint32_t colons = 0; ///< bit i: value i belongs to the one before it (38:2:...)
  char prefix = 0;          ///< < = > ? or none
  char intermediate = 0;    ///< the one byte before the final; '\xFF' if there were several
  char final = 0;

  /// Parameter i, or `fallback` where it is absent or 0, as nearly all sequences want it.
  int value(int i, int fallback) const
  {
    std::uint16_t v = i < count ? values[static_cast<std::size_t>(i)] : std::uint16_t{0};
    return v == 0 ? fallback : v;
  }
  bool is_sub(int i) const { return i < count && (colons >> i & 1) != 0; }
};

class Parser {
public:
  enum class State : std::uint8_t { ground, escape, control_sequence, device_control, string, string_escape };
  enum class Phase : std::uint8_t { entry, parameters, intermediates, ignore };
  /// operating_system and device_control are gathered, the others swallowed.
  enum class String : std::uint8_t { operating_system, device_control, swallowed };

  explicit Parser(std::size_t string_limit) : limit(string_limit) {}

  void feed(Interpreter& target, std::string_view bytes);
  void reset();

  // The state, open for serialise().
  State state = State::ground;
  Phase phase = Phase::entry;
  String kind = String::swallowed;
  Sequence sequence;
  bool open_parameter = false; ///< a digit or separator was seen
  char intermediate = 0;       ///< of an escape sequence
  std::string text;            ///< what a string gathered so far
  bool overflow = false;       ///< the string was longer than the limit: swallow its rest
  char last_byte = 0;          ///< the last byte of a string that goes on in the next feed
  std::uint8_t utf8_need = 0;  ///< continuation bytes that are still to come
  std::uint8_t utf8_low = 0x80, utf8_high = 0xBF;
  char32_t utf8_value = 0;
  std::size_t limit;

private:
  using Byte = unsigned char;
  const char* ground(Interpreter& target, const char* at, const char* end);
  const char* escape(Interpreter& target, const char* at);
  const char* numbers(const char* at, const char* end);
  const char* header(Interpreter& target, const char* at, const char* end);
  const char* gather(Interpreter& target, const char* at, const char* end);
  const char* utf8(Interpreter& target, const char* at);
  void character(Interpreter& target, char32_t code_point);
  void begin_escape();
  void begin_header(State next);
  void begin_string(String what);
  void finish_header(Interpreter& target, char final);
  void finish_string(Interpreter& target, bool bell);
  void control(Interpreter& target, Byte byte);
  void dispatch_escape(Interpreter& target, char final);
};

} // namespace conductor::terminal
