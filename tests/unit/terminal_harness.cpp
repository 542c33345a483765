// The harness of the terminal's tests.
#include "terminal_harness.h"

namespace conductor::terminal::testing {

std::string text_of(const Terminal& terminal, std::span<const Cell> cells)
{
  std::string text;
  std::size_t kept = 0;
  for (const Cell& cell : cells) {
    terminal.append_cluster(cell, text);
    if (cell.text != 0 || cell.tail()) kept = text.size();
  }
  text.resize(kept);
  return text;
}

std::string picture(const Terminal& terminal)
{
  std::string text;
  std::size_t kept = 0;
  for (int y = 0; y < terminal.rows(); ++y) {
    if (y > 0) text += '|';
    std::string row = text_of(terminal, terminal.row(y));
    text += row;
    if (!row.empty()) kept = text.size();
  }
  text.resize(kept);
  return text;
}

std::string history(const Terminal& terminal)
{
  std::string text;
  for (std::size_t i = 0; i < terminal.scrollback_rows(); ++i) {
    if (i > 0) text += '|';
    text += text_of(terminal, terminal.scrollback_row(i));
  }
  return text;
}

namespace {

std::string name_of(const Terminal& terminal, const Style& style)
{
  std::string text;
  auto add = [&text](const std::string& what) { text += (text.empty() ? "" : ",") + what; };
  constexpr std::pair<std::uint16_t, const char*> names[] = {
      {flag::bold, "bold"},     {flag::dim, "dim"},           {flag::italic, "italic"},
      {flag::blink, "blink"},   {flag::reverse, "reverse"},   {flag::conceal, "conceal"},
      {flag::strike, "strike"}, {flag::overline, "overline"}, {flag::guarded, "guarded"}};
  for (auto [bit, name] : names)
    if (style.has(bit)) add(name);
  constexpr const char* underlines[] = {"", "underline", "double", "curly", "dotted", "dashed"};
  if (style.underline() != Underline::none) add(underlines[static_cast<int>(style.underline())]);
  auto colour = [&add](const std::string& what, Colour value) {
    char hex[8];
    std::snprintf(hex, sizeof hex, "#%06x", value.value());
    if (value.kind() == Colour::Kind::index) add(what + std::to_string(value.value()));
    if (value.kind() == Colour::Kind::rgb) add(what + hex);
  };
  colour("fg", style.foreground);
  colour("bg", style.background);
  colour("ul", terminal.underline_colour(style));
  if (!terminal.link(style).empty()) add("link=" + std::string(terminal.link(style)));
  return text;
}

struct Seen {
  std::string state, picture, cursor, replies;
};

Seen observe(Terminal& terminal)
{
  std::string replies = terminal.take_replies();
  EXPECT_EQ(terminal.broken_invariant(), "");
  return {terminal.serialise(), picture(terminal), cursor_of(terminal), replies};
}

} // namespace

std::string styled(const Terminal& terminal, int y)
{
  std::string text, current;
  for (const Cell& cell : terminal.row(y)) {
    if (cell.tail()) continue;
    std::string name = name_of(terminal, cell.style);
    if (name != current) text += "{" + name + "}";
    current = name;
    terminal.append_cluster(cell, text);
  }
  return text;
}

std::string cursor_of(const Terminal& terminal)
{
  Cursor cursor = terminal.cursor();
  return std::to_string(cursor.row + 1) + "," + std::to_string(cursor.column + 1);
}

void check(const Case& test)
{
  SCOPED_TRACE(test.name);
  Terminal whole(test.rows, test.columns);
  whole.feed(test.input);
  Seen expected = observe(whole);
  if (!test.picture.empty()) {
    EXPECT_EQ(expected.picture, test.picture == "-" ? "" : test.picture);
  }
  if (!test.cursor.empty()) {
    EXPECT_EQ(expected.cursor, test.cursor);
  }
  if (!test.replies.empty()) {
    EXPECT_EQ(expected.replies, test.replies == "-" ? "" : test.replies);
  }

  for (std::size_t cut = 1; cut < test.input.size(); ++cut) {
    Terminal halves(test.rows, test.columns);
    halves.feed(std::string_view(test.input).substr(0, cut));
    halves.feed(std::string_view(test.input).substr(cut));
    Seen seen = observe(halves);
    EXPECT_EQ(seen.picture, expected.picture) << "cut at " << cut;
    EXPECT_EQ(seen.replies, expected.replies) << "cut at " << cut;
    EXPECT_TRUE(seen.state == expected.state) << "another state when cut at " << cut;
  }
  Terminal bytes(test.rows, test.columns);
  for (char byte : test.input) bytes.feed({&byte, 1});
  EXPECT_TRUE(observe(bytes).state == expected.state) << "another state byte by byte";
}

} // namespace conductor::terminal::testing
