// One run over a parsed build file. Each instruction is a row of a table of handlers; what a stage has become so far is
// a value, so that stages can be taken up by name.
#pragma once

#include "core/image/digest.h"
#include "core/image/image.h"
#include "core/image/recipe.h"
#include "core/image/sources.h"
#include "core/image/words.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace conductor::image {

// What a stage is after some of its steps.
struct StageState {
  std::vector<std::string> layers;
  ImageConfig config;
  Variables arguments;                             // ARGs in sight
  std::vector<std::string> shell{"/bin/sh", "-c"}; // for the shell form
  std::string base;                                // the reference that its first FROM named
  bool rebuilt = false;                            // a step before this was made anew
  bool has_own_cmd = false;                        // CMD of this file, which a later ENTRYPOINT leaves alone
};

class Builder {
public:
  // context_directory: what COPY reads; none: a build that has no context (the default base).
  Builder(Context& context, const BuildRequest& request, const Recipe& recipe, std::string context_directory);
  // Runs up to the wanted stage and returns its state.
  StageState run();
  size_t steps() const { return step_; }
  size_t cached_steps() const { return cached_; }

private:
  using Handler = void (Builder::*)(StageState&, const Instruction&);
  static Handler handler_of(Verb verb);
  // Where a step writes: "tmp/.../rw" relative to the root directory, upper/ and work/ in it.
  using Fill = std::function<void(const std::string& rw, Step& step)>;

  size_t wanted_stage() const;
  std::optional<size_t> find_stage(const std::string& name, size_t before) const;
  const StageState& finished(size_t stage);
  StageState run_stage(size_t stage);
  StageState begin(size_t stage);
  void handle(StageState& state, const Instruction& instruction);
  void note_step(StageState& state, const Instruction& instruction, bool made_layer);

  void handle_argument(StageState& state, const Instruction& instruction);
  void handle_command(StageState& state, const Instruction& instruction);
  void handle_copy(StageState& state, const Instruction& instruction);
  void handle_entrypoint(StageState& state, const Instruction& instruction);
  void handle_environment(StageState& state, const Instruction& instruction);
  void handle_label(StageState& state, const Instruction& instruction);
  void handle_maintainer(StageState& state, const Instruction& instruction);
  void handle_noted(StageState& state, const Instruction& instruction);
  void handle_run(StageState& state, const Instruction& instruction);
  void handle_shell(StageState& state, const Instruction& instruction);
  void handle_stop_signal(StageState& state, const Instruction& instruction);
  void handle_user(StageState& state, const Instruction& instruction);
  void handle_workdir(StageState& state, const Instruction& instruction);

  // The layer of a step: from the cache, or made now by `fill` and committed. Adds it to the state.
  void layer(StageState& state, const Instruction& instruction, const std::string& key, const Fill& fill);
  void make_layer(StageState& state, const Instruction& instruction, const std::string& key, const Fill& fill,
                  const std::string& topic);
  // The state's layers as one tree to write into, below which `rw` gets what is written.
  Fd open_tree_for_writing(const StageState& state, const std::string& rw);
  // ... or only to read.
  Fd open_tree_for_reading(const StageState& state);
  Digest begin_key(const StageState& state, const char* what) const;
  Variables variables(const StageState& state) const;
  std::string expanded(const StageState& state, const std::string& word) const;
  // A path of the image: absolute, relative ones below WORKDIR, without . and .. (a '/' at the end stays).
  std::string inside(const StageState& state, const std::string& path) const;
  SourceRoot source_root(const Instruction& instruction, Fd& opened);
  std::string run_network(const Instruction& instruction) const;
  std::vector<std::string> run_environment(const StageState& state) const;
  std::vector<std::string> run_arguments(const StageState& state, const Instruction& instruction) const;

  Context& context_;
  Trace& trace_;
  const Root& root_;
  const BuildRequest& request_;
  const Recipe& recipe_;
  std::string context_directory_;
  Fd context_fd_;
  Ignore ignore_;
  std::vector<std::optional<StageState>> finished_;
  size_t current_ = 0; // stage
  size_t step_ = 0, of_ = 0, cached_ = 0;
};

// The image that a reference means for FROM: local, else a base. Throws Error.
StageState begin_from(Context& context, const std::string& reference);

} // namespace conductor::image
