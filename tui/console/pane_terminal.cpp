#include "tui/console/pane_terminal.h"

#include "core/base/error.h"
#include "core/base/trace.h"
#include "tui/command/actions.h"
#include "tui/terminal/encode.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include <sys/epoll.h>
#include <unistd.h>

namespace conductor::console {
namespace {

using Named = terminal::Key;

// What one pane may do in one turn of the loop, so that a flood in one leaves the keys of the others quick.
constexpr std::size_t bytes_a_turn = 256U << 10;
constexpr std::uint64_t time_a_turn_us = 4000;
// A PTY that is read as soon as a byte is there gives tiny pieces and slows its writer: after a full buffer it rests.
constexpr std::size_t flood_bytes = 4096;
constexpr std::uint64_t rest_us = 1000;
// A child that never reads must not make us hold an endless paste.
constexpr std::size_t most_input = 16U << 20;
constexpr std::uint64_t double_click_us = 400'000;

void draw_line(const terminal::Terminal& terminal, Canvas canvas, int y, std::span<const terminal::Cell> cells,
               int first, int last, const Theme& theme)
{
  const Style base = theme.pane();
  const bool reversed = terminal.modes().reverse_screen;
  std::array<char32_t, 9> points{};
  // From whole characters only.
  while (first > 0 && static_cast<std::size_t>(first) < cells.size() && cells[static_cast<std::size_t>(first)].tail())
    --first;
  for (int x = first; x < std::min(last, canvas.columns());) {
    const auto at = static_cast<std::size_t>(x);
    if (at >= cells.size()) {
      Style blank = base;
      if (reversed) blank.flags ^= flag::reverse;
      canvas.fill({y, x, 1, std::min(last, canvas.columns()) - x}, blank);
      return;
    }
    const terminal::Cell& cell = cells[at];
    Style style = cell.style;
    if (style.foreground.kind() == Colour::Kind::standard) style.foreground = base.foreground;
    if (style.background.kind() == Colour::Kind::standard) style.background = base.background;
    // What the child redefined by OSC 4 is a colour of its own.
    for (Colour* colour : {&style.foreground, &style.background})
      if (colour->kind() == Colour::Kind::index)
        if (const auto rgb = terminal.colour_override(static_cast<int>(colour->value()))) *colour = Colour::rgb(*rgb);
    if (reversed) style.flags ^= flag::reverse;
    if (cell.text == 0 || cell.tail()) {
      constexpr char32_t blank = U' ';
      x = canvas.put(y, x, {&blank, 1}, style);
      continue;
    }
    const std::size_t count = terminal.code_points(cell, points);
    x = canvas.put(y, x, std::span<const char32_t>{points.data(), count}, style);
  }
}

} // namespace

// What is held still, as lines: the scrollback, then the screen down to its last line in use.
struct TerminalPane::Copy : CopyText {
  explicit Copy(terminal::Terminal still) : terminal(std::move(still)) {}

  std::uint64_t first() const override { return terminal.scrollback_total() - terminal.scrollback_rows(); }
  std::uint64_t end() const override
  {
    int rows = terminal.rows();
    while (rows > terminal.cursor().row + 1 && terminal.row(rows - 1).empty()) --rows;
    return terminal.scrollback_total() + static_cast<std::uint64_t>(rows);
  }
  std::span<const terminal::Cell> cells(std::uint64_t number) const
  {
    const std::uint64_t total = terminal.scrollback_total();
    if (number < total) return terminal.scrollback_row(static_cast<std::size_t>(number - first()));
    const std::uint64_t below = number - total;
    return below < static_cast<std::uint64_t>(terminal.rows()) ? terminal.row(static_cast<int>(below))
                                                               : std::span<const terminal::Cell>{};
  }
  CopyLine line(std::uint64_t number) const override
  {
    CopyLine line;
    for (const terminal::Cell& cell : cells(number))
      if (!cell.tail()) line.add(terminal.cluster(cell), cell.wide() ? 2 : 1);
    const std::uint64_t total = terminal.scrollback_total();
    line.goes_on = number < total ? terminal.scrollback_info(static_cast<std::size_t>(number - first())).wrapped
                                  : terminal.row_info(static_cast<int>(number - total)).wrapped;
    return line;
  }
  std::uint64_t lowest_view() const { return terminal.scrollback_total(); } ///< the screen as it was
  void show_cursor(int rows)
  {
    const std::uint64_t line = mode.cursor().line, height = static_cast<std::uint64_t>(rows);
    view = std::clamp(view, line >= height - 1 ? line - (height - 1) : 0, line);
  }

  terminal::Terminal terminal;
  std::uint64_t view = terminal.scrollback_total(); ///< the line at the top
  CopyMode mode{*this, {view + static_cast<std::uint64_t>(terminal.cursor().row), terminal.cursor().column}};
};

TerminalPane::TerminalPane(int number, Loop& loop, SessionPlace place, int rows, int columns)
    : Pane(number), loop_(loop), place_(std::move(place)), terminal_(rows, columns), rows_(rows), columns_(columns)
{}

TerminalPane::~TerminalPane() { end(state_); }

void TerminalPane::attach(int run_directory, const std::string& session, bool take)
{
  const WindowSize size{static_cast<std::uint16_t>(rows_), static_cast<std::uint16_t>(columns_)};
  client_ = SessionClient::connect(run_directory, session, size, take);
  place_.session = session;
  if (auto restored = terminal::Terminal::restore(client_->screen_blob())) {
    terminal_ = std::move(*restored);
    terminal_.resize(rows_, columns_);
  }
  terminal_.feed(client_->replay());
  // What was asked while nobody was there has waited too long for an answer.
  terminal_.take_replies();
  const bool redraw = client_->lost_bytes() > 0 || (client_->screen_blob().empty() && !client_->replay().empty());
  client_->forget_replay();
  if (redraw) kick_window_size(client_->master(), size);
  state_ = State::running;
  watch_master(); // something may have been typed already
  loop_.watch(client_->poll_fd(), EPOLLIN, *this);
  terminal_.damage_all();
  dirty = true;
}

void TerminalPane::fail(const std::string& sentence)
{
  sentence_ = sentence;
  end(State::failed);
}

void TerminalPane::end(State state)
{
  if (client_) {
    loop_.forget(client_->master());
    loop_.forget(client_->poll_fd());
    client_.reset();
  }
  state_ = state;
  dirty = true;
}

void TerminalPane::leave()
{
  if (!client_) return;
  loop_.forget(client_->master());
  loop_.forget(client_->poll_fd());
  client_->detach(terminal_.serialise());
  client_.reset();
  state_ = State::over;
}

void TerminalPane::hang_up()
{
  if (client_ && client_->shell() > 0) kill(client_->shell(), SIGHUP);
}

void TerminalPane::ready(int fd, std::uint32_t events)
{
  if (!client_) return;
  if (fd == client_->poll_fd()) {
    const auto news = client_->poll_events();
    if (news == SessionClient::News::nothing) return;
    // The shell's last words may still be in the PTY.
    read_output();
    if (!client_) return;
    exit_ = client_->exit_status();
    if (news == SessionClient::News::taken)
      fail("another console took this shell over");
    else if (news == SessionClient::News::holder_gone)
      fail("the process that held this shell is gone, and the shell with it");
    else
      end(State::over);
    return;
  }
  if ((events & EPOLLOUT) != 0) write_input();
  if ((events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) read_output();
}

void TerminalPane::read_output()
{
  static std::array<char, 65536> buffer;
  const std::uint64_t begun = monotonic_us();
  std::size_t taken = 0;
  while (client_ && taken < bytes_a_turn) {
    const ssize_t got = read(client_->master(), buffer.data(), buffer.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) break;
    if (got <= 0) {
      // EIO: the last process on it is gone. The holder tells how the shell ended.
      loop_.forget(client_->master());
      drained_ = true;
      break;
    }
    taken += static_cast<std::size_t>(got);
    terminal_.feed({buffer.data(), static_cast<std::size_t>(got)});
    if (terminal_.has_replies()) type(terminal_.take_replies());
    if (monotonic_us() - begun > time_a_turn_us) break;
  }
  if (taken >= flood_bytes && client_) {
    rests_until_us_ = monotonic_us() + rest_us;
    watch_master();
  }
  after_feed();
}

void TerminalPane::after_feed()
{
  auto events = terminal_.take_events();
  if (events.clipboard) clipboard_ = std::move(events.clipboard->text);
  if (terminal_.modes().synchronised) {
    if (held_since_us_ == 0) held_since_us_ = monotonic_us();
    return;
  }
  held_since_us_ = 0;
  dirty = true;
}

void TerminalPane::stop_holding()
{
  terminal_.end_synchronised();
  held_since_us_ = 0;
  dirty = true;
}

std::string TerminalPane::take_clipboard() { return std::exchange(clipboard_, {}); }

void TerminalPane::type(std::string bytes)
{
  if (bytes.empty() || input_.size() > most_input) return;
  input_ += bytes;
  write_input();
}

void TerminalPane::write_input()
{
  if (!client_) return;
  std::size_t done = 0;
  while (done < input_.size()) {
    const ssize_t wrote = write(client_->master(), input_.data() + done, input_.size() - done);
    if (wrote <= 0) break;
    done += static_cast<std::size_t>(wrote);
  }
  input_.erase(0, done);
  watch_master();
}

void TerminalPane::watch_master()
{
  const unsigned in = rests_until_us_ == 0 ? EPOLLIN : 0U, out = input_.empty() ? 0U : EPOLLOUT;
  if (client_ && !drained_) loop_.watch(client_->master(), in | out, *this);
}

void TerminalPane::read_on()
{
  rests_until_us_ = 0;
  watch_master();
}

std::string TerminalPane::title() const
{
  std::string title = place_.name + ": ";
  if (state_ == State::starting) return title + "starting";
  return title + (terminal_.title().empty() ? "shell" : terminal_.title());
}

std::string TerminalPane::status() const
{
  if (copy_) return copy_->mode.status();
  if (state_ == State::over || state_ == State::failed) return "ended";
  return focused_ ? command::prefix_text() + " commands" : std::to_string(columns_) + "x" + std::to_string(rows_);
}

std::string TerminalPane::hints() const
{
  if (state_ == State::over || state_ == State::failed) return "Enter closes the pane";
  return {};
}

void TerminalPane::use(const Theme& theme)
{
  const Style style = theme.pane();
  const auto rgb = [](Colour colour, std::uint32_t standard) {
    if (colour.kind() == Colour::Kind::standard) return standard;
    return colour.kind() == Colour::Kind::rgb ? colour.value() : palette_rgb(static_cast<std::uint8_t>(colour.value()));
  };
  const terminal::Palette plain;
  terminal_.set_palette({rgb(style.foreground, plain.foreground), rgb(style.background, plain.background),
                         rgb(style.foreground, plain.cursor)});
}

void TerminalPane::focus(bool on)
{
  if (focused_ != on && client_) type(terminal::encode_focus(on, terminal_.modes()));
  focused_ = on;
}

void TerminalPane::resize(int rows, int columns)
{
  rows = std::max(rows, 1);
  columns = std::max(columns, 1);
  if (rows == rows_ && columns == columns_) return;
  rows_ = rows;
  columns_ = columns;
  terminal_.resize(rows, columns);
  if (copy_) { // its lines are wrapped and counted anew: the cursor keeps its distance from the end
    const std::uint64_t back = copy_->end() - std::min(copy_->mode.cursor().line, copy_->end());
    copy_->terminal.resize(rows, columns);
    copy_->mode.go({copy_->end() - std::min(back, copy_->end()), copy_->mode.cursor().column});
    copy_->show_cursor(rows);
  }
  if (client_)
    set_window_size(client_->master(), {static_cast<std::uint16_t>(rows), static_cast<std::uint16_t>(columns)});
  dirty = true;
}

void TerminalPane::draw(Canvas canvas, const Theme& theme, bool, bool whole)
{
  dirty = false;
  if (state_ == State::failed || (state_ == State::starting && sentence_.empty())) {
    canvas.fill(theme.style(Role::text));
    const bool failed = state_ == State::failed;
    canvas.print(0, 1, failed ? sentence_ : "starting a shell in " + place_.name + " ...",
                 theme.style(failed ? Role::bad : Role::muted));
    return;
  }
  if (copy_) {
    draw_copy(canvas, theme);
    return;
  }
  const auto damage = terminal_.take_damage();
  if (whole) {
    for (int y = 0; y < canvas.rows(); ++y) {
      if (y < terminal_.rows())
        draw_line(terminal_, canvas, y, terminal_.row(y), 0, canvas.columns(), theme);
      else
        canvas.fill({y, 0, 1, canvas.columns()}, theme.pane());
    }
    return;
  }
  for (const auto& part : damage)
    if (part.row < canvas.rows())
      draw_line(terminal_, canvas, part.row, terminal_.row(part.row), part.first, part.last, theme);
}

std::optional<CursorPlace> TerminalPane::cursor() const
{
  if (copy_) {
    if (copy_->mode.asking()) return CursorPlace{rows_ - 1, copy_->mode.question_cursor(columns_)};
    const auto at = copy_->mode.cursor();
    return CursorPlace{static_cast<int>(at.line - std::min(at.line, copy_->view)), at.column};
  }
  const auto cursor = terminal_.cursor();
  if (state_ != State::running || !cursor.visible) return std::nullopt;
  return CursorPlace{cursor.row, cursor.column, cursor.shape};
}

bool TerminalPane::key(const Key& key)
{
  if (copy_) return copy_key(key);
  if (state_ == State::over || state_ == State::failed) return false;
  const auto& modes = terminal_.modes();
  switch (key.kind) {
  case Key::Kind::named: type(terminal::encode_key(key.name, key.modifiers, modes)); break;
  case Key::Kind::paste: type(terminal::encode_paste(key.bytes, modes)); break;
  case Key::Kind::mouse:
    if (const std::string bytes = terminal::encode_mouse(key.mouse, modes); !bytes.empty())
      type(bytes);
    else
      copy_mouse(key);
    break;
  case Key::Kind::text:
  case Key::Kind::unknown: type(key.bytes); break;
  case Key::Kind::focus_in:
  case Key::Kind::focus_out: type(terminal::encode_focus(key.kind == Key::Kind::focus_in, modes)); break;
  case Key::Kind::reply: break;
  }
  return true;
}

// ---- copy mode

void TerminalPane::copy_mode(bool on)
{
  copy_.reset();
  marking_by_mouse_ = false;
  if (on && (state_ == State::running || state_ == State::over)) {
    // By way of its bytes: the one copy of a terminal that there is.
    if (auto still = terminal::Terminal::restore(terminal_.serialise(terminal::Limits{}.scrollback_bytes)))
      copy_ = std::make_unique<Copy>(std::move(*still));
  }
  terminal_.damage_all();
  dirty = true;
}

void TerminalPane::draw_copy(Canvas canvas, const Theme& theme)
{
  terminal_.take_damage();
  const CopyMode& mode = copy_->mode;
  for (int y = 0; y < canvas.rows(); ++y) {
    const std::uint64_t line = copy_->view + static_cast<std::uint64_t>(y);
    if (line >= copy_->end()) {
      canvas.fill({y, 0, 1, canvas.columns()}, theme.pane());
      continue;
    }
    draw_line(copy_->terminal, canvas, y, copy_->cells(line), 0, canvas.columns(), theme);
    for (const auto& [first, last] : mode.matches(line))
      canvas.restyle(y, first, last - first, theme.style(Role::text, Role::selected_inactive));
    const auto [first, last] = mode.marked(line, canvas.columns());
    canvas.restyle(y, first, last - first, theme.style(Role::text, Role::selected));
  }
  if (mode.asking()) mode.draw_question(canvas, theme);
}

void TerminalPane::scroll(int rows)
{
  const std::uint64_t by = static_cast<std::uint64_t>(std::abs(rows)), view = copy_->view;
  const std::uint64_t lowest = std::max(copy_->lowest_view(), copy_->first());
  copy_->view = rows < 0 ? std::max(copy_->first(), view - std::min(view, by)) : std::min(lowest, view + by);
  // The cursor stays in what is seen.
  auto at = copy_->mode.cursor();
  at.line = std::clamp(at.line, copy_->view, copy_->view + static_cast<std::uint64_t>(rows_ - 1));
  copy_->mode.go(at);
  dirty = true;
}

// The wheel, and marking with the left button, for a child that does not want the mouse: a drag marks characters, a
// double click a word, a third one the line; letting go copies.
bool TerminalPane::copy_mouse(const Key& key)
{
  using terminal::MouseAction;
  using terminal::MouseButton;
  const auto& mouse = key.mouse;
  dirty = true;
  if (mouse.button == MouseButton::wheel_up || mouse.button == MouseButton::wheel_down) {
    const bool up = mouse.button == MouseButton::wheel_up;
    if (up && !copy_ && !terminal_.modes().alternate_screen) copy_mode(true);
    if (!copy_) return true;
    scroll(up ? -3 : 3);
    if (!up && copy_->view >= copy_->lowest_view() && copy_->mode.kind() == CopyMode::Kind::none) copy_mode(false);
    return true;
  }
  const std::pair here{std::clamp(mouse.row, 0, rows_ - 1), std::clamp(mouse.column, 0, columns_ - 1)};
  const auto place = [&](const std::pair<int, int>& at) {
    return CopyMode::Place{copy_->view + static_cast<std::uint64_t>(at.first), at.second};
  };
  const auto mark = [&](CopyMode::Kind kind, const std::pair<int, int>& from) {
    if (!copy_) {
      copy_mode(true);
      marking_by_mouse_ = true;
    }
    if (!copy_) return;
    copy_->mode.go(place(from));
    if (copy_->mode.kind() != CopyMode::Kind::none) copy_->mode.select(copy_->mode.kind());
    copy_->mode.select(kind);
  };
  if (mouse.action == MouseAction::press && mouse.button == MouseButton::left) {
    const std::uint64_t now = monotonic_us();
    clicks_ = pressed_ == here && now - pressed_us_ < double_click_us ? clicks_ + 1 : 1;
    pressed_ = here;
    pressed_us_ = now;
    if (clicks_ > 1)
      mark(clicks_ == 2 ? CopyMode::Kind::words : CopyMode::Kind::lines, here);
    else if (copy_)
      copy_->mode.go(place(here));
  } else if (mouse.action == MouseAction::motion && mouse.button == MouseButton::left && pressed_) {
    if (clicks_ == 1 && here != *pressed_) {
      mark(CopyMode::Kind::characters, *pressed_);
      clicks_ = 0;
    }
    if (copy_ && copy_->mode.kind() != CopyMode::Kind::none) copy_->mode.go(place(here));
  } else if (mouse.action == MouseAction::release && copy_ && copy_->mode.kind() != CopyMode::Kind::none) {
    copied = copy_->mode.marked_text();
    if (marking_by_mouse_) copy_mode(false); // whoever types now types into the shell
  }
  return true;
}

bool TerminalPane::copy_key(const Key& key)
{
  if (key.kind == Key::Kind::mouse) return copy_mouse(key);
  const auto result = copy_->mode.key(key, {copy_->view, rows_});
  if (result == CopyMode::Result::ignored) return false;
  copied = copy_->mode.copied();
  if (result == CopyMode::Result::ended)
    copy_mode(false);
  else
    copy_->show_cursor(rows_);
  dirty = true;
  return true;
}

} // namespace conductor::console
