// Writing the tree of a layer that somebody else described: entry by entry, through the waist as one call, and never
// anywhere but below the layer's own directory.
//
// The description is not trusted. Each entry's directory is looked up by openat2(2) with RESOLVE_BENEATH and
// RESOLVE_NO_SYMLINKS, so no link that an earlier entry made is ever followed; what an entry replaces is removed, never
// written into; device nodes are not made at all. A deleted name becomes a whiteout as overlayfs has them (a character
// device 0/0), a directory that hides what is below it gets its opaque mark.
//
// After the constructor it touches neither the trace nor anything else that is shared: it may be used from any one
// thread at a time.
#pragma once

#include "core/base/handle.h"
#include "core/base/trace.h"
#include "core/kernel/copy.h"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace conductor::kernel {

struct NodeFacts {
  mode_t mode = 0; // without the type
  uid_t uid = 0;
  gid_t gid = 0;
  timespec modified{};
  Xattrs xattrs; // those that may be carried (is_carried)
};

// What is asked of a tree besides being complete.
enum class TreeUse : char {
  layer, // part of the store: the disk keeps a reserve, every attribute must be kept
  files  // somebody's files: what the disk has may be used, an attribute that its file system cannot hold is left out,
         // and blocks of zeros become holes
};

class LayerTree {
public:
  // Makes the directory `path` below `at` (0755), which stays the caller's. Throws Error.
  LayerTree(Trace& trace, int at, const std::string& path, TreeUse use = TreeUse::layer);

  // Names are relative and clean (no "..", no empty part); empty is the top. All throw Error.
  void directory(const std::string& name, const NodeFacts& facts);
  // A file: begin, any number of writes, end. size: what it will have, for the guard of the disk.
  void begin_file(const std::string& name, uint64_t size);
  void write(std::string_view bytes);
  void end_file(const NodeFacts& facts);
  void hard_link(const std::string& name, const std::string& target);
  void symlink(const std::string& name, const std::string& target, const NodeFacts& facts);
  void fifo(const std::string& name, const NodeFacts& facts);
  // What lies below the layer under that name is gone: a whiteout, or the opaque mark where the layer has a directory
  // of that name itself. A file of the layer stays as it is.
  void whiteout(const std::string& name);
  void opaque(const std::string& name);
  // Gives the directories their times. Nothing may be added afterwards, and no descriptor is held any more.
  void finish();

  // Directories that no entry described, because only something in them was; the top is "". Parents first.
  const std::set<std::string>& implied() const { return implied_; }
  // After finish(): what such a directory looks like.
  void describe(const std::string& name, const NodeFacts& facts);
  uint64_t content_bytes() const { return content_bytes_; }
  // Attributes that the file system did not take (TreeUse::files).
  uint64_t left_out() const { return left_out_; }

private:
  int parent_of(const std::string& name);
  Fd make_parents(const std::string& parent);
  Fd open_beneath(const std::string& name, int flags) const;
  enum class Found : char { nothing, directory, whiteout, other };
  Found look(int parent, const std::string& base, const std::string& name) const;
  void make_way(int parent, const std::string& base, const std::string& name);
  void make_implied(int parent, const std::string& base, const std::string& name);
  void set_facts(int fd, const std::string& name, const NodeFacts& facts, bool is_directory) const;
  void mark_opaque(const std::string& name) const;
  void guard_bytes(uint64_t bytes);
  void guard_entry(uint64_t size);
  void ask_for_room(uint64_t bytes);
  void write_out(std::string_view bytes) const;
  [[noreturn]] void fail(const char* what, const std::string& name, int number) const;

  int at_;
  std::string path_;
  TreeUse use_;
  Fd top_;
  std::string parent_name_; // of parent_, so that entries of one directory share its look-up
  Fd parent_;
  Fd file_;
  std::string file_name_;
  std::set<std::string> implied_;
  std::map<std::string, timespec> times_; // of directories; making an entry changes the time of its directory
  timespec newest_{};
  uint64_t content_bytes_ = 0;
  bool ends_in_hole_ = false; // of the file that is written
  mutable uint64_t left_out_ = 0;
  // What may still be written before the disk is asked again how much room it has.
  uint64_t bytes_to_go_ = 0, entries_to_go_ = 0;
};

// What a layer's directory says about one of its nodes, read the same guarded way: none where there is no directory of
// that name. hides: the layer has something there, or above it, that lets nothing of lower layers through.
struct BelowFacts {
  bool found = false, hides = false;
  NodeFacts facts;
};
BelowFacts directory_facts(int layer, const std::string& name);

inline constexpr const char* opaque_attribute = "trusted.overlay.opaque";

} // namespace conductor::kernel
