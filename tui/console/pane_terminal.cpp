#include "tui/console/pane_terminal.h"

#include "core/base/error.h"
#include "core/base/trace.h"
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

} // namespace

TerminalPane::TerminalPane(int number, Loop& loop, SessionPlace place, int rows, int columns)
    : Pane(number), loop_(loop), place_(std::move(place)), terminal_(rows, columns), rows_(rows), columns_(columns)
{}

TerminalPane::~TerminalPane() { end(state_); }

void TerminalPane::attach(int run_directory, const std::string& session)
{
  const WindowSize size{static_cast<std::uint16_t>(rows_), static_cast<std::uint16_t>(columns_)};
  client_ = SessionClient::connect(run_directory, session, size, true);
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
  if (scrolling_) return "scrolled back";
  if (state_ == State::over || state_ == State::failed) return "ended";
  return focused_ ? "^G commands" : std::to_string(columns_) + "x" + std::to_string(rows_);
}

std::string TerminalPane::hints() const
{
  if (scrolling_) return "j k PgUp PgDn g G scroll  q back to the shell";
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
  if (client_)
    set_window_size(client_->master(), {static_cast<std::uint16_t>(rows), static_cast<std::uint16_t>(columns)});
  dirty = true;
}

void TerminalPane::draw_line(Canvas canvas, int y, std::span<const terminal::Cell> cells, int first, int last,
                             const Theme& theme) const
{
  const Style base = theme.pane();
  const bool reversed = terminal_.modes().reverse_screen;
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
        if (const auto rgb = terminal_.colour_override(static_cast<int>(colour->value()))) *colour = Colour::rgb(*rgb);
    if (reversed) style.flags ^= flag::reverse;
    if (cell.text == 0 || cell.tail()) {
      constexpr char32_t blank = U' ';
      x = canvas.put(y, x, {&blank, 1}, style);
      continue;
    }
    const std::size_t count = terminal_.code_points(cell, points);
    x = canvas.put(y, x, std::span<const char32_t>{points.data(), count}, style);
  }
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
  if (scrolling_) {
    const std::uint64_t oldest = terminal_.scrollback_total() - terminal_.scrollback_rows();
    view_ = std::clamp(view_, oldest, terminal_.scrollback_total());
    for (int y = 0; y < canvas.rows(); ++y) {
      const std::uint64_t line = view_ + static_cast<std::uint64_t>(y);
      const bool old = line < terminal_.scrollback_total();
      const auto below = static_cast<int>(line - std::min(line, terminal_.scrollback_total()));
      if (!old && below >= terminal_.rows())
        canvas.fill({y, 0, 1, canvas.columns()}, theme.pane());
      else
        draw_line(canvas, y,
                  old ? terminal_.scrollback_row(static_cast<std::size_t>(line - oldest)) : terminal_.row(below), 0,
                  canvas.columns(), theme);
    }
    terminal_.take_damage();
    return;
  }
  const auto damage = terminal_.take_damage();
  if (whole) {
    for (int y = 0; y < canvas.rows(); ++y) {
      if (y < terminal_.rows())
        draw_line(canvas, y, terminal_.row(y), 0, canvas.columns(), theme);
      else
        canvas.fill({y, 0, 1, canvas.columns()}, theme.pane());
    }
    return;
  }
  for (const auto& part : damage)
    if (part.row < canvas.rows()) draw_line(canvas, part.row, terminal_.row(part.row), part.first, part.last, theme);
}

std::optional<CursorPlace> TerminalPane::cursor() const
{
  const auto cursor = terminal_.cursor();
  if (state_ != State::running || scrolling_ || !cursor.visible) return std::nullopt;
  return CursorPlace{cursor.row, cursor.column, cursor.shape};
}

bool TerminalPane::key(const Key& key)
{
  if (state_ == State::over || state_ == State::failed) return false;
  if (scrolling_) return scroll_key(key);
  const auto& modes = terminal_.modes();
  switch (key.kind) {
  case Key::Kind::named: type(terminal::encode_key(key.name, key.modifiers, modes)); break;
  case Key::Kind::paste: type(terminal::encode_paste(key.bytes, modes)); break;
  case Key::Kind::mouse: {
    const std::string bytes = terminal::encode_mouse(key.mouse, modes);
    if (bytes.empty() && key.mouse.button == terminal::MouseButton::wheel_up && !modes.alternate_screen) {
      scroll_mode(true);
      scroll(-3);
    } else
      type(bytes);
    break;
  }
  case Key::Kind::text:
  case Key::Kind::unknown: type(key.bytes); break;
  case Key::Kind::focus_in:
  case Key::Kind::focus_out: type(terminal::encode_focus(key.kind == Key::Kind::focus_in, modes)); break;
  case Key::Kind::reply: break;
  }
  return true;
}

void TerminalPane::scroll_mode(bool on)
{
  scrolling_ = on;
  view_ = terminal_.scrollback_total();
  terminal_.damage_all();
  dirty = true;
}

void TerminalPane::scroll(int rows)
{
  const std::uint64_t oldest = terminal_.scrollback_total() - terminal_.scrollback_rows();
  if (rows < 0)
    view_ = std::max(oldest, view_ - std::min(view_, static_cast<std::uint64_t>(-rows)));
  else
    view_ = std::min(terminal_.scrollback_total(), view_ + static_cast<std::uint64_t>(rows));
  dirty = true;
}

bool TerminalPane::scroll_key(const Key& key)
{
  const int page = std::max(rows_ / 2, 1);
  if (key.kind == Key::Kind::mouse) {
    if (key.mouse.button == terminal::MouseButton::wheel_up)
      scroll(-3);
    else if (key.mouse.button == terminal::MouseButton::wheel_down) {
      scroll(3);
      if (view_ == terminal_.scrollback_total()) scroll_mode(false);
    }
  } else if (key.is(U'q') || key.is(Named::escape) || key.is_control(U'c'))
    scroll_mode(false);
  else if (key.is(U'j') || key.is(Named::down))
    scroll(1);
  else if (key.is(U'k') || key.is(Named::up))
    scroll(-1);
  else if (key.is_control(U'd') || key.is(Named::page_down))
    scroll(page);
  else if (key.is_control(U'u') || key.is(Named::page_up))
    scroll(-page);
  else if (key.is(U'g') || key.is(Named::home))
    scroll(-static_cast<int>(terminal_.scrollback_rows()));
  else if (key.is(U'G') || key.is(Named::end))
    scroll(static_cast<int>(terminal_.scrollback_rows()));
  else
    return false;
  return true;
}

} // namespace conductor::console
