#include "tui/console/form.h"

#include "tui/console/job.h"

#include <fmt/format.h>

#include <algorithm>

namespace conductor::console {

using Named = terminal::Key;

namespace {

// The key that does something here, fainter than what is typed.
void draw_mark(Canvas field, const Theme& theme, int column, std::string_view key)
{
  const std::string text = "(" + std::string{key} + ")";
  if (column + 2 + text_width(text) <= field.columns())
    field.print(0, column + 2, text, theme.style(Role::input, Role::muted));
}

// What a field could become, behind what is typed: fainter, and the key that takes it. Where a theme tells nothing by
// colour it stands in brackets.
void draw_offer(Canvas field, const Theme& theme, int typed, std::string_view offer, std::string_view key)
{
  const Style style = theme.style(Role::input, Role::muted);
  const bool brackets = theme.no_colour() || theme.ascii_borders();
  int x = field.print(0, typed, brackets ? "[" : "", style);
  x = field.print(0, x, offer, style);
  x = field.print(0, x, brackets ? "]" : "", style);
  draw_mark(field, theme, x, key);
}

// A text in as many rows as there are, from the given column on; a sign where they are too few.
void print_rows(Canvas canvas, int column, std::string_view text, Style style)
{
  auto rows = wrap_text(text, canvas.columns() - column);
  for (std::size_t y = 0; y < rows.size() && static_cast<int>(y) < canvas.rows(); ++y) {
    const bool more = static_cast<int>(y) + 1 == canvas.rows() && y + 1 < rows.size();
    const int room = canvas.columns() - column;
    canvas.print(static_cast<int>(y), column, more ? cut_text(rows[y] + " " + rows[y + 1] + " ...", room) : rows[y],
                 style);
  }
}

} // namespace

FormOverlay::FormOverlay(std::string title, std::string verb, std::vector<Field> fields, MakeArguments make,
                         Submit submit, Preview preview)
    : title_(std::move(title)), verb_(std::move(verb)), fields_(std::move(fields)), editors_(fields_.size()),
      make_(std::move(make)), submit_(std::move(submit)), preview_(std::move(preview))
{
  for (std::size_t i = 0; i < fields_.size(); ++i) editors_[i].set(fields_[i].value);
}

std::vector<std::string> FormOverlay::values() const
{
  std::vector<std::string> all;
  for (const auto& editor : editors_) all.push_back(editor.text());
  return all;
}

std::string FormOverlay::complaint_of(std::size_t field) const
{
  const std::string& text = editors_[field].text();
  if (text.empty()) return fields_[field].required ? "needed" : std::string{};
  return fields_[field].check ? fields_[field].check(text) : std::string{};
}

std::string FormOverlay::complaint() const
{
  for (std::size_t i = 0; i < fields_.size(); ++i)
    if (const auto wrong = complaint_of(i); !wrong.empty()) return fields_[i].label + ": " + wrong;
  return {};
}

std::string FormOverlay::suggestion(std::size_t field) const
{
  const std::string& text = editors_[field].text();
  if (!fields_[field].complete) return {};
  for (const auto& candidate : fields_[field].complete(text))
    if (candidate.size() > text.size() && candidate.starts_with(text)) return candidate;
  return {};
}

// Tab completes what was begun; from an empty field it is the way to the next one.
std::string_view FormOverlay::taking_key() const { return editors_[current_].text().empty() ? "Right" : "Tab"; }

void FormOverlay::draw(Canvas screen, const Theme& theme)
{
  int label_columns = 0;
  for (const auto& field : fields_) label_columns = std::max(label_columns, text_width(field.label));
  const int columns = std::min(86, screen.columns() - 4);
  // Below the fields: what the current one is, and the line for the shell.
  constexpr int help_rows = 2, command_rows = 3;
  const auto reachable = preview_ ? preview_(values()) : std::vector<ReachLine>{};
  const int count = static_cast<int>(fields_.size());
  const int frame = 4; // of the box, its last free line, and the line below the fields
  if (!reachable.empty()) preview_rows_ = std::max(preview_rows_, static_cast<int>(reachable.size()) + 2);
  // On a low screen it gives way to the fields; with less than a line of it, all of it goes.
  int preview = std::min(preview_rows_, screen.rows() - frame - count - help_rows - command_rows);
  if (preview < 3) preview = 0;
  const int below = help_rows + command_rows + preview;
  const int rows = count + below + 1;
  Canvas inside = draw_box(screen, theme, rows, columns, title_, theme.ascii_borders());
  const int column = label_columns + 2, room = inside.columns() - column;
  // On a screen too low for all of it the current field stays in view.
  const int visible = std::clamp(inside.rows() - below - 1, 1, static_cast<int>(fields_.size()));
  top_ = std::clamp(top_, static_cast<int>(current_) - visible + 1, static_cast<int>(current_));
  top_ = std::clamp(top_, 0, static_cast<int>(fields_.size()) - visible);
  const Style plain = theme.style(Role::overlay), muted = theme.style(Role::muted, Role::overlay);
  for (int y = 0; y < visible; ++y) {
    const auto i = static_cast<std::size_t>(top_ + y);
    const bool bad = !editors_[i].text().empty() && !complaint_of(i).empty();
    const bool here = i == current_;
    inside.print(y, 0, (here ? ">" : " ") + fields_[i].label, here ? theme.style(Role::overlay_title) : plain);
    editors_[i].draw(inside, y, column, room, theme.style(bad ? Role::input_bad : Role::input));
    if (here) {
      const Canvas line = inside.part({y, column, 1, room});
      const int typed = text_width(editors_[i].text());
      if (const auto offer = suggestion(i); !offer.empty())
        draw_offer(line, theme, typed, offer.substr(editors_[i].text().size()), taking_key());
      if (fields_[i].choices.size() > 1) draw_mark(line, theme, typed, "Space: other");
      cursor_ = CursorPlace{inside.area().row + y, inside.area().column + editors_[i].cursor_column(column, room)};
    }
  }
  const auto mark = [&](bool on, int row, std::string_view text) {
    if (on) screen.print_right(row, inside.area().right(), text, theme.style(Role::overlay_title));
  };
  mark(top_ > 0, inside.area().row - 1, " more above ");
  mark(top_ + visible < static_cast<int>(fields_.size()), inside.area().row + visible, " more below ");

  const auto wrong = complaint_of(current_);
  const bool show = !wrong.empty() && (tried_ || !editors_[current_].text().empty());
  const std::string elsewhere = tried_ && !show ? complaint() : std::string{};
  const bool bad = show || !elsewhere.empty();
  const int y = visible + 1 + preview;
  draw_preview(inside.part({visible + 1, 0, preview, inside.columns()}), theme, reachable);
  print_rows(inside.part({y, 0, help_rows, inside.columns()}), 0,
             show  ? fields_[current_].label + ": " + wrong
             : bad ? elsewhere
                   : fields_[current_].help,
             bad ? theme.style(Role::bad, Role::overlay) : muted);
  // The same as a line for the shell, so that the form teaches the command.
  inside.print(y + help_rows, 0, "$ ", muted);
  print_rows(inside.part({y + help_rows, 0, command_rows, inside.columns()}), 2, command_line(make_(values())),
             theme.style(Role::accent, Role::overlay));
}

// What is new is said in a word too, since a theme may have no colours.
void FormOverlay::draw_preview(Canvas canvas, const Theme& theme, const std::vector<ReachLine>& lines) const
{
  if (canvas.rows() <= 0) return;
  canvas.print(0, 0, "REACHABLE AFTER ENTER", theme.style(Role::header, Role::overlay));
  const int room = canvas.rows() - 2;
  for (int y = 0; y < room && y < static_cast<int>(lines.size()); ++y) {
    const ReachLine& line = lines[static_cast<std::size_t>(y)];
    const Style style = theme.style(line.fresh ? Role::good : Role::muted, Role::overlay);
    if (y + 1 == room && y + 1 < static_cast<int>(lines.size())) {
      canvas.print(y + 1, 5, fmt::format("and {} more", lines.size() - static_cast<std::size_t>(y)), style);
      return;
    }
    canvas.print(y + 1, 0, line.fresh ? "new" : "", style);
    canvas.print(y + 1, 5, cut_text(line.text, canvas.columns() - 5), style);
  }
}

void FormOverlay::move(int by)
{
  const auto size = static_cast<int>(fields_.size());
  current_ = static_cast<std::size_t>((static_cast<int>(current_) + by + size) % size);
}

void FormOverlay::choose(const Key& key)
{
  const auto& choices = fields_[current_].choices;
  const auto here = std::find(choices.begin(), choices.end(), editors_[current_].text());
  const auto at = here == choices.end() ? 0 : static_cast<std::size_t>(here - choices.begin());
  std::size_t next = at;
  if (key.is(U' ') || key.is(Named::right))
    next = (at + 1) % choices.size();
  else if (key.is(Named::left))
    next = (at + choices.size() - 1) % choices.size();
  else if (key.is(Named::backspace) || key.is_control(U'u'))
    next = 0;
  else if (key.kind == Key::Kind::text)
    for (std::size_t i = 0; i < choices.size(); ++i)
      if (!choices[i].empty() && key.is(static_cast<unsigned char>(choices[i][0]))) next = i;
  editors_[current_].set(choices[next]);
}

bool FormOverlay::key(const Key& key)
{
  LineEditor& editor = editors_[current_];
  if (key.is(Named::escape)) return true;
  if (key.is(Named::enter)) {
    tried_ = true;
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      if (complaint_of(i).empty()) continue;
      current_ = i;
      return false;
    }
    submit_(make_(values()), values());
    return true;
  }
  const bool at_end = editor.cursor_column(0, 100000) == text_width(editor.text());
  const std::string offer = suggestion(current_);
  const bool takes = key.is(Named::right) || (key.is(Named::tab) && !key.modifiers.shift && taking_key() == "Tab");
  if (takes && at_end && !offer.empty())
    editor.set(offer);
  else if (key.is(Named::tab))
    move(key.modifiers.shift ? -1 : 1);
  else if (key.is(Named::down))
    move(1);
  else if (key.is(Named::up))
    move(-1);
  else if (!fields_[current_].choices.empty())
    choose(key);
  else
    editor.key(key);
  return false;
}

std::string FormOverlay::hints() const
{
  return "Enter " + verb_ + "  Tab completes, next field  Up Down fields  Esc cancels";
}

} // namespace conductor::console
