// The three instructions that make a layer: RUN, COPY, WORKDIR. Each says first what its layer depends on, then how it
// is filled; the rest is Builder::layer().
#include "core/image/builder.h"

#include "core/base/error.h"
#include "core/container/id_range.h"
#include "core/container/run_step.h"
#include "core/container/user.h"
#include "core/kernel/files.h"
#include "core/kernel/inroot.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <time.h>

namespace conductor::image {
namespace {

// 755, 0755, 1777
mode_t parse_mode(const std::string& text)
{
  const bool good = !text.empty() && text.size() <= 5 && text.find_first_not_of("01234567") == std::string::npos;
  const unsigned long value = good ? std::stoul(text, nullptr, 8) : 010000;
  if (value > 07777) throw Error{"--chmod: '" + visible(text) + "' is no mode", 0, "octal digits: --chmod=755"};
  return static_cast<mode_t>(value);
}

std::string flag(const Instruction& instruction, const char* name)
{
  const auto found = instruction.flags.find(name);
  return found == instruction.flags.end() ? std::string{} : found->second;
}

} // namespace

// ---- RUN

std::string Builder::run_network(const Instruction& instruction) const
{
  std::string network = flag(instruction, "network");
  if (network.empty() || network == "default") network = request_.network.empty() ? "host" : request_.network;
  if (network == "host" || network == "none") return network;
  throw Error{"--network " + visible(network) + " is not possible for RUN", 0, "this version has host and none"};
}

void Builder::handle_run(StageState& state, const Instruction& instruction)
{
  if (state.layers.empty())
    throw Error{"RUN: the image is still empty, there is nothing to run", 0, "COPY a program first"};
  Spec spec{.id = random_hex(32), .name = "build", .layers = state.layers, .hostname = "build"};
  spec.process.args = run_arguments(state, instruction);
  spec.process.env = run_environment(state);
  spec.process.user = state.config.user;
  if (!state.config.workdir.empty()) spec.process.workdir = state.config.workdir;
  const std::string network = run_network(instruction);
  spec.network = network == "host" ? NetworkMode::host : NetworkMode::none;

  Digest key = begin_key(state, "RUN");
  key.field(spec.process.args.size());
  for (const std::string& word : spec.process.args) key.field(word);
  key.field(spec.process.user).field(spec.process.workdir).field(network);
  for (const std::string& variable : variables(state)) key.field(variable);

  layer(state, instruction, key.hex(), [&](const std::string& rw, Step&) {
    const ExitStatus status = run_step(root_, spec, rw, parse_id_pool(context_.config.id_pool));
    const std::string what = title(instruction);
    if (status.signal != 0)
      throw Error{fmt::format("{}: killed by signal {} (SIG{})", what, status.signal, sigabbrev_np(status.signal))};
    if (status.code != 0) throw Error{fmt::format("{}: exit status {}", what, status.code)};
  });
}

// ---- COPY

SourceRoot Builder::source_root(const Instruction& instruction, Fd& opened)
{
  const auto from = instruction.flags.find("from");
  if (from == instruction.flags.end()) {
    if (!context_fd_) throw Error{"COPY: this build has no context", 0, "give one: --context DIR"};
    return {context_fd_.get(), "the context " + context_directory_, &ignore_};
  }
  if (const auto stage = find_stage(from->second, current_)) {
    opened = open_tree_for_reading(finished(*stage));
    return {opened.get(), "the stage '" + from->second + "'", nullptr};
  }
  opened = open_tree_for_reading(begin_from(context_, from->second));
  return {opened.get(), "the image '" + from->second + "'", nullptr};
}

void Builder::handle_copy(StageState& state, const Instruction& instruction)
{
  std::vector<std::string> words;
  for (const std::string& word : instruction.words)
    words.push_back(instruction.exec_form ? word : expanded(state, word));
  const std::string destination = inside(state, words.back());
  words.pop_back();
  const std::string owner = expanded(state, flag(instruction, "chown"));
  std::optional<mode_t> mode;
  if (instruction.flags.contains("chmod")) mode = parse_mode(expanded(state, flag(instruction, "chmod")));

  Fd opened;
  const SourceRoot from = source_root(instruction, opened);
  Digest key = begin_key(state, "COPY");
  key.field(destination).field(owner).field(words.size());
  std::vector<Source> sources;
  try {
    sources = look_at_sources(from, words, mode, key);
  } catch (const Error& error) {
    throw error.within("COPY");
  }

  layer(state, instruction, key.hex(), [&](const std::string& rw, Step& step) {
    const Fd tree = open_tree_for_writing(state, rw);
    User user;
    if (!owner.empty()) user = resolve_user_in_root(tree.get(), owner);
    const auto plan = plan_copy(from, sources, tree.get(), destination, user.uid, user.gid, mode);
    kernel::copy_into_root(trace_, plan, step);
  });
}

// ---- WORKDIR

void Builder::handle_workdir(StageState& state, const Instruction& instruction)
{
  const std::string path = inside(state, expanded(state, instruction.text));
  state.config.workdir = path.size() > 1 && path.ends_with('/') ? path.substr(0, path.size() - 1) : path;
  Digest key = begin_key(state, "WORKDIR");
  key.field(state.config.workdir);
  layer(state, instruction, key.hex(), [&](const std::string& rw, Step& step) {
    const Fd tree = open_tree_for_writing(state, rw);
    // The directory is made by the same rules as a COPY makes its destination: what is there stays as it is.
    kernel::CopyPlan plan{.root = tree.get(), .text = "mkdir -p " + state.config.workdir};
    std::string grown;
    for (const std::string& part : split_path(state.config.workdir)) {
      grown += (grown.empty() ? "" : "/") + part;
      plan.items.push_back({"", grown, {.mode = S_IFDIR | 0755, .modified = {.tv_sec = time(nullptr)}}});
    }
    kernel::copy_into_root(trace_, plan, step);
  });
}

} // namespace conductor::image
