// What stands in a frame: the bars, the panels in their frames, the panes, and what lies over them.
#include "tui/console/app.h"
#include "tui/console/pane_job.h"
#include "tui/console/pane_terminal.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace conductor::console {

void App::compose()
{
  if (everything_dirty_ || !overlays_.empty() || strip_) {
    draw_everything();
    return;
  }
  // Only panes have changed: each draws what is new in it.
  for (const auto& [number, frame] : tree_.rects(layout_.work)) {
    Pane* each = pane(number);
    if (each == nullptr || !each->dirty || layout_.work.empty()) continue;
    if (zoomed_ && number != focused_number_) continue;
    const Rect place = zoomed_ ? layout_.work : frame;
    print_title(place, number, each->title(), each->status(), number == focused_number_ && focus_ == Area::pane);
    each->draw(Canvas{grid_, place.inset(1)}, theme_, number == focused_number_ && focus_ == Area::pane, false);
  }
}

void App::draw_everything()
{
  everything_dirty_ = false;
  const Rect whole{0, 0, grid_.rows(), grid_.columns()};
  Canvas all{grid_, whole};
  all.fill(theme_.style(Role::text));
  if (layout_.step == Step::line) {
    draw_small(all);
    return;
  }
  draw_title({grid_, layout_.title});
  draw_frames();
  const auto focused = [&](Area area) { return focus_ == area; };
  if (!layout_.containers.empty())
    draw_containers({grid_, layout_.containers.inset(1)}, look_, rows_, containers_cursor_, focused(Area::containers),
                    empty_list_text());
  if (!layout_.images.empty())
    draw_images({grid_, layout_.images.inset(1)}, look_, images_, world_.snapshot ? images_total(*world_.snapshot) : "",
                images_cursor_, focused(Area::images));
  if (!layout_.events.empty())
    draw_events({grid_, layout_.events.inset(1)}, look_, events_, events_scrolled_, focused(Area::events));
  if (!layout_.details.empty() && world_.snapshot) {
    const Canvas canvas{grid_, layout_.details.inset(1)};
    if (tab_ == 0)
      draw_details(canvas, look_, *world_.snapshot, selected_picture(), details_scrolled_);
    else
      draw_network(canvas, look_, *world_.snapshot, selected_picture(),
                   refusals_.ordered(*world_.snapshot, containers_cursor_.selected));
  }
  if (!layout_.panes.empty()) draw_pane_list({grid_, layout_.panes.inset(1)});
  for (const auto& [number, frame] : tree_.rects(layout_.work)) {
    Pane* each = pane(number);
    if (each == nullptr || layout_.work.empty() || (zoomed_ && number != focused_number_)) continue;
    each->draw(Canvas{grid_, (zoomed_ ? layout_.work : frame).inset(1)}, theme_,
               number == focused_number_ && focus_ == Area::pane, true);
  }
  draw_message({grid_, layout_.message});
  draw_hint({grid_, layout_.hint});
  if (strip_) draw_strip();
  for (auto& overlay : overlays_) overlay->draw(all, theme_);
}

void App::draw_title(Canvas canvas)
{
  const Style style = theme_.style(Role::title);
  canvas.fill(style);
  if (!world_.snapshot) {
    canvas.print(0, 1, "conductor   looking around ...", style);
    return;
  }
  const auto [left, right] = title_texts(*world_.snapshot, options_.read_only, canvas.columns());
  canvas.print(0, 0, left, style);
  canvas.print_right(0, canvas.columns(), right, style);
}

void App::print_title(Rect frame, int number, const std::string& title, const std::string& right, bool focused)
{
  Canvas line{grid_, {frame.row, frame.column + 1, 1, frame.columns - 2}};
  const char32_t rule = look_.ascii_borders ? U'-' : U'─';
  const Style border = theme_.style(focused ? Role::border_focused : Role::border);
  for (int x = 0; x < line.columns(); ++x) line.put(0, x, {&rule, 1}, border);
  const Style style = theme_.style(focused ? Role::panel_title_focused : Role::panel_title);
  const int right_columns = std::min(text_width(right), line.columns() / 2);
  int x = line.print(0, 0, number > 0 ? "[" + std::to_string(number) + "] " : " ", style);
  line.print(0, x, cut_text(title, line.columns() - x - right_columns - 2) + " ", style);
  if (!right.empty()) line.print_right(0, line.columns(), " " + cut_text(right, right_columns), style);
}

void App::draw_frames()
{
  Frames frames{grid_.rows(), grid_.columns()};
  Rect focused = layout_.of(focus_);
  for (const Rect& area : {layout_.containers, layout_.images, layout_.events, layout_.details, layout_.panes})
    if (!area.empty()) frames.add(area);
  const auto rects = tree_.rects(layout_.work);
  if (!layout_.work.empty()) {
    for (const auto& [number, rect] : rects) {
      if (zoomed_ && number != focused_number_) continue;
      frames.add(zoomed_ ? layout_.work : rect);
      if (focus_ == Area::pane && number == focused_number_) focused = zoomed_ ? layout_.work : rect;
    }
  }
  frames.draw(grid_, focused, theme_.style(Role::border), theme_.style(Role::border_focused), look_.ascii_borders);

  const auto running =
      std::count_if(rows_.begin(), rows_.end(), [](const auto& row) { return row.running || row.paused; });
  std::string right = "sort " + std::string{sort_name(wish_.sort)} + (wish_.reverse ? " ^" : "");
  if (!wish_.marked.empty()) right += fmt::format("  {} marked", wish_.marked.size());
  if (!wish_.filter.empty() || filtering_) right = "filter /" + wish_.filter;
  if (updates_paused_) right = "held still (Z)  " + right;
  const auto panel = [&](Area area, int number, const std::string& title, const std::string& status) {
    if (!layout_.of(area).empty()) print_title(layout_.of(area), number, title, status, focus_ == area);
  };
  panel(Area::containers, 1, fmt::format("CONTAINERS {} up / {}", running, rows_.size()), right);
  panel(Area::images, 2, fmt::format("IMAGES {}", images_.size()), "");
  panel(Area::events, 3, "EVENTS", "live");
  const ContainerPicture* selected = selected_picture();
  std::string title = selected == nullptr ? "DETAILS" : selected->spec().name;
  for (std::size_t tab = 0; tab < tabs.size(); ++tab) {
    const bool here = static_cast<int>(tab) == tab_;
    title += fmt::format("  {}{}{}", here ? "<" : "", tabs[tab], here ? ">" : "");
  }
  panel(Area::details, 0, title,
        selected != nullptr && selected->state == State::running ? "pid " + std::to_string(selected->status().pid)
                                                                 : "");
  panel(Area::panes, 0, "PANES", "");
  if (layout_.work.empty()) return;
  for (const auto& [number, rect] : rects) {
    const Pane* each = pane(number);
    if (each == nullptr || (zoomed_ && number != focused_number_)) continue;
    print_title(zoomed_ ? layout_.work : rect, number, each->title(), each->status(),
                focus_ == Area::pane && number == focused_number_);
  }
}

void App::draw_pane_list(Canvas canvas)
{
  canvas.fill(theme_.style(Role::text));
  int y = 0;
  const auto row = [&](const std::string& left, const std::string& right, Role role) {
    const bool selected = focus_ == Area::panes && y == panes_selected_;
    const Style style = selected ? theme_.style(role, Role::selected) : theme_.style(role);
    if (selected) canvas.fill({y, 0, 1, canvas.columns()}, style);
    canvas.print(y, 1, cut_text(left, canvas.columns() - text_width(right) - 3), style);
    canvas.print_right(y, canvas.columns() - 1, right, style);
    ++y;
  };
  for (const auto& [number, each] : panes_) {
    const bool visible = tree_.contains(number);
    std::string state = number == focused_number_ && focus_ == Area::pane ? "typing here" : visible ? "" : "hidden";
    if (!visible && each->unseen > 0) state += fmt::format(", +{}", each->unseen);
    row(fmt::format("[{}] {}", number, each->title()), state, visible ? Role::text : Role::muted);
  }
  // Several shells of one container are told apart by the id that `conductor sessions` shows, and by their age.
  const std::int64_t now = world_.snapshot ? world_.snapshot->time_ns : 0;
  for (const auto& session : left_sessions()) {
    const auto age = static_cast<std::uint64_t>(std::max<std::int64_t>(now - session.since_ns, 0) / 1'000'000'000);
    row("  " + container_name(session.container) + ": shell",
        session.session + " left, " + (age < 60 ? "new" : duration_text(age)), Role::accent);
  }
  if (y == 0) canvas.print(0, 1, "none", theme_.style(Role::muted));
}

void App::draw_message(Canvas canvas)
{
  canvas.fill(theme_.style(Role::text));
  if (filtering_) {
    canvas.print(0, 1, "/", theme_.style(Role::hint_key));
    filter_.draw(canvas, 0, 2, canvas.columns() - 30, theme_.style(Role::input));
    canvas.print_right(0, canvas.columns() - 1, "Enter keeps it  Esc shows all", theme_.style(Role::muted));
    return;
  }
  // What runs now comes first; then the last message.
  std::string text;
  Role role = Role::message_info;
  const auto running = std::find_if(jobs_.rbegin(), jobs_.rend(), [](const auto& job) { return job->running(); });
  if (running != jobs_.rend()) {
    const auto& events = (*running)->events();
    const auto step = std::find_if(events.rbegin(), events.rend(),
                                   [](const Event& event) { return event.kind == EventKind::step_began; });
    text = ((*running)->cancelling() ? " ..  stopping " : " ..  ") + (*running)->title() +
           (step != events.rend() ? "  " + step->topic : "");
  } else if (!messages_.empty()) {
    text = " " + messages_.back().text;
    role = messages_.back().role;
  }
  std::string right = undo_ && !options_.read_only ? "u undo   " : "";
  if (!messages_.empty()) right += "M messages ";
  if (canvas.columns() < 70) right.clear();
  canvas.print(0, 0, cut_text(text, canvas.columns() - text_width(right) - 1), theme_.style(role));
  canvas.print_right(0, canvas.columns(), right, theme_.style(Role::muted));
}

std::vector<std::pair<std::string, std::string>> App::hint_keys() const
{
  using command::Mode;
  // Which rows of the table are worth a place, in their order; the words are the table's.
  constexpr std::array<std::string_view, 15> list{"shell", "unpause",    "logs", "build",   "run",
                                                  "start", "addnetwork", "peer", "stop",    "delete",
                                                  "steps", "filter",     "sort", "palette", "help"};
  constexpr std::array<std::string_view, 3> images{"run", "build", "delete_image"};
  constexpr std::array<std::string_view, 10> prefix{"list",      "split_side", "split_below", "zoom",      "even",
                                                    "copy_mode", "close",      "leave",       "pane_left", "help"};
  std::vector<std::pair<std::string, std::string>> hints;
  const auto add = [&](std::string_view name, Mode mode) {
    for (const command::Action& action : command::actions()) {
      if (action.name != name || (action.mode != mode && action.mode != Mode::always) || !allowed(action)) continue;
      const ContainerRow* row = selected_row();
      if (about_container(action.needs) && (row == nullptr || !suits(action.needs, *row))) continue;
      hints.emplace_back(action.key.substr(0, action.key.find(' ')), action.label);
      return;
    }
  };
  constexpr std::array<std::string_view, 9> copy{"copy",   "select", "select_words", "select_lines", "select_block",
                                                 "search", "next",   "page_up",      "end"};
  if (prefix_) {
    for (const auto name : prefix) add(name, Mode::prefix);
    return hints;
  }
  if (const Pane* here = focus_ == Area::pane ? focused_pane() : nullptr; here != nullptr) {
    if (here->copying())
      for (const auto name : copy) add(name, Mode::copy);
    else
      for (const auto name : here->hint_names()) add(name, Mode::text);
    if (!hints.empty()) {
      hints.emplace_back(command::prefix_text(), "panes");
      return hints;
    }
  }
  if (focus_ == Area::images)
    for (const auto name : images) add(name, Mode::list);
  else
    for (const auto name : list) add(name, Mode::list);
  return hints;
}

void App::draw_hint(Canvas canvas)
{
  canvas.fill(theme_.style(Role::text));
  if (!overlays_.empty()) {
    canvas.print(0, 1, overlays_.back()->hints(), theme_.style(Role::hint_label));
    return;
  }
  const Pane* here = focus_ == Area::pane ? focused_pane() : nullptr;
  if (here != nullptr && here->takes_all_keys() && !prefix_) {
    int x = canvas.print(0, 1, fmt::format(" TYPING IN [{}] {} ", here->number(), cut_text(here->title(), 30)),
                         theme_.style(Role::typing));
    canvas.print(0, x + 2, "every key goes to the shell except " + command::prefix_text(),
                 theme_.style(Role::hint_label));
    if (canvas.columns() >= 100)
      canvas.print_right(0, canvas.columns() - 1, command::prefix_text() + " ? all pane keys",
                         theme_.style(Role::muted));
    return;
  }
  if (here != nullptr && !prefix_ && !here->copying() && here->hint_names().empty()) {
    const int x = canvas.print(0, 1, here->hints(), theme_.style(Role::hint_label));
    canvas.print(0, x + 2, "1 list  " + command::prefix_text() + " panes  ? keys", theme_.style(Role::muted));
    return;
  }
  int x = 1;
  if (prefix_) x = canvas.print(0, x, command::prefix_text() + " then: ", theme_.style(Role::hint_label));
  // The way to all keys is the last one, and always has room.
  const auto hints = hint_keys();
  for (const auto& [key, label] : hints) {
    const bool last = &key == &hints.back().first;
    if (!last && x + text_width(key) + text_width(label) + 3 + 7 > canvas.columns()) continue;
    x = canvas.print(0, x, key, theme_.style(Role::hint_key));
    x = canvas.print(0, x + 1, label, theme_.style(Role::hint_label)) + 2;
  }
}

// The keys of panes over the last rows, for those who stop after the prefix to think.
void App::draw_strip()
{
  if (!overlays_.empty()) return;
  std::vector<std::string> words;
  for (const command::Action& action : command::actions())
    if (action.mode == command::Mode::prefix)
      words.push_back(std::string{action.key} + " " + std::string{action.label});
  const int columns = grid_.columns(), each = 26, across = std::max(columns / each, 1);
  const int rows = std::min((static_cast<int>(words.size()) + across - 1) / across, grid_.rows() - 2);
  Canvas strip{grid_, {grid_.rows() - rows - 1, 0, rows, columns}};
  const Style style = theme_.style(Role::strip);
  strip.fill(style);
  for (std::size_t i = 0; i < words.size(); ++i)
    strip.print(static_cast<int>(i) % rows, 1 + static_cast<int>(i) / rows * each, cut_text(words[i], each - 2), style);
}

// Less than 40 columns or 10 rows: the list alone.
void App::draw_small(Canvas canvas)
{
  draw_title({grid_, layout_.title});
  if (canvas.rows() < 2) return;
  draw_containers({grid_, layout_.containers}, look_, rows_, containers_cursor_, true, "no containers");
  for (auto& overlay : overlays_) overlay->draw(canvas, theme_);
}

std::optional<CursorPlace> App::cursor() const
{
  if (!overlays_.empty()) return overlays_.back()->cursor();
  if (filtering_) return CursorPlace{layout_.message.row, filter_.cursor_column(2, layout_.message.columns - 30)};
  const Pane* here = focus_ == Area::pane ? focused_pane() : nullptr;
  if (here == nullptr || layout_.work.empty()) return std::nullopt;
  auto place = here->cursor();
  if (!place) return std::nullopt;
  for (const auto& [number, frame] : tree_.rects(layout_.work)) {
    if (number != focused_number_) continue;
    const Rect inside = (zoomed_ ? layout_.work : frame).inset(1);
    place->row += inside.row;
    place->column += inside.column;
    if (!inside.contains(place->row, place->column)) return std::nullopt;
  }
  return place;
}

std::string App::empty_list_text() const
{
  if (!world_.snapshot) return "looking around ...";
  if (!wish_.filter.empty()) return "nothing contains '" + wish_.filter + "'\nEsc shows all again";
  if (images_.empty())
    return "no containers yet\n\nb builds an image from a file\nr runs a container, for example from busybox\n? shows "
           "all keys";
  return "no containers yet\n\nr runs one from an image\nb builds another image\n? shows all keys";
}

const ContainerPicture* App::selected_picture() const
{
  const ContainerRow* row = selected_row();
  return row != nullptr ? row->picture : nullptr;
}

} // namespace conductor::console
