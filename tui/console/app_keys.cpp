// From a key to a row of the table of actions, and from there to what it does.
#include "tui/command/text.h"
#include "tui/console/app.h"
#include "tui/console/pane_job.h"
#include "tui/console/pane_terminal.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace conductor::console {

using command::Action;
using command::Danger;
using command::Mode;
using command::Needs;
using Named = terminal::Key;

// The name of a row of the table -> what does it. Rows of verbs that are not named here run their verb on what is
// selected.
const App::Handler* App::handler(std::string_view name, bool prefix)
{
  static constexpr std::array list{
      Handler{"down", &App::do_down},
      Handler{"up", &App::do_up},
      Handler{"top", &App::do_top},
      Handler{"bottom", &App::do_bottom},
      Handler{"page_down", &App::do_page_down},
      Handler{"page_up", &App::do_page_up},
      Handler{"next_panel", &App::do_next_panel},
      Handler{"previous_panel", &App::do_previous_panel},
      Handler{"panel", &App::do_panel},
      Handler{"detail", &App::do_detail},
      Handler{"next_tab", &App::do_next_tab},
      Handler{"previous_tab", &App::do_previous_tab},
      Handler{"mark", &App::do_mark},
      Handler{"invert_marks", &App::do_invert_marks},
      Handler{"menu", &App::do_menu},
      Handler{"undo", &App::do_undo},
      Handler{"filter", &App::do_filter},
      Handler{"sort", &App::do_sort},
      Handler{"reverse", &App::do_reverse},
      Handler{"pause_updates", &App::do_pause_updates},
      Handler{"copy_item", &App::do_copy_item},
      Handler{"steps", &App::do_steps},
      Handler{"palette", &App::do_palette},
      Handler{"messages", &App::do_messages},
      Handler{"theme", &App::do_theme},
      Handler{"quit", &App::do_quit},
      Handler{"help", &App::do_help},
      Handler{"redraw", &App::do_redraw},
      Handler{"prefix", &App::do_prefix},
      Handler{"build", &App::do_build},
      Handler{"run", &App::do_run},
      Handler{"addnetwork", &App::do_addnetwork},
      Handler{"delnetwork", &App::do_delnetwork},
      Handler{"peer", &App::do_peer},
      Handler{"unpeer", &App::do_unpeer},
      Handler{"shell", &App::do_shell},
      Handler{"logs", &App::do_logs},
      Handler{"inspect", &App::do_inspect},
      Handler{"rename", &App::do_rename},
  };
  static constexpr std::array panes{
      Handler{"send_prefix", &App::do_send_prefix},
      Handler{"list", &App::do_list},
      Handler{"panel", &App::do_panel},
      Handler{"pane_left", &App::do_pane_left},
      Handler{"pane_right", &App::do_pane_right},
      Handler{"pane_up", &App::do_pane_up},
      Handler{"pane_down", &App::do_pane_down},
      Handler{"split_side", &App::do_split_side},
      Handler{"split_below", &App::do_split_below},
      Handler{"zoom", &App::do_zoom},
      Handler{"even", &App::do_even},
      Handler{"copy_mode", &App::do_copy_mode},
      Handler{"close", &App::do_close},
      Handler{"leave", &App::do_leave},
      Handler{"mouse", &App::do_mouse},
      Handler{"pane_help", &App::do_help},
  };
  const std::span<const Handler> rows = prefix ? std::span<const Handler>{panes} : std::span<const Handler>{list};
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const Handler& row) { return row.name == name; });
  return found == rows.end() ? nullptr : &*found;
}

void App::on_key(const Key& key)
{
  if (key.kind == Key::Kind::reply) {
    screen_.on_reply(key.bytes);
    return;
  }
  if (key.kind == Key::Kind::focus_in || key.kind == Key::Kind::focus_out) {
    if (Pane* here = focus_ == Area::pane ? focused_pane() : nullptr) here->key(key);
    return;
  }
  if (key.is_control(U'l') &&
      !(focus_ == Area::pane && overlays_.empty() && focused_pane() != nullptr && focused_pane()->takes_all_keys())) {
    screen_.forget();
    redraw();
    return;
  }
  if (!overlays_.empty()) {
    redraw();
    // What an answer does may put another overlay on top: only the answered one goes.
    Overlay* asked = overlays_.back().get();
    if (asked->key(key)) std::erase_if(overlays_, [&](const auto& each) { return each.get() == asked; });
    return;
  }
  if (key.kind == Key::Kind::mouse) {
    on_mouse(key);
    return;
  }
  if (prefix_ && prefix_key(key)) return;
  if (filtering_ && filter_key(key)) return;
  if (focus_ == Area::pane && focused_pane() != nullptr)
    pane_key(key);
  else
    list_key(key);
}

bool App::prefix_key(const Key& key)
{
  prefix_ = strip_ = false;
  redraw();
  if (key.kind == Key::Kind::paste) return false;
  if (is_prefix(key)) {
    do_send_prefix({}, key);
    return true;
  }
  const Action* action = command::find_action(Mode::prefix, key_name(key));
  const Handler* row = action != nullptr ? handler(action->name, true) : nullptr;
  if (row != nullptr)
    (this->*row->run)(*action, key);
  else if (!key.is(Named::escape))
    say(Role::muted, fmt::format("{0} {1} means nothing; {0} ? shows the keys", command::prefix_text(), key_name(key)));
  return true;
}

bool App::filter_key(const Key& key)
{
  redraw();
  if (key.is(Named::escape)) {
    filtering_ = false;
    wish_.filter.clear();
  } else if (key.is(Named::enter))
    filtering_ = false;
  else if (key.is(Named::down) || key.is(Named::up)) {
    move_cursor(key.is(Named::down) ? 1 : -1);
    return true;
  } else {
    filter_.key(key);
    wish_.filter = filter_.text();
  }
  rebuild_rows();
  return true;
}

void App::pane_key(const Key& key)
{
  Pane* here = focused_pane();
  if (is_prefix(key)) {
    do_prefix({}, key);
    return;
  }
  const Action* own = here->takes_all_keys() ? nullptr : command::find_action(Mode::text, key_name(key));
  if (auto* job = dynamic_cast<JobPane*>(here);
      job != nullptr && job->busy() && own != nullptr && own->name == "cancel") {
    for (auto& each : jobs_)
      if (each->number() == job->job()) each->cancel();
    say(Role::warning, "asked it to stop");
    return;
  }
  if (here->key(key)) {
    if (here->dirty) redraw();
    take_copied(*here);
    save_lines(*here);
    return;
  }
  if (here->takes_all_keys()) return;
  if ((own != nullptr && own->name == "close") || (key.is(Named::enter) && !here->busy())) {
    close_pane(here->number());
    return;
  }
  // What only looks or moves works from here too.
  const Action* action = action_for(key);
  if (action == nullptr || action->verb != nullptr || action->name == "quit") return;
  perform(*action, key);
}

bool App::is_prefix(const Key& key)
{
  const Action* action = command::find_action(Mode::always, key_name(key));
  return action != nullptr && action->name == "prefix";
}

// One key may mean the image or the container, whichever list has the focus; and one thing for a container that runs,
// another for one that does not.
const Action* App::action_for(const Key& key) const
{
  const std::string name = key_name(key);
  if (name.empty()) return nullptr;
  const bool images = focus_ == Area::images;
  const ContainerRow* row = selected_row();
  const Action* other = nullptr;
  for (const Action& action : command::actions()) {
    if (action.mode != Mode::list && action.mode != Mode::always) continue;
    const bool about_image = action.needs == Needs::image;
    if (about_image != images && (about_image || about_container(action.needs))) continue;
    if (!command::has_word(action.key, name)) continue;
    if (!about_container(action.needs) || row == nullptr || suits(action.needs, *row)) return &action;
    if (other == nullptr) other = &action;
  }
  return other;
}

bool App::allowed(const Action& action) const
{
  if (!options_.read_only) return true;
  // A shell changes whatever is typed into it.
  return action.danger == Danger::looks && action.name != "shell" && action.name != "attach" && action.name != "undo" &&
         action.name != "split_side" && action.name != "split_below";
}

void App::list_key(const Key& key)
{
  if (key.is_control(U'z')) {
    suspend();
    return;
  }
  if (key.is(Named::escape)) {
    wish_.filter.clear();
    wish_.marked.clear();
    rebuild_rows();
    redraw();
    return;
  }
  if (focus_ == Area::panes &&
      (key.is(Named::enter) || key.is(Named::down) || key.is(Named::up) || key.is(U'j') || key.is(U'k'))) {
    const auto left = left_sessions();
    const int count = static_cast<int>(panes_.size() + left.size());
    if (!key.is(Named::enter)) panes_selected_ += key.is(Named::down) || key.is(U'j') ? 1 : -1;
    panes_selected_ = std::clamp(panes_selected_, 0, std::max(count - 1, 0));
    redraw();
    if (!key.is(Named::enter) || count == 0) return;
    const auto at = static_cast<std::size_t>(panes_selected_);
    if (at < panes_.size())
      bring(std::next(panes_.begin(), panes_selected_)->first);
    else
      reattach(left[at - panes_.size()]);
    return;
  }
  if (const Action* action = action_for(key)) perform(*action, key);
}

void App::perform(const Action& action, const Key& key)
{
  if (!allowed(action)) {
    say(Role::warning, "this console only looks (--read-only)");
    return;
  }
  const ContainerRow* row = selected_row();
  if (about_container(action.needs) && row == nullptr) {
    say(Role::warning, "no container is selected");
    return;
  }
  if (about_container(action.needs) && wish_.marked.empty() && !suits(action.needs, *row)) {
    const char* state = row->running  ? " runs already"
                        : row->paused ? " is frozen; F lets it go on"
                                      : " does not run; s starts it";
    say(Role::warning, row->name + state);
    return;
  }
  if (const Handler* known = handler(action.name, false))
    (this->*known->run)(action, key);
  else if (action.verb != nullptr)
    do_verb(action, key);
  redraw();
}

void App::on_mouse(const Key& key)
{
  using terminal::MouseAction;
  using terminal::MouseButton;
  const auto& mouse = key.mouse;
  const bool press = mouse.action == MouseAction::press;
  redraw();
  if (mouse.action == MouseAction::release) dragging_ = false;
  if (dragging_ && mouse.action == MouseAction::motion) {
    divider_ += mouse.column - (layout_.containers.right() - 1);
    place_panes();
    return;
  }
  for (const auto& [number, frame] : tree_.rects(layout_.work)) {
    const Rect place = zoomed_ ? layout_.work : frame;
    if (layout_.work.empty() || (zoomed_ && number != focused_number_)) continue;
    if (!place.inset(1).contains(mouse.row, mouse.column)) continue;
    if (press && mouse.button == MouseButton::left && number != focused_number_) focus_pane(number);
    Key inside = key;
    inside.mouse.row -= place.row + 1;
    inside.mouse.column -= place.column + 1;
    if (Pane* each = pane(number)) {
      each->key(inside);
      take_copied(*each);
    }
    return;
  }
  if (!press) return;
  const bool wheel = mouse.button == MouseButton::wheel_up || mouse.button == MouseButton::wheel_down;
  const int rows = mouse.button == MouseButton::wheel_up ? -1 : 1;
  if (layout_.side_by_side && mouse.button == MouseButton::left && mouse.column == layout_.containers.right() - 1 &&
      mouse.column < grid_.columns() - 1) {
    dragging_ = true;
    return;
  }
  for (const Area area : {Area::containers, Area::images, Area::events, Area::details, Area::panes}) {
    if (!layout_.of(area).contains(mouse.row, mouse.column)) continue;
    focus_area(area);
    const int line = mouse.row - layout_.of(area).row - 2;
    if (area == Area::containers && wheel)
      move_cursor(rows);
    else if (area == Area::containers && line >= 0 && containers_cursor_.top + line < static_cast<int>(rows_.size()))
      select(containers_cursor_.top + line);
    else if (area == Area::images && !wheel && line >= 0 &&
             images_cursor_.top + line < static_cast<int>(images_.size()))
      images_cursor_.selected = images_[static_cast<std::size_t>(images_cursor_.top + line)].tag;
    else if (wheel)
      move_cursor(rows);
    return;
  }
}

std::vector<ReadOverlay::Line> App::help_lines(Mode first) const
{
  std::vector<ReadOverlay::Line> lines;
  std::vector<Mode> modes{Mode::list, Mode::always, Mode::prefix, Mode::text, Mode::copy, Mode::dialog};
  std::stable_partition(modes.begin(), modes.end(), [&](Mode mode) { return mode == first; });
  for (const Mode mode : modes) {
    if (!lines.empty()) lines.push_back({});
    lines.push_back({std::string{command::mode_name(mode)}, "", Role::accent});
    const std::size_t begin = lines.size();
    const auto add = [&](const Action& action) {
      const std::string help = (action.needs == Needs::image ? "in IMAGES: " : "") + std::string{action.help};
      // A key that means something else elsewhere stands once, with both.
      const auto other = std::find_if(lines.begin() + static_cast<std::ptrdiff_t>(begin), lines.end(),
                                      [&](const auto& line) { return line.left == action.key; });
      if (other == lines.end())
        lines.push_back({std::string{action.key}, help});
      else
        other->right += "; " + help;
    };
    for (const bool images : {false, true})
      for (const Action& action : command::actions())
        if (action.mode == mode && !action.key.empty() && allowed(action) && (action.needs == Needs::image) == images)
          add(action);
  }
  lines.push_back({});
  std::string menu;
  for (const Action& action : command::actions())
    if (action.key.empty() && allowed(action)) menu += (menu.empty() ? "" : ", ") + std::string{action.label};
  if (!menu.empty()) lines.push_back({"m or :", "has also " + menu});
  lines.push_back(
      {"rows", "* runs   ! is unhealthy   = frozen   o has ended   . was never started   x marked   > the cursor"});
  return lines;
}

std::vector<ChooseOverlay::Choice> App::choices(bool only_selected)
{
  std::vector<ChooseOverlay::Choice> all;
  const ContainerRow* row = selected_row();
  for (const Action& action : command::actions()) {
    if ((action.mode != Mode::list && action.mode != Mode::always) || !allowed(action)) continue;
    const bool about = about_container(action.needs);
    if (only_selected && !about) continue;
    if (!only_selected && about && focus_ == Area::images) continue; // as their keys
    if (about && (row == nullptr || !suits(action.needs, *row))) continue;
    if (action.needs == Needs::image && focus_ != Area::images) continue;
    const std::string key{action.key.substr(0, action.key.find(' '))};
    all.push_back({key, std::string{action.label}, std::string{action.help},
                   [this, &action, key] { perform(action, key_from_name(key).value_or(Key{})); }});
  }
  return all;
}

} // namespace conductor::console
