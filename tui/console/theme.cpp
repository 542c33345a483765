#include "tui/console/theme.h"

#include "builtin_themes.h"
#include "core/base/error.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <utility>

#include <nlohmann/json.hpp>

namespace conductor::console {
namespace {

using Json = nlohmann::json;

constexpr std::array<std::string_view, role_count> role_names{
    "text",
    "muted",
    "accent",
    "good",
    "warning",
    "bad",
    "title",
    "selected",
    "selected_inactive",
    "marked",
    "border",
    "border_focused",
    "panel_title",
    "panel_title_focused",
    "header",
    "hint_key",
    "hint_label",
    "message_good",
    "message_bad",
    "message_info",
    "graph_1",
    "graph_2",
    "graph_3",
    "graph_4",
    "meter",
    "meter_empty",
    "input",
    "input_bad",
    "overlay",
    "overlay_title",
    "danger",
    "strip",
    "typing",
};

constexpr std::array<std::pair<std::string_view, std::uint16_t>, 6> attribute_names{{
    {"bold", flag::bold},
    {"dim", flag::dim},
    {"italic", flag::italic},
    {"blink", flag::blink},
    {"reverse", flag::reverse},
    {"underline", static_cast<std::uint16_t>(1U << flag::underline_shift)},
}};

Error theme_error(std::string_view theme, const std::string& what)
{
  return Error{"theme '" + std::string{theme} + "': " + what};
}

Colour colour_of(const Json& value, const Json& palette, std::string_view theme, int depth = 0)
{
  if (value.is_number_unsigned() && value.get<unsigned>() < 256) return Colour::index(value.get<std::uint8_t>());
  if (!value.is_string()) throw theme_error(theme, "a colour is \"#rrggbb\", a number below 256, or a name");
  const auto text = value.get<std::string>();
  if (text == "default") return Colour::standard();
  if (text.size() == 7 && text[0] == '#') {
    std::uint32_t rgb = 0;
    const auto [end, error] = std::from_chars(text.data() + 1, text.data() + 7, rgb, 16);
    if (error == std::errc{} && end == text.data() + 7) return Colour::rgb(rgb);
  }
  if (palette.is_object() && palette.contains(text) && depth < 4)
    return colour_of(palette[text], palette, theme, depth + 1);
  throw theme_error(theme, "no colour is called '" + text + "'");
}

Face face_of(const Json& json, const Json& palette, std::string_view theme)
{
  if (!json.is_object()) throw theme_error(theme, "a face is an object");
  Face face;
  for (const auto& [key, value] : json.items()) {
    if (key == "fg")
      face.foreground = colour_of(value, palette, theme);
    else if (key == "bg")
      face.background = colour_of(value, palette, theme);
    else {
      const auto* found = std::find_if(attribute_names.begin(), attribute_names.end(),
                                       [&](const auto& each) { return each.first == key; });
      if (found == attribute_names.end() || !value.is_boolean())
        throw theme_error(theme, "a face has no '" + key + "'");
      if (value.get<bool>()) face.flags |= found->second;
    }
  }
  return face;
}

std::uint32_t distance(std::uint32_t a, std::uint32_t b)
{
  const auto part = [](std::uint32_t rgb, int shift) { return static_cast<int>((rgb >> shift) & 0xFFU); };
  const int red = part(a, 16) - part(b, 16), green = part(a, 8) - part(b, 8), blue = part(a, 0) - part(b, 0);
  // Weighted as the eye weighs them.
  return static_cast<std::uint32_t>(3 * red * red + 6 * green * green + blue * blue);
}

std::uint8_t nearest_index(std::uint32_t rgb, unsigned first, unsigned last)
{
  unsigned best = first;
  std::uint32_t best_distance = std::numeric_limits<std::uint32_t>::max();
  for (unsigned i = first; i <= last; ++i) {
    const std::uint32_t far = distance(rgb, palette_rgb(static_cast<std::uint8_t>(i)));
    if (far < best_distance) {
      best = i;
      best_distance = far;
    }
  }
  return static_cast<std::uint8_t>(best);
}

} // namespace

std::string_view role_name(Role role) { return role_names[static_cast<std::size_t>(role)]; }

std::uint32_t palette_rgb(std::uint8_t index)
{
  constexpr std::array<std::uint32_t, 16> base{0x000000, 0xCD0000, 0x00CD00, 0xCDCD00, 0x0000EE, 0xCD00CD,
                                               0x00CDCD, 0xE5E5E5, 0x7F7F7F, 0xFF0000, 0x00FF00, 0xFFFF00,
                                               0x5C5CFF, 0xFF00FF, 0x00FFFF, 0xFFFFFF};
  if (index < 16) return base[index];
  if (index >= 232) {
    const auto grey = static_cast<std::uint32_t>(8 + (index - 232) * 10);
    return grey << 16 | grey << 8 | grey;
  }
  const auto level = [](int n) { return static_cast<std::uint32_t>(n == 0 ? 0 : 55 + 40 * n); };
  const int cube = index - 16;
  return level(cube / 36) << 16 | level(cube / 6 % 6) << 8 | level(cube % 6);
}

Colour nearest(Colour colour, Depth depth)
{
  if (colour.kind() == Colour::Kind::standard || depth == Depth::mono) return Colour::standard();
  if (depth == Depth::direct) return colour;
  const bool index = colour.kind() == Colour::Kind::index;
  const auto number = static_cast<std::uint8_t>(colour.value());
  if (depth == Depth::palette) return index ? colour : Colour::index(nearest_index(colour.value(), 16, 255));
  const unsigned most = depth == Depth::sixteen ? 15 : 7;
  if (index && number <= most) return colour;
  const std::uint32_t rgb = index ? palette_rgb(number) : colour.value();
  const std::uint8_t best = index && number < 16 ? static_cast<std::uint8_t>(number - 8) : nearest_index(rgb, 0, most);
  // Eight colours have no grey: what is clearly no black must not vanish on a black background.
  const std::uint32_t brightest = std::max({rgb >> 16 & 0xFFU, rgb >> 8 & 0xFFU, rgb & 0xFFU});
  return Colour::index(best == 0 && brightest >= 0x50 && depth == Depth::eight ? 7 : best);
}

Theme Theme::parse(std::string_view text, std::string_view name)
{
  Json json;
  try {
    json = Json::parse(text, nullptr, true, true);
  } catch (const Json::parse_error& error) {
    const auto line =
        1 +
        std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(std::min(error.byte, text.size())), '\n');
    throw theme_error(name, "line " + std::to_string(line) + " is no JSON");
  }
  Theme theme;
  theme.name_ = name;
  const Json none = Json::object();
  const Json& palette = json.contains("palette") ? json["palette"] : none;
  const Json& faces = json.contains("faces") ? json["faces"] : none;
  if (!json.is_object() || !faces.is_object()) throw theme_error(name, "'faces' must be an object");
  for (const auto& [key, value] : faces.items()) {
    const auto* found = std::find(role_names.begin(), role_names.end(), key);
    if (found == role_names.end()) throw theme_error(name, "no role is called '" + key + "'");
    theme.faces_[static_cast<std::size_t>(found - role_names.begin())] = face_of(value, palette, name);
  }
  const auto is = [&](const char* key, const char* value) { return json.contains(key) && json[key] == value; };
  theme.ascii_borders_ = is("borders", "ascii");
  theme.ascii_graphs_ = is("graphs", "ascii");
  theme.mono_ = json.contains("colours") && json["colours"] == false;
  return theme;
}

Style Theme::style(Role role) const
{
  const Face& base = faces_[static_cast<std::size_t>(Role::text)];
  const Face& face = faces_[static_cast<std::size_t>(role)];
  Style style;
  style.foreground = face.foreground.value_or(base.foreground.value_or(Colour::standard()));
  style.background = face.background.value_or(base.background.value_or(Colour::standard()));
  style.flags = role == Role::text ? base.flags : static_cast<std::uint16_t>(face.flags | (base.flags & flag::bold));
  return style;
}

Style Theme::style(Role base, Role top) const
{
  Style style = this->style(base);
  const Face& face = faces_[static_cast<std::size_t>(top)];
  if (face.foreground) style.foreground = *face.foreground;
  if (face.background) style.background = *face.background;
  style.flags |= face.flags;
  return style;
}

Themes::Themes()
{
  std::error_code ignored;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  if (const char* home = std::getenv("XDG_CONFIG_HOME"); home != nullptr && *home == '/')
    directories_.push_back(std::string{home} + "/conductor/themes");
  else if (const char* user = std::getenv("HOME"); user != nullptr && *user == '/')
    directories_.push_back(std::string{user} + "/.config/conductor/themes");
  // The build tree, then an installed program in libexec/conductor or in bin.
  for (const char* place : {"share/themes", "../../share/conductor/themes", "../share/conductor/themes"})
    directories_.push_back(program / place);
}

Themes::Themes(std::vector<std::string> directories) : directories_(std::move(directories)) {}

std::vector<std::string> Themes::names() const
{
  std::vector<std::string> found;
  for (const auto& [name, text] : builtin_themes) found.emplace_back(name);
  for (const auto& directory : directories_) {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator{directory, ignored})
      if (entry.path().extension() == ".json") found.push_back(entry.path().stem());
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

Theme Themes::load(std::string_view name) const
{
  const bool plain = !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_';
  });
  if (!plain) throw Error{"a theme's name has only letters, digits, '-' and '_'"};
  for (const auto& directory : directories_) {
    std::ifstream file{directory + "/" + std::string{name} + ".json"};
    if (!file) continue;
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    return Theme::parse(text, name);
  }
  for (const auto& [each, text] : builtin_themes)
    if (each == name) return Theme::parse(text, name);
  std::string known;
  for (const auto& each : names()) known += (known.empty() ? "" : ", ") + each;
  throw Error{"no theme is called '" + std::string{name} + "'", 0, "there are: " + known};
}

} // namespace conductor::console
