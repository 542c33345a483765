#include "tui/console/form.h"

#include "tui/console/job.h"

#include <algorithm>

namespace conductor::console {

using Named = terminal::Key;

namespace {

// What a field could become, behind what is typed: fainter, and the key that takes it. Where a theme tells nothing by
// colour it stands in brackets.
void draw_offer(Canvas field, const Theme& theme, int typed, std::string_view offer, std::string_view key)
{
  const Style style = theme.style(Role::input, Role::muted);
  const bool brackets = theme.no_colour() || theme.ascii_borders();
  int x = field.print(0, typed, brackets ? "[" : "", style);
  x = field.print(0, x, offer, style);
  x = field.print(0, x, brackets ? "]" : "", style);
  const std::string mark = "  " + std::string{key};
  if (x + text_width(mark) <= field.columns()) field.print(0, x, mark, style);
}

} // namespace

FormOverlay::FormOverlay(std::string title, std::string verb, std::vector<Field> fields, MakeArguments make,
                         Submit submit)
    : title_(std::move(title)), verb_(std::move(verb)), fields_(std::move(fields)), editors_(fields_.size()),
      make_(std::move(make)), submit_(std::move(submit))
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
  const int rows = static_cast<int>(fields_.size()) + 5;
  Canvas inside = draw_box(screen, theme, rows, std::min(86, screen.columns() - 4), title_, theme.ascii_borders());
  const int column = label_columns + 2, room = inside.columns() - column;
  // On a screen too low for all of it the current field stays in view.
  const int visible = std::max(inside.rows() - 5, 1);
  const int top = std::max(static_cast<int>(current_) - visible + 1, 0);
  const Style plain = theme.style(Role::overlay), muted = theme.style(Role::muted, Role::overlay);
  for (int y = 0; y < visible && top + y < static_cast<int>(fields_.size()); ++y) {
    const auto i = static_cast<std::size_t>(top + y);
    const bool bad = !editors_[i].text().empty() && !complaint_of(i).empty();
    const bool here = i == current_;
    inside.print(y, 0, (here ? ">" : " ") + fields_[i].label, here ? theme.style(Role::overlay_title) : plain);
    editors_[i].draw(inside, y, column, room, theme.style(bad ? Role::input_bad : Role::input));
    if (here) {
      if (const auto offer = suggestion(i); !offer.empty())
        draw_offer(inside.part({y, column, 1, room}), theme, text_width(editors_[i].text()),
                   offer.substr(editors_[i].text().size()), taking_key());
      cursor_ = CursorPlace{inside.area().row + y, inside.area().column + editors_[i].cursor_column(column, room)};
    }
  }
  int y = std::min(visible, static_cast<int>(fields_.size())) + 1;
  const auto wrong = complaint_of(current_);
  const bool show = !wrong.empty() && (tried_ || !editors_[current_].text().empty());
  const std::string elsewhere = tried_ && !show ? complaint() : std::string{};
  if (show || !elsewhere.empty())
    inside.print(y, 0, show ? fields_[current_].label + ": " + wrong : elsewhere,
                 theme.style(Role::bad, Role::overlay));
  else
    inside.print(y, 0, fields_[current_].help, muted);
  // The same as a line for the shell, so that the form teaches the command.
  const std::string line = command_line(make_(values()));
  inside.print(++y, 0, "$ ", muted);
  const int end = inside.print(y, 2, line, theme.style(Role::accent, Role::overlay));
  if (end - 2 < text_width(line))
    inside.print(++y, 2, std::string_view{line}.substr(static_cast<std::size_t>(end - 2)),
                 theme.style(Role::accent, Role::overlay));
}

void FormOverlay::move(int by)
{
  const auto size = static_cast<int>(fields_.size());
  current_ = static_cast<std::size_t>((static_cast<int>(current_) + by + size) % size);
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
  if (key.is(Named::tab) && !key.modifiers.shift && !offer.empty() && at_end && taking_key() == "Tab")
    editor.set(offer);
  else if (key.is(Named::right) && at_end && !offer.empty())
    editor.set(offer);
  else if (key.is(Named::tab))
    move(key.modifiers.shift ? -1 : 1);
  else if (key.is(Named::down))
    move(1);
  else if (key.is(Named::up))
    move(-1);
  else
    editor.key(key);
  return false;
}

std::string FormOverlay::hints() const
{
  return "Enter " + verb_ + "  Tab completes, next field  Up Down fields  Esc cancels";
}

} // namespace conductor::console
