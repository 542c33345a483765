// The entries of a tar archive of files, written into a tree as they come: ADD of an archive, cp into a container or
// out of one. Layers have a writer of their own (layer_unpacker.h), since names mean more there.
#pragma once

#include "core/base/trace.h"
#include "core/image/tar.h"
#include "core/kernel/layer_tree.h"

namespace conductor::image {

class TreeWriter : public TarHandler {
public:
  // Both must outlive it.
  TreeWriter(Trace& trace, kernel::LayerTree& tree) : trace_(trace), tree_(tree) {}

  // Throw Error, EINTR when the operation is interrupted.
  void begin(const TarEntry& entry) override;
  void data(std::string_view bytes) override;
  void end() override;
  // How many were left out: containers have a /dev of their own.
  uint64_t devices() const { return devices_; }

protected:
  Trace& trace() { return trace_; }
  kernel::LayerTree& tree() { return tree_; }

private:
  Trace& trace_;
  kernel::LayerTree& tree_;
  kernel::NodeFacts facts_; // of the file that is open
  bool in_file_ = false;
  uint64_t devices_ = 0;
};

} // namespace conductor::image
