// What the rows of the table of actions do: moving, looking, and starting verbs on what is selected.
#include "tui/console/app.h"
#include "tui/console/pane_job.h"
#include "tui/console/pane_log.h"
#include "tui/console/pane_terminal.h"
#include "tui/console/written.h"

#include "core/base/error.h"
#include "core/engine/engine.h"
#include "core/store/containers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>

#include <fcntl.h>
#include <unistd.h>

namespace conductor::console {
namespace {

using command::Action;
using command::Danger;
using command::Needs;

// The order stays as it is for so long after a cursor key: nobody shall hit another row than the one they saw.
constexpr std::uint64_t sort_freeze_us = 5'000'000;
constexpr std::size_t bulk_asks_above = 5;

// What takes an action back.
struct Opposite {
  std::string_view action, verb, arguments;
};
constexpr Opposite opposites[] = {
    {"stop", "start", ""}, {"start", "stop", "--keep"}, {"pause", "unpause", ""}, {"unpause", "pause", ""}};

std::string object(const std::string& id) { return "id:" + id; }

// Arguments in the table of actions are words with blanks between.
void append_arguments(std::vector<std::string>& words, std::string_view arguments)
{
  while (!arguments.empty()) {
    const std::string_view word = arguments.substr(0, arguments.find(' '));
    if (!word.empty()) words.emplace_back(word);
    arguments.remove_prefix(std::min(word.size() + 1, arguments.size()));
  }
}

// Base64 (RFC 4648), as OSC 52 wants it.
std::string base64(std::string_view bytes)
{
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k)
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k) text += i + k <= bytes.size() ? digits[(group >> (18 - 6 * k)) & 63U] : '=';
  }
  return text;
}

} // namespace

// ---- the list

void App::rebuild_rows()
{
  if (!world_.snapshot) return;
  const bool frozen = monotonic_us() < sort_frozen_until_us_ || !overlays_.empty();
  std::map<std::string, std::size_t> order;
  if (frozen)
    for (std::size_t i = 0; i < rows_.size(); ++i) order[rows_[i].id] = i;
  const int before = selected_index();
  const std::size_t count_before = rows_.size();
  rows_ = container_rows(*world_.snapshot, wish_);
  if (frozen && count_before > 0)
    std::stable_sort(rows_.begin(), rows_.end(), [&](const auto& a, const auto& b) {
      const auto place = [&](const std::string& id) { return order.contains(id) ? order[id] : order.size(); };
      return place(a.id) < place(b.id);
    });
  images_ = image_rows(*world_.snapshot);
  events_ = event_rows(*world_.snapshot);
  // What was selected is gone: the cursor takes what stands in its place.
  const auto here =
      std::find_if(rows_.begin(), rows_.end(), [&](const auto& row) { return row.id == containers_cursor_.selected; });
  if (here == rows_.end()) {
    std::string next;
    if (!rows_.empty())
      next = rows_[static_cast<std::size_t>(std::clamp(before, 0, static_cast<int>(rows_.size()) - 1))].id;
    if (next != std::exchange(containers_cursor_.selected, next)) wish_details();
  }
  if (!images_.empty() &&
      std::none_of(images_.begin(), images_.end(), [&](const auto& row) { return row.tag == images_cursor_.selected; }))
    images_cursor_.selected = images_[0].tag;
}

void App::wish_details() { watch_.wish({.selected = containers_cursor_.selected, .visible = {}}); }

int App::selected_index() const
{
  for (std::size_t i = 0; i < rows_.size(); ++i)
    if (rows_[i].id == containers_cursor_.selected) return static_cast<int>(i);
  return 0;
}

const ContainerRow* App::selected_row() const
{
  for (const auto& row : rows_)
    if (row.id == containers_cursor_.selected) return &row;
  return nullptr;
}

void App::select(int index)
{
  if (rows_.empty()) return;
  index = std::clamp(index, 0, static_cast<int>(rows_.size()) - 1);
  sort_frozen_until_us_ = monotonic_us() + sort_freeze_us;
  const std::string& id = rows_[static_cast<std::size_t>(index)].id;
  if (id == containers_cursor_.selected) return;
  containers_cursor_.selected = id;
  wish_details();
}

void App::move_cursor(int rows)
{
  if (focus_ == Area::events)
    events_scrolled_ = std::max(events_scrolled_ + rows, 0);
  else if (focus_ == Area::images && !images_.empty()) {
    int at = 0;
    for (std::size_t i = 0; i < images_.size(); ++i)
      if (images_[i].tag == images_cursor_.selected) at = static_cast<int>(i);
    images_cursor_.selected =
        images_[static_cast<std::size_t>(std::clamp(at + rows, 0, static_cast<int>(images_.size()) - 1))].tag;
  } else if (focus_ != Area::images)
    select(selected_index() + rows);
}

void App::do_down(const Action&, const Key&) { move_cursor(1); }
void App::do_up(const Action&, const Key&) { move_cursor(-1); }
void App::do_top(const Action&, const Key&) { move_cursor(-1'000'000); }
void App::do_bottom(const Action&, const Key&) { move_cursor(1'000'000); }
void App::do_page_down(const Action&, const Key&) { move_cursor(std::max(containers_cursor_.page / 2, 1)); }
void App::do_page_up(const Action&, const Key&) { move_cursor(-std::max(containers_cursor_.page / 2, 1)); }

void App::do_mark(const Action&, const Key&)
{
  const ContainerRow* row = selected_row();
  if (row == nullptr || focus_ == Area::images) return;
  if (!wish_.marked.erase(row->id)) wish_.marked.insert(row->id);
  move_cursor(1);
  rebuild_rows();
}

void App::do_invert_marks(const Action&, const Key&)
{
  for (const auto& row : rows_)
    if (!wish_.marked.erase(row.id)) wish_.marked.insert(row.id);
  rebuild_rows();
}

void App::do_sort(const Action&, const Key&)
{
  wish_.sort = wish_.sort == Sort::state ? Sort::name : static_cast<Sort>(static_cast<char>(wish_.sort) + 1);
  wish_.reverse = false;
  sort_frozen_until_us_ = 0;
  rebuild_rows();
}

void App::do_reverse(const Action&, const Key&)
{
  wish_.reverse = !wish_.reverse;
  sort_frozen_until_us_ = 0;
  rebuild_rows();
}

void App::do_filter(const Action&, const Key&)
{
  filtering_ = true;
  filter_.set(wish_.filter);
}

void App::do_pause_updates(const Action&, const Key&)
{
  updates_paused_ = !updates_paused_;
  if (!updates_paused_) take_world();
}

void App::do_copy_item(const Action&, const Key&)
{
  std::string text;
  if (focus_ == Area::images)
    text = images_cursor_.selected;
  else if (const ContainerRow* row = selected_row())
    text = row->name;
  if (text.empty()) return;
  copy_out(text, text);
}

// By OSC 52, which passes ssh and tmux: the terminal that the user sits at takes it.
void App::copy_out(const std::string& text, const std::string& what)
{
  if (text.size() > most_copied) {
    say(Role::message_bad, fmt::format("{} are too many for the clipboards of terminals, which take {}: mark less",
                                       size_text(text.size()), size_text(most_copied)));
    return;
  }
  screen_.send("\x1b]52;c;" + base64(text) + "\x07");
  if (!screen_.flush()) quit_ = true;
  say(Role::message_info, "copied " + what);
}

void App::take_copied(Pane& pane)
{
  const std::string text = std::exchange(pane.copied, {});
  if (text.empty()) return;
  const auto lines = std::count(text.begin(), text.end(), '\n') + 1;
  copy_out(text, lines > 1 ? fmt::format("{} lines, {}", lines, size_text(text.size())) : cut_text(text, 60));
}

// ---- looking

// Opened behind the prefix it shows the keys of the panes first.
void App::do_help(const Action& action, const Key&)
{
  overlays_.push_back(std::make_unique<ReadOverlay>("KEYS", help_lines(action.mode)));
}

void App::do_messages(const Action&, const Key&)
{
  std::vector<ReadOverlay::Line> lines;
  for (const auto& message : messages_)
    lines.push_back({clock_text(message.time_ns, true), message.text, message.role});
  if (lines.empty()) lines.push_back({"nothing was said yet", ""});
  overlays_.push_back(std::make_unique<ReadOverlay>("MESSAGES", std::move(lines), true));
}

void App::do_palette(const Action&, const Key&)
{
  overlays_.push_back(std::make_unique<ChooseOverlay>("ACTIONS", choices(false)));
}

void App::do_menu(const Action&, const Key&)
{
  const ContainerRow* row = selected_row();
  if (row != nullptr) overlays_.push_back(std::make_unique<ChooseOverlay>(row->name, choices(true)));
}

void App::do_theme(const Action&, const Key&)
{
  const auto names = themes_.names();
  auto next = std::find(names.begin(), names.end(), theme_.name());
  // A theme that cannot be read is said and passed over.
  for (std::size_t tries = 0; tries < names.size(); ++tries) {
    next = next == names.end() || std::next(next) == names.end() ? names.begin() : std::next(next);
    try {
      use_theme(themes_.load(*next));
      chosen_theme_ = *next;
      break;
    } catch (const Error& error) {
      say(Role::bad, std::string{error.sentence()});
    }
  }
  say(Role::message_info, "theme " + theme_.name());
}

void App::do_redraw(const Action&, const Key&)
{
  screen_.forget();
  redraw();
}

void App::do_steps(const Action&, const Key&)
{
  // The last verb that did something, not the looking around of panes.
  const auto last = std::find_if(jobs_.rbegin(), jobs_.rend(), [](const auto& job) {
    return !job->events().empty() && job->arguments()[0] != "inspect";
  });
  if (last == jobs_.rend()) {
    say(Role::muted, "nothing was done yet");
    return;
  }
  auto text = std::make_unique<TextPane>(free_number(), "steps: " + (*last)->title());
  for (auto& line : step_lines(**last)) text->add(std::move(line));
  text->follow(false);
  show_pane(std::move(text));
}

void App::do_inspect(const Action&, const Key&)
{
  const ContainerRow* row = selected_row();
  if (row == nullptr) return;
  const auto show = [this, name = row->name](const std::string& document) {
    auto text = std::make_unique<TextPane>(free_number(), name + ": inspect");
    text->add_bytes(document);
    text->follow(false);
    show_pane(std::move(text));
  };
  if (options_.read_only) {
    // A verb needs root, and would settle what has ended meanwhile.
    show(inspect_document(root_, *row->picture->stored) + "\n");
    return;
  }
  start_job("inspect " + row->name, {"inspect", object(row->id)}, [show](Job& job) {
    if (job.state() == JobState::done) show(job.printed());
  });
}

std::optional<LogPane::Log> App::open_log(const std::string& id) const
{
  const Fd directory = Containers{root_}.directory(id);
  Fd log{openat(directory.get(), "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)};
  if (!log) return std::nullopt;
  return LogPane::Log{id, container_name(id), std::move(log)};
}

// Of the marked ones together, where some are.
void App::do_logs(const Action&, const Key&)
{
  std::vector<LogPane::Log> logs;
  std::string silent;
  try {
    for (const ContainerRow* row : targets()) {
      if (auto log = open_log(row->id))
        logs.push_back(std::move(*log));
      else
        silent += (silent.empty() ? "" : ", ") + row->name;
    }
    if (logs.size() > most_merged_logs) {
      say(Role::warning, fmt::format("at most {} logs fit into one pane", most_merged_logs));
      return;
    }
    if (!silent.empty()) say(Role::muted, silent + (logs.empty() ? " has" : ": have") + " printed nothing yet");
    if (!logs.empty()) show_pane(std::make_unique<LogPane>(free_number(), loop_, std::move(logs)));
  } catch (const Error& error) {
    say(Role::message_bad, std::string{error.sentence()});
  }
}

// "~/x" as a shell has it, and what is relative behind the directory that we stand in.
std::string App::whole_path(std::string path)
{
  const char* home = std::getenv("HOME");
  if (path.starts_with("~/") && home != nullptr) return home + path.substr(1);
  if (path.empty() || path.starts_with('/')) return path;
  std::error_code failed;
  return std::filesystem::current_path(failed).string() + "/" + path;
}

// A new file, which only its owner may read: logs hold what they hold. One that could not be written whole is emptied:
// its name may be another's by now.
void App::save_lines(Pane& pane)
{
  const std::string path = whole_path(std::exchange(pane.save_to, {}));
  const auto* lines = dynamic_cast<const TextPane*>(&pane);
  if (path.empty() || lines == nullptr) return;
  if (options_.read_only) {
    say(Role::warning, "this console only looks (--read-only)");
    return;
  }
  const Fd file{::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
  if (!file) {
    say(Role::message_bad, std::string{Error{"save to " + path, errno}.sentence()});
    return;
  }
  const std::string text = lines->whole_text();
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t wrote = ::write(file.get(), text.data() + done, text.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) {
      int number = errno;
      if (::ftruncate(file.get(), 0) < 0) number = errno;
      say(Role::message_bad, std::string{Error{"save to " + path, number}.sentence()});
      return;
    }
    done += static_cast<std::size_t>(wrote);
  }
  say(Role::message_good, fmt::format("saved {} lines, {}, to {}", lines->lines(), size_text(text.size()), path));
}

void App::do_shell(const Action&, const Key&)
{
  if (const ContainerRow* row = selected_row()) open_shell(*row);
}

// ---- changing

std::vector<const ContainerRow*> App::targets() const
{
  std::vector<const ContainerRow*> all;
  if (wish_.marked.empty()) {
    if (const ContainerRow* row = selected_row()) all.push_back(row);
    return all;
  }
  for (const auto& row : rows_)
    if (row.marked) all.push_back(&row);
  return all;
}

void App::do_verb(const Action& action, const Key&)
{
  if (action.needs == Needs::image) {
    confirm_image_delete(action);
    return;
  }
  if (action.danger == Danger::asks) {
    confirm_delete(action);
    return;
  }
  const auto* opposite = std::find_if(std::begin(opposites), std::end(opposites),
                                      [&](const auto& each) { return each.action == action.name; });
  std::vector<std::string> ids;
  std::vector<std::vector<std::string>> back;
  std::string names;
  for (const ContainerRow* row : targets()) {
    if (!suits(action.needs, *row)) continue;
    ids.push_back(row->id);
    names += (names.empty() ? "" : ", ") + row->name;
    if (opposite == std::end(opposites)) continue;
    back.push_back({std::string{opposite->verb}, object(row->id)});
    append_arguments(back.back(), opposite->arguments);
  }
  if (ids.empty()) {
    say(Role::warning, "none of the marked containers can be asked that now");
    return;
  }
  std::optional<Undo> undo;
  if (!back.empty()) undo = Undo{std::string{opposite->verb} + " " + names, std::move(back)};
  const auto act = [this, &action, ids, undo] {
    if (undo) undo_ = undo;
    run_on_targets(action, ids);
  };
  const bool many = ids.size() > bulk_asks_above;
  if (!many && settings_.confirm != command::Confirm::all) return act();
  ask(many ? fmt::format("{} {} containers?", action.label, ids.size()) : fmt::format("{} {}?", action.label, names),
      wrap_text(names, 60), action.label, act, many ? std::to_string(ids.size()) : "");
}

void App::run_on_targets(const Action& action, const std::vector<std::string>& ids)
{
  for (const auto& id : ids) {
    std::vector<std::string> arguments{std::string{action.verb->name}, object(id)};
    append_arguments(arguments, action.arguments);
    try {
      start_job(std::string{action.label} + " " + container_name(id), std::move(arguments));
    } catch (const Error& error) {
      say(Role::message_bad, std::string{error.sentence()});
    }
  }
  wish_.marked.clear();
  rebuild_rows();
}

void App::confirm_delete(const Action& action)
{
  const auto rows = targets();
  std::vector<std::string> ids, lines;
  for (const ContainerRow* row : rows) {
    ids.push_back(row->id);
    if (lines.size() < 8) {
      const std::string state = row->running ? "up " + row->up : row->paused ? "frozen" : row->reason;
      lines.push_back(fmt::format("{}  ({}, {})", row->name, row->image, state));
    }
  }
  if (rows.size() > lines.size()) lines.push_back(fmt::format("and {} more", rows.size() - lines.size()));
  if (rows.empty()) return;
  const bool deletes = action.name == "delete";
  lines.emplace_back();
  if (deletes) {
    Written sum;
    for (const auto& id : ids) {
      const Written each = written_below(options_.place.root_path + "/containers/id/" + id, 30);
      sum.bytes += each.bytes;
      sum.whole = sum.whole && each.whole;
    }
    lines.push_back(fmt::format("Lost for good: {}{} that it wrote, its log and its settings.",
                                sum.whole ? "" : "more than ", size_text(sum.bytes)));
    lines.emplace_back("It is stopped first. Images and volumes stay.");
    const auto shells = std::count_if(panes_.begin(), panes_.end(), [&](const auto& each) {
      const auto* shell = dynamic_cast<const TerminalPane*>(each.second.get());
      return shell != nullptr && shell->busy() &&
             std::find(ids.begin(), ids.end(), shell->place().container) != ids.end();
    });
    if (shells > 0)
      lines.push_back(
          fmt::format("{} shell{} in panes end{} with it.", shells, shells == 1 ? "" : "s", shells == 1 ? "s" : ""));
  } else
    lines.push_back(std::string{action.help.empty() ? action.verb->help : action.help});
  const std::string title = rows.size() == 1 ? fmt::format("{} {}?", action.label, rows[0]->name)
                                             : fmt::format("{} {} containers?", action.label, rows.size());
  std::string word = rows.size() > bulk_asks_above ? std::to_string(rows.size()) : "";
  // The objects are fixed now, by id: whatever moves in the list meanwhile, the answer is about these.
  ask(
      title, std::move(lines), action.label, [this, &action, ids] { run_on_targets(action, ids); }, std::move(word));
}

// `word` must be typed for a yes; empty: choosing it is enough.
void App::ask(std::string title, std::vector<std::string> lines, std::string_view label, std::function<void()> act,
              std::string word)
{
  if (settings_.confirm == command::Confirm::off) return act();
  overlays_.push_back(std::make_unique<ConfirmOverlay>(std::move(title), std::move(lines), std::string{label},
                                                       std::move(act), std::move(word)));
}

void App::confirm_image_delete(const Action& action)
{
  const auto row = std::find_if(images_.begin(), images_.end(),
                                [&](const auto& each) { return each.tag == images_cursor_.selected; });
  if (row == images_.end()) return;
  std::vector<std::string> lines{fmt::format("{}  ({})", row->tag, row->size), ""};
  if (!row->used_by.empty())
    lines.push_back("It is used by " + row->used_by + ", so this will be refused.");
  else
    lines.emplace_back("The name goes, and with its last name the image. What a build made stays in the cache.");
  const std::string tag = row->tag;
  ask("delete image " + tag + "?", lines, action.label, [this, &action, tag] {
    start_job(std::string{action.label} + " image " + tag, {std::string{action.verb->name}, tag});
  });
}

void App::do_undo(const Action&, const Key&)
{
  if (!undo_) {
    say(Role::muted, "there is nothing to undo");
    return;
  }
  const Undo undo = *std::exchange(undo_, std::nullopt);
  for (const auto& arguments : undo.arguments) start_job(undo.label, arguments);
}

FormWorld App::form_world()
{
  FormWorld world;
  world.port_taken = [this](const PublishedPort& port) { return who_has(port); };
  for (const auto& image : images_) world.images.push_back(image.tag);
  if (world_.snapshot)
    for (const auto& each : world_.snapshot->containers) world.containers.push_back(each.spec().name);
  return world;
}

void App::do_build(const Action&, const Key&)
{
  auto fields = build_fields([this] { return form_world(); });
  const auto& last = last_values_["build"];
  for (std::size_t i = 0; i < std::min(last.size(), fields.size()); ++i) fields[i].value = last[i];
  overlays_.push_back(
      std::make_unique<FormOverlay>("BUILD AN IMAGE", "builds", std::move(fields), build_arguments,
                                    [this](std::vector<std::string> arguments, const std::vector<std::string>& values) {
                                      last_values_["build"] = values;
                                      const int number = free_number();
                                      const std::string title = "build " + values[0];
                                      try {
                                        Job& job = start_job(title, std::move(arguments));
                                        show_pane(std::make_unique<JobPane>(number, title, job.number()));
                                      } catch (const Error& error) {
                                        say(Role::message_bad, std::string{error.sentence()});
                                      }
                                    }));
}

void App::do_run(const Action&, const Key&)
{
  port_answers_.clear();
  auto fields = run_fields([this] { return form_world(); });
  const auto& last = last_values_["run"];
  // The name is taken by the container that it was given to.
  for (std::size_t i = 0; i < std::min(last.size(), fields.size()); ++i)
    if (i != 1) fields[i].value = last[i];
  if (focus_ == Area::images && !images_cursor_.selected.empty()) fields[0].value = images_cursor_.selected;
  overlays_.push_back(
      std::make_unique<FormOverlay>("RUN A CONTAINER", "runs", std::move(fields), run_arguments,
                                    [this](std::vector<std::string> arguments, const std::vector<std::string>& values) {
                                      last_values_["run"] = values;
                                      try {
                                        // The cursor goes to what was made.
                                        start_job("run " + values[0] + (values[1].empty() ? "" : " as " + values[1]),
                                                  std::move(arguments), [this](Job& job) {
                                                    if (const auto id = result_text(job, "id"); !id.empty())
                                                      containers_cursor_.selected = id;
                                                    wish_details();
                                                  });
                                      } catch (const Error& error) {
                                        say(Role::message_bad, std::string{error.sentence()});
                                      }
                                    }));
}

void App::do_rename(const Action&, const Key&)
{
  const ContainerRow* row = selected_row();
  if (row == nullptr) return;
  const std::string id = row->id, name = row->name;
  const auto make = [name](const std::vector<std::string>& values) { return rename_arguments(name, values); };
  const auto submit = [this, id, name](const std::vector<std::string>&, const std::vector<std::string>& values) {
    // By the id, whatever is called so by now.
    undo_ = Undo{"rename " + values[0] + " " + name, {{"rename", object(id), name}}};
    try {
      start_job("rename " + name + " " + values[0], {"rename", object(id), values[0]});
    } catch (const Error& error) {
      say(Role::message_bad, std::string{error.sentence()});
    }
  };
  overlays_.push_back(std::make_unique<FormOverlay>("RENAME " + name, "renames",
                                                    rename_fields([this] { return form_world(); }), make, submit));
}

void App::do_quit(const Action&, const Key&)
{
  std::vector<std::string> lines;
  int shells = 0, builds = 0;
  for (const auto& [number, each] : panes_) {
    const bool shell = dynamic_cast<const TerminalPane*>(each.get()) != nullptr;
    if (shell && each->busy()) ++shells;
  }
  for (const auto& job : jobs_) builds += job->running() ? 1 : 0;
  if (shells + builds == 0) {
    quit_ = true;
    return;
  }
  if (shells > 0)
    lines.push_back(fmt::format("{} shell{} stay{} running; the next console offers {} again.", shells,
                                shells == 1 ? "" : "s", shells == 1 ? "s" : "", shells == 1 ? "it" : "them"));
  if (builds > 0)
    lines.push_back(fmt::format("{} operation{} go{} on without the console.", builds, builds == 1 ? "" : "s",
                                builds == 1 ? "es" : ""));
  overlays_.push_back(std::make_unique<ConfirmOverlay>("leave the console?", lines, "leave", [this] { quit_ = true; }));
}

} // namespace conductor::console
