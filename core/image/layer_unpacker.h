// From the plain tar archive of a layer to a layer of the store.
//
//     LayerUnpacker unpacker{root, shop, "layer-3"};
//     unpacker.feed(bytes) ...           as they come, in order, from any one thread at a time
//     unpacker.end(mark)                 the archive is whole; what its digest is
//     unpacker.finish(lower, facts)      in the thread of the trace: renamed into the store
//
// Without finish() nothing remains but files in the workshop, which goes with its owner. What is refused is said in
// tar.h and core/kernel/layer_tree.h; device nodes are left out (containers have a /dev of their own, and nothing else
// of theirs may open one).
#pragma once

#include "core/image/digest.h"
#include "core/image/tar.h"
#include "core/kernel/layer_tree.h"
#include "core/store/images.h"
#include "core/store/workshop.h"

#include <string>
#include <string_view>
#include <vector>

namespace conductor::image {

// What the maker of a layer knows about it besides its files.
struct LayerFacts {
  std::string made_by;            // of the history
  std::vector<PackedForm> packed; // as it came
};

class LayerUnpacker : private TarHandler {
public:
  // name: of a directory in the workshop that is not there yet. Throws Error.
  LayerUnpacker(const Root& root, const Workshop& shop, const std::string& name);
  LayerUnpacker(const LayerUnpacker&) = delete;
  LayerUnpacker& operator=(const LayerUnpacker&) = delete;

  void feed(std::string_view bytes);
  // The diff_id: 64 hex digits, the sha256 of all that was fed. Throws Error when the archive is not complete. The end
  // mark may be missing only where the caller has a digest to compare with.
  std::string end(TarReader::EndMark mark);
  // lower: ids of the layers below, base first; they must be in the store. A layer that is there already wins.
  Layer finish(const std::vector<std::string>& lower, const LayerFacts& facts);

  // A notice of what was not taken; finish() does that too.
  void tell_left_out() const;
  uint64_t entries() const { return reader_.entries(); }

private:
  void begin(const TarEntry& entry) override;
  void data(std::string_view bytes) override;
  void end() override;
  void whiteout(const TarEntry& entry, const std::string& parent, std::string_view name);
  bool describe_implied(const std::vector<std::string>& lower);

  const Root& root_;
  std::string path_; // root-relative, "diff" in it
  kernel::LayerTree tree_;
  TarReader reader_;
  Digest digest_;
  std::string diff_id_;
  kernel::NodeFacts facts_; // of the file that is open
  bool in_file_ = false;
  uint64_t devices_ = 0;
  std::string device_; // the first one
};

} // namespace conductor::image
