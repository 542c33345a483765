#include "tui/console/screen.h"

#include "core/base/error.h"
#include "tui/console/terminfo_direct.h"
#include "tui/terminal/terminal.h"

#include <algorithm>
#include <array>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cwchar>

#include <fcntl.h>
#include <langinfo.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#define NCURSES_WIDECHAR 1
#include <curses.h>
#include <term.h>

// term.h has macros for every capability.
#undef columns
#undef lines

namespace conductor::console {
namespace {

constexpr std::string_view modern_on = "\x1b[?2004h\x1b[?1004h\x1b[?2026$p";
constexpr std::string_view mouse_on = "\x1b[?1002h\x1b[?1006h", mouse_off = "\x1b[?1006l\x1b[?1002l";
// Modes that a frame of ours or the lines above may have set; harmless where they are not known. The cursor's shape
// goes back to what the user configured, an unfinished synchronised update ends.
constexpr std::string_view modern_off = "\x1b[?2026l\x1b[?1006l\x1b[?1002l\x1b[?1004l\x1b[?2004l\x1b[0 q";
constexpr std::string_view synchronise_on = "\x1b[?2026h", synchronise_off = "\x1b[?2026l";
constexpr int most_pairs = 32767;

// What the handlers of a crash need; plain data, because they may use nothing else.
struct Emergency {
  volatile std::sig_atomic_t armed = 0;
  int fd = -1;
  termios before{};
  std::array<char, 256> bytes{};
  std::size_t length = 0;
};
Emergency emergency;

void give_back()
{
  if (emergency.armed == 0) return;
  emergency.armed = 0;
  // Blocking now: the last bytes must arrive, and nobody is left to poll.
  fcntl(emergency.fd, F_SETFL, fcntl(emergency.fd, F_GETFL) & ~O_NONBLOCK);
  if (write(emergency.fd, emergency.bytes.data(), emergency.length) < 0) {
  }
  tcsetattr(emergency.fd, TCSANOW, &emergency.before);
}

void on_crash(int signal)
{
  give_back();
  // SA_RESETHAND has put the default back: this ends the program as it would have ended.
  raise(signal);
}

void arm(int fd, const termios& before, std::string_view bytes)
{
  emergency.fd = fd;
  emergency.before = before;
  emergency.length = std::min(bytes.size(), emergency.bytes.size());
  std::memcpy(emergency.bytes.data(), bytes.data(), emergency.length);
  if (emergency.armed == 0) {
    static bool once = false;
    if (!once) std::atexit(give_back);
    once = true;
    struct sigaction action {};
    action.sa_handler = on_crash;
    action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_NODEFER;
    for (const int signal : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGQUIT}) sigaction(signal, &action, nullptr);
  }
  emergency.armed = 1;
}

std::string environment(const char* name)
{
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

// A variable of the environment for as long as this lives; none if the value is empty.
class Variable {
public:
  Variable(const char* name, const std::string& value) : name_(name), before_(environment(name)), set_(!value.empty())
  {
    if (set_) setenv(name, value.c_str(), 1);
  }
  ~Variable()
  {
    if (!set_) return;
    if (before_.empty())
      unsetenv(name_);
    else
      setenv(name_, before_.c_str(), 1);
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

private:
  const char* name_;
  std::string before_;
  bool set_;
};

bool entry_exists(const std::string& term)
{
  int status = 0;
  // On stdout only because setupterm wants a descriptor; it is not written to.
  if (setupterm(term.c_str(), STDOUT_FILENO, &status) != OK) return false;
  del_curterm(cur_term); // newterm() makes one of its own and forgets this one
  return true;
}

attr_t attributes_of(std::uint16_t flags)
{
  constexpr std::array<std::pair<std::uint16_t, attr_t>, 7> table{{
      {flag::bold, A_BOLD},
      {flag::dim, A_DIM},
      {flag::italic, A_ITALIC},
      {flag::blink, A_BLINK},
      {flag::reverse, A_REVERSE},
      {flag::conceal, A_INVIS},
      {flag::underline_mask, A_UNDERLINE},
  }};
  attr_t attributes = A_NORMAL;
  for (const auto& [bit, attribute] : table)
    if ((flags & bit) != 0) attributes |= attribute;
  return attributes;
}

// ncurses' number of a colour that this terminal has; -1 is its own default.
int colour_number(Colour colour)
{
  if (colour.kind() == Colour::Kind::standard) return -1;
  const auto value = static_cast<int>(colour.value());
  // In our entry numbers below 256 mean the palette: the darkest blues get one step of green.
  if (colour.kind() == Colour::Kind::rgb && value < 256) return value | 0x100;
  return value;
}

} // namespace

struct Screen::Curses {
  FILE* out = nullptr;
  FILE* in = nullptr;
  SCREEN* screen = nullptr;
  ~Curses()
  {
    if (screen != nullptr) delscreen(screen);
    if (out != nullptr) std::fclose(out);
    if (in != nullptr) std::fclose(in);
  }
};

bool choose_locale()
{
  const char* chosen = std::setlocale(LC_CTYPE, "");
  const bool none = chosen == nullptr || std::strcmp(chosen, "C") == 0 || std::strcmp(chosen, "POSIX") == 0;
  if (none) std::setlocale(LC_CTYPE, "C.UTF-8");
  return std::strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

Abilities abilities(const std::string& term, const std::string& colorterm, bool utf8, bool entry_known)
{
  constexpr std::array<std::string_view, 14> modern_families{"xterm",   "tmux",    "screen",  "rxvt", "alacritty",
                                                             "foot",    "kitty",   "konsole", "vte",  "gnome",
                                                             "wezterm", "contour", "ghostty", "st-"};
  if (term.empty() || term == "dumb")
    throw Error{term.empty() ? "the console needs a terminal, and TERM does not say which one this is"
                             : "the console needs a terminal that can place the cursor, and TERM says 'dumb'",
                0, "use the command line (conductor help), or set TERM, for example to xterm-256color"};
  Abilities can{.name = term};
  can.modern = std::any_of(modern_families.begin(), modern_families.end(),
                           [&](auto family) { return term.starts_with(family); });
  const bool direct = colorterm == "truecolor" || colorterm == "24bit" || term.ends_with("-direct");
  if (direct && can.modern && !term.starts_with("screen")) {
    can.name = direct_terminal_name;
    can.own_entry = true;
  } else if (!entry_known) {
    can.notice = "the terminal '" + term + "' is not known here; it is treated as xterm-256color";
    can.name = "xterm-256color";
  }
  const bool plain = term.starts_with("vt1") || term.starts_with("vt2") || term == "ansi" || term == "sun";
  can.unicode_borders = utf8 && !plain;
  can.unicode_graphs = can.unicode_borders && term != "linux";
  return can;
}

Screen::Screen()
{
  open_terminal();
  start_curses();
  enter();
}

void Screen::open_terminal()
{
  // A descriptor of our own: O_NONBLOCK belongs to the open file, and 0 to 2 share theirs with the shell.
  int fd = open("/dev/tty", O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) {
    std::array<char, 128> name{};
    if (isatty(STDIN_FILENO) != 0 && ttyname_r(STDIN_FILENO, name.data(), name.size()) == 0)
      fd = open(name.data(), O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  }
  if (fd < 0) throw Error{"the console needs a terminal, and there is none", 0, "use the command line: conductor help"};
  tty_ = Fd{fd};
}

void Screen::start_curses()
{
  const bool utf8 = choose_locale();
  const std::string term = environment("TERM");
  abilities_ = abilities(term, environment("COLORTERM"), utf8, entry_exists(term));

  memory_ = Fd{memfd_create("conductor-frame", MFD_CLOEXEC)};
  if (!memory_) throw Error{"make a memory file for the screen", errno};
  curses_ = std::make_unique<Curses>();
  curses_->out = fdopen(dup(memory_.get()), "w");
  curses_->in = std::fopen("/dev/null", "re");
  {
    // newterm asks its output for the size, which is no terminal here. Told nothing it takes 24 rows, and makes them
    // the terminal's scroll region, which would outlive us. No child can see these variables.
    winsize size{};
    const bool known = ioctl(tty_.get(), TIOCGWINSZ, &size) == 0 && size.ws_row != 0 && size.ws_col != 0;
    const Variable rows{"LINES", known ? std::to_string(size.ws_row) : ""};
    const Variable columns{"COLUMNS", known ? std::to_string(size.ws_col) : ""};
    const Variable entries{"TERMINFO", abilities_.own_entry ? direct_terminal_entry : ""};
    curses_->screen = newterm(abilities_.name.c_str(), curses_->out, curses_->in);
  }
  if (curses_->screen == nullptr || cursor_address == nullptr)
    throw Error{"the terminal '" + term + "' cannot place the cursor", 0,
                "set TERM to what your terminal is, for example xterm-256color"};
  set_term(curses_->screen);
  leaveok(stdscr, FALSE);
  scrollok(stdscr, FALSE);
  if (has_colors() && environment("NO_COLOR").empty()) {
    start_color();
    use_default_colors();
    depth_ = COLORS > 256    ? Depth::direct
             : COLORS >= 256 ? Depth::palette
             : COLORS >= 16  ? Depth::sixteen
                             : Depth::eight;
  }
}

Screen::~Screen()
{
  if (entered_) leave();
  emergency.armed = 0;
}

bool Screen::update_size()
{
  winsize size{};
  if (ioctl(tty_.get(), TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) return false;
  const int rows = std::min<int>(size.ws_row, terminal::maximum_rows),
            columns = std::min<int>(size.ws_col, terminal::maximum_columns);
  if (rows == rows_ && columns == columns_ && shown_.rows() == rows) return false;
  rows_ = rows;
  columns_ = columns;
  resizeterm(rows_, columns_);
  known_ = false;
  return true;
}

void Screen::enter()
{
  termios now{};
  if (tcgetattr(tty_.get(), &now) != 0) throw Error{"read the settings of the terminal", errno};
  std::string off;
  if (abilities_.modern) off += modern_off;
  for (const char* capability : {orig_pair, exit_attribute_mode, cursor_normal, exit_ca_mode})
    if (capability != nullptr) off += capability;
  arm(tty_.get(), now, off);
  cfmakeraw(&now);
  now.c_cc[VMIN] = 1;
  now.c_cc[VTIME] = 0;
  tcsetattr(tty_.get(), TCSADRAIN, &now);
  entered_ = true;
  known_ = false;
  cursor_.reset();
  update_size();
  if (abilities_.modern) out_ += modern_on;
  if (abilities_.modern && mouse_) out_ += mouse_on;
}

void Screen::leave()
{
  entered_ = false;
  endwin();
  out_ += take_frame();
  if (abilities_.modern) out_ += modern_off;
  write_all();
  // What was typed ahead, and answers that were still on their way, are not for the shell.
  tcsetattr(tty_.get(), TCSAFLUSH, &emergency.before);
  emergency.armed = 0;
  synchronised_ = false;
}

std::string Screen::take_frame()
{
  std::fflush(curses_->out);
  std::string frame;
  const off_t size = lseek(memory_.get(), 0, SEEK_CUR);
  if (size <= 0) return frame;
  frame.resize(static_cast<std::size_t>(size));
  const ssize_t got = pread(memory_.get(), frame.data(), frame.size(), 0);
  frame.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  lseek(memory_.get(), 0, SEEK_SET);
  if (size > 1 << 20 && ftruncate(memory_.get(), 0) != 0) {
  }
  return frame;
}

int Screen::pair_of(Colour foreground, Colour background)
{
  foreground = nearest(foreground, depth_);
  background = nearest(background, depth_);
  const std::uint64_t key = static_cast<std::uint64_t>(foreground.packed) << 32 | background.packed;
  if (key == 0) return 0;
  if (const auto found = pairs_.find(key); found != pairs_.end()) return found->second;
  const int number = static_cast<int>(pairs_.size()) + 1;
  if (number >= std::min(COLOR_PAIRS, most_pairs)) {
    // Out of pairs: begin anew; the rest of this frame may look wrong, so the next one draws everything.
    pairs_.clear();
    reset_color_pairs();
    known_ = false;
    return pair_of(foreground, background);
  }
  init_extended_pair(number, colour_number(foreground), colour_number(background));
  pairs_.emplace(key, number);
  return number;
}

void Screen::paint_row(int y, std::span<const GridCell> wanted, std::span<GridCell> shown)
{
  std::size_t first = 0, last = wanted.size();
  while (first < last && wanted[first] == shown[first]) ++first;
  while (last > first && wanted[last - 1] == shown[last - 1]) --last;
  if (first == last) return;
  // Whole characters only, of the new text and of the old.
  while (first > 0 && (wanted[first].style.has(flag::wide_tail) || shown[first].style.has(flag::wide_tail))) --first;
  while (last < wanted.size() && (wanted[last].style.has(flag::wide_tail) || shown[last].style.has(flag::wide_tail)))
    ++last;

  static std::vector<cchar_t> line;
  line.clear();
  for (std::size_t x = first; x < last; ++x) {
    const GridCell& cell = wanted[x];
    shown[x] = cell;
    if (cell.style.has(flag::wide_tail)) continue;
    std::array<wchar_t, 6> text{L' '};
    for (std::size_t i = 0; i < cell.text.size() && cell.text[i] != 0; ++i)
      text[i] = static_cast<wchar_t>(cell.text[i]);
    // Should the C library see the width otherwise than we do, the rest of the row would be out of place.
    if (text[0] >= 0x80 && wcwidth(text[0]) != (cell.style.has(flag::wide_lead) ? 2 : 1)) {
      line.resize(line.size() + (cell.style.has(flag::wide_lead) ? 1 : 0));
      if (cell.style.has(flag::wide_lead)) {
        const std::array<wchar_t, 2> mark{L'?', 0};
        setcchar(&line.back(), mark.data(), A_NORMAL, 0, nullptr);
      }
      text = {L'?'};
    }
    int pair = depth_ == Depth::mono ? 0 : pair_of(cell.style.foreground, cell.style.background);
    cchar_t character{};
    setcchar(&character, text.data(), attributes_of(cell.style.flags), 0, &pair);
    line.push_back(character);
  }
  mvadd_wchnstr(y, static_cast<int>(first), line.data(), static_cast<int>(line.size()));
}

void Screen::paint(const Grid& grid, const std::optional<CursorPlace>& cursor)
{
  out_.clear();
  written_ = 0;
  const bool afresh = !known_ || shown_.rows() != grid.rows() || shown_.columns() != grid.columns();
  if (afresh) {
    shown_.resize(grid.rows(), grid.columns());
    known_ = true;
    werase(stdscr);
    clearok(curscr, TRUE);
  }
  const bool cursor_moved = afresh || cursor != cursor_;
  for (int y = 0; y < std::min(grid.rows(), rows_); ++y) paint_row(y, grid.row(y), shown_.row(y));
  if (cursor) move(cursor->row, cursor->column);
  if (cursor_moved && (afresh || cursor.has_value() != cursor_.has_value())) curs_set(cursor ? 1 : 0);
  wnoutrefresh(stdscr);
  doupdate();
  std::string frame = take_frame();
  if (cursor && abilities_.modern && (!cursor_ || cursor->shape != cursor_->shape)) {
    constexpr std::array<std::string_view, 4> shapes{"\x1b[0 q", "\x1b[2 q", "\x1b[4 q", "\x1b[6 q"};
    frame += shapes[static_cast<std::size_t>(cursor->shape)];
  }
  cursor_ = cursor;
  if (frame.empty()) return;
  if (synchronised_) out_ += synchronise_on;
  out_ += frame;
  if (synchronised_) out_ += synchronise_off;
}

bool Screen::flush()
{
  while (written_ < out_.size()) {
    const ssize_t wrote = write(tty_.get(), out_.data() + written_, out_.size() - written_);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return errno == EAGAIN;
    written_ += static_cast<std::size_t>(wrote);
  }
  out_.clear();
  written_ = 0;
  return true;
}

void Screen::write_all()
{
  // At most half a second: a terminal that takes nothing must not keep us.
  for (int turn = 0; turn < 10 && !flushed(); ++turn) {
    if (!flush()) return;
    if (flushed()) return;
    pollfd wait{.fd = tty_.get(), .events = POLLOUT, .revents = 0};
    poll(&wait, 1, 50);
  }
}

void Screen::use_mouse(bool on)
{
  mouse_ = on;
  if (abilities_.modern && entered_) out_ += on ? mouse_on : mouse_off;
}

std::string Screen::read(bool& gone)
{
  std::string bytes(4096, '\0');
  const ssize_t got = ::read(tty_.get(), bytes.data(), bytes.size());
  gone = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
  bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return bytes;
}

void Screen::on_reply(std::string_view bytes)
{
  // DECRQM's answer: 1 or 2 is "known", 0 "not recognised", 4 "permanently reset".
  if (bytes == "\x1b[?2026;2$y" || bytes == "\x1b[?2026;1$y") synchronised_ = true;
}

} // namespace conductor::console
