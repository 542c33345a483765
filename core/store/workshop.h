// root/tmp: where things are made before they are renamed into place.
//
// Each thing being made is a directory that its maker holds a flock(2) on. What nobody holds any more belonged to a
// program that was killed, and the next maker removes it.
#pragma once

#include "core/store/root.h"

#include <string>

namespace conductor {

class Workshop {
public:
  // Removes what killed programs left, makes a directory of a random name (0700) and locks it. Throws Error.
  explicit Workshop(const Root& root);
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;
  // Removes the directory and what is still in it; a failure is told as a notice, the next maker tries again.
  ~Workshop();

  int dir() const { return dir_.get(); }
  const std::string& path() const { return path_; } // relative to the root directory: "tmp/3f..."

private:
  const Root& root_;
  std::string path_;
  Fd dir_;
};

// A directory of that name (root-relative, in tmp) that no sweeper takes while the returned descriptor is open. It may
// be renamed to its place. Throws Error.
Fd make_being_made(const Root& root, const std::string& path);

// Removes what killed programs left in root/tmp; gone already is success.
void sweep_workshops(const Root& root);

} // namespace conductor
