// A terminal as bytes, for whoever keeps the shell while nobody looks. One list of fields serves the writing and the
// reading. The reader trusts nothing: each number is held against its range, each row against the tables that it names,
// and what does not fit makes restore() return nothing.
//
// Layout: "CTRM", u16 version, rows and columns, tables, fields, parser, both screens, scrollback. All little-endian;
// rows as scrollback.h packs them, each after its length.
#include "tui/terminal/interpreter.h"

#include <algorithm>
#include <concepts>
#include <cstring>

namespace conductor::terminal {

namespace {

constexpr std::string_view magic = "CTRM";
constexpr std::uint16_t version = 1;

class Writer {
public:
  static constexpr bool reading = false;
  std::string bytes;
  bool good = true;

  template <class Number>
  void number(const Number& value, std::uint64_t = 0)
  {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(const std::string& value, std::size_t)
  {
    number(static_cast<std::uint32_t>(value.size()));
    bytes.append(value);
  }
  template <class List>
  std::size_t count(const List& list, std::size_t, std::size_t)
  {
    number(static_cast<std::uint32_t>(list.size()));
    return list.size();
  }
};

class Reader {
public:
  static constexpr bool reading = true;
  std::string_view bytes;
  bool good = true;

  /// A number up to `highest`; where it is left out, whatever the type holds.
  template <class Number>
  void number(Number& value, std::uint64_t highest = UINT64_MAX)
  {
    if (!good || bytes.size() < sizeof value) return fail();
    std::uint64_t read = 0;
    std::memcpy(&read, bytes.data(), sizeof value);
    bytes.remove_prefix(sizeof value);
    if constexpr (std::same_as<Number, bool>) highest = 1;
    if (read > highest) return fail();
    std::memcpy(&value, &read, sizeof value);
  }
  void text(std::string& value, std::size_t longest)
  {
    std::uint32_t size = 0;
    number(size, longest);
    if (!good || size > bytes.size()) return fail();
    value = bytes.substr(0, size);
    bytes.remove_prefix(size);
  }
  /// The length of a list, which gets that many elements of at least `element_bytes` each.
  template <class List>
  std::size_t count(List& list, std::size_t most, std::size_t element_bytes)
  {
    std::uint32_t size = 0;
    number(size, most);
    if (!good || bytes.size() / element_bytes < size) fail();
    list.resize(good ? size : 0);
    return list.size();
  }
  void fail() { good = false; }
};

/// Writer takes constants, Reader variables: each function below is compiled for both.
template <class Archive>
void colour(Archive& a, auto& value)
{
  a.number(value.packed, 0x02FF'FFFFU);
}

template <class Archive>
void style(Archive& a, auto& value)
{
  colour(a, value.foreground);
  colour(a, value.background);
  a.number(value.flags, 0x0FFF); // a pen has no shape of its own
  a.number(value.extra);
  if (value.underline() > Underline::dashed) a.good = false;
}

template <class Archive>
void pen(Archive& a, auto& value)
{
  style(a, value.style);
  colour(a, value.underline);
  a.number(value.link);
}

template <class Archive>
void charsets(Archive& a, auto& value)
{
  for (auto& set : value.g) a.number(set, 2);
  a.number(value.current, 3);
  a.number(value.single, 3);
}

template <class Archive>
void tables(Archive& a, auto& nodes, auto& extras, auto& links)
{
  std::size_t nodes_count = a.count(nodes, ClusterTable::maximum_nodes, 9);
  for (std::size_t i = 0; i < nodes_count; ++i) {
    a.number(nodes[i].parent);
    a.number(nodes[i].mark);
    a.number(nodes[i].depth);
  }
  std::size_t extras_count = a.count(extras, ExtraTable::maximum_extras + 1, 6);
  for (std::size_t i = 0; i < extras_count; ++i) {
    colour(a, extras[i].underline);
    a.number(extras[i].link);
  }
  std::size_t links_count = a.count(links, ExtraTable::maximum_links + 1, 4);
  for (std::size_t i = 0; i < links_count; ++i) a.text(links[i], ExtraTable::maximum_link_bytes);
}

template <class Archive>
void modes(Archive& a, auto& outer, auto& inner)
{
  a.number(outer.mouse, static_cast<std::uint64_t>(MouseMode::motion));
  for (auto member : {&Modes::mouse_sgr, &Modes::bracketed_paste, &Modes::focus_events, &Modes::application_cursor,
                      &Modes::application_keypad, &Modes::newline, &Modes::backarrow, &Modes::alternate_scroll,
                      &Modes::synchronised, &Modes::alternate_screen, &Modes::reverse_screen})
    a.number(outer.*member);
  for (auto member : {&InnerModes::origin, &InnerModes::autowrap, &InnerModes::reverse_wrap, &InnerModes::insert,
                      &InnerModes::cursor_visible, &InnerModes::cursor_blinks})
    a.number(inner.*member);
}

template <class Archive>
void fields(Archive& a, auto& t)
{
  auto position = [&a, &t](auto& column, auto& row) {
    a.number(column, static_cast<std::uint64_t>(t.columns - 1));
    a.number(row, static_cast<std::uint64_t>(t.rows - 1));
  };
  position(t.x, t.y);
  a.number(t.wrap_pending);
  pen(a, t.pen);
  charsets(a, t.charsets);
  a.number(t.top, static_cast<std::uint64_t>(t.rows - 1));
  a.number(t.bottom, static_cast<std::uint64_t>(t.rows));
  for (auto& cursor : t.saved) {
    position(cursor.x, cursor.y);
    a.number(cursor.wrap_pending);
    a.number(cursor.origin);
    pen(a, cursor.pen);
    charsets(a, cursor.charsets);
  }
  modes(a, t.modes, t.inner);
  a.number(t.shape, static_cast<std::uint64_t>(CursorShape::bar));
  for (std::size_t i = 0; i < t.tabs.size(); ++i) {
    bool stop = t.tabs[i];
    a.number(stop);
    if constexpr (Archive::reading) t.tabs[i] = stop;
  }
  a.number(t.last_printed, 0x10FFFF);
  for (auto& mode : t.saved_modes) a.number(mode);
  a.text(t.title, t.limits.title_bytes);
  std::size_t titles = a.count(t.title_stack, 10, 4);
  for (std::size_t i = 0; i < titles; ++i) a.text(t.title_stack[i], t.limits.title_bytes);
  for (auto* own : {&t.palette.foreground, &t.palette.background, &t.palette.cursor}) a.number(*own, 0xFF'FFFF);
  std::size_t colours = a.count(t.colours, 259, 5);
  if (colours != 0 && colours != 259) a.good = false;
  for (std::size_t i = 0; i < colours; ++i) {
    bool set = t.colours[i].has_value();
    std::uint32_t value = t.colours[i].value_or(0);
    a.number(set);
    a.number(value, 0xFF'FFFF);
    if constexpr (Archive::reading)
      if (set) t.colours[i] = value;
  }
}

template <class Archive>
void parser(Archive& a, auto& p)
{
  a.number(p.state, static_cast<std::uint64_t>(Parser::State::string_escape));
  a.number(p.phase, static_cast<std::uint64_t>(Parser::Phase::ignore));
  a.number(p.kind, static_cast<std::uint64_t>(Parser::String::swallowed));
  for (auto& value : p.sequence.values) a.number(value);
  a.number(p.sequence.count, Sequence::capacity);
  a.number(p.sequence.colons);
  for (auto* byte : {&p.sequence.prefix, &p.sequence.intermediate, &p.sequence.final, &p.intermediate, &p.last_byte})
    a.number(*byte);
  a.number(p.open_parameter);
  a.text(p.text, p.limit);
  a.number(p.overflow);
  a.number(p.utf8_need, 3);
  a.number(p.utf8_low);
  a.number(p.utf8_high);
  a.number(p.utf8_value, 0x10FFFF);
  if (p.sequence.prefix != 0 && (p.sequence.prefix < '<' || p.sequence.prefix > '?')) a.good = false;
}

void write_line(Writer& a, std::span<const std::uint8_t> line)
{
  a.number(static_cast<std::uint32_t>(line.size()));
  a.bytes.append(reinterpret_cast<const char*>(line.data()), line.size());
}

void write_screen(Writer& a, const Grid& grid)
{
  PackBuffer buffer;
  for (int y = 0; y < grid.rows(); ++y) write_line(a, pack_line(grid.cells(y), grid.row(y).info, buffer));
}

/// Whether a line from outside names only what exists here.
struct Check {
  const Interpreter& t;
  bool style(const Style& style) const
  {
    return style.foreground.packed <= 0x02FF'FFFFU && style.background.packed <= 0x02FF'FFFFU && style.flags < 0x2000 &&
           t.extras.valid(style.extra);
  }
  bool text(std::uint32_t text) const { return t.clusters.valid(text); }
};

std::span<const std::uint8_t> read_line(Reader& a, const Interpreter& t)
{
  std::uint32_t size = 0;
  a.number(size);
  if (!a.good || size > a.bytes.size()) {
    a.fail();
    return {};
  }
  std::span<const std::uint8_t> line(reinterpret_cast<const std::uint8_t*>(a.bytes.data()), size);
  a.bytes.remove_prefix(size);
  if (!visit_line(line, Check{t})) a.fail();
  return line;
}

void read_screen(Reader& a, Interpreter& t, Grid& grid)
{
  for (int y = 0; a.good && y < grid.rows(); ++y) {
    auto line = read_line(a, t);
    if (!a.good) return;
    RowInfo info = unpack_line(line, t.line_buffer);
    grid.assign(y, t.line_buffer, info);
  }
}

/// What single fields cannot tell: whether they fit together.
bool settle(Interpreter& t)
{
  if (t.bottom - t.top < std::min(2, t.rows)) return false;
  t.wrap_pending = t.wrap_pending && t.x == t.columns - 1;
  for (Pen* which : {&t.pen, &t.saved[0].pen, &t.saved[1].pen})
    if (!t.extras.valid(which->style.extra) || which->link >= t.extras.links().size()) return false;
  if (t.modes.alternate_screen) t.grid = &t.alternate;
  std::string title = std::move(t.title);
  t.title.clear();
  t.set_title(title);
  t.grid->damage_all();
  t.events = {.title_changed = !t.title.empty(), .modes_changed = true};
  return t.broken_invariant().empty();
}

} // namespace

std::string Terminal::serialise(std::size_t scrollback_budget) const
{
  const Interpreter& t = *interpreter_;
  Writer a;
  a.bytes = magic;
  a.number(version);
  a.number(static_cast<std::uint16_t>(t.rows));
  a.number(static_cast<std::uint16_t>(t.columns));
  auto nodes = t.clusters.nodes();
  tables(a, nodes, t.extras.extras(), t.extras.links());
  fields(a, t);
  parser(a, t.parser);
  write_screen(a, t.primary);
  write_screen(a, t.alternate);
  std::size_t first = t.scrollback.size(), taken = 0;
  while (first > 0) {
    taken += t.scrollback.line(first - 1).size() + sizeof(std::uint32_t);
    if (taken > scrollback_budget) break;
    --first;
  }
  a.number(static_cast<std::uint32_t>(t.scrollback.size() - first));
  for (std::size_t i = first; i < t.scrollback.size(); ++i) write_line(a, t.scrollback.line(i));
  return std::move(a.bytes);
}

std::optional<Terminal> Terminal::restore(std::string_view bytes, Limits limits)
{
  if (!bytes.starts_with(magic)) return std::nullopt;
  Reader a{bytes.substr(magic.size())};
  std::uint16_t found = 0, rows = 0, columns = 0;
  a.number(found);
  a.number(rows, maximum_rows);
  a.number(columns, maximum_columns);
  if (!a.good || found != version || rows == 0 || columns == 0) return std::nullopt;

  auto interpreter = std::make_unique<Interpreter>(rows, columns, limits);
  Interpreter& t = *interpreter;
  std::vector<ClusterTable::Node> nodes;
  std::vector<Extra> extras;
  std::vector<std::string> links;
  tables(a, nodes, extras, links);
  if (!a.good || !t.clusters.restore(std::move(nodes)) || !t.extras.restore(std::move(extras), std::move(links)))
    return std::nullopt;
  fields(a, t);
  parser(a, t.parser);
  read_screen(a, t, t.primary);
  read_screen(a, t, t.alternate);
  std::uint32_t lines = 0;
  a.number(lines);
  for (std::uint32_t i = 0; a.good && i < lines; ++i) {
    auto line = read_line(a, t);
    if (a.good && limits.scrollback_bytes > 0) t.scrollback.push_packed(line);
  }
  if (!a.good || !a.bytes.empty() || !settle(t)) return std::nullopt;
  return Terminal(std::move(interpreter));
}

} // namespace conductor::terminal
