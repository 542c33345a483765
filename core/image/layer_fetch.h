// Fetching the layers of an image side by side, each in one pass: socket -> sha256 of the packed bytes -> (kept as a
// blob) -> unpacked -> sha256 of the plain bytes -> files in a workshop.
//
// Each layer has two threads, one at the socket and one that unpacks, with a few MiB between them: so a single large
// layer uses two cores as well. The threads know nothing of the trace: the caller's thread tells their progress, and
// stops them when it is interrupted. Where each call must be asked for (--gate) there are no threads: the caller
// fetches one layer after the other.
#pragma once

#include "core/image/layer_unpacker.h"
#include "core/image/registry/repository.h"
#include "core/store/workshop.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace conductor::image {

struct WantedLayer {
  registry::Descriptor descriptor;
  std::string diff_id; // 64 hex digits: what the configuration says about the plain archive
  std::string title;   // "layer 2/4 0123456789ab"
  uint64_t most = 0;   // bytes that it may unpack to
};

struct FetchedLayer {
  std::unique_ptr<LayerUnpacker> unpacker; // ended; its diff_id is the wanted one
  PackedForm form;
  std::string blob; // root-relative path of the packed bytes, in the workshop
};

struct FetchPlace {
  const Root& root;
  const Workshop& shop;
  const registry::Registry& registry;
  const std::string& repository;
};

// In the order of `wanted`. Throws Error: the first thing that went wrong anywhere; then every thread has ended, and
// what was made lies in the workshop, which goes with its owner.
std::vector<FetchedLayer> fetch_layers(const FetchPlace& place, const std::vector<WantedLayer>& wanted);

} // namespace conductor::image
