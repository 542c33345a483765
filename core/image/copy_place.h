// One side of a copy: this host, or a container's tree. Paths as people type them, and the only two ways to open them.
#pragma once

#include "core/base/handle.h"

#include <optional>
#include <string>

namespace conductor::image {

// A path taken apart, as docker's cp reads it.
struct CopyPath {
  std::string path;       // absolute; no '/' and no "/." at its end; "/" for the root
  bool directory = false; // it ended in '/' or "/.": nothing but a directory is meant
  bool contents = false;  // it ended in "/.", or is the root: what lies in it is meant, not itself
  // text: absolute, or relative to the root of a container.
  static CopyPath of(const std::string& text);
  std::string parent() const; // "/" for what lies in the root
  std::string base() const;   // "" for the root
};

enum class Side : char {
  host,     // links are the administrator's, and followed by the kernel's own rules
  container // links are whoever's made the image: nothing leads out of `root` (kernel/inroot.h)
};

// Where this process finds that side. `name`: for messages, "" for the host.
class Place {
public:
  Place(Side side, std::string name);
  Side side() const { return side_; }
  // flags as open(2), for what is there; none where it or a directory on the way is not. Throws Error.
  std::optional<Fd> find(const std::string& path, int flags) const;
  // "'web:/etc/motd'", "'/tmp/motd'".
  std::string shown(const std::string& path) const;
  // How a person would run a command there: "conductor exec web -- mkdir ...".
  std::string by_hand(const std::string& command) const;

private:
  Side side_;
  std::string name_;
  Fd root_;
};

// Opens what is to be copied, for pack_entry(). follow: a link at the end means what it leads to. Throws Error: it is
// not there, or nothing that can be copied.
Fd open_copy_source(const Place& place, const CopyPath& path, bool follow);

} // namespace conductor::image
