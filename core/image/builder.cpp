#include "core/image/builder.h"

#include "core/base/error.h"
#include "core/base/nearest.h"
#include "core/container/overlay.h"
#include "core/container/spec.h"
#include "core/image/base.h"
#include "core/image/bases.h"
#include "core/image/layer_cache.h"
#include "core/image/layers.h"
#include "core/image/pull.h"
#include "core/image/values.h"
#include "core/kernel/copy.h"
#include "core/kernel/files.h"
#include "core/kernel/inroot.h"
#include "core/kernel/mount.h"

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

namespace conductor::image {
namespace {

// Arguments that every build file may use without declaring them. They say how to reach the network, not what to
// build, so they are no part of the key.
constexpr const char* proxy_arguments[] = {"http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy",
                                           "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"};

// The line it is about in front; of a stage that this instruction needed, the error has its own line already.
Error placed(const Error& error, const Recipe& recipe, const Instruction& instruction)
{
  return error.sentence().starts_with(recipe.file + ":") ? error : error.within(place(recipe, instruction));
}

constexpr const char* default_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// What every build file may use in FROM, and in a stage once it has declared it.
std::vector<std::pair<std::string, std::string>> platform_arguments()
{
  std::vector<std::pair<std::string, std::string>> arguments;
  const std::string architecture = machine_architecture(), variant = machine_variant();
  for (const char* side : {"BUILD", "TARGET"}) {
    const std::string prefix = side;
    arguments.emplace_back(prefix + "PLATFORM", "linux/" + architecture + (variant.empty() ? "" : "/" + variant));
    arguments.emplace_back(prefix + "OS", "linux");
    arguments.emplace_back(prefix + "ARCH", architecture);
    arguments.emplace_back(prefix + "VARIANT", variant);
  }
  return arguments;
}

} // namespace

Builder::Builder(Context& context, const BuildRequest& request, const Recipe& recipe, std::string context_directory,
                 const std::string& reference)
    : context_(context), trace_(context.trace), root_(context.root), request_(request), recipe_(recipe),
      context_directory_(std::move(context_directory)), records_(context.root, reference + "\n" + recipe.file),
      finished_(recipe.stages.size())
{
  if (context_directory_.empty()) return;
  try {
    context_fd_ = kernel::open_directory(AT_FDCWD, context_directory_ + "/.");
  } catch (const Error& error) {
    throw error.within("the context").with_hint("name another with --context DIR");
  }
  index_.emplace(root_, context_fd_.get());
  // The build file's own ignore file comes first (web.Dockerfile.dockerignore), then the context's.
  for (const char* suffix : {".conductorignore", ".dockerignore"}) {
    if (request.file == from_stdin) break;
    const auto text = kernel::find_content(AT_FDCWD, recipe.file + suffix, 1 << 20);
    if (!text) continue;
    ignore_ = Ignore{*text};
    return;
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
  if (const auto found = find_stage(recipe_, request_.target, recipe_.stages.size())) return *found;
  std::string names;
  for (const Stage& stage : recipe_.stages)
    if (!stage.name.empty()) names += " " + stage.name;
  throw Error{recipe_.file + ": there is no stage '" + visible(request_.target) + "'", 0,
              names.empty() ? "no stage has a name: FROM ... AS name" : "there are" + names};
}

StageState Builder::run()
{
  const size_t wanted = wanted_stage();
  // What other stages need is counted when they are taken up; most files have one stage.
  of_ = recipe_.stages[wanted].steps.size() + 1;
  for (const std::string& warning : recipe_.warnings) trace_.notice(warning);
  tell_unused_arguments();
  try {
    const StageState state = finished(wanted);
    if (index_) index_->save();
    records_.save(true);
    return state;
  } catch (const Error&) {
    if (index_) index_->save();
    records_.save(false);
    throw;
  }
}

void Builder::tell_unused_arguments() const
{
  std::set<std::string> declared{"SOURCE_DATE_EPOCH"};
  for (const char* name : proxy_arguments) declared.insert(name);
  for (const auto& [name, value] : platform_arguments()) declared.insert(name);
  const auto take = [&](const Instruction& instruction) {
    if (instruction.verb == Verb::arg)
      for (const auto& [name, value] : instruction.pairs) declared.insert(without_quotes(name, recipe_.escape));
  };
  for (const Instruction& instruction : recipe_.global) take(instruction);
  for (const Stage& stage : recipe_.stages)
    for (const Instruction& instruction : stage.steps) take(instruction);
  const std::vector<std::string> known{declared.begin(), declared.end()};
  for (const auto& [name, value] : request_.build_args) {
    if (declared.contains(name)) continue;
    const std::string near = nearest_hint(name, known);
    trace_.notice("--build-arg " + visible(name) + ": no ARG of " + recipe_.file + " takes it" +
                  (near.empty() ? "" : "; " + near));
  }
}

const StageState& Builder::finished(size_t stage)
{
  if (!finished_[stage]) {
    const size_t outer = std::exchange(current_, stage), outer_step = step_of_stage_;
    finished_[stage] = run_stage(stage);
    current_ = outer;
    step_of_stage_ = outer_step;
  }
  return *finished_[stage];
}

StageState Builder::run_stage(size_t stage)
{
  StageState state = begin(stage);
  for (const Instruction& instruction : recipe_.stages[stage].steps) {
    trace_.throw_if_interrupted();
    ++step_;
    ++step_of_stage_;
    try {
      handle(state, instruction);
    } catch (const Error& error) {
      // 126 and 127 are for run and exec, 2 is for the command line: a build that fails has failed.
      throw placed(error, recipe_, instruction).with_status(1);
    }
  }
  return state;
}

StageState Builder::begin(size_t stage)
{
  const Instruction& from = recipe_.stages[stage].from;
  ++step_;
  step_of_stage_ = 0;
  try {
    if (global_.empty()) {
      StageState global;
      for (const auto& [name, value] : platform_arguments()) set_variable(global.arguments, name, value);
      for (const Instruction& argument : recipe_.global) handle_argument(global, argument);
      global_ = std::move(global.arguments);
    }
    if (const auto platform = flag(from, "platform")) check_platform(expand(*platform, global_, recipe_.escape));
    const std::string reference = expand(from.words[0], global_, recipe_.escape);
    if (reference.empty())
      throw Error{"FROM: '" + visible(from.words[0]) + "' is empty", 0, "give its ARG a value: --build-arg"};
    StageState state;
    if (const auto earlier = find_stage(recipe_, reference, stage)) {
      of_ += recipe_.stages[*earlier].steps.size() + 1;
      state = finished(*earlier);
      state.arguments.clear();
      state.has_own_cmd = false;
    } else {
      Step step{trace_, topic(from)};
      state = begin_from(context_, reference);
      step.done();
    }
    state.config.created = request_.source_date_epoch ? rfc3339(now_ns()) : "";
    if (state.layers.empty() && state.config.workdir.empty()) state.config.workdir = "/"; // FROM scratch
    // Without it a shell's own idea of a path would hold, which differs from shell to shell.
    if (!value_of(state.config.env, "PATH")) set_variable(state.config.env, "PATH", default_path);
    run_triggers(state, from);
    return state;
  } catch (const Error& error) {
    throw placed(error, recipe_, from).with_status(1);
  }
}

void Builder::run_triggers(StageState& state, const Instruction& from)
{
  const std::vector<std::string> triggers = std::exchange(state.config.on_build, {});
  for (const std::string& text : triggers) {
    Instruction instruction = parse_trigger(text);
    instruction.line = from.line;
    ++step_;
    ++of_;
    ++step_of_stage_;
    try {
      handle(state, instruction);
    } catch (const Error& error) {
      throw error.within("ONBUILD of " + state.base);
    }
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

std::vector<std::string> Builder::run_arguments(const StageState& state, const std::string& text) const
{
  std::vector<std::string> words = state.config.shell;
  if (words.empty()) words = {"/bin/sh", "-c"};
  words.push_back(text);
  return words;
}

std::vector<std::string> Builder::run_arguments(const StageState& state, const Instruction& instruction) const
{
  return instruction.exec_form ? instruction.words : run_arguments(state, instruction.text);
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

int64_t Builder::now_ns() const
{
  return request_.source_date_epoch ? *request_.source_date_epoch * 1'000'000'000 : realtime_ns();
}

// ---- layers

std::string Builder::topic(const Instruction& instruction) const
{
  return fmt::format("{}/{} {}", step_, of_, title(instruction));
}

std::string Builder::place_of_step() const { return fmt::format("stage {}, step {}", current_, step_of_stage_); }

StepInputs Builder::begin_inputs(const StageState& state, const Instruction& instruction) const
{
  // The layers below, not the keys that made them: after a --no-cache they differ though the file does not.
  StepInputs inputs;
  Digest parent;
  for (const std::string& id : state.layers) parent.field(id);
  inputs.add(StepInputs::Kind::parent, "", parent.hex());
  std::string text = instruction.keyword;
  for (const auto& [name, value] : instruction.flags) text += " --" + name + "=" + value;
  text += " " + instruction.text;
  for (const Heredoc& heredoc : instruction.heredocs) text += "\n" + heredoc.content + heredoc.name;
  inputs.add(StepInputs::Kind::instruction, "", text);
  if (request_.source_date_epoch)
    inputs.add(StepInputs::Kind::setting, "SOURCE_DATE_EPOCH", std::to_string(*request_.source_date_epoch));
  return inputs;
}

bool Builder::take_cached(StageState& state, const Instruction& instruction, const std::string& key)
{
  if (request_.no_cache) return false;
  const auto id = find_cached(root_, key);
  if (!id) return false;
  if (!id->empty()) check_room_for_layer(state.layers);
  Step step{trace_, topic(instruction), "cached"};
  if (!id->empty()) state.layers.push_back(*id);
  note_history(state, instruction, *id);
  ++cached_;
  step.done();
  return true;
}

void Builder::layer(StageState& state, const Instruction& instruction, const StepInputs& inputs, const Fill& fill)
{
  const std::string key = inputs.key();
  if (!take_cached(state, instruction, key)) {
    const StepLock lock{root_, key};
    // Another build may have made it meanwhile.
    if (!take_cached(state, instruction, key)) make_layer(state, instruction, inputs, fill);
  }
  records_.note(place_of_step(), key, inputs);
}

void Builder::make_layer(StageState& state, const Instruction& instruction, const StepInputs& inputs, const Fill& fill)
{
  if (instruction.verb != Verb::workdir) check_room_for_layer(state.layers);
  Step step{trace_, topic(instruction), request_.no_cache ? "--no-cache" : records_.why(place_of_step(), inputs)};
  const Workshop shop{root_};
  const std::string rw = shop.path() + "/rw";
  kernel::make_directory(trace_, root_.dir(), rw, 0700);
  const Packed packed = fill(shop, rw, step);
  trace_.throw_if_interrupted();
  const bool nothing = instruction.verb == Verb::workdir && kernel::list_directory(root_.dir(), rw + "/upper").empty();
  std::string id;
  if (!nothing) {
    check_room_for_layer(state.layers);
    kernel::make_directory(trace_, root_.dir(), shop.path() + "/made", 0700);
    kernel::rename_entry(trace_, root_.dir(), rw + "/upper", root_.dir(), shop.path() + "/made/diff");
    if (request_.source_date_epoch)
      kernel::clamp_times(trace_, root_.dir(), shop.path() + "/made/diff", *request_.source_date_epoch);
    id = commit_made(root_, shop, state.layers.empty() ? "" : state.layers.back(), title(instruction, 1000), now_ns(),
                     packed)
             .id;
    state.layers.push_back(id);
  }
  remember(root_, inputs.key(), id);
  note_history(state, instruction, id);
  step.done();
}

// A layer says when it was made, so that a build from the cache gives the same history, and with it the same image.
void Builder::note_history(StageState& state, const Instruction& instruction, const std::string& id) const
{
  std::vector<HistoryEntry>& history = state.config.history;
  std::string created = history.empty() ? "" : history.back().created;
  if (request_.source_date_epoch)
    created = rfc3339(now_ns());
  else if (!id.empty())
    if (const auto made = Images{root_}.find_layer(id)) created = rfc3339(made->created_ns);
  history.push_back({.created = created, .created_by = title(instruction, 1000), .empty_layer = id.empty()});
  // Without the epoch the image is as old as its newest layer (make_image).
  state.config.created = request_.source_date_epoch ? created : "";
}

void Builder::make_upper(const StageState& state, const std::string& rw)
{
  struct stat below {
    .st_mode = 0755
  };
  if (!state.layers.empty()) {
    const std::string top = Images::diff_path(state.layers.back());
    if (fstatat(root_.dir(), top.c_str(), &below, AT_SYMLINK_NOFOLLOW) < 0)
      throw Error{"find the layer " + top, errno, "the cache is damaged: conductor rmcache"};
  }
  const mode_t mask = umask(0);
  kernel::make_directory(trace_, root_.dir(), rw + "/upper", below.st_mode & 07777);
  umask(mask);
}

Fd Builder::mount_for_writing(const StageState& state, const std::string& rw)
{
  std::vector<std::string> lower = Images::stack(state.layers);
  if (lower.empty()) {
    // overlayfs wants something below.
    kernel::make_directory(trace_, root_.dir(), rw + "/empty", 0755);
    lower.push_back(rw + "/empty");
  }
  kernel::make_directory(trace_, root_.dir(), rw + "/work", 0700);
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
