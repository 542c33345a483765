// The table of instructions, and those that change nothing but the image's configuration and the build's variables.
#include "core/base/error.h"
#include "core/container/spec.h"
#include "core/image/builder.h"
#include "core/image/health.h"
#include "core/image/values.h"

#include <algorithm>

namespace conductor::image {
namespace {

std::vector<std::string> words_of(const std::string& text)
{
  std::vector<std::string> words;
  for (size_t at = text.find_first_not_of(" \t\n"); at != std::string::npos; at = text.find_first_not_of(" \t\n", at)) {
    const size_t end = std::min(text.find_first_of(" \t\n", at), text.size());
    words.push_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

} // namespace

struct Builder::Row {
  Verb verb;
  Handler handler;
  bool makes_layer;
};

const Builder::Row& Builder::row_of(Verb verb)
{
  static constexpr Row table[] = {
      {Verb::add, &Builder::handle_add, true},
      {Verb::arg, &Builder::handle_argument, false},
      {Verb::cmd, &Builder::handle_command, false},
      {Verb::copy, &Builder::handle_copy, true},
      {Verb::entrypoint, &Builder::handle_entrypoint, false},
      {Verb::env, &Builder::handle_environment, false},
      {Verb::expose, &Builder::handle_expose, false},
      {Verb::healthcheck, &Builder::handle_health_check, false},
      {Verb::label, &Builder::handle_label, false},
      {Verb::maintainer, &Builder::handle_maintainer, false},
      {Verb::onbuild, &Builder::handle_on_build, false},
      {Verb::run, &Builder::handle_run, true},
      {Verb::shell, &Builder::handle_shell, false},
      {Verb::stopsignal, &Builder::handle_stop_signal, false},
      {Verb::user, &Builder::handle_user, false},
      {Verb::volume, &Builder::handle_volume, false},
      {Verb::workdir, &Builder::handle_workdir, true},
  };
  for (const Row& row : table)
    if (row.verb == verb) return row;
  throw Error{"this instruction cannot stand here"};
}

void Builder::handle(StageState& state, const Instruction& instruction)
{
  const Row& row = row_of(instruction.verb);
  // Those that make a layer open their step when they know the cache's answer.
  if (row.makes_layer) return (this->*row.handler)(state, instruction);
  Step step{trace_, topic(instruction), "changes the configuration only"};
  (this->*row.handler)(state, instruction);
  note_history(state, instruction, "");
  step.done();
}

void Builder::handle_argument(StageState& state, const Instruction& instruction)
{
  for (const auto& [raw, fallback] : instruction.pairs) {
    const std::string name = expanded(state, raw);
    check_variable_name(instruction, name);
    const auto given = request_.build_args.find(name);
    if (given != request_.build_args.end())
      set_variable(state.arguments, name, given->second);
    else if (fallback)
      set_variable(state.arguments, name, expanded(state, *fallback));
    else if (const auto global = value_of(global_, name)) // the one from before the first FROM
      set_variable(state.arguments, name, *global);
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
    check_variable_name(instruction, name);
    set_variable(state.config.env, name, expand(value.value_or(""), before, recipe_.escape));
  }
}

void Builder::handle_expose(StageState& state, const Instruction& instruction)
{
  for (const std::string& raw : instruction.words)
    for (const std::string& word : words_of(expanded(state, raw))) // a variable may hold several
      for (std::string& port : ports_of(word)) state.config.exposed_ports.insert(std::move(port));
}

void Builder::handle_health_check(StageState& state, const Instruction& instruction)
{
  state.config.healthcheck = parse_health_check(instruction);
}

void Builder::handle_label(StageState& state, const Instruction& instruction)
{
  for (const auto& [raw, value] : instruction.pairs)
    state.config.labels[expanded(state, raw)] = expanded(state, value.value_or(""));
}

void Builder::handle_maintainer(StageState& state, const Instruction& instruction)
{
  state.config.author = instruction.text;
}

void Builder::handle_on_build(StageState& state, const Instruction& instruction)
{
  state.config.on_build.push_back(instruction.text);
}

void Builder::handle_shell(StageState& state, const Instruction& instruction)
{
  state.config.shell = instruction.words;
}

void Builder::handle_stop_signal(StageState& state, const Instruction& instruction)
{
  state.config.stop_signal = stop_signal_of(expanded(state, instruction.text));
}

void Builder::handle_user(StageState& state, const Instruction& instruction)
{
  state.config.user = expanded(state, instruction.text);
  if (state.config.user.empty()) throw Error{"USER: the name is empty"};
}

void Builder::handle_volume(StageState& state, const Instruction& instruction)
{
  for (const std::string& raw : instruction.words) {
    const std::string path = expanded(state, raw);
    if (path.empty()) throw Error{"VOLUME: a path is empty"};
    state.config.volumes.insert(path);
  }
}

} // namespace conductor::image
