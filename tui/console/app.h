// The console itself: its state, and the loop that turns keys and news into frames.
//
// app.cpp holds the loop and the frames, app_draw.cpp what stands in them, app_keys.cpp the way from a key to a row of
// the table of actions, app_actions.cpp what the rows do, app_network.cpp those about the network, app_panes.cpp the
// panes.
#pragma once

#include "core/store/root.h"
#include "tui/command/settings.h"
#include "tui/console/form.h"
#include "tui/console/job.h"
#include "tui/console/keys.h"
#include "tui/console/layout.h"
#include "tui/console/loop.h"
#include "tui/console/overlay.h"
#include "tui/console/pane.h"
#include "tui/console/pane_log.h"
#include "tui/console/panels.h"
#include "tui/console/remembered.h"
#include "tui/console/screen.h"
#include "tui/console/theme.h"
#include "tui/console/view.h"
#include "tui/console/world.h"

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace conductor::console {

class TerminalPane;

struct Options {
  Place place;
  bool read_only = false;
  std::string theme; ///< empty: default, or mono where there is no colour
};

class App : public Source, public JobListener {
public:
  /// Takes over the terminal. Throws Error.
  explicit App(Options options);
  ~App();
  /// Until the user quits or a signal ends it; the exit status.
  int run();

private:
  struct Message {
    std::int64_t time_ns;
    Role role;
    std::string text;
  };
  struct Undo {
    std::string label;                               ///< "start web-1"
    std::vector<std::vector<std::string>> arguments; ///< verbs to run
  };
  using Finish = std::function<void(Job&)>;
  using Do = void (App::*)(const command::Action&, const Key&);
  struct Handler {
    std::string_view name;
    Do run;
  };

  // ---- loop (app.cpp)
  void ready(int fd, std::uint32_t events) override;
  void read_terminal();
  void read_signals();
  void take_world();
  int timeout_ms() const;
  void on_time();
  void maybe_paint();
  void resized();
  void suspend();
  void job_said(Job& job, const Event& event) override;
  void job_ended(Job& job) override;
  void say(Role role, std::string text);
  void redraw() { everything_dirty_ = true; }
  void watch_settings();
  void read_settings();
  void use_theme(Theme theme);

  // ---- drawing (app_draw.cpp)
  void compose();
  void draw_everything();
  void draw_title(Canvas canvas);
  void draw_message(Canvas canvas);
  void draw_hint(Canvas canvas);
  void draw_frames();
  void draw_pane_list(Canvas canvas);
  void draw_small(Canvas canvas);
  void draw_strip();
  void print_title(Rect frame, int number, const std::string& title, const std::string& right, bool focused);
  std::optional<CursorPlace> cursor() const;
  std::vector<std::pair<std::string, std::string>> hint_keys() const;
  std::string empty_list_text() const;
  const ContainerPicture* selected_picture() const;

  // ---- keys (app_keys.cpp)
  void on_key(const Key& key);
  void on_mouse(const Key& key);
  bool prefix_key(const Key& key);
  bool filter_key(const Key& key);
  void list_key(const Key& key);
  void pane_key(const Key& key);
  const command::Action* action_for(const Key& key) const;
  static bool is_prefix(const Key& key);
  bool allowed(const command::Action& action) const;
  void perform(const command::Action& action, const Key& key);
  static const Handler* handler(std::string_view name, bool prefix);
  std::vector<ReadOverlay::Line> help_lines(command::Mode first) const; // its keys come first
  std::vector<ChooseOverlay::Choice> choices(bool only_selected);

  // ---- what actions do (app_actions.cpp)
  void rebuild_rows();
  void wish_details();
  void select(int index);
  void move_cursor(int rows);
  std::vector<const ContainerRow*> targets() const;
  const ContainerRow* selected_row() const;
  int selected_index() const;
  Job& start_job(std::string title, std::vector<std::string> arguments, Finish finish = {});
  void run_on_targets(const command::Action& action, const std::vector<std::string>& ids);
  void confirm_delete(const command::Action& action);
  void ask(std::string title, std::vector<std::string> lines, std::string_view label, std::function<void()> act,
           std::string word = {});
  void confirm_image_delete(const command::Action& action);
  FormWorld form_world();
  void copy_out(const std::string& text, const std::string& what);
  void take_copied(Pane& pane);
  static std::string whole_path(std::string path);
  void save_lines(Pane& pane);
  std::optional<LogPane::Log> open_log(const std::string& id) const;

  void do_down(const command::Action&, const Key&);
  void do_up(const command::Action&, const Key&);
  void do_top(const command::Action&, const Key&);
  void do_bottom(const command::Action&, const Key&);
  void do_page_down(const command::Action&, const Key&);
  void do_page_up(const command::Action&, const Key&);
  void do_next_panel(const command::Action&, const Key&);
  void do_previous_panel(const command::Action&, const Key&);
  void do_panel(const command::Action&, const Key&);
  void do_detail(const command::Action&, const Key&);
  void do_mark(const command::Action&, const Key&);
  void do_invert_marks(const command::Action&, const Key&);
  void do_menu(const command::Action&, const Key&);
  void do_undo(const command::Action&, const Key&);
  void do_filter(const command::Action&, const Key&);
  void do_sort(const command::Action&, const Key&);
  void do_reverse(const command::Action&, const Key&);
  void do_pause_updates(const command::Action&, const Key&);
  void do_copy_item(const command::Action&, const Key&);
  void do_steps(const command::Action&, const Key&);
  void do_palette(const command::Action&, const Key&);
  void do_messages(const command::Action&, const Key&);
  void do_theme(const command::Action&, const Key&);
  void do_quit(const command::Action&, const Key&);
  void do_help(const command::Action&, const Key&);
  void do_redraw(const command::Action&, const Key&);
  void do_prefix(const command::Action&, const Key&);
  void do_build(const command::Action&, const Key&);
  void do_run(const command::Action&, const Key&);
  void do_shell(const command::Action&, const Key&);
  void do_logs(const command::Action&, const Key&);
  void do_rename(const command::Action&, const Key&);
  void do_inspect(const command::Action&, const Key&);
  void do_verb(const command::Action&, const Key&);

  // ---- the network (app_network.cpp)
  void watch_network(const Snapshot& snapshot);
  void mend_network();
  std::string who_has(const PublishedPort& port);
  std::vector<std::string> possible_peers(const std::string& id) const;
  void change_network(const std::string& title, std::vector<std::string> arguments, Undo back);
  void ask_peer(const std::string& id, const std::string& other);
  void drop_peer(const std::string& id, const std::string& name);
  void step_tab(int by);
  void do_next_tab(const command::Action&, const Key&);
  void do_previous_tab(const command::Action&, const Key&);
  void do_addnetwork(const command::Action&, const Key&);
  void do_delnetwork(const command::Action&, const Key&);
  void do_peer(const command::Action&, const Key&);
  void do_unpeer(const command::Action&, const Key&);

  // ---- panes (app_panes.cpp)
  int free_number() const;
  Pane* pane(int number) const;
  Pane* focused_pane() const;
  void show_pane(std::unique_ptr<Pane> pane, int beside_of = 0, bool beside = false);
  void bring(int number);
  void focus_pane(int number);
  void focus_area(Area area);
  void hide_pane(int number);
  void close_pane(int number);
  void tend_panes();
  Layout plan_layout() const;
  void place_panes();
  void even_panes();
  void open_shell(const ContainerRow& row, int beside_of = 0, bool beside = false);
  void reattach(const KeptSession& session);
  std::unique_ptr<TerminalPane> shell_pane(int number, const std::string& container, const std::string& session);
  void take_up(TerminalPane& shell, bool take = true);
  void remember();
  void begin_as_left();
  void restore_panes();
  std::vector<KeptSession> left_sessions() const;
  std::string container_name(const std::string& id) const;
  void do_send_prefix(const command::Action&, const Key&);
  void do_list(const command::Action&, const Key&);
  void do_pane_left(const command::Action&, const Key&);
  void do_pane_right(const command::Action&, const Key&);
  void do_pane_up(const command::Action&, const Key&);
  void do_pane_down(const command::Action&, const Key&);
  void do_split_side(const command::Action&, const Key&);
  void do_split_below(const command::Action&, const Key&);
  void do_zoom(const command::Action&, const Key&);
  void do_even(const command::Action&, const Key&);
  void do_copy_mode(const command::Action&, const Key&);
  void do_close(const command::Action&, const Key&);
  void do_leave(const command::Action&, const Key&);
  void do_mouse(const command::Action&, const Key&);
  void go(PaneTree::Direction direction);
  void step_panel(int by);
  void split(bool beside);

  Options options_;
  Loop loop_;
  Screen screen_;
  Fd signals_;
  Fd settings_watch_; ///< inotify(7) on the directory of the settings
  command::Settings settings_;
  bool has_settings_ = false; ///< from a file
  Trace trace_;               ///< for reading only: nothing listens
  Root root_;
  Themes themes_;
  Theme theme_;
  Look look_;
  KeyDecoder keys_;
  WorldWatch watch_;

  World world_;
  std::vector<ContainerRow> rows_;
  std::vector<ImageRow> images_;
  std::vector<EventRow> events_;
  ListWish wish_;
  ListCursor containers_cursor_, images_cursor_;
  int events_scrolled_ = 0, details_scrolled_ = 0, panes_selected_ = 0;
  int tab_ = 0; ///< of the details
  bool updates_paused_ = false;
  std::uint64_t sort_frozen_until_us_ = 0;
  LineEditor filter_;
  bool filtering_ = false;

  Grid grid_;
  Layout layout_;
  Area focus_ = Area::containers, last_list_focus_ = Area::containers;
  int divider_ = 0;
  bool zoomed_ = false, everything_dirty_ = true, dragging_ = false;
  PaneTree tree_;
  std::map<int, std::unique_ptr<Pane>> panes_;
  int focused_number_ = 0;

  bool prefix_ = false, strip_ = false, forget_prefix_ = false;
  std::uint64_t prefix_since_us_ = 0, escape_since_us_ = 0, last_paint_us_ = 0;
  std::vector<std::unique_ptr<Overlay>> overlays_;

  std::deque<Message> messages_;
  std::vector<std::unique_ptr<Job>> jobs_;
  std::map<int, Finish> finish_;
  const Job* ending_ = nullptr; ///< is telling of its end: not to be forgotten now
  std::size_t left_count_ = 0;
  Remembered left_;                      ///< how it was left, while its panes are still to come
  std::string remembered_;               ///< what is written down
  std::string chosen_theme_;             ///< by a key
  std::set<std::string> ended_sessions_; ///< their sockets may be seen a little longer
  int next_job_ = 1;
  std::optional<Undo> undo_;
  RefusalWatch refusals_;
  std::unique_ptr<Network> network_;                            ///< for looking only
  std::map<std::string, std::string> port_answers_;             ///< who has it, while a form is open
  bool mending_ = false;                                        ///< the rules are gone, and that was seen to
  std::map<std::string, std::vector<std::string>> last_values_; ///< of forms
  bool quit_ = false;
  int status_ = 0;
};

} // namespace conductor::console
