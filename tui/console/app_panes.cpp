// The panes: opening, showing, moving between them, leaving and closing them.
#include "tui/console/app.h"
#include "tui/console/pane_job.h"
#include "tui/console/pane_log.h"
#include "tui/console/pane_terminal.h"

#include "core/base/error.h"
#include "core/store/containers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace conductor::console {

using command::Action;

namespace {

constexpr int first_pane_number = 4;

} // namespace

int App::free_number() const
{
  int number = first_pane_number;
  while (panes_.contains(number)) ++number;
  return number;
}

Pane* App::pane(int number) const
{
  const auto found = panes_.find(number);
  return found == panes_.end() ? nullptr : found->second.get();
}

Pane* App::focused_pane() const { return pane(focused_number_); }

Layout App::plan_layout() const
{
  return lay_out({.rows = grid_.rows(),
                  .columns = grid_.columns(),
                  .work = !tree_.empty(),
                  .pane_first = focus_ == Area::pane,
                  .zoomed = zoomed_ && focus_ == Area::pane,
                  .front = focus_ == Area::pane ? last_list_focus_ : focus_,
                  .divider = divider_,
                  .across = tree_.across(),
                  .listed_panes = static_cast<int>(panes_.size() + left_sessions().size())});
}

void App::place_panes()
{
  layout_ = plan_layout();
  if (layout_.work.empty()) {
    redraw();
    return;
  }
  for (const auto& [number, frame] : tree_.rects(layout_.work)) {
    const Rect inside = (zoomed_ && number == focused_number_ ? layout_.work : frame).inset(1);
    if (Pane* each = pane(number)) each->resize(inside.rows, inside.columns);
  }
  redraw();
}

void App::even_panes() { tree_.even(plan_layout().work.columns); }

void App::show_pane(std::unique_ptr<Pane> fresh, int beside_of, bool beside)
{
  const int number = fresh->number();
  panes_[number] = std::move(fresh);
  tree_.add(number, beside_of, beside);
  if (beside_of == 0) even_panes();
  focus_pane(number);
}

void App::bring(int number)
{
  if (pane(number) == nullptr) return;
  if (!tree_.contains(number)) {
    tree_.add(number, 0, false);
    even_panes();
  }
  focus_pane(number);
}

void App::focus_pane(int number)
{
  Pane* before = focus_ == Area::pane ? focused_pane() : nullptr;
  if (before != nullptr && before->number() != number) before->focus(false);
  if (focus_ != Area::pane) last_list_focus_ = focus_;
  focus_ = Area::pane;
  focused_number_ = number;
  // Whoever types into a container wants to see how it fares.
  if (const auto* shell = dynamic_cast<const TerminalPane*>(focused_pane())) {
    const std::string& id = shell->place().container;
    const bool listed = std::any_of(rows_.begin(), rows_.end(), [&](const auto& row) { return row.id == id; });
    if (listed && id != std::exchange(containers_cursor_.selected, id)) wish_details();
  }
  place_panes();
  if (Pane* here = focused_pane()) here->focus(true);
}

void App::focus_area(Area area)
{
  if (area == Area::pane) {
    if (focused_pane() != nullptr) bring(focused_number_);
    return;
  }
  if (focus_ == Area::pane && focused_pane() != nullptr) focused_pane()->focus(false);
  focus_ = last_list_focus_ = area;
  place_panes();
}

void App::hide_pane(int number)
{
  tree_.remove(number);
  even_panes();
  zoomed_ = false;
  if (number == focused_number_) {
    const auto rest = tree_.panes();
    if (rest.empty()) {
      focused_number_ = 0;
      if (focus_ == Area::pane) focus_ = last_list_focus_;
    } else if (focus_ == Area::pane) {
      focus_pane(rest.back());
      return;
    } else
      focused_number_ = rest.back();
  }
  place_panes();
}

void App::close_pane(int number)
{
  hide_pane(number);
  panes_.erase(number);
  place_panes();
}

// Panes whose shell has ended close by themselves when it ended well; a failure stays to be read.
void App::tend_panes()
{
  for (auto each = panes_.begin(); each != panes_.end();) {
    const int number = each->first;
    auto* shell = dynamic_cast<TerminalPane*>((each++)->second.get());
    if (shell == nullptr) continue;
    if (std::string text = shell->take_clipboard(); !text.empty())
      say(Role::warning, shell->place().name + " wanted to put text into the clipboard; that is not allowed");
    if (!shell->over()) continue;
    const auto& status = shell->exit_status();
    ended_sessions_.insert(shell->place().session);
    const std::string name = shell->place().name;
    say(Role::message_info, status && status->shell() != 0
                                ? fmt::format("the shell in {} ended with status {}", name, status->shell())
                                : "the shell in " + name + " has ended");
    close_pane(number);
  }
}

void App::open_shell(const ContainerRow& row, int beside_of, bool beside)
{
  const int number = free_number();
  const std::string id = row.id;
  auto fresh = std::make_unique<TerminalPane>(number, loop_, SessionPlace{id, row.name, {}}, 24, 80);
  fresh->use(theme_);
  show_pane(std::move(fresh), beside_of, beside);
  const auto attach = [this, number, id](Job& job) {
    auto* shell = dynamic_cast<TerminalPane*>(pane(number));
    if (shell == nullptr) return;
    if (job.state() != JobState::done) {
      shell->fail(job.error() + (job.hint().empty() ? "" : " (" + job.hint() + ")"));
      return;
    }
    try {
      shell->attach(Containers{root_}.run_directory(id).get(), result_text(job, "session"));
    } catch (const Error& error) {
      shell->fail(std::string{error.sentence()});
    }
    if (focus_ == Area::pane && focused_number_ == number) shell->focus(true);
    redraw();
  };
  try {
    start_job("shell in " + row.name, {"exec", "id:" + id, "-t", "--session", "-d"}, attach);
  } catch (const Error& error) {
    if (auto* shell = dynamic_cast<TerminalPane*>(pane(number))) shell->fail(std::string{error.sentence()});
  }
}

void App::reattach(const KeptSession& session)
{
  if (options_.read_only) {
    say(Role::warning, "this console only looks (--read-only)");
    return;
  }
  auto fresh = shell_pane(free_number(), session.container, session.session);
  auto& shell = *fresh;
  show_pane(std::move(fresh));
  take_up(shell);
  shell.focus(true);
}

std::unique_ptr<TerminalPane> App::shell_pane(int number, const std::string& container, const std::string& session)
{
  return std::make_unique<TerminalPane>(number, loop_, SessionPlace{container, container_name(container), session}, 24,
                                        80);
}

// Attaches a pane that has its place, and so its size, to the session that it is for.
void App::take_up(TerminalPane& shell, bool take)
{
  try {
    const std::string session = shell.place().session;
    shell.attach(Containers{root_}.run_directory(shell.place().container).get(), session, take);
    shell.use(theme_);
  } catch (const Error& error) {
    shell.fail(std::string{error.sentence()});
  }
}

// ---- as it was left

void App::remember()
{
  if (options_.read_only || !settings_.restore) return;
  Remembered now{.theme = chosen_theme_,
                 .set_theme = settings_.theme,
                 .sort = wish_.sort,
                 .reverse = wish_.reverse,
                 .divider = divider_,
                 .tab = tab_,
                 .selected = containers_cursor_.selected,
                 .shape = tree_.shape(),
                 .focused = focus_ == Area::pane ? focused_number_ : 0};
  for (const auto& [number, each] : panes_) {
    if (const auto* shell = dynamic_cast<const TerminalPane*>(each.get()); shell != nullptr && shell->busy())
      now.shells.push_back({number, shell->place().container, shell->place().session});
    else if (const auto* log = dynamic_cast<const LogPane*>(each.get()))
      now.logs.push_back({number, log->containers()});
  }
  std::string text = to_json(now);
  if (text == remembered_) return;
  save_remembered(remembered_path(root_.id()), text);
  remembered_ = std::move(text);
}

// What needs no containers; their panes follow with the first look at the world.
void App::begin_as_left()
{
  if (!settings_.restore) return;
  left_ = remembered_from_json(load_remembered(remembered_path(root_.id())));
  wish_.sort = left_.sort;
  wish_.reverse = left_.reverse;
  divider_ = left_.divider;
  tab_ = left_.tab;
  containers_cursor_.selected = left_.selected;
  if (left_.theme.empty() || left_.set_theme != settings_.theme || !options_.theme.empty()) return;
  if (screen_.depth() == Depth::mono) return;
  try {
    use_theme(themes_.load(left_.theme));
    chosen_theme_ = left_.theme;
  } catch (const Error&) { // its file is gone
  }
}

void App::restore_panes()
{
  const Remembered left = std::exchange(left_, {});
  if (options_.read_only || !panes_.empty()) return;
  PaneTree tree = PaneTree::from_shape(left.shape);
  const auto listed = tree.panes();
  const auto is_free = [&](int number) {
    return number >= first_pane_number && pane(number) == nullptr &&
           (tree.contains(number) || std::find(listed.begin(), listed.end(), number) == listed.end());
  };
  std::vector<TerminalPane*> shells;
  for (const auto& each : left.shells) {
    const bool there = std::any_of(world_.sessions.begin(), world_.sessions.end(), [&](const KeptSession& session) {
      return session.session == each.session && session.container == each.container;
    });
    if (!there || !is_free(each.number)) continue;
    auto shell = shell_pane(each.number, each.container, each.session);
    shells.push_back(shell.get());
    panes_[each.number] = std::move(shell);
  }
  for (const auto& each : left.logs) {
    if (each.containers.size() > most_merged_logs || !is_free(each.number)) continue;
    std::vector<LogPane::Log> logs;
    try {
      for (const auto& id : each.containers) {
        const auto& all = world_.snapshot->containers;
        if (std::none_of(all.begin(), all.end(), [&](const auto& container) { return container.spec().id == id; }))
          continue;
        if (auto log = open_log(id)) logs.push_back(std::move(*log));
      }
      if (!logs.empty()) panes_[each.number] = std::make_unique<LogPane>(each.number, loop_, std::move(logs));
    } catch (const Error& error) {
      say(Role::message_bad, std::string{error.sentence()});
    }
  }
  for (const int number : listed)
    if (pane(number) == nullptr) tree.remove(number);
  tree_ = std::move(tree);
  place_panes();
  for (TerminalPane* shell : shells) {
    take_up(*shell, false);
    if (shell->failed()) close_pane(shell->number()); // another console has it
  }
  if (tree_.contains(left.focused)) focus_pane(left.focused);
}

std::vector<KeptSession> App::left_sessions() const
{
  std::vector<KeptSession> left;
  for (const auto& session : world_.sessions) {
    const bool ours = std::any_of(panes_.begin(), panes_.end(), [&](const auto& each) {
      const auto* shell = dynamic_cast<const TerminalPane*>(each.second.get());
      return shell != nullptr && shell->place().session == session.session &&
             shell->place().container == session.container;
    });
    if (!ours && !ended_sessions_.contains(session.session)) left.push_back(session);
  }
  return left;
}

std::string App::container_name(const std::string& id) const
{
  if (world_.snapshot)
    for (const auto& each : world_.snapshot->containers)
      if (each.spec().id == id) return each.spec().name;
  return id.substr(0, 12);
}

// ---- keys of panels and panes

// Round through what there is. Where list and panes share the screen in turn, there are these two.
void App::step_panel(int by)
{
  if (!tree_.empty() && !fits_both(grid_.rows(), grid_.columns())) {
    focus_area(focus_ == Area::pane ? last_list_focus_ : Area::pane);
    return;
  }
  std::vector<Area> stops{Area::containers, Area::images, Area::events, Area::details};
  if (!panes_.empty() || !left_sessions().empty()) stops.push_back(Area::panes);
  if (!tree_.empty()) stops.push_back(Area::pane);
  const auto count = static_cast<int>(stops.size());
  const auto here = static_cast<int>(std::find(stops.begin(), stops.end(), focus_) - stops.begin());
  focus_area(stops[static_cast<std::size_t>((here + by + count) % count)]);
}

void App::do_next_panel(const Action&, const Key&) { step_panel(1); }
void App::do_previous_panel(const Action&, const Key&) { step_panel(-1); }

void App::do_panel(const Action&, const Key& key)
{
  const int number = static_cast<int>(key.character - U'0');
  constexpr std::array<Area, 3> areas{Area::containers, Area::images, Area::events};
  if (number >= 1 && number <= 3)
    focus_area(areas[static_cast<std::size_t>(number - 1)]);
  else if (pane(number) != nullptr)
    bring(number);
  else if (const auto left = left_sessions(); number >= first_pane_number && !left.empty())
    focus_area(Area::panes);
}

void App::do_detail(const Action&, const Key&)
{
  focus_area(focus_ == Area::details ? Area::containers : Area::details);
}

void App::do_prefix(const Action&, const Key&)
{
  prefix_ = true;
  strip_ = false;
  prefix_since_us_ = monotonic_us();
  redraw();
}

void App::do_mouse(const Action&, const Key&)
{
  screen_.use_mouse(!screen_.has_mouse());
  say(Role::message_info, screen_.has_mouse()
                              ? "the console takes the mouse"
                              : "the mouse is your terminal's; " + command::prefix_text() + " m takes it back");
}

void App::do_send_prefix(const Action&, const Key& key)
{
  if (Pane* here = focus_ == Area::pane ? focused_pane() : nullptr) here->key(key);
}

void App::do_list(const Action&, const Key&) { focus_area(Area::containers); }

void App::go(PaneTree::Direction direction)
{
  if (focus_ != Area::pane) {
    if (direction == PaneTree::Direction::right && !tree_.empty()) focus_pane(tree_.panes().front());
    return;
  }
  if (const int next = tree_.neighbour(focused_number_, direction, layout_.work); next != 0)
    focus_pane(next);
  else if (direction == PaneTree::Direction::left)
    focus_area(Area::containers);
}

void App::do_pane_left(const Action&, const Key&) { go(PaneTree::Direction::left); }
void App::do_pane_right(const Action&, const Key&) { go(PaneTree::Direction::right); }
void App::do_pane_up(const Action&, const Key&) { go(PaneTree::Direction::up); }
void App::do_pane_down(const Action&, const Key&) { go(PaneTree::Direction::down); }

void App::split(bool beside)
{
  if (options_.read_only) {
    say(Role::warning, "this console only looks (--read-only)");
    return;
  }
  const auto* shell = dynamic_cast<const TerminalPane*>(focused_pane());
  const std::string id = shell != nullptr ? shell->place().container : containers_cursor_.selected;
  const auto row = std::find_if(rows_.begin(), rows_.end(), [&](const auto& each) { return each.id == id; });
  if (row == rows_.end() || !row->running)
    say(Role::warning, "a second shell needs a running container");
  else
    open_shell(*row, focused_number_, beside);
}

void App::do_split_side(const Action&, const Key&) { split(true); }
void App::do_split_below(const Action&, const Key&) { split(false); }

void App::do_zoom(const Action&, const Key&)
{
  zoomed_ = !zoomed_;
  if (focus_ != Area::pane && !tree_.empty())
    focus_pane(focused_number_ != 0 ? focused_number_ : tree_.panes().front());
  place_panes();
}

void App::do_even(const Action&, const Key&)
{
  divider_ = 0;
  even_panes();
  place_panes();
}

void App::do_copy_mode(const Action&, const Key&)
{
  if (Pane* here = focused_pane()) here->copy_mode(!here->copying());
  redraw();
}

void App::do_close(const Action&, const Key&)
{
  Pane* here = focused_pane();
  if (here == nullptr) return;
  const int number = here->number();
  auto* shell = dynamic_cast<TerminalPane*>(here);
  if (shell == nullptr || !shell->busy()) {
    close_pane(number);
    return;
  }
  overlays_.push_back(std::make_unique<ConfirmOverlay>(
      "end this shell?",
      std::vector<std::string>{
          here->title(), "", "What runs in it is hung up. " + command::prefix_text() + " d leaves it running instead."},
      "end it", [this, number] {
        if (auto* ending = dynamic_cast<TerminalPane*>(pane(number))) {
          ending->hang_up();
          // The pane goes now; a program that ignores the hang-up is found again among the shells that were left.
          try {
            ending->leave();
          } catch (const Error&) {
          }
        }
        close_pane(number);
      }));
}

void App::do_leave(const Action&, const Key&)
{
  Pane* here = focused_pane();
  if (here == nullptr) return;
  const int number = here->number();
  if (auto* shell = dynamic_cast<TerminalPane*>(here)) {
    const std::string name = shell->place().name;
    try {
      shell->leave();
      say(Role::message_info, "the shell in " + name + " runs on; the list of panes has it");
    } catch (const Error& error) {
      say(Role::message_bad, std::string{error.sentence()});
    }
  } else if (dynamic_cast<JobPane*>(here) != nullptr && here->busy()) {
    hide_pane(number);
    return;
  }
  close_pane(number);
}

} // namespace conductor::console
