// Containers on disk: one directory each, keyed by id; a name is a symlink that rename(2) swaps.
#pragma once

#include "core/container/spec.h"
#include "core/store/root.h"

#include <optional>
#include <string>
#include <vector>

namespace conductor {

struct Container {
  Spec spec;
  Status status;
};

class Containers {
public:
  explicit Containers(const Root& root) : root_(root) {}

  // Every container of this root, in order of creation. One that is being made or removed is left out.
  std::vector<Container> list() const;
  std::vector<std::string> ids() const;
  // NAME or id:HEX (8 digits or more) -> id. Throws Error with the nearest name as hint.
  std::string resolve(std::string_view name) const;
  std::optional<std::string> find_name(const std::string& name) const;
  // Whether a new container cannot be called so.
  bool is_taken(const std::string& name) const;
  // The name that leads to it; "" when none does. Reads nothing of the container itself.
  std::string name_of(const std::string& id) const;
  // None when there is none; Error naming the file when it is damaged.
  std::optional<Container> find(const std::string& id) const;
  Container load(const std::string& id) const;

  // Makes the directory with spec, status, rw; takes the name (Error EEXIST when it is taken). All or nothing.
  void create(const Spec& spec) const;
  void save_spec(const Spec& spec) const;
  void save_status(const std::string& id, const Status& status) const;

  // The end of a container is written down twice: into the place that is kept for it in its run directory while it
  // runs, which needs no room on any disk, and then into the status.
  // Keeps the place, which says "running" until then. Throws Error.
  void keep_place_for_end(const std::string& id, const Status& running) const;
  // Never fails: where it cannot be written after all, the place goes, so that it does not say something false.
  void record_end(const std::string& id, const Status& ended) const;
  // What the place says; none where there is none.
  std::optional<Status> find_end(const std::string& id) const;

  // A host name that is its name goes with it. Throws Error EEXIST when the name is taken.
  void rename(const std::string& id, const std::string& from, const std::string& to) const;
  // Gives the name back and removes the directory. Gone already is success.
  void remove(const std::string& id, const std::string& name) const;

  // A root without containers leaves no groups in the kernel. Keepers that are about to end are waited for, at most
  // `patience`.
  void leave_no_groups(std::chrono::milliseconds patience) const;

  Fd directory(const std::string& id) const;                                      // root/containers/id/<id>
  Fd run_directory(const std::string& id) const;                                  // run/c/<id>, made when missing
  std::string path(const std::string& id) const { return "containers/id/" + id; } // relative to root

private:
  const Root& root_;
};

} // namespace conductor
