// RUN and WORKDIR. Each says first what its layer depends on, then how it is filled; the rest is Builder::layer().
#include "core/base/error.h"
#include "core/container/id_range.h"
#include "core/container/run_step.h"
#include "core/engine/networks.h"
#include "core/image/builder.h"
#include "core/image/values.h"
#include "core/kernel/copy.h"
#include "core/kernel/files.h"

#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

namespace conductor::image {
namespace {

bool is_full(int directory)
{
  constexpr uint64_t nearly_nothing = 64 << 10;
  struct statvfs disk {};
  if (::fstatvfs(directory, &disk) < 0) return false;
  return uint64_t{disk.f_bavail} * disk.f_frsize < nearly_nothing || (disk.f_files != 0 && disk.f_favail == 0);
}

using Kind = StepInputs::Kind;

constexpr const char* directory_of_scripts = "/dev/pipes/";

std::string joined(const std::vector<std::string>& words)
{
  std::string all;
  for (const std::string& word : words) all += std::to_string(word.size()) + ":" + word;
  return all;
}

// RUN <<EOF: the lines are the command. Where they begin with #! they are a program, which the shell then executes.
bool is_command(const Instruction& instruction)
{
  return instruction.heredocs.size() == 1 && split_words(instruction.text, '\\').size() == 1;
}

bool is_script(const Instruction& instruction)
{
  return is_command(instruction) && instruction.heredocs.front().content.starts_with("#!");
}

// The text for the shell: it reads here-documents itself.
std::string command_text(const Instruction& instruction)
{
  if (instruction.heredocs.empty()) return instruction.text;
  if (is_script(instruction)) return directory_of_scripts + instruction.heredocs.front().name;
  if (is_command(instruction)) return chomped(instruction.heredocs.front());
  std::string text = instruction.text;
  for (const Heredoc& heredoc : instruction.heredocs) text += "\n" + heredoc.content + heredoc.name;
  return text;
}

} // namespace

// ---- RUN

std::string Builder::run_network(const Instruction& instruction) const
{
  const std::string own = network_of(instruction);
  if (!own.empty()) return own;
  return request_.network.empty() ? "internet" : request_.network;
}

void Builder::handle_run(StageState& state, const Instruction& instruction)
{
  if (state.layers.empty())
    throw Error{"RUN: the image is still empty, there is nothing to run", 0, "COPY a program first"};
  Spec spec{.id = random_hex(32), .name = "build", .layers = state.layers, .hostname = "build"};
  spec.process.args = instruction.exec_form ? instruction.words : run_arguments(state, command_text(instruction));
  spec.process.env = run_environment(state);
  spec.process.user = state.config.user;
  if (!state.config.workdir.empty()) spec.process.workdir = state.config.workdir;
  const std::string network = run_network(instruction);
  spec.network = network == "host" ? NetworkMode::host : NetworkMode::none;

  StepInputs inputs = begin_inputs(state, instruction);
  const auto add_variables = [&](Kind kind, const Variables& all) {
    for (const std::string& variable : all) {
      const size_t equals = variable.find('=');
      inputs.add(kind, variable.substr(0, equals), variable.substr(equals + 1));
    }
  };
  add_variables(Kind::argument, state.arguments);
  add_variables(Kind::variable, state.config.env);
  inputs.add(Kind::setting, "the command", joined(spec.process.args));
  inputs.add(Kind::setting, "USER", spec.process.user);
  inputs.add(Kind::setting, "WORKDIR", spec.process.workdir);
  inputs.add(Kind::setting, "the network", network);
  std::vector<PlannedMount> planned = plan_mounts(state, instruction, inputs);

  layer(state, instruction, inputs, [&](const Workshop&, const std::string& rw, Step& step) {
    std::vector<StepMount> mounts;
    std::vector<Fd> locks; // of the caches
    lock_caches(planned, locks);
    for (size_t at = 0; at < planned.size(); ++at) {
      const RunMount& mount = planned[at].mount;
      if (mount.kind == MountKind::secret) {
        planned[at].secret = secret(mount);
        if (!planned[at].secret) continue;
        if (!mount.variable.empty()) set_variable(spec.process.env, mount.variable, *planned[at].secret);
      }
      if (!mount.target.empty()) mounts.push_back(make_mount(planned[at], at, rw, step, locks));
    }
    if (is_script(instruction))
      mounts.push_back({.kind = StepMount::Kind::file,
                        .target = directory_of_scripts + instruction.heredocs.front().name,
                        .content = chomped(instruction.heredocs.front()),
                        .mode = 0755});
    Links links = links_of(context_);
    const ExitStatus status = run_step(root_, spec, rw, parse_id_pool(context_.config.id_pool), std::move(mounts),
                                       network == "internet" ? &links : nullptr);
    const std::string what = title(instruction);
    if (status.signal != 0)
      throw Error{fmt::format("{}: killed by signal {} (SIG{})", what, status.signal, sigabbrev_np(status.signal))};
    if (status.code != 0 && is_full(root_.dir())) // programs often say no more than that they could not write
      throw Error{fmt::format("{}: exit status {}, and the disk of the state directory is full", what, status.code), 0,
                  kernel::cure_of(ENOSPC)};
    if (status.code != 0) throw Error{fmt::format("{}: exit status {}", what, status.code)};
    return Packed{};
  });
}

// ---- WORKDIR

void Builder::handle_workdir(StageState& state, const Instruction& instruction)
{
  const std::string path = inside(state, expanded(state, instruction.text));
  state.config.workdir = path.size() > 1 && path.ends_with('/') ? path.substr(0, path.size() - 1) : path;
  StepInputs inputs = begin_inputs(state, instruction);
  inputs.add(Kind::setting, "the directory", state.config.workdir);
  layer(state, instruction, inputs, [&](const Workshop&, const std::string& rw, Step& step) {
    // The directory is made by the same rules as a COPY makes its destination: what is there stays as it is.
    kernel::CopyPlan plan{.text = "mkdir -p " + state.config.workdir};
    std::string grown;
    for (const std::string& part : split_path(state.config.workdir)) {
      grown += (grown.empty() ? "" : "/") + part;
      plan.items.push_back({"", grown, {.mode = S_IFDIR | 0755, .modified = {.tv_sec = now_ns() / 1'000'000'000}}});
    }
    make_upper(state, rw);
    kernel::LayerView layers{root_.dir(), Images::stack(state.layers)};
    Fd tree;
    if (kernel::fits_onto(plan, layers)) {
      tree = kernel::open_directory(root_.dir(), rw + "/upper");
      plan.below = &layers;
    } else {
      tree = mount_for_writing(state, rw);
    }
    plan.root = tree.get();
    kernel::copy_into_root(trace_, plan, step);
    return Packed{};
  });
}

} // namespace conductor::image
