// One run over a parsed build file. Each instruction is a row of a table of handlers; what a stage has become so far is
// a value, so that stages can be taken up by name. Only the stages that the target needs are run, each when it is first
// asked for.
#pragma once

#include "core/container/rootfs.h"
#include "core/image/content_index.h"
#include "core/image/image.h"
#include "core/image/layer_packer.h"
#include "core/image/recipe.h"
#include "core/image/run_mount.h"
#include "core/image/sources.h"
#include "core/image/step_record.h"
#include "core/image/words.h"
#include "core/store/workshop.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace conductor::image {

// What a stage is after some of its steps.
struct StageState {
  std::vector<std::string> layers;
  ImageConfig config;
  Variables arguments;      // ARGs in sight
  std::string base;         // the reference that its first FROM named
  bool has_own_cmd = false; // CMD of this file, which a later ENTRYPOINT leaves alone
};

class Builder {
public:
  // context_directory: what COPY reads; none: a build that has no context (the default base). reference: of the image.
  Builder(Context& context, const BuildRequest& request, const Recipe& recipe, std::string context_directory,
          const std::string& reference);
  // Runs up to the wanted stage and returns its state.
  StageState run();
  size_t steps() const { return step_; }
  size_t cached_steps() const { return cached_; }

private:
  using Handler = void (Builder::*)(StageState&, const Instruction&);
  struct Row;
  static const Row& row_of(Verb verb);
  // What packing a layer gives, where that was learnt while it was made.
  using Packed = std::optional<PackedTree>;
  // Where a step writes: "tmp/.../rw" relative to the root directory, upper/ and work/ in it.
  using Fill = std::function<Packed(const Workshop& shop, const std::string& rw, Step& step)>;

  size_t wanted_stage() const;
  const StageState& finished(size_t stage);
  StageState run_stage(size_t stage);
  StageState begin(size_t stage);
  void run_triggers(StageState& state, const Instruction& from);
  void handle(StageState& state, const Instruction& instruction);
  void tell_unused_arguments() const;

  void handle_add(StageState& state, const Instruction& instruction);
  void handle_argument(StageState& state, const Instruction& instruction);
  void handle_command(StageState& state, const Instruction& instruction);
  void handle_copy(StageState& state, const Instruction& instruction);
  void handle_entrypoint(StageState& state, const Instruction& instruction);
  void handle_environment(StageState& state, const Instruction& instruction);
  void handle_expose(StageState& state, const Instruction& instruction);
  void handle_health_check(StageState& state, const Instruction& instruction);
  void handle_label(StageState& state, const Instruction& instruction);
  void handle_maintainer(StageState& state, const Instruction& instruction);
  void handle_on_build(StageState& state, const Instruction& instruction);
  void handle_run(StageState& state, const Instruction& instruction);
  void handle_shell(StageState& state, const Instruction& instruction);
  void handle_stop_signal(StageState& state, const Instruction& instruction);
  void handle_user(StageState& state, const Instruction& instruction);
  void handle_volume(StageState& state, const Instruction& instruction);
  void handle_workdir(StageState& state, const Instruction& instruction);

  // The layer of a step: from the cache, or made now by `fill` and committed. Adds it to the state.
  void layer(StageState& state, const Instruction& instruction, const StepInputs& inputs, const Fill& fill);
  void make_layer(StageState& state, const Instruction& instruction, const StepInputs& inputs, const Fill& fill);
  bool take_cached(StageState& state, const Instruction& instruction, const std::string& key);
  void note_history(StageState& state, const Instruction& instruction, const std::string& layer) const;
  std::string topic(const Instruction& instruction) const;
  // The place of the step that is run now, for StepRecords.
  std::string place_of_step() const;
  // rw/upper, which becomes the layer.
  void make_upper(const StageState& state, const std::string& rw);
  // The state's layers as one tree to write into, what is written going to rw/upper.
  Fd mount_for_writing(const StageState& state, const std::string& rw);
  // ... or only to read.
  Fd open_tree_for_reading(const StageState& state);
  StepInputs begin_inputs(const StageState& state, const Instruction& instruction) const;
  Variables variables(const StageState& state) const;
  std::string expanded(const StageState& state, const std::string& word) const;
  // A path of the image: absolute, relative ones below WORKDIR, without . and .. (a '/' at the end stays).
  std::string inside(const StageState& state, const std::string& path) const;
  std::string run_network(const Instruction& instruction) const;
  std::vector<std::string> run_environment(const StageState& state) const;
  std::vector<std::string> run_arguments(const StageState& state, const std::string& text) const;
  std::vector<std::string> run_arguments(const StageState& state, const Instruction& instruction) const;
  int64_t now_ns() const; // or SOURCE_DATE_EPOCH

  // ---- COPY and ADD (builder_copy.cpp)
  struct Copying;
  SourceRoot context_root() const;
  // The stage or image that --from names.
  StageState state_of(const Instruction& instruction, const std::string& from);
  void begin_copy(const StageState& state, const Instruction& instruction, Copying& copying) const;
  void take_heredocs(const StageState& state, const Instruction& instruction, Copying& copying) const;
  void take_download(Copying& copying, const std::string& address);
  void look_at_files(Copying& copying);
  void finish_copy(StageState& state, const Instruction& instruction, Copying& copying);
  Packed fill_copy(const StageState& state, Copying& copying, const Workshop& shop, const std::string& rw, Step& step);
  Target target_of(const Copying& copying, int root) const;
  // Straight into the layer, where looking into those below is enough. done false: it takes their mounted tree.
  struct Filled {
    bool done = false;
    Packed packed;
  };
  Filled fill_unmounted(const StageState& state, const Copying& copying, const std::string& rw, Step& step);

  // ---- RUN --mount (builder_mounts.cpp)
  struct PlannedMount {
    RunMount mount;
    std::vector<Source> sources;     // of a bind from the context
    std::vector<std::string> layers; // of another stage or image
    std::optional<std::string> secret;
  };
  std::vector<PlannedMount> plan_mounts(const StageState& state, const Instruction& instruction, StepInputs& inputs);
  StepMount make_mount(const PlannedMount& planned, size_t number, const std::string& rw, Step& step,
                       std::vector<Fd>& locks);
  void check_bind_source(const PlannedMount& planned);
  void bind_mount(StepMount& made, const PlannedMount& planned, const std::string& place, Step& step);
  void lock_caches(const std::vector<PlannedMount>& planned, std::vector<Fd>& locks);
  std::string private_cache(const RunMount& mount, std::vector<Fd>& locks);
  void cache_mount(StepMount& made, const PlannedMount& planned, Step& step, std::vector<Fd>& locks);
  std::optional<std::string> secret(const RunMount& mount) const;

  Context& context_;
  Trace& trace_;
  const Root& root_;
  const BuildRequest& request_;
  const Recipe& recipe_;
  std::string context_directory_;
  Fd context_fd_;
  Ignore ignore_;
  std::optional<ContentIndex> index_;
  StepRecords records_;
  std::vector<std::optional<StageState>> finished_;
  Variables global_; // the ARGs from before the first FROM
  size_t current_ = 0, step_of_stage_ = 0;
  size_t step_ = 0, of_ = 0, cached_ = 0;
};

// The image that a reference means for FROM: local, else a base. Throws Error.
StageState begin_from(Context& context, const std::string& reference);

} // namespace conductor::image
