#include "core/container/run_step.h"

#include "core/base/await.h"
#include "core/base/error.h"
#include "core/base/undo.h"
#include "core/container/name_files.h"
#include "core/container/start.h"
#include "core/kernel/cgroup.h"
#include "core/kernel/files.h"
#include "core/kernel/inroot.h"
#include "core/store/containers.h"
#include "core/store/images.h"

#include <array>
#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace conductor {
namespace {

// Passes on what the step prints until it ended and its pipes are dry. A background process that holds a pipe open does
// not hold the build up: the end of PID 1 ends its PID namespace, and with that every holder.
void pump(Trace& trace, const Child& child, const Streams& streams)
{
  std::array<pollfd, 3> watched{pollfd{streams.output.get(), POLLIN, 0}, pollfd{streams.error.get(), POLLIN, 0},
                                pollfd{child.pidfd(), POLLIN, 0}};
  std::array<char, 16384> buffer; // NOLINT: filled by read(2)
  while (watched[0].fd >= 0 || watched[1].fd >= 0) {
    await(trace, watched.data(), watched.size(), -1);
    bool dry = true;
    for (size_t at = 0; at < 2; ++at) {
      if (watched[at].fd < 0 || watched[at].revents == 0) continue;
      const ssize_t got = ::read(watched[at].fd, buffer.data(), buffer.size());
      if (got > 0) {
        trace.output({buffer.data(), static_cast<size_t>(got)});
        dry = false;
      } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        watched[at].fd = -1;
      }
    }
    if (dry && watched[2].revents != 0) return;
  }
}

// Mount points that the start made in the layer (an image FROM scratch has no /proc) are not what the step did. The
// step may have made links of the directories on the way, so everything is looked up inside the layer only.
class MountPoints {
public:
  MountPoints(const Root& root, const Spec& spec, const std::string& rw)
      : root_(root), upper_(kernel::open_directory(root.dir(), rw + "/upper"))
  {
    for (const auto& layer : spec.layers)
      lower_.push_back(kernel::open_directory(root.dir(), Images::diff_path(layer)));
  }

  // The place itself and the directories on the way to it, as far as they are empty and the layers below lack them.
  void remove(std::string path)
  {
    while (path.starts_with('/')) path.erase(0, 1);
    while (!path.empty()) {
      const size_t slash = path.rfind('/');
      const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash);
      if (!remove_one(parent, path.substr(slash == std::string::npos ? 0 : slash + 1)) || parent == ".") return;
      path = parent;
    }
  }

private:
  bool remove_one(const std::string& parent, const std::string& name)
  {
    for (const Fd& layer : lower_)
      if (kernel::find_in_root(layer.get(), parent + "/" + name, O_PATH | O_NOFOLLOW)) return false;
    const auto directory = kernel::find_in_root(upper_.get(), parent, O_PATH | O_DIRECTORY);
    struct stat status {};
    if (!directory || ::fstatat(directory->get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) return false;
    if (S_ISREG(status.st_mode) && status.st_size == 0)
      kernel::remove_file(root_.trace(), directory->get(), name);
    else if (S_ISDIR(status.st_mode) && kernel::list_directory(directory->get(), name).empty())
      kernel::remove_directory(root_.trace(), directory->get(), name);
    else
      return false;
    return true;
  }

  const Root& root_;
  Fd upper_;
  std::vector<Fd> lower_;
};

void remove_mount_points(const Root& root, const Spec& spec, const std::string& rw,
                         const std::vector<std::string>& targets)
{
  MountPoints points{root, spec, rw};
  for (const std::string& target : targets) points.remove(target);
  for (const char* path : {"etc/resolv.conf", "etc/hosts", "proc", "sys", "dev"}) points.remove(path);
}

const NetworkWish internet_only{.attached = true, .internet = true, .published = {}, .peers = {}};

// A build file says how its steps run; the flags by which `run` loosens a container are not to be had here.
Started start_step(StartRequest request)
{
  try {
    return start_container(std::move(request));
  } catch (const Error& error) {
    throw error.without_flag_hint();
  }
}

} // namespace

ExitStatus run_step(const Root& root, const Spec& spec, const std::string& rw, const IdPool& pool,
                    std::vector<StepMount> mounts, Links* links)
{
  Trace& trace = root.trace();
  // A step has no directory in the store; this one says that its range of ids is taken (take_id_range()).
  const std::string claim = "c/" + spec.id;
  Undo undo{trace};
  kernel::make_directories(trace, root.run(), claim, 0700);
  undo.push("give the step's claim back", [&] { kernel::remove_tree(trace, root.run(), claim); });
  std::vector<std::string> targets;
  for (const StepMount& mount : mounts) targets.push_back(mount.target);
  StartRequest request{.root = root, .spec = spec, .rw = rw, .is_volatile = true};
  request.step_mounts = std::move(mounts);
  if (spec.user_namespace) request.first_id = take_id_range(root, pool, spec.id);
  const uint32_t first_id = request.first_id;
  undo.push("give the step's range of ids back", [&] { release_id_ranges_of(root, spec.id); });
  if (links != nullptr) {
    // What repair() finds of it, and what tells whoever sweeps behind us that there may be a link.
    save_network_wish_of_step(root, spec.id, internet_only);
    make_name_files(root, spec.id);
    request.link = [&](int namespace_fd) {
      const Lock lock = links->lock();
      links->attach({.id = spec.id, .name = spec.name, .hostname = spec.hostname, .is_step = true}, internet_only,
                    namespace_fd);
    };
  }
  // A root without containers leaves no groups behind, as after the removal of its last container.
  const auto take_down = [&, first_id] {
    tear_down(root, spec.id, first_id);
    if (links != nullptr) {
      links->leave(spec.id);
      links->release(spec.id);
    }
    Containers{root}.leave_no_groups(std::chrono::milliseconds{0});
  };
  undo.push("take down the step's container", take_down);
  StreamPair streams = make_pipes(Stdin::empty, first_id);
  request.streams = std::move(streams.theirs);
  Started started = start_step(std::move(request));
  pump(trace, started.child, streams.ours);
  const ExitStatus status = started.child.wait();
  take_down();
  kernel::remove_tree(trace, root.run(), claim);
  undo.commit();
  remove_mount_points(root, spec, rw, targets);
  return status;
}

} // namespace conductor
