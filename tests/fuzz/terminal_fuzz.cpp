// Fuzzing the terminal core: any bytes, cut anywhere, between resizes and round trips through serialise(). After each
// step all invariants of the core must hold, and restore() must stand whatever it is given.
#include "fuzz/fuzzing.h"
#include "tui/terminal/terminal.h"

namespace {

using namespace conductor::fuzz;
using namespace conductor::terminal;

/// Reads all that a painter reads, so that the sanitizers see each cell.
void look(Terminal& terminal)
{
  std::string text;
  for (const Damage& damage : terminal.take_damage())
    if (damage.row < 0 || damage.row >= terminal.rows() || damage.first < 0 || damage.last > terminal.columns() ||
        damage.first >= damage.last)
      fail("damage outside the screen");
  for (int y = 0; y < terminal.rows(); ++y) {
    for (const Cell& cell : terminal.row(y)) {
      terminal.append_cluster(cell, text);
      text += terminal.link(cell.style);
      text.push_back(static_cast<char>(terminal.underline_colour(cell.style).packed));
    }
  }
  if (std::size_t lines = terminal.scrollback_rows(); lines > 0) {
    for (std::size_t line : {std::size_t{0}, lines / 2, lines - 1})
      for (const Cell& cell : terminal.scrollback_row(line)) terminal.append_cluster(cell, text);
  }
  for (char byte : terminal.title())
    if (static_cast<unsigned char>(byte) < 0x20 || byte == 0x7F) fail("a control character in the title");
}

void check(const Terminal& terminal)
{
  std::string_view broken = terminal.broken_invariant();
  if (!broken.empty()) fail(broken);
}

void round_trip(Terminal& terminal, const Limits& limits, const std::uint8_t* noise, std::size_t size)
{
  std::string bytes = terminal.serialise(65'536);
  auto again = Terminal::restore(bytes, limits);
  if (!again) fail("a saved screen is not accepted");
  if (again->serialise(65'536) != bytes) fail("a saved screen changes when it is restored");
  // And the same with some bytes changed: accepted or not, it must be whole.
  for (std::size_t i = 0; i + 2 < size && i < 12; i += 3) {
    std::size_t at = (noise[i] * 256U + noise[i + 1]) % bytes.size();
    bytes[at] = static_cast<char>(noise[i + 2]);
  }
  if (auto changed = Terminal::restore(bytes, limits)) {
    check(*changed);
    look(*changed);
    changed->feed("\x1b[m\xe6\xbc\xa2\x1b[2Jx\r\n\n\n");
    changed->resize(7, 13);
    check(*changed);
    look(*changed);
  }
  terminal = std::move(*again);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
  if (size < 4) return 0;
  Limits limits{.scrollback_bytes = data[0] % 4 == 0 ? 0U : data[0] * 128U, .string_bytes = 4096, .reply_bytes = 512};
  Terminal terminal(1 + data[1] % 40, 1 + data[2] % 100, limits);
  std::uint32_t state = data[3] * 2'654'435'761U + 1;
  auto dice = [&state](std::uint32_t sides) {
    state = state * 1'664'525U + 1'013'904'223U;
    return (state >> 8) % sides;
  };
  auto number = [&dice](std::uint32_t sides) { return static_cast<int>(dice(sides)); };
  for (std::size_t at = 4; at < size;) {
    std::size_t piece = 1 + dice(dice(4) == 0 ? 3 : 200);
    if (piece > size - at) piece = size - at;
    terminal.feed({reinterpret_cast<const char*>(data + at), piece});
    at += piece;
    check(terminal);
    switch (dice(24)) {
    case 0: terminal.resize(number(45), number(110)); break;
    case 1: terminal.resize(terminal.rows() + number(5) - 2, terminal.columns()); break;
    case 2: terminal.resize(terminal.rows(), terminal.columns() + number(5) - 2); break;
    case 3: round_trip(terminal, limits, data + at, size - at); break;
    case 4: terminal.take_replies(); break;
    case 5: look(terminal); break;
    case 6: terminal.take_events(); break;
    default: continue;
    }
    check(terminal);
  }
  look(terminal);
  round_trip(terminal, limits, data, size);
  return 0;
}
