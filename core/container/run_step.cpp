#include "core/container/run_step.h"

#include "core/base/await.h"
#include "core/base/error.h"
#include "core/base/undo.h"
#include "core/container/start.h"
#include "core/kernel/cgroup.h"
#include "core/kernel/files.h"
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

// Mount points that the start made in the layer (an image FROM scratch has no /proc) are not what the step did.
void remove_mount_points(const Root& root, const Spec& spec, const std::string& rw)
{
  Trace& trace = root.trace();
  const Fd upper = kernel::open_directory(root.dir(), rw + "/upper");
  const auto in_lower = [&](const std::string& path) {
    for (const auto& layer : spec.layers)
      if (kernel::exists(root.dir(), Images::diff_path(layer) + "/" + path)) return true;
    return false;
  };
  for (const char* path : {"etc/resolv.conf", "etc/hosts", "etc", "proc", "sys", "dev"}) {
    struct stat status {};
    if (::fstatat(upper.get(), path, &status, AT_SYMLINK_NOFOLLOW) < 0 || in_lower(path)) continue;
    if (S_ISREG(status.st_mode) && status.st_size == 0)
      kernel::remove_file(trace, upper.get(), path);
    else if (S_ISDIR(status.st_mode) && kernel::list_directory(upper.get(), path).empty())
      kernel::remove_directory(trace, upper.get(), path);
  }
}

} // namespace

ExitStatus run_step(const Root& root, const Spec& spec, const std::string& rw, const IdPool& pool)
{
  Trace& trace = root.trace();
  // A step has no directory in the store; this one says that its range of ids is taken (take_id_range()).
  const std::string claim = "c/" + spec.id;
  Undo undo{trace};
  kernel::make_directories(trace, root.run(), claim, 0700);
  undo.push("give the step's claim back", [&] { kernel::remove_tree(trace, root.run(), claim); });
  StartRequest request{.root = root, .spec = spec, .rw = rw, .is_volatile = true};
  if (spec.user_namespace) request.first_id = take_id_range(root, pool, spec.id);
  const uint32_t first_id = request.first_id;
  // A root without containers leaves no groups behind, as after the removal of its last container.
  const auto take_down = [&] {
    tear_down(root, pool, spec.id, first_id);
    Containers{root}.leave_no_groups(std::chrono::milliseconds{0});
  };
  undo.push("take down the step's container", take_down);
  StreamPair streams = make_pipes(Stdin::empty, first_id);
  request.streams = std::move(streams.theirs);
  Started started = start_container(std::move(request));
  pump(trace, started.child, streams.ours);
  const ExitStatus status = started.child.wait();
  take_down();
  kernel::remove_tree(trace, root.run(), claim);
  undo.commit();
  remove_mount_points(root, spec, rw);
  return status;
}

} // namespace conductor
