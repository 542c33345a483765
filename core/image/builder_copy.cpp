// COPY and ADD: their words are looked at, which gives the key; when the layer has to be made they become plans for
// kernel::copy_into_root().
#include "core/base/error.h"
#include "core/container/user.h"
#include "core/image/builder.h"
#include "core/image/download.h"
#include "core/image/layer_cache.h"
#include "core/image/unpack.h"
#include "core/image/values.h"
#include "core/kernel/files.h"
#include "core/kernel/inroot.h"

#include <algorithm>

#include <fmt/format.h>
#include <sys/stat.h>

namespace conductor::image {
namespace {

using Kind = StepInputs::Kind;

} // namespace

// One COPY or ADD on its way.
struct Builder::Copying {
  SourceRoot from;
  Fd opened; // of `from`, when it is another stage
  Selection selection;
  std::string destination; // absolute
  std::string owner;       // --chown
  std::string checksum;    // --checksum
  StepInputs inputs;
  std::vector<Source> sources;
  std::vector<LooseFile> loose;
  std::optional<Workshop> shop; // of downloads
  Fd shop_dir;
  std::vector<Download> later; // with a checksum: fetched only when the layer is made
  bool unpacks = false;        // archives are unpacked
};

SourceRoot Builder::context_root() const
{
  if (!context_fd_) throw Error{"this build has no context", 0, "give one: --context DIR"};
  return {.fd = context_fd_.get(),
          .shown = "the context " + context_directory_,
          .ignore = &ignore_,
          .index = const_cast<ContentIndex*>(&*index_)};
}

StageState Builder::state_of(const Instruction& instruction, const std::string& from)
{
  if (const auto stage = find_stage(recipe_, from, current_)) return finished(*stage);
  check_source(recipe_, current_, instruction, from);
  return begin_from(context_, from);
}

void Builder::begin_copy(const StageState& state, const Instruction& instruction, Copying& copying) const
{
  copying.inputs = begin_inputs(state, instruction);
  Selection& selection = copying.selection;
  std::vector<std::string> words;
  for (const std::string& word : instruction.words) words.push_back(expanded(state, word));
  if (words.back().empty()) throw Error{instruction.keyword + ": the destination is empty"};
  copying.destination = inside(state, words.back());
  for (size_t at = 0; at + 1 < words.size(); ++at) {
    const bool document = std::any_of(instruction.heredocs.begin(), instruction.heredocs.end(),
                                      [&](const Heredoc& heredoc) { return heredoc.word == at; });
    if (!document) selection.words.push_back(words[at]);
  }
  copying.owner = expanded(state, flag(instruction, "chown").value_or(""));
  copying.checksum = expanded(state, flag(instruction, "checksum").value_or(""));
  selection.chown = !copying.owner.empty();
  if (const auto mode = flag(instruction, "chmod")) selection.mode.emplace(expanded(state, *mode));
  std::vector<std::string> patterns;
  for (const std::string& pattern : flags(instruction, "exclude")) patterns.push_back(expanded(state, pattern));
  selection.exclude = Ignore{patterns};
  selection.parents = switch_of(instruction, "parents", false);

  std::string sources;
  for (const std::string& word : selection.words) sources += (sources.empty() ? "" : " ") + word;
  copying.inputs.add(Kind::setting, "the source", sources);
  copying.inputs.add(Kind::setting, "the destination", copying.destination);
  copying.inputs.add(Kind::setting, "--chown", copying.owner);
  copying.inputs.add(Kind::setting, "--chmod", expanded(state, flag(instruction, "chmod").value_or("")));
  for (const std::string& pattern : patterns) copying.inputs.add(Kind::setting, "--exclude", pattern);
}

void Builder::take_heredocs(const StageState& state, const Instruction& instruction, Copying& copying) const
{
  for (const Heredoc& heredoc : instruction.heredocs) {
    LooseFile file{.name = heredoc.name, .content = chomped(heredoc)};
    if (heredoc.expand) file.content = expand_text(file.content, variables(state), recipe_.escape);
    file.facts.mode = S_IFREG | 0644;
    file.facts.size = file.content.size();
    file.facts.modified.tv_sec = now_ns() / 1'000'000'000;
    copying.inputs.add(Kind::file, "<<" + heredoc.name, sha256(file.content));
    copying.loose.push_back(std::move(file));
  }
}

void Builder::look_at_files(Copying& copying)
{
  copying.sources = look_at_sources(copying.from, copying.selection);
  for (const Source& source : copying.sources)
    for (const SourceEntry& entry : source.entries)
      copying.inputs.add(Kind::file, entry.path.empty() ? "." : entry.path, entry.fingerprint);
}

void Builder::handle_copy(StageState& state, const Instruction& instruction)
{
  Copying copying;
  begin_copy(state, instruction, copying);
  take_heredocs(state, instruction, copying);
  const auto from = flag(instruction, "from");
  if (!from) {
    try {
      copying.from = copying.selection.words.empty() ? SourceRoot{} : context_root();
      look_at_files(copying);
    } catch (const Error& error) {
      throw error.within("COPY");
    }
    return finish_copy(state, instruction, copying);
  }
  // The layers of the other stage say all about its files: as long as they are the same nobody looks at those. When
  // they are not, the files may still be.
  const StageState other = state_of(instruction, *from);
  StepInputs by_layers = copying.inputs;
  std::string layers;
  for (const std::string& layer : other.layers) layers += layer;
  by_layers.add(Kind::setting, "the layers of " + *from, layers);
  const std::string quick = by_layers.key();
  if (take_cached(state, instruction, quick)) {
    records_.note(place_of_step(), quick, by_layers);
    return;
  }
  try {
    copying.opened = open_tree_for_reading(other);
    copying.from = {.fd = copying.opened.get(), .shown = "'" + visible(*from) + "'", .owners = true};
    look_at_files(copying);
  } catch (const Error& error) {
    throw error.within("COPY");
  }
  finish_copy(state, instruction, copying);
  remember(root_, quick, find_cached(root_, copying.inputs.key()).value_or(""));
}

void Builder::take_download(Copying& copying, const std::string& address)
{
  Download download{.address = address, .checksum = copying.checksum};
  download.name = name_of_download(address);
  if (download.name.empty()) {
    if (copying.destination.ends_with('/'))
      throw Error{"ADD: '" + visible(address) + "' has no name for a file", 0, "name the file in the destination"};
    download.name = "download";
  }
  if (!download.checksum.empty()) {
    check_checksum(download.checksum);
    copying.inputs.add(Kind::file, address, download.checksum);
    copying.later.push_back(std::move(download));
    return;
  }
  if (!copying.shop) copying.shop.emplace(root_);
  download.file = fmt::format("download-{}", copying.loose.size());
  fetch(trace_, copying.shop->dir(), download);
  copying.inputs.add(Kind::file, address, download.digest);
  copying.loose.push_back({.name = download.name, .path = download.file, .facts = download.facts});
}

void Builder::handle_add(StageState& state, const Instruction& instruction)
{
  Copying copying;
  begin_copy(state, instruction, copying);
  take_heredocs(state, instruction, copying);
  copying.unpacks = switch_of(instruction, "unpack", true);
  try {
    std::vector<std::string> addresses;
    for (const std::string& word : copying.selection.words) {
      if (is_repository(word))
        throw Error{"'" + visible(word) + "' is a git repository, and those are not fetched", 0,
                    "clone it into the context, and COPY it"};
      if (is_address(word)) addresses.push_back(word);
    }
    if (!copying.checksum.empty() && (addresses.size() != 1 || copying.selection.words.size() != 1))
      throw Error{"--checksum belongs to one download"};
    std::erase_if(copying.selection.words, is_address);
    for (const std::string& address : addresses) take_download(copying, address);
    copying.from = copying.selection.words.empty() ? SourceRoot{} : context_root();
    look_at_files(copying);
  } catch (const Error& error) {
    throw error.within("ADD");
  }
  finish_copy(state, instruction, copying);
}

void Builder::finish_copy(StageState& state, const Instruction& instruction, Copying& copying)
{
  layer(state, instruction, copying.inputs, [&](const Workshop& shop, const std::string& rw, Step& step) {
    return fill_copy(state, copying, shop, rw, step);
  });
}

// root: where the owner's name is looked up; numbers need no files.
Target Builder::target_of(const Copying& copying, int root) const
{
  Target target{.image_root = root, .destination = copying.destination, .mode = copying.selection.mode};
  target.now.tv_sec = now_ns() / 1'000'000'000;
  if (!copying.owner.empty()) {
    const User user = resolve_owner_in_root(root, copying.owner);
    target.owner = std::pair{user.uid, user.gid};
  }
  return target;
}

// Mounting an overlay, writing through it and unmounting it takes longer than the copy itself. So what has its place
// without following links goes straight where overlayfs would put it.
Builder::Filled Builder::fill_unmounted(const StageState& state, const Copying& copying, const std::string& rw,
                                        Step& step)
{
  const bool names_owner = copying.owner.find_first_not_of("0123456789:") != std::string::npos;
  const bool fetches = !copying.later.empty() || std::any_of(copying.loose.begin(), copying.loose.end(),
                                                             [](const LooseFile& file) { return !file.path.empty(); });
  const bool may_unpack = copying.unpacks && std::any_of(copying.sources.begin(), copying.sources.end(),
                                                         [](const Source& source) { return !source.directory; });
  if (names_owner || fetches || may_unpack) return {};
  const Fd upper = kernel::open_directory(root_.dir(), rw + "/upper");
  kernel::LayerView layers{root_.dir(), Images::stack(state.layers)};
  Target target = target_of(copying, upper.get());
  target.layers = &layers;
  auto plan = plan_copy_onto_layers(copying.from, copying.sources, target, copying.loose);
  if (!plan) return {};
  // With an epoch the times change once more, when all is there.
  LayerStream stream;
  if (!request_.source_date_epoch) plan->watcher = &stream;
  const bool watched = kernel::copy_into_root(trace_, *plan, step);
  return {.done = true, .packed = watched ? stream.finish() : Packed{}};
}

Builder::Packed Builder::fill_copy(const StageState& state, Copying& copying, const Workshop& shop,
                                   const std::string& rw, Step& step)
{
  make_upper(state, rw);
  if (Filled filled = fill_unmounted(state, copying, rw, step); filled.done) return filled.packed;
  const Fd tree = mount_for_writing(state, rw);
  const Target target = target_of(copying, tree.get());
  std::vector<Source> files;
  for (Source& source : copying.sources) {
    if (!copying.unpacks || source.directory) {
      files.push_back(std::move(source));
      continue;
    }
    const Fd archive =
        kernel::open_in_root(copying.from.fd, source.entries.front().path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!is_archive(archive.get())) {
      files.push_back(std::move(source));
      continue;
    }
    // Unpacked beside, by the strict rules of layers, then copied with the owners that it names: --chown and --chmod
    // are for the directory it goes into.
    const std::string place = shop.path() + "/archive";
    unpack_archive(trace_, archive.get(), root_.dir(), place, source.name);
    const Fd unpacked = kernel::open_directory(root_.dir(), place);
    const SourceRoot from{.fd = unpacked.get(), .shown = "the archive " + source.name, .owners = true};
    const auto content = look_at_sources(from, {.words = {""}});
    Target inner = target;
    inner.as_it_is = true;
    kernel::copy_into_root(trace_, plan_copy(from, content, inner), step);
    kernel::remove_tree(trace_, root_.dir(), place);
  }
  if (!files.empty() || copying.shop || copying.later.empty()) {
    std::vector<LooseFile> written, downloaded;
    for (LooseFile& file : copying.loose) (file.path.empty() ? written : downloaded).push_back(std::move(file));
    if (!downloaded.empty()) {
      const SourceRoot from{.fd = copying.shop->dir(), .shown = "the downloads"};
      kernel::copy_into_root(trace_, plan_copy(from, {}, target, downloaded), step);
    }
    if (!files.empty() || !written.empty())
      kernel::copy_into_root(trace_, plan_copy(copying.from, files, target, written), step);
  }
  for (Download& download : copying.later) {
    download.file = "download";
    fetch(trace_, shop.dir(), download);
    const SourceRoot from{.fd = shop.dir(), .shown = "the downloads"};
    kernel::copy_into_root(
        trace_, plan_copy(from, {}, target, {{.name = download.name, .path = download.file, .facts = download.facts}}),
        step);
  }
  return {};
}

} // namespace conductor::image
