// From a layer of the store, or any tree, to a plain tar archive: the same tree gives the same bytes. Names are sorted,
// times are whole seconds, nothing depends on the host. And from there to the packed form that travels.
#pragma once

#include "core/image/digest.h"
#include "core/kernel/copy.h"
#include "core/store/images.h"
#include "core/store/workshop.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace conductor::image {

using ByteSink = std::function<void(std::string_view)>;

enum class TreeKind : char {
  layer, // a directory that overlayfs wrote: its whiteouts and opaque marks become names (whiteout.h)
  root,  // what a container sees: there are none
  files  // files on their way to another place: with all of their times, under any name; what vanishes meanwhile, what
         // the kernel only shows (/proc) and devices are left out. No digest is made: that library would read its
         // configuration, and this is done inside of containers, too.
};
struct PackedTree {
  std::string diff_id;        // 64 hex digits: the sha256 of the archive; empty for TreeKind::files
  uint64_t tar_bytes = 0;     // of the archive
  uint64_t content_bytes = 0; // of the files, hard links counted once
};
// Packs what lies below an open directory; `sink` (may be empty) gets the archive in order, in pieces of at most 256
// KiB. Sockets are left out. Throws Error: a file that changes while it is read, a tree too deep for an archive, names
// or attributes that no archive can hold.
PackedTree pack_tree(Trace& trace, int directory, TreeKind kind, const ByteSink& sink);

// The same of one thing that is open, under a name: a directory, a regular file, or anything else by O_PATH. What a
// directory of `name` "" holds has its names in the archive without a front. Without the archive's end mark.
void pack_entry(Trace& trace, int fd, const std::string& name, const ByteSink& sink, uint64_t& left_out);

// The same of a layer that is being written: told entry by entry by the copy that makes it (kernel::CopyPlan::watcher).
class LayerStream : public kernel::CopyWatcher {
public:
  LayerStream();
  LayerStream(const LayerStream&) = delete;
  LayerStream& operator=(const LayerStream&) = delete;
  ~LayerStream() override;
  void node(const std::string& name, const struct stat& status, const kernel::Xattrs& xattrs,
            const std::string& link) override;
  void content(std::string_view bytes) override;
  // After the copy, when it says that all was told. None: there is something that no archive can hold, which
  // pack_tree() then says.
  std::optional<PackedTree> finish();

private:
  struct State;
  std::unique_ptr<State> state_;
};

// The layer's directory as a plain tar archive. Throws Error when it is no longer what its diff_id says.
void pack_layer(const Root& root, const Layer& layer, const ByteSink& sink);

// gzip with settings that never change, so that the same archive gives the same digest: no name, no time, one level.
class GzipWriter {
public:
  explicit GzipWriter(ByteSink sink);
  GzipWriter(const GzipWriter&) = delete;
  GzipWriter& operator=(const GzipWriter&) = delete;
  ~GzipWriter();
  void write(std::string_view bytes);
  void finish();

private:
  struct State;
  std::unique_ptr<State> state_;
};

// The packed form of a layer that leaves: the bytes it came as where they are kept, else packed and gzipped now, into
// the workshop. What was made now is noted in the layer.
struct LayerBlob {
  PackedForm form;
  Fd file; // at its beginning, can be seeked
};
LayerBlob packed_layer(const Root& root, const Workshop& shop, const Layer& layer);

// Are the bytes that a layer came as still here?
bool has_kept_form(const Root& root, const Layer& layer);
// Does packing its directory give the archive that it came as? Then there is no need to keep that.
bool is_packed_alike(const Root& root, const Layer& layer);

// All of it, over short writes and interrupts. what: for the Error, "write a packed layer".
void write_whole(int fd, std::string_view bytes, const char* what);

inline constexpr const char* gzip_layer_type = "application/vnd.oci.image.layer.v1.tar+gzip";

} // namespace conductor::image
