// Themes: how each role looks. A theme is a JSON file with a palette and faces by role:
//
//   {"palette": {"ink": "#101418", "blue": "#1f6feb", "grey": 244},
//    "faces": {"text": {"fg": "ink"}, "selected": {"bg": "blue", "bold": true}},
//    "borders": "unicode", "graphs": "unicode"}
//
// A colour is "#rrggbb", a number of the 256-colour palette, "default" (the terminal's own) or a name of the palette.
// What a terminal cannot show is worked out here: 24 bits to 256 colours to 16 to none.
#pragma once

#include "tui/console/grid.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace conductor::console {

// clang-format off
enum class Role : std::uint8_t {
  text, muted, accent, good, warning, bad, title, selected, selected_inactive, marked, border, border_focused,
  panel_title, panel_title_focused, header, hint_key, hint_label, message_good, message_bad, message_info,
  graph_1, graph_2, graph_3, graph_4, meter, meter_empty, input, input_bad, overlay, overlay_title, danger, strip,
  typing,
};
// clang-format on
inline constexpr std::size_t role_count = static_cast<std::size_t>(Role::typing) + 1;

/// What a face says; what it leaves open comes from the face below it.
struct Face {
  std::optional<Colour> foreground, background;
  std::uint16_t flags = 0; ///< flag::bold ... flag::reverse, and underline
};

/// How many colours the terminal has.
enum class Depth : std::uint8_t { mono, eight, sixteen, palette, direct };

class Theme {
public:
  /// Throws Error with line and cause when the text is no theme. Unknown roles are errors too.
  static Theme parse(std::string_view json, std::string_view name);
  const std::string& name() const { return name_; }
  bool ascii_borders() const { return ascii_borders_; }
  bool ascii_graphs() const { return ascii_graphs_; }
  bool no_colour() const { return mono_; }

  Style style(Role role) const;
  /// `top` laid over `base`: the selected row keeps the colours that its face leaves open.
  Style style(Role base, Role top) const;
  /// What a child's "default colours" look like in a pane.
  Style pane() const { return style(Role::text); }

private:
  std::string name_;
  std::array<Face, role_count> faces_{};
  bool ascii_borders_ = false, ascii_graphs_ = false, mono_ = false;
};

/// The nearest colour that a terminal of this depth has.
Colour nearest(Colour colour, Depth depth);
/// 0xRRGGBB of an index of the 256-colour palette, as xterm has it.
std::uint32_t palette_rgb(std::uint8_t index);

std::string_view role_name(Role role);

/// The themes that are there: files NAME.json in the theme directories, and the built-in default and mono.
class Themes {
public:
  /// Looks beside the program, in its share directory, and in $XDG_CONFIG_HOME/conductor/themes.
  Themes();
  explicit Themes(std::vector<std::string> directories);
  std::vector<std::string> names() const;
  /// Throws Error when it cannot be read or is no theme.
  Theme load(std::string_view name) const;

private:
  std::vector<std::string> directories_;
};

} // namespace conductor::console
