// From the bytes of the user's terminal to keys: text, function keys with modifiers, mouse, paste, focus, and the
// terminal's own replies, which are for us and never for a child. The bytes of each token are kept, so that what we do
// not understand can pass on unchanged.
//
// Sources: xterm's "Control Sequences" (ctlseqs), sections "PC-Style Function Keys" and "Mouse Tracking";
// console_codes(4) for the linux console's own F1 to F5.
#pragma once

#include "tui/terminal/encode.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace conductor::console {

struct Key {
  enum class Kind : std::uint8_t {
    text,     ///< `character`, perhaps with control or alt
    named,    ///< `name`
    mouse,    ///< `mouse`
    paste,    ///< `bytes` is the text that was pasted, without its brackets
    focus_in, ///< the terminal's window got the focus
    focus_out,
    reply,   ///< the terminal answered a question of ours
    unknown, ///< `bytes` is a sequence that we do not know
  };
  Kind kind = Kind::unknown;
  char32_t character = 0; ///< for control keys the lower-case letter
  terminal::Key name = terminal::Key::escape;
  terminal::Modifiers modifiers;
  terminal::MouseEvent mouse;
  std::string bytes;

  bool is(char32_t wanted) const
  {
    return kind == Kind::text && character == wanted && !modifiers.control && !modifiers.alt;
  }
  bool is_control(char32_t letter) const { return kind == Kind::text && character == letter && modifiers.control; }
  bool is(terminal::Key wanted) const { return kind == Kind::named && name == wanted; }
};

/// How long a lone ESC is waited on before it is the Escape key, in milliseconds.
inline constexpr int escape_wait_ms = 25;

class KeyDecoder {
public:
  void feed(std::string_view bytes) { buffer_ += bytes; }
  /// The next whole token; none when there is nothing, or only the beginning of one.
  std::optional<Key> next();
  /// Is the beginning of a token waiting? Then call expire() after escape_wait_ms without further bytes.
  bool waiting() const { return !buffer_.empty() && !pasting_; }
  /// What was waited on is what it looks like: ESC is the Escape key.
  void expire() { expired_ = true; }

private:
  std::optional<Key> paste();
  std::optional<Key> escape();
  std::optional<Key> control_sequence(std::size_t offset);
  Key take(Key key, std::size_t length);

  std::string buffer_;
  bool pasting_ = false;
  bool expired_ = false;
};

/// "Ctrl-G", "Enter", "F5", "x": what help and hints call a key. The reverse of key_from_name.
std::string key_name(const Key& key);
/// The key that such a name means; none for a name that is no key.
std::optional<Key> key_from_name(std::string_view name);
/// Same key, whatever its bytes were.
bool same_key(const Key& a, const Key& b);

} // namespace conductor::console
