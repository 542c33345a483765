#include "core/image/builder.h"

#include "core/base/error.h"
#include "core/container/overlay.h"
#include "core/container/spec.h"
#include "core/image/base.h"
#include "core/image/bases.h"
#include "core/image/layer_cache.h"
#include "core/image/layers.h"
#include "core/image/pull.h"
#include "core/kernel/files.h"
#include "core/kernel/inroot.h"
#include "core/kernel/mount.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

namespace conductor::image {
namespace {

// Arguments that every build file may use without declaring them. They say how to reach the network, not what to
// build, so they are no part of the key.
constexpr const char* proxy_arguments[] = {"http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy",
                                           "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"};

bool same_name(std::string_view a, std::string_view b)
{
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return lower(x) == lower(y);
  });
}

void check_variable_name(const std::string& name, const Instruction& instruction)
{
  const bool good = !name.empty() && name.find('=') == std::string::npos && name.find('\0') == std::string::npos &&
                    name.find_first_of(" \t\n") == std::string::npos;
  if (!good) throw Error{instruction.keyword + ": '" + visible(name) + "' is no name"};
}

} // namespace

Builder::Builder(Context& context, const BuildRequest& request, const Recipe& recipe, std::string context_directory)
    : context_(context), trace_(context.trace), root_(context.root), request_(request), recipe_(recipe),
      context_directory_(std::move(context_directory)), finished_(recipe.stages.size())
{
  if (context_directory_.empty()) return;
  try {
    context_fd_ = kernel::open_directory(AT_FDCWD, context_directory_ + "/.");
  } catch (const Error& error) {
    throw error.within("the context").with_hint("name another with --context DIR");
  }
  for (const char* name : {".conductorignore", ".dockerignore"}) {
    const auto text = kernel::read_in_root(context_fd_.get(), name, 1 << 20);
    if (!text) continue;
    ignore_ = Ignore{*text};
    return;
  }
}

// ---- stages

size_t Builder::wanted_stage() const
{
  if (request_.target.empty()) return recipe_.stages.size() - 1;
  if (const auto found = find_stage(request_.target, recipe_.stages.size())) return *found;
  std::string names;
  for (const Stage& stage : recipe_.stages)
    if (!stage.name.empty()) names += " " + stage.name;
  throw Error{recipe_.file + ": there is no stage '" + visible(request_.target) + "'", 0,
              names.empty() ? "no stage has a name: FROM ... AS name" : "there are" + names};
}

std::optional<size_t> Builder::find_stage(const std::string& name, size_t before) const
{
  for (size_t at = 0; at < before; ++at)
    if (same_name(recipe_.stages[at].name, name) && !name.empty()) return at;
  if (name.empty() || name.size() > 4 || name.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
  const size_t number = std::stoul(name);
  return number < before ? std::optional{number} : std::nullopt;
}

StageState Builder::run()
{
  const size_t wanted = wanted_stage();
  // What other stages need is counted when they are taken up; most files have one stage.
  of_ = recipe_.stages[wanted].steps.size() + 1;
  return finished(wanted);
}

const StageState& Builder::finished(size_t stage)
{
  if (!finished_[stage]) {
    const size_t outer = std::exchange(current_, stage);
    finished_[stage] = run_stage(stage);
    current_ = outer;
  }
  return *finished_[stage];
}

StageState Builder::run_stage(size_t stage)
{
  StageState state = begin(stage);
  for (const Instruction& instruction : recipe_.stages[stage].steps) {
    trace_.throw_if_interrupted();
    ++step_;
    try {
      handle(state, instruction);
    } catch (const Error& error) {
      // 126 and 127 are for run and exec, 2 is for the command line: a build that fails has failed.
      throw error.within(place(recipe_, instruction)).with_status(1);
    }
  }
  return state;
}

StageState Builder::begin(size_t stage)
{
  const Instruction& from = recipe_.stages[stage].from;
  ++step_;
  try {
    StageState global;
    for (const Instruction& argument : recipe_.global) handle_argument(global, argument);
    const std::string reference = expand(from.words[0], global.arguments, recipe_.escape);
    if (const auto earlier = find_stage(reference, stage)) {
      of_ += recipe_.stages[*earlier].steps.size() + 1;
      StageState state = finished(*earlier);
      state.arguments.clear();
      state.has_own_cmd = false;
      return state;
    }
    Step step{trace_, fmt::format("{}/{} {}", step_, of_, title(from))};
    StageState state = begin_from(context_, reference);
    step.done();
    return state;
  } catch (const Error& error) {
    throw error.within(place(recipe_, from)).with_status(1);
  }
}

StageState begin_from(Context& context, const std::string& reference)
{
  StageState state;
  // "scratch" and its like are references too; what is no reference cannot be anything else either.
  state.base = normal_reference(reference);
  const auto take = [&](Image&& image) {
    state.layers = std::move(image.layers);
    state.config = std::move(image.config);
    if (!image.base.empty() && state.base.starts_with("id:")) state.base = image.base;
    return state;
  };
  if (auto local = Images{context.root}.find(reference)) return take(std::move(*local));
  if (const auto base = known_base(reference)) {
    MadeBase made = make_base(context, *base);
    state.layers = std::move(made.layers);
    state.config = std::move(made.config);
    return state;
  }
  if (state.base.starts_with("id:")) Images{context.root}.load(reference); // says that it is not there
  return take(pull_missing(context, reference));
}

// ---- instructions

Builder::Handler Builder::handler_of(Verb verb)
{
  struct Row {
    Verb verb;
    Handler handler;
  };
  static constexpr Row table[] = {
      {Verb::arg, &Builder::handle_argument},
      {Verb::cmd, &Builder::handle_command},
      {Verb::copy, &Builder::handle_copy},
      {Verb::entrypoint, &Builder::handle_entrypoint},
      {Verb::env, &Builder::handle_environment},
      {Verb::expose, &Builder::handle_noted},
      {Verb::label, &Builder::handle_label},
      {Verb::maintainer, &Builder::handle_maintainer},
      {Verb::run, &Builder::handle_run},
      {Verb::shell, &Builder::handle_shell},
      {Verb::stopsignal, &Builder::handle_stop_signal},
      {Verb::user, &Builder::handle_user},
      {Verb::volume, &Builder::handle_noted},
      {Verb::workdir, &Builder::handle_workdir},
  };
  for (const Row& row : table)
    if (row.verb == verb) return row.handler;
  return nullptr;
}

void Builder::handle(StageState& state, const Instruction& instruction)
{
  const Handler handler = handler_of(instruction.verb);
  if (handler == nullptr) throw Error{instruction.keyword + " cannot stand here"};
  const bool makes_layer =
      instruction.verb == Verb::run || instruction.verb == Verb::copy || instruction.verb == Verb::workdir;
  if (makes_layer)
    return (this->*handler)(state, instruction); // these open their step when they know the cache's answer
  Step step{trace_, fmt::format("{}/{} {}", step_, of_, title(instruction)), "changes the configuration only"};
  (this->*handler)(state, instruction);
  note_step(state, instruction, false);
  step.done();
}

// The history of the image: one entry a step.
void Builder::note_step(StageState& state, const Instruction& instruction, bool made_layer)
{
  HistoryEntry entry{.created_by = title(instruction, 1000), .empty_layer = !made_layer};
  if (made_layer)
    if (const auto layer = Images{root_}.find_layer(state.layers.back())) entry.created = rfc3339(layer->created_ns);
  state.config.history.push_back(std::move(entry));
  state.config.created.clear();
}

void Builder::handle_argument(StageState& state, const Instruction& instruction)
{
  for (const auto& [raw, fallback] : instruction.pairs) {
    const std::string name = expanded(state, raw);
    check_variable_name(name, instruction);
    const auto given = request_.build_args.find(name);
    if (given != request_.build_args.end()) {
      set_variable(state.arguments, name, given->second);
    } else if (fallback) {
      set_variable(state.arguments, name, expanded(state, *fallback));
    } else {
      // Without a value here it takes the one from before the first FROM.
      for (const Instruction& global : recipe_.global)
        for (const auto& [other, value] : global.pairs)
          if (other == name && value) set_variable(state.arguments, name, expanded(state, *value));
    }
  }
}

void Builder::handle_command(StageState& state, const Instruction& instruction)
{
  state.config.cmd = run_arguments(state, instruction);
  state.has_own_cmd = true;
}

void Builder::handle_entrypoint(StageState& state, const Instruction& instruction)
{
  state.config.entrypoint = run_arguments(state, instruction);
  // The base's CMD was meant for the base's entry point.
  if (!state.has_own_cmd) state.config.cmd.clear();
}

void Builder::handle_environment(StageState& state, const Instruction& instruction)
{
  // All values see the variables as they were before this instruction.
  const Variables before = variables(state);
  for (const auto& [raw, value] : instruction.pairs) {
    const std::string name = expand(raw, before, recipe_.escape);
    check_variable_name(name, instruction);
    set_variable(state.config.env, name, expand(value.value_or(""), before, recipe_.escape));
  }
}

void Builder::handle_label(StageState& state, const Instruction& instruction)
{
  for (const auto& [raw, value] : instruction.pairs)
    state.config.labels[expanded(state, raw)] = expanded(state, value.value_or(""));
}

void Builder::handle_maintainer(StageState& state, const Instruction& instruction)
{
  state.config.labels["maintainer"] = expanded(state, instruction.text);
}

void Builder::handle_noted(StageState& state, const Instruction& instruction)
{
  std::string values;
  for (const std::string& word : instruction.words)
    values += (values.empty() ? "" : " ") + (instruction.exec_form ? word : expanded(state, word));
  const bool volume = instruction.verb == Verb::volume;
  state.config.labels[volume ? "conductor.volume" : "conductor.expose"] = values;
  trace_.notice(volume
                    ? "VOLUME is noted as the label conductor.volume; say -v SOURCE:DESTINATION when you run the image"
                    : "EXPOSE is noted as the label conductor.expose; ports are published when a container runs");
}

void Builder::handle_shell(StageState& state, const Instruction& instruction) { state.shell = instruction.words; }

void Builder::handle_stop_signal(StageState& state, const Instruction& instruction)
{
  const std::string name = expanded(state, instruction.text);
  const bool number = !name.empty() && name.size() <= 2 && name.find_first_not_of("0123456789") == std::string::npos;
  const std::string bare = name.starts_with("SIG") ? name.substr(3) : name;
  bool known = number;
  for (int signal = 1; !known && signal < 65; ++signal) {
    const char* abbreviation = sigabbrev_np(signal);
    known = abbreviation != nullptr && bare == abbreviation;
  }
  if (!known && !bare.starts_with("RTMIN"))
    throw Error{"STOPSIGNAL: '" + visible(name) + "' is no signal", 0, "STOPSIGNAL SIGTERM"};
  state.config.stop_signal = number ? name : "SIG" + bare;
}

void Builder::handle_user(StageState& state, const Instruction& instruction)
{
  state.config.user = expanded(state, instruction.text);
  if (state.config.user.empty()) throw Error{"USER: the name is empty"};
}

// ---- what the handlers share

Variables Builder::variables(const StageState& state) const
{
  // ENV hides an ARG of the same name: value_of() takes the last.
  Variables all = state.arguments;
  all.insert(all.end(), state.config.env.begin(), state.config.env.end());
  return all;
}

std::string Builder::expanded(const StageState& state, const std::string& word) const
{
  return expand(word, variables(state), recipe_.escape);
}

std::string Builder::inside(const StageState& state, const std::string& path) const
{
  const std::string whole = path.starts_with('/') ? path : state.config.workdir + "/" + path;
  bool climbs = false;
  const std::string clean = "/" + clean_path(whole, climbs);
  const bool open_end = path.ends_with('/') || path.ends_with("/.") || path == ".";
  return open_end && clean != "/" ? clean + "/" : clean;
}

std::vector<std::string> Builder::run_arguments(const StageState& state, const Instruction& instruction) const
{
  if (instruction.exec_form) return instruction.words;
  std::vector<std::string> words = state.shell;
  words.push_back(instruction.text);
  return words;
}

std::vector<std::string> Builder::run_environment(const StageState& state) const
{
  std::vector<std::string> env = state.arguments;
  for (const char* name : proxy_arguments) {
    const auto given = request_.build_args.find(name);
    if (given != request_.build_args.end()) set_variable(env, name, given->second);
  }
  for (const std::string& variable : state.config.env) {
    const size_t equals = variable.find('=');
    set_variable(env, variable.substr(0, equals), variable.substr(equals + 1));
  }
  return env;
}

// ---- layers

Digest Builder::begin_key(const StageState& state, const char* what) const
{
  // The layers below, not the keys that made them: after a --no-cache they differ though the file does not.
  Digest digest;
  digest.field("step 1").field(what).field(state.layers.size());
  for (const std::string& layer : state.layers) digest.field(layer);
  return digest;
}

void Builder::layer(StageState& state, const Instruction& instruction, const std::string& key, const Fill& fill)
{
  const std::string topic = fmt::format("{}/{} {}", step_, of_, title(instruction));
  const auto take = [&](const std::string& id) {
    Step step{trace_, topic, "cached"};
    if (!id.empty()) state.layers.push_back(id);
    note_step(state, instruction, !id.empty());
    ++cached_;
    step.done();
  };
  if (!request_.no_cache)
    if (const auto id = find_cached(root_, key)) return take(*id);
  const StepLock lock{root_, key};
  if (!request_.no_cache)
    if (const auto id = find_cached(root_, key)) return take(*id); // another build made it meanwhile
  make_layer(state, instruction, key, fill, topic);
}

void Builder::make_layer(StageState& state, const Instruction& instruction, const std::string& key, const Fill& fill,
                         const std::string& topic)
{
  const char* why = request_.no_cache ? "--no-cache"
                    : state.rebuilt   ? "a step before it was made anew"
                                      : "not made before with this input";
  Step step{trace_, topic, why};
  const Workshop shop{root_};
  const std::string rw = shop.path() + "/rw";
  kernel::make_directory(trace_, root_.dir(), rw, 0700);
  fill(rw, step);
  trace_.throw_if_interrupted();
  const bool nothing = instruction.verb == Verb::workdir && kernel::list_directory(root_.dir(), rw + "/upper").empty();
  std::string id;
  if (!nothing) {
    kernel::make_directory(trace_, root_.dir(), shop.path() + "/made", 0700);
    kernel::rename_entry(trace_, root_.dir(), rw + "/upper", root_.dir(), shop.path() + "/made/diff");
    id = commit_made(root_, shop, state.layers.empty() ? "" : state.layers.back(), title(instruction, 1000)).id;
    state.layers.push_back(id);
  }
  note_step(state, instruction, !id.empty());
  remember(root_, key, id);
  state.rebuilt = true;
  step.done();
}

Fd Builder::open_tree_for_writing(const StageState& state, const std::string& rw)
{
  struct stat below {
    .st_mode = 0755
  };
  std::vector<std::string> lower = Images::stack(state.layers);
  if (lower.empty()) {
    // overlayfs wants something below.
    kernel::make_directory(trace_, root_.dir(), rw + "/empty", 0755);
    lower.push_back(rw + "/empty");
  } else if (fstatat(root_.dir(), lower.back().c_str(), &below, AT_SYMLINK_NOFOLLOW) < 0) {
    throw Error{"find the layer " + lower.back(), errno, "the cache is damaged: conductor rmcache"};
  }
  const mode_t mask = umask(0);
  kernel::make_directory(trace_, root_.dir(), rw + "/upper", below.st_mode & 07777);
  kernel::make_directory(trace_, root_.dir(), rw + "/work", 0700);
  umask(mask);
  return make_overlay(root_, {.tree = root_.dir(),
                              .lower = std::move(lower),
                              .upper = rw + "/upper",
                              .work = rw + "/work",
                              .is_volatile = true});
}

Fd Builder::open_tree_for_reading(const StageState& state)
{
  if (state.layers.empty()) throw Error{"it has no files"};
  std::vector<std::string> lower = Images::stack(state.layers);
  // overlayfs without an upper wants two layers at least; one is a directory already.
  if (lower.size() == 1) return kernel::open_directory(root_.dir(), lower.front());
  return make_overlay(root_, {.tree = root_.dir(), .lower = std::move(lower)});
}

} // namespace conductor::image
