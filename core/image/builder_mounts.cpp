// RUN --mount: what is looked at before the cache is asked (plan_mounts), and what is made when the step has to run.
//
// A bind of the context is a copy of what it selects: so the step sees the files as COPY would give them (an ignore
// file holds, all belongs to root) and whatever it writes is thrown away. A bind of a stage is an overlay of its
// layers.
#include "core/base/error.h"
#include "core/image/builder.h"
#include "core/image/layer_cache.h"
#include "core/kernel/copy.h"
#include "core/kernel/files.h"
#include "core/kernel/inroot.h"

#include <cerrno>
#include <cstdlib>
#include <map>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>

namespace conductor::image {
namespace {

using Kind = StepInputs::Kind;

constexpr const char* caches = "build/mounts";
constexpr size_t longest_secret = 500 << 10; // as Docker has it
constexpr int most_private = 100;            // caches of one id side by side

std::string cache_place(const RunMount& mount, int number)
{
  return fmt::format("{}/{}{}", caches, sha256(mount.id).substr(0, 32), number == 0 ? "" : fmt::format("-{}", number));
}

// flock(2) that can be interrupted.
bool lock(const Root& root, int fd, int how, bool wait)
{
  for (bool told = false; flock(fd, how | LOCK_NB) != 0;) {
    if (errno != EWOULDBLOCK && errno != EINTR) throw Error{"lock a cache of RUN", errno};
    if (!wait) return false;
    if (!told) root.trace().notice("another step uses this cache; waiting");
    told = true;
    root.trace().throw_if_interrupted();
    poll(nullptr, 0, 20);
  }
  return true;
}

} // namespace

// None when it was not given and need not be.
std::optional<std::string> Builder::secret(const RunMount& mount) const
{
  const auto found = request_.secrets.find(mount.id);
  if (found == request_.secrets.end()) {
    if (mount.required)
      throw Error{"RUN: the secret '" + visible(mount.id) + "' is required and was not given", 0,
                  "--secret id=" + visible(mount.id) + ",src=FILE"};
    return std::nullopt;
  }
  if (!found->second.variable.empty()) {
    const char* value = getenv(found->second.variable.c_str());
    if (value == nullptr)
      throw Error{"RUN: the environment has no '" + visible(found->second.variable) + "' for a secret"};
    return value;
  }
  try {
    return kernel::read_file(AT_FDCWD, found->second.file, longest_secret);
  } catch (const Error& error) {
    throw error.within("RUN: the secret '" + visible(mount.id) + "'");
  }
}

std::vector<Builder::PlannedMount> Builder::plan_mounts(const StageState& state, const Instruction& instruction,
                                                        StepInputs& inputs)
{
  std::vector<PlannedMount> all;
  for (const std::string& text : flags(instruction, "mount")) {
    PlannedMount planned{.mount = parse_mount(expanded(state, text))};
    RunMount& mount = planned.mount;
    if (!mount.target.empty()) mount.target = inside(state, mount.target);
    while (mount.target.size() > 1 && mount.target.ends_with('/')) mount.target.pop_back();
    if (mount.target == "/") throw Error{"RUN: nothing can be mounted at /"};
    const std::string name = fmt::format("mount {}", all.size() + 1);
    inputs.add(Kind::setting, name, expanded(state, text));
    if (!mount.from.empty()) {
      planned.layers = state_of(instruction, mount.from).layers;
      if (planned.layers.empty()) throw Error{"RUN: '" + visible(mount.from) + "' has no files"};
      // What a cache begins with is no part of the key, as the cache is none.
      std::string layers;
      for (const std::string& layer : planned.layers) layers += layer;
      if (mount.kind == MountKind::bind) inputs.add(Kind::setting, name + " from " + mount.from, layers);
    } else if (mount.kind == MountKind::bind) {
      try {
        planned.sources = look_at_sources(context_root(), {.words = {mount.source}});
      } catch (const Error& error) {
        throw error.within("RUN: --mount");
      }
      for (const Source& source : planned.sources)
        for (const SourceEntry& entry : source.entries)
          inputs.add(Kind::file, entry.path.empty() ? "." : entry.path, entry.fingerprint);
    }
    all.push_back(std::move(planned));
  }
  return all;
}

StepMount Builder::make_mount(const PlannedMount& planned, size_t number, const std::string& rw, Step& step,
                              std::vector<Fd>& locks)
{
  const RunMount& mount = planned.mount;
  StepMount made{.target = mount.target, .read_only = !mount.writable};
  switch (mount.kind) {
  case MountKind::bind: bind_mount(made, planned, fmt::format("{}/mount-{}", rw, number), step); break;
  case MountKind::cache: cache_mount(made, planned, step, locks); break;
  case MountKind::tmpfs:
    made.kind = StepMount::Kind::memory;
    made.size_bytes = mount.size_bytes;
    break;
  case MountKind::secret:
    made.kind = StepMount::Kind::file;
    made.content = planned.secret.value_or("");
    made.uid = mount.uid;
    made.gid = mount.gid;
    made.mode = mount.mode.value_or(0400);
    break;
  }
  return made;
}

// The start of the step would tell a missing one by a path of its own mounts.
void Builder::check_bind_source(const PlannedMount& planned)
{
  using Shown = kernel::LayerView::Kind;
  bool climbs = false; // the top is as high as it goes
  const std::string path = clean_path(planned.mount.source, climbs);
  Shown shown = kernel::LayerView{root_.dir(), Images::stack(planned.layers)}.find(path);
  if (shown == Shown::link || shown == Shown::beyond_link) { // where it leads only the whole tree can tell
    StageState stage;
    stage.layers = planned.layers;
    const Fd tree = open_tree_for_reading(stage);
    if (!kernel::find_in_root(tree.get(), path, O_PATH)) shown = Shown::nothing;
  }
  if (shown == Shown::nothing)
    throw Error{"RUN: --mount: there is no '" + visible(planned.mount.source) + "' in '" + visible(planned.mount.from) +
                "'"};
}

void Builder::bind_mount(StepMount& made, const PlannedMount& planned, const std::string& place, Step& step)
{
  if (!planned.layers.empty()) {
    check_bind_source(planned);
    made.kind = StepMount::Kind::layers;
    made.layers = Images::stack(planned.layers);
    made.below = planned.mount.source;
    if (planned.mount.writable) made.rw = place;
    return;
  }
  const mode_t mask = umask(0);
  kernel::make_directory(trace_, root_.dir(), place, 0755);
  umask(mask);
  const Fd copy = kernel::open_directory(root_.dir(), place);
  const Source& source = planned.sources.front();
  Target target{.image_root = copy.get(), .destination = source.directory ? "/" : "/file"};
  target.now.tv_sec = now_ns() / 1'000'000'000;
  kernel::copy_into_root(trace_, plan_copy(context_root(), planned.sources, target), step);
  made.source = root_.path() + "/" + place;
  if (!source.directory) made.below = "file";
}

// In one order for all steps, and each once, though a step may mount it twice: so no step waits for itself, and no two
// for each other.
void Builder::lock_caches(const std::vector<PlannedMount>& planned, std::vector<Fd>& locks)
{
  std::map<std::string, int> wanted; // place -> how it is locked
  for (const PlannedMount& each : planned) {
    if (each.mount.kind != MountKind::cache || each.mount.sharing == Sharing::exclusive) continue;
    int& how = wanted.try_emplace(cache_place(each.mount, 0), LOCK_SH).first->second;
    if (each.mount.sharing == Sharing::locked) how = LOCK_EX;
  }
  for (const auto& [place, how] : wanted) {
    kernel::make_directories(trace_, root_.dir(), place, 0700);
    locks.push_back(kernel::open_directory(root_.dir(), place));
    lock(root_, locks.back().get(), how, true);
  }
}

// The first of the private caches of that id that nobody uses.
std::string Builder::private_cache(const RunMount& mount, std::vector<Fd>& locks)
{
  for (int number = 0; number < most_private; ++number) {
    std::string place = cache_place(mount, number);
    kernel::make_directories(trace_, root_.dir(), place, 0700);
    Fd held = kernel::open_directory(root_.dir(), place);
    if (!lock(root_, held.get(), LOCK_EX, false)) continue;
    locks.push_back(std::move(held));
    return place;
  }
  throw Error{"RUN: too many steps use the private cache '" + visible(mount.id) + "'"};
}

void Builder::cache_mount(StepMount& made, const PlannedMount& planned, Step& step, std::vector<Fd>& locks)
{
  const RunMount& mount = planned.mount;
  const std::string place = mount.sharing == Sharing::exclusive ? private_cache(mount, locks) : cache_place(mount, 0);
  made.source = root_.path() + "/" + place + "/data";
  if (kernel::exists(root_.dir(), place + "/data")) return;
  // Filled beside its place, so that a killed build leaves no half cache behind; of two that fill it the first wins.
  const Workshop shop{root_};
  const std::string fresh = shop.path() + "/cache";
  kernel::make_directory(trace_, root_.dir(), fresh, 0700);
  const Fd tree = kernel::open_directory(root_.dir(), fresh);
  kernel::CopyPlan plan{.root = tree.get(), .text = "mkdir"};
  plan.items.push_back({"",
                        "data",
                        {.mode = S_IFDIR | mount.mode.value_or(0755), .modified = {.tv_sec = now_ns() / 1'000'000'000}},
                        mount.uid,
                        mount.gid});
  kernel::copy_into_root(trace_, plan, step);
  if (!planned.layers.empty()) {
    StageState stage;
    stage.layers = planned.layers;
    const Fd from = open_tree_for_reading(stage);
    const SourceRoot root{.fd = from.get(), .shown = visible(mount.from), .owners = true};
    const auto sources = look_at_sources(root, {.words = {mount.source}});
    kernel::copy_into_root(trace_, plan_copy(root, sources, {.image_root = tree.get(), .destination = "/data/"}), step);
  }
  try {
    kernel::rename_entry(trace_, root_.dir(), fresh + "/data", root_.dir(), place + "/data", RENAME_NOREPLACE);
  } catch (const Error& error) {
    if (error.number() != EEXIST) throw;
  }
}

} // namespace conductor::image
