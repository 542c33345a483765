// The parser's steps. Text and parameters, nearly all of what children write, have loops of their own; the rest goes
// byte by byte.
#include "tui/terminal/parser.h"

#include "tui/terminal/interpreter.h"
#include "tui/terminal/width.h"

#include <bit>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace conductor::terminal {

namespace {

constexpr unsigned char escape_byte = 0x1B, cancel = 0x18, substitute = 0x1A, rubout = 0x7F, bell_byte = 0x07;
constexpr char32_t replacement = 0xFFFD;

/// The first byte that is not printable ASCII.
const char* skip_printable(const char* at, const char* end)
{
#ifdef __SSE2__
  const __m128i space = _mm_set1_epi8(0x20), last = _mm_set1_epi8(rubout);
  while (end - at >= 16) {
    __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    // Bytes from 0x80 on are negative, so one signed comparison finds them and the controls.
    __m128i other = _mm_or_si128(_mm_cmplt_epi8(bytes, space), _mm_cmpeq_epi8(bytes, last));
    auto mask = static_cast<unsigned>(_mm_movemask_epi8(other));
    if (mask != 0) return at + std::countr_zero(mask);
    at += 16;
  }
#endif
  while (at < end && static_cast<signed char>(*at) >= 0x20 && *at != rubout) ++at;
  return at;
}

} // namespace

void Parser::feed(Interpreter& target, std::string_view bytes)
{
  const char* at = bytes.data();
  const char* end = at + bytes.size();
  while (at < end) {
    switch (state) {
    case State::ground: at = ground(target, at, end); break;
    case State::escape: at = escape(target, at); break;
    case State::control_sequence:
    case State::device_control: at = header(target, at, end); break;
    case State::string:
    case State::string_escape: at = gather(target, at, end); break;
    }
  }
}

void Parser::reset()
{
  std::size_t kept = limit;
  *this = Parser(kept);
}

const char* Parser::ground(Interpreter& target, const char* at, const char* end)
{
  while (at < end) {
    if (utf8_need != 0) {
      at = utf8(target, at);
      if (state != State::ground) return at;
      continue;
    }
    const char* text_end = skip_printable(at, end);
    if (text_end != at) {
      target.print_ascii({at, static_cast<std::size_t>(text_end - at)});
      at = text_end;
      if (at == end) return at;
    }
    Byte byte = static_cast<Byte>(*at);
    if (byte == escape_byte) {
      // ESC [ at once: most sequences are control sequences.
      if (end - at >= 2 && at[1] == '[') {
        begin_header(State::control_sequence);
        return at + 2;
      }
      begin_escape();
      return at + 1;
    }
    if (byte < 0x80) {
      if (byte != rubout) target.execute(byte);
      ++at;
      continue;
    }
    if (byte >= 0xE0 && byte < 0xF0 && end - at >= 3) {
      // Three bytes, the common case of East Asian text, at once. What is not well-formed goes the long way.
      Byte second = static_cast<Byte>(at[1]), third = static_cast<Byte>(at[2]);
      char32_t value = static_cast<char32_t>((byte & 0xF) << 12 | (second & 0x3F) << 6 | (third & 0x3F));
      if ((second & 0xC0) == 0x80 && (third & 0xC0) == 0x80 && value >= 0x800 && (value & 0xF800) != 0xD800) {
        target.print(value);
        at += 3;
        continue;
      }
    }
    at = utf8(target, at);
    if (state != State::ground) return at;
  }
  return at;
}

/// One byte of a UTF-8 sequence, as the Encoding Standard decodes: each maximal subpart that is wrong is one U+FFFD,
/// and the byte that broke it is looked at again.
const char* Parser::utf8(Interpreter& target, const char* at)
{
  Byte byte = static_cast<Byte>(*at);
  if (utf8_need != 0) {
    if (byte < utf8_low || byte > utf8_high) {
      utf8_need = 0;
      utf8_value = 0;
      utf8_low = 0x80;
      utf8_high = 0xBF;
      target.print(replacement);
      return at;
    }
    utf8_low = 0x80;
    utf8_high = 0xBF;
    utf8_value = utf8_value << 6 | (byte & 0x3F);
    if (--utf8_need == 0) {
      char32_t value = utf8_value;
      utf8_value = 0;
      character(target, value);
    }
    return at + 1;
  }
  utf8_low = 0x80;
  utf8_high = 0xBF;
  if (byte >= 0xC2 && byte <= 0xDF) {
    utf8_need = 1;
    utf8_value = byte & 0x1F;
  } else if (byte >= 0xE0 && byte <= 0xEF) {
    utf8_need = 2;
    utf8_value = byte & 0xF;
    if (byte == 0xE0) utf8_low = 0xA0;
    if (byte == 0xED) utf8_high = 0x9F; // no surrogates
  } else if (byte >= 0xF0 && byte <= 0xF4) {
    utf8_need = 3;
    utf8_value = byte & 0x7;
    if (byte == 0xF0) utf8_low = 0x90;
    if (byte == 0xF4) utf8_high = 0x8F;
  } else {
    target.print(replacement);
  }
  return at + 1;
}

/// A decoded character: the C1 controls among them are what ESC and a letter are (xterm in UTF-8 mode).
void Parser::character(Interpreter& target, char32_t code_point)
{
  if (code_point >= 0xA0) return target.print(is_scalar(code_point) ? code_point : replacement);
  begin_escape();
  dispatch_escape(target, static_cast<char>(code_point - 0x40));
}

void Parser::begin_escape()
{
  state = State::escape;
  intermediate = 0;
}

void Parser::begin_header(State next)
{
  state = next;
  phase = Phase::entry;
  sequence.values[0] = 0;
  sequence.count = 0;
  sequence.colons = 0;
  sequence.prefix = sequence.intermediate = intermediate = 0;
  open_parameter = false;
}

void Parser::begin_string(String what)
{
  state = State::string;
  kind = what;
  text.clear();
  overflow = false;
  last_byte = 0;
}

/// A control character inside an escape or control sequence. CAN and SUB end it, ESC starts anew, the others act at
/// once.
void Parser::control(Interpreter& target, Byte byte)
{
  if (byte == escape_byte) return begin_escape();
  if (byte == cancel || byte == substitute) {
    state = State::ground;
    return;
  }
  if (state != State::device_control) target.execute(byte);
}

const char* Parser::escape(Interpreter& target, const char* at)
{
  Byte byte = static_cast<Byte>(*at);
  if (byte < 0x20) {
    control(target, byte);
  } else if (byte < 0x30) {
    intermediate = intermediate == 0 ? static_cast<char>(byte) : '\xFF';
  } else if (byte < rubout) {
    dispatch_escape(target, static_cast<char>(byte));
  } else if (byte >= 0x80) {
    state = State::ground; // text: the sequence is broken off
    return at;
  }
  return at + 1;
}

void Parser::dispatch_escape(Interpreter& target, char final)
{
  state = State::ground;
  if (intermediate == 0) {
    switch (final) {
    case '[': return begin_header(State::control_sequence);
    case 'P': return begin_header(State::device_control);
    case ']': return begin_string(String::operating_system);
    case 'X':
    case '^':
    case '_': return begin_string(String::swallowed);
    default: break;
    }
  }
  target.escape(intermediate, final);
}

/// The run of digits and separators at `at`: nearly all of most sequences. The value stays in a register over its
/// digits.
const char* Parser::numbers(const char* at, const char* end)
{
  int count = sequence.count;
  std::uint32_t value = count < Sequence::capacity ? sequence.values[static_cast<std::size_t>(count)] : 0;
  auto store = [&] {
    if (count < Sequence::capacity)
      sequence.values[static_cast<std::size_t>(count)] = static_cast<std::uint16_t>(value);
  };
  const char* from = at;
  for (; at < end; ++at) {
    auto digit = static_cast<unsigned>(static_cast<Byte>(*at)) - '0';
    if (digit < 10) {
      value = value * 10 + digit;
      if (value > Sequence::ceiling) value = Sequence::ceiling;
    } else if (digit == ';' - '0' || digit == ':' - '0') {
      store();
      value = 0;
      if (count < Sequence::capacity && ++count < Sequence::capacity && *at == ':') sequence.colons |= 1U << count;
    } else {
      break;
    }
  }
  store();
  sequence.count = count;
  if (at != from) {
    phase = Phase::parameters;
    open_parameter = true;
  }
  return at;
}

const char* Parser::header(Interpreter& target, const char* at, const char* end)
{
  while (at < end) {
    if (phase <= Phase::parameters) {
      at = numbers(at, end);
      if (at == end) return at;
    }
    Byte byte = static_cast<Byte>(*at++);
    if (byte >= '0' && byte <= ';') {
      phase = Phase::ignore; // a number after an intermediate
    } else if (byte >= 0x40 && byte < rubout) {
      if (open_parameter && sequence.count < Sequence::capacity) ++sequence.count;
      finish_header(target, static_cast<char>(byte));
      return at;
    } else if (byte >= 0x3C && byte < 0x40) {
      if (phase == Phase::entry) {
        sequence.prefix = static_cast<char>(byte);
        phase = Phase::parameters;
      } else {
        phase = Phase::ignore;
      }
    } else if (byte >= 0x20 && byte < 0x30) {
      if (phase == Phase::ignore) continue;
      sequence.intermediate = phase == Phase::intermediates ? '\xFF' : static_cast<char>(byte);
      phase = Phase::intermediates;
    } else if (byte < 0x20) {
      State before = state;
      control(target, byte);
      if (state != before) return at;
    } else if (byte >= 0x80) {
      state = State::ground; // text: the sequence is broken off
      return at - 1;
    }
  }
  return at;
}

void Parser::finish_header(Interpreter& target, char final)
{
  bool control_sequence = state == State::control_sequence;
  state = State::ground;
  sequence.final = final;
  if (control_sequence) {
    if (phase != Phase::ignore) target.control(sequence);
  } else {
    bool wanted = phase != Phase::ignore && target.wants_device_control(sequence);
    begin_string(wanted ? String::device_control : String::swallowed);
  }
}

const char* Parser::gather(Interpreter& target, const char* at, const char* end)
{
  if (state == State::string_escape) {
    // Only ESC \ ends a string well. Any other sequence breaks it off and counts itself.
    if (*at == '\\') {
      finish_string(target, false);
      return at + 1;
    }
    text.clear();
    begin_escape();
    return at;
  }
  const char* begin = at;
  const char* from = at;
  char before = last_byte;
  last_byte = 0;
  auto keep = [&] {
    if (kind == String::swallowed || overflow) return;
    if (text.size() + static_cast<std::size_t>(at - from) > limit) {
      overflow = true;
      text.clear();
      text.shrink_to_fit();
      return;
    }
    text.append(from, at);
  };
  while (at < end) {
    Byte byte = static_cast<Byte>(*at);
    // U+009C as UTF-8 ends a string too; elsewhere its second byte is the middle of a character.
    bool terminator = byte == 0x9C && (at == begin ? before : at[-1]) == '\xC2';
    if (byte >= 0x20 && !terminator) {
      ++at;
      continue;
    }
    keep();
    from = ++at;
    if (terminator) {
      if (!text.empty()) text.pop_back();
      finish_string(target, false);
      return at;
    }
    if (byte == escape_byte) {
      state = State::string_escape;
      return at;
    }
    if (byte == bell_byte && kind == String::operating_system) {
      finish_string(target, true);
      return at;
    }
    if (byte == cancel || byte == substitute) {
      state = State::ground;
      text.clear();
      return at;
    }
    // Other controls have no place in a string: xterm leaves them out, and so do we.
  }
  keep();
  last_byte = end[-1];
  return at;
}

void Parser::finish_string(Interpreter& target, bool bell)
{
  state = State::ground;
  if (!overflow && kind == String::operating_system) target.operating_system_command(text, bell);
  if (!overflow && kind == String::device_control) target.device_control(sequence, text);
  text.clear();
  if (text.capacity() > 4096) text.shrink_to_fit();
}

} // namespace conductor::terminal
