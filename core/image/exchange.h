// Images as files: what other programs wrote comes in, what we have goes out. OCI layouts (image-spec, image-layout.md)
// as a directory or a tar archive, docker's archives, and plain root trees.
//
// Everything that comes in is made in a workshop and named last; everything that goes out to a file is written beside
// it and renamed. So a failure leaves nothing half done. All throw Error.
#pragma once

#include "core/engine/engine.h"

#include <cstdint>
#include <string>
#include <vector>

namespace conductor::image {

enum class ArchiveFormat : char {
  oci,   // a layout with index.json, and a manifest.json beside it, so that docker reads it too
  docker // what `docker save` wrote until version 24: plain layers and manifest.json
};

struct SaveRequest {
  std::vector<std::string> references;
  std::string file; // a path; an existing directory, or one that ends in '/': the layout as a directory; empty: stdout
  ArchiveFormat format = ArchiveFormat::oci;
};
struct Saved {
  std::vector<std::string> names;
  uint64_t bytes = 0; // written
};
Saved save_images(Context& context, const SaveRequest& request);

struct LoadRequest {
  std::string file; // a tar archive, packed with gzip or zstd or not, or a layout's directory; "-" or empty: stdin
  std::string name; // for an archive of one image; empty: as the archive says
};
struct Loaded {
  std::string name;
  Image image;
  bool is_new = false; // the name did not mean this image before
};
std::vector<Loaded> load_images(Context& context, const LoadRequest& request);

// The root tree of a container or an image as a tar archive. A running container stands still while it is read.
struct ExportRequest {
  std::string name; // of a container, else of an image
  std::string file; // empty: stdout
};
uint64_t export_tree(Context& context, const ExportRequest& request);

// A root tree becomes an image of one layer.
struct ImportRequest {
  std::string file; // "-": stdin
  std::string name;
};
Image import_tree(Context& context, const ImportRequest& request);

// What a container wrote becomes a layer on top of its image's.
struct CommitRequest {
  std::string container;
  std::string name;
  bool pause = true; // a running container stands still while it is read
  std::string author, message;
};
Image commit_container(Context& context, const CommitRequest& request);

} // namespace conductor::image
