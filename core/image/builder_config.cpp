// The table of instructions, and those that change nothing but the image's configuration and the build's variables.
#include "core/base/error.h"
#include "core/container/spec.h"
#include "core/image/builder.h"
#include "core/image/health.h"
#include "core/kernel/signals.h"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstring>

#include <fmt/format.h>

namespace conductor::image {
namespace {

void check_variable_name(const std::string& name, const Instruction& instruction)
{
  const bool good = !name.empty() && name.find('=') == std::string::npos && name.find('\0') == std::string::npos &&
                    name.find_first_of(" \t\n") == std::string::npos;
  if (!good) throw Error{instruction.keyword + ": '" + visible(name) + "' is no name"};
}

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

std::optional<unsigned> port_of(std::string_view text)
{
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || port == 0 || port > 65535)
    return std::nullopt;
  return port;
}

// "80", "80/udp", "8000-8010/tcp" -> each port with its protocol.
std::vector<std::string> ports_of(const std::string& text)
{
  const size_t slash = std::min(text.find('/'), text.size());
  std::string protocol = slash < text.size() ? text.substr(slash + 1) : "tcp";
  std::transform(protocol.begin(), protocol.end(), protocol.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
  const std::string_view numbers = std::string_view{text}.substr(0, slash);
  const size_t dash = numbers.find('-');
  const auto first = port_of(numbers.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : port_of(numbers.substr(dash + 1));
  const bool known = protocol == "tcp" || protocol == "udp" || protocol == "sctp";
  if (!first || !last || *last < *first || !known)
    throw Error{"EXPOSE: '" + visible(text) + "' is no port", 0, "80, 53/udp or 8000-8010/tcp"};
  std::vector<std::string> ports;
  for (unsigned port = *first; port <= *last; ++port) ports.push_back(fmt::format("{}/{}", port, protocol));
  return ports;
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
    check_variable_name(name, instruction);
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
    check_variable_name(name, instruction);
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
  const std::string name = expanded(state, instruction.text);
  const bool is_number = !name.empty() && name.find_first_not_of("0123456789") == std::string::npos;
  std::string upper = name;
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  if (!is_number && !upper.starts_with("SIG")) upper.insert(0, "SIG");
  if (!kernel::find_signal(upper))
    throw Error{"STOPSIGNAL: '" + visible(name) + "' is no signal", 0, "STOPSIGNAL SIGTERM"};
  state.config.stop_signal = upper;
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
