#include "core/container/rootfs.h"

#include "core/base/error.h"
#include "core/base/guard.h"
#include "core/container/name_files.h"
#include "core/container/overlay.h"
#include "core/kernel/dev.h"
#include "core/kernel/files.h"
#include "core/kernel/inroot.h"
#include "core/kernel/masks.h"
#include "core/kernel/mount.h"
#include "core/kernel/namespaces.h"
#include "core/kernel/process.h"
#include "core/store/images.h"
#include "core/store/volumes.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>

namespace conductor {
namespace {

constexpr unsigned harmless = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

// An overlay needs at least one lower layer, and an image made FROM scratch may have none.
constexpr const char* empty_layer = "empty";

std::string attempt(const BindPlan& bind)
{
  return fmt::format("mount {} at {}", visible(bind.source), visible(bind.target));
}

void plan_bind(RootfsPlan& plan, BindPlan bind)
{
  struct stat status {};
  if (::stat(bind.source.c_str(), &status) < 0)
    throw Error{attempt(bind), errno,
                errno == ENOENT ? "a directory or file of this host must be there: make it first, or give a name (-v "
                                  "data:" +
                                      bind.target + ") for a volume of conductor's own"
                                : ""};
  bind.directory = S_ISDIR(status.st_mode);
  plan.binds.push_back(std::move(bind));
}

Fd make_bind(Trace& trace, const BindPlan& bind, int user_namespace)
{
  try {
    Fd mount = kernel::clone_tree(trace, AT_FDCWD, bind.source, bind.directory);
    kernel::make_private(trace, mount.get());
    if (bind.map_ids && user_namespace >= 0)
      kernel::map_ids(trace, mount.get(), user_namespace, visible(bind.source), bind.directory);
    uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    if (bind.read_only) attributes |= MOUNT_ATTR_RDONLY;
    kernel::set_attributes(trace, mount.get(), attributes, bind.directory);
    return mount;
  } catch (const Error& error) {
    throw error.within(attempt(bind));
  }
}

void attach_bind(Trace& trace, int root, const BindPlan& bind, const Fd& mount)
{
  const Fd target = bind.directory ? kernel::make_directories_in_root(trace, root, bind.target, 0755)
                                   : kernel::make_file_in_root(trace, root, bind.target, 0644);
  kernel::attach(trace, mount.get(), target.get(), bind.target);
}

// Overlays on an overlay: the kernel only says EINVAL, to the ids or to the upper layer.
Error unfit(const Root& root, const Error& error)
{
  struct statfs found {};
  if (::fstatfs(root.dir(), &found) < 0 || found.f_type != OVERLAYFS_SUPER_MAGIC) return error;
  return error.within(fmt::format("the state directory '{}' lies on an overlay itself", root.path()))
      .with_hint("give a directory on ext4, xfs, btrfs or tmpfs: --root DIR");
}

} // namespace

RootfsPlan plan_rootfs(const Root& root, const Spec& spec, const std::string& rw, bool is_volatile, bool names)
{
  RootfsPlan plan{.rw = rw,
                  .is_volatile = is_volatile,
                  .host_network = spec.network == NetworkMode::host,
                  .named = names,
                  .host_ipc = spec.host_ipc,
                  .shm_bytes = spec.shm_bytes.value_or(default_shm_bytes)};
  plan.lower = Images::stack(spec.layers);
  if (plan.lower.empty()) {
    if (!kernel::exists(root.dir(), empty_layer)) kernel::make_directory(root.trace(), root.dir(), empty_layer, 0755);
    plan.lower.emplace_back(empty_layer);
  }
  // Names are looked up with the host's own resolver as long as the network is the host's.
  if (plan.host_network)
    for (const char* file : {"/etc/resolv.conf", "/etc/hosts"})
      if (::access(file, R_OK) == 0)
        plan_bind(plan, {.source = file, .target = file, .read_only = true, .map_ids = false});
  if (names)
    for (const NameFile& file : name_files)
      plan_bind(plan, {.source = root.run_path() + "/c/" + spec.id + "/" + file.name,
                       .target = file.target,
                       .read_only = true,
                       .map_ids = false});
  for (const auto& volume : spec.volumes)
    plan_bind(
        plan,
        {.source = Volumes{root}.source(spec.id, volume), .target = volume.target, .read_only = volume.read_only});
  return plan;
}

void prepare_rw(const Root& root, const RootfsPlan& plan)
{
  Trace& trace = root.trace();
  const std::string upper = plan.rw + "/upper";
  struct stat below {};
  if (::fstatat(root.dir(), plan.lower.back().c_str(), &below, AT_SYMLINK_NOFOLLOW) < 0)
    throw Error{"find the layer " + plan.lower.back(), errno, "the image is damaged: build or pull it again"};
  const mode_t mask = ::umask(0);
  // The root directory of an overlay shows its upper's mode, so that must be the image's.
  kernel::make_directory(trace, root.dir(), upper, below.st_mode & 07777);
  kernel::make_directory(trace, root.dir(), plan.rw + "/work", 0700);
  ::umask(mask);
}

namespace {

Fd make_step_mount(const Root& root, const StepMount& step, const Fd& mapped, int user_namespace, uint32_t first_id)
{
  Trace& trace = root.trace();
  constexpr unsigned attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  if (step.kind == StepMount::Kind::layers) {
    if (!step.rw.empty()) {
      kernel::make_directories(trace, root.dir(), step.rw + "/upper", 0755);
      kernel::make_directory(trace, root.dir(), step.rw + "/work", 0700);
    }
    // overlayfs wants two layers at least where nothing is written.
    std::vector<std::string> lower = step.layers;
    if (step.rw.empty() && lower.size() < 2) {
      kernel::make_directory(trace, root.dir(), empty_layer, 0755);
      lower.insert(lower.begin(), empty_layer);
    }
    return make_overlay(root, {.tree = mapped ? mapped.get() : root.dir(),
                               .lower = std::move(lower),
                               .upper = step.rw.empty() ? "" : step.rw + "/upper",
                               .work = step.rw.empty() ? "" : step.rw + "/work",
                               .is_volatile = !step.rw.empty(),
                               .owner = first_id,
                               .attributes = attributes});
  }
  Fd mount = kernel::clone_tree(trace, AT_FDCWD, step.source, false);
  if (user_namespace >= 0) kernel::map_ids(trace, mount.get(), user_namespace, step.source);
  kernel::set_attributes(trace, mount.get(), attributes | (step.read_only ? MOUNT_ATTR_RDONLY : 0), false);
  return mount;
}

} // namespace

HostMounts make_mounts(const Root& root, const RootfsPlan& plan, const Spec& spec, int user_namespace,
                       uint32_t first_id)
{
  Trace& trace = root.trace();
  HostMounts made;
  std::vector<Fd>& mounts = made.handed;
  // One id-mapped clone of the whole root directory serves all lower layers and the upper, however many they are.
  Fd& mapped = made.mapped;
  try {
    if (user_namespace >= 0) {
      mapped = kernel::clone_tree(trace, root.dir(), "", false);
      kernel::map_ids(trace, mapped.get(), user_namespace, root.path());
    }
    kernel::OverlayRequest request{.tree = mapped ? mapped.get() : root.dir(),
                                   .lower = plan.lower,
                                   .upper = plan.rw + "/upper",
                                   .work = plan.rw + "/work",
                                   .is_volatile = plan.is_volatile,
                                   .owner = first_id,
                                   // Nodes that an image brings are only names: the devices are those of our own /dev.
                                   .attributes = holds(guard::inert_nodes) ? MOUNT_ATTR_NODEV : 0U};
    mounts.push_back(make_overlay(root, request));
  } catch (const Error& error) {
    throw unfit(root, error);
  }
  mounts.push_back(kernel::make_dev(trace, first_id, spec.devices));
  if (plan.host_network)
    mounts.push_back(kernel::new_file_system(trace, "sysfs", {}, harmless | MOUNT_ATTR_RDONLY, "sys"));
  if (plan.host_ipc) {
    // Whose segments have the host's owners, also for a container with ids of its own.
    mounts.push_back(kernel::clone_tree(trace, AT_FDCWD, "/dev/shm", false));
    kernel::make_private(trace, mounts.back().get());
    kernel::set_attributes(trace, mounts.back().get(), harmless, false);
    mounts.push_back(kernel::new_file_system(trace, "mqueue", {}, harmless, "dev/mqueue"));
  }
  for (const auto& bind : plan.binds) mounts.push_back(make_bind(trace, bind, user_namespace));
  for (const auto& step : plan.step_mounts)
    if (step.is_handed()) mounts.push_back(make_step_mount(root, step, mapped, user_namespace, first_id));
  return made;
}

namespace {

// Only the child's mount namespace knows it, and only while a part of something is taken from it.
constexpr const char* stage_of_parts = "dev/.part";

// What the child does, a method a step; the new root is always reached through `root_`.
class Placing {
public:
  Placing(Trace& trace, const RootfsPlan& plan, const Spec& spec, std::vector<Fd> mounts)
      : trace_(trace), plan_(plan), spec_(spec), mounts_(std::move(mounts))
  {
    const auto handed = std::count_if(plan.step_mounts.begin(), plan.step_mounts.end(),
                                      [](const StepMount& step) { return step.is_handed(); });
    const size_t expected =
        2U + (plan.host_network ? 1 : 0) + (plan.host_ipc ? 2 : 0) + plan.binds.size() + static_cast<size_t>(handed);
    if (mounts_.size() != expected) throw Error{"take over the mounts: some are missing", EPROTO};
    root_ = take();
    dev_ = take();
  }

  void root()
  {
    const Fd here{::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)};
    kernel::attach(trace_, root_.get(), here.get(), "the new root");
  }

  void pseudo(PseudoMounts mounts)
  {
    if (holds(guard::own_dev)) place(dev_, "dev");
    place(mounts.proc, "proc");
    place(mounts.pts, "dev/pts");
    place(plan_.host_network ? take() : std::move(mounts.sys), "sys");
    place(plan_.host_ipc ? take() : std::move(mounts.shm), "dev/shm");
    place(plan_.host_ipc ? take() : std::move(mounts.mqueue), "dev/mqueue");
    if (kernel::find_in_root(root_.get(), "sys/fs/cgroup", O_PATH | O_DIRECTORY))
      place(kernel::new_file_system(trace_, "cgroup2", {},
                                    holds(guard::read_only_groups) ? harmless | MOUNT_ATTR_RDONLY : harmless,
                                    "sys/fs/cgroup"),
            "sys/fs/cgroup");
  }

  void binds()
  {
    for (const auto& bind : plan_.binds) attach_bind(trace_, root_.get(), bind, take());
    for (const auto& text : spec_.tmpfs) tmpfs(memory_mount(text));
  }

  // Everybody expects to know localhost and himself, and few images bring an /etc/hosts. Where nothing better will be
  // there, one in memory: it neither costs room nor belongs to what the container has changed.
  void names()
  {
    if (plan_.host_network || plan_.named) return;
    const auto found = kernel::find_in_root(root_.get(), "etc/hosts", O_PATH | O_NOFOLLOW);
    struct stat status {};
    if (found && (::fstat(found->get(), &status) < 0 || !S_ISREG(status.st_mode) || status.st_size > 0)) return;
    if (!found && !kernel::find_in_root(root_.get(), "etc", O_PATH | O_DIRECTORY)) return;
    StepMount hosts{.kind = StepMount::Kind::file, .target = "/etc/hosts", .read_only = false};
    hosts.content = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
    if (!spec_.hostname.empty()) hosts.content += "127.0.1.1\t" + spec_.hostname + "\n";
    hosts.mode = 0644;
    file(hosts);
  }

  void step_mounts()
  {
    for (const auto& step : plan_.step_mounts) {
      switch (step.kind) {
      case StepMount::Kind::directory:
        if (step.below.empty())
          whole(take(), step.target);
        else
          part(take(), step.below, step);
        break;
      case StepMount::Kind::layers: part(take(), step.below, step); break;
      case StepMount::Kind::memory: whole(memory(step.target, step.size_bytes), step.target); break;
      case StepMount::Kind::file: file(step); break;
      }
    }
  }

  void hide()
  {
    for (const auto& hidden : kernel::hidden_paths()) {
      if (kernel::is_unmasked(hidden.path, spec_.unmask)) continue;
      for (const std::string& path : each_cpu(hidden.path))
        if (const auto target = kernel::find_in_root(root_.get(), path, O_PATH | O_NOFOLLOW))
          hide(*target, path, hidden.how);
    }
    for (const std::string& path : spec_.mask)
      if (const auto target = kernel::find_in_root(root_.get(), path, O_PATH))
        hide(*target, path, kernel::Hide::masked);
  }

  Pty terminal(const WindowSize& size)
  {
    const Fd devpts = kernel::open_in_root(root_.get(), "dev/pts", O_PATH | O_DIRECTORY | O_NOFOLLOW);
    Pty pty = open_pty(trace_, devpts.get(), size);
    const Fd console = kernel::make_file_in_root(trace_, dev_.get(), "console", 0600);
    kernel::attach(trace_, kernel::clone_tree(trace_, pty.slave.get(), "", false).get(), console.get(), "dev/console");
    return pty;
  }

  void change()
  {
    if (spec_.read_only) kernel::set_attributes(trace_, root_.get(), MOUNT_ATTR_RDONLY, false);
    kernel::change_root(trace_, root_.get());
  }

private:
  Fd take() { return std::move(mounts_.at(next_++)); }

  void hide(const Fd& target, const std::string& path, kernel::Hide how)
  {
    if (how == kernel::Hide::read_only) {
      const Fd copy = kernel::clone_tree(trace_, target.get(), "", false);
      kernel::set_attributes(trace_, copy.get(), harmless | MOUNT_ATTR_RDONLY, false);
      return kernel::attach(trace_, copy.get(), target.get(), path);
    }
    struct stat status {};
    if (::fstat(target.get(), &status) < 0) return;
    if (!S_ISDIR(status.st_mode)) {
      const Fd null = holds(guard::own_dev) ? kernel::open_in_root(dev_.get(), "null", O_PATH | O_NOFOLLOW)
                                            : kernel::open_in_root(root_.get(), "dev/null", O_PATH);
      kernel::attach(trace_, kernel::clone_tree(trace_, null.get(), "", false).get(), target.get(), path);
    } else if (!nothing_) {
      nothing_ = kernel::new_file_system(trace_, "tmpfs", {{"mode", "555"}, {"source", "masked"}},
                                         harmless | MOUNT_ATTR_RDONLY, path);
      kernel::attach(trace_, nothing_.get(), target.get(), path);
    } else {
      kernel::attach(trace_, kernel::clone_tree(trace_, nothing_.get(), "", false).get(), target.get(), path);
    }
  }

  // A path of the table, or what a number in place of its '*' makes of it. The first CPU tells for all whether the
  // kernel has such a directory, so that where it has none this costs one look. What stays visible of the CPUs beyond
  // (doctor says so) is how often one was too hot.
  std::vector<std::string> each_cpu(std::string path) const
  {
    const size_t star = path.find('*');
    if (star == std::string::npos) return {std::move(path)};
    std::vector<std::string> all;
    const long cpus = std::min(::sysconf(_SC_NPROCESSORS_CONF), kernel::most_masked_cpus);
    for (long cpu = 0; cpu < cpus; ++cpu) {
      std::string one = path.substr(0, star) + std::to_string(cpu) + path.substr(star + 1);
      if (cpu == 0 && !kernel::find_in_root(root_.get(), one, O_PATH | O_NOFOLLOW)) return {};
      all.push_back(std::move(one));
    }
    return all;
  }

  Fd memory(const std::string& target, uint64_t size)
  {
    kernel::MountOptions options{{"mode", "1777"}};
    if (size != 0) options.emplace_back("size", std::to_string(size));
    return kernel::new_file_system(trace_, "tmpfs", options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, target);
  }

  void tmpfs(const MemoryMount& wish)
  {
    kernel::MountOptions options{{"mode", wish.mode}};
    if (wish.size_bytes != 0) options.emplace_back("size", std::to_string(wish.size_bytes));
    unsigned attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    if (wish.read_only) attributes |= MOUNT_ATTR_RDONLY;
    if (!wish.executable) attributes |= MOUNT_ATTR_NOEXEC;
    whole(kernel::new_file_system(trace_, "tmpfs", options, attributes, wish.target), wish.target);
  }

  void whole(const Fd& mount, const std::string& target)
  {
    const Fd directory = kernel::make_directories_in_root(trace_, root_.get(), target, 0755);
    kernel::attach(trace_, mount.get(), directory.get(), target);
  }

  // A part of a mount: that must be attached somewhere before it can be cloned (until Linux 6.15).
  void part(const Fd& mount, const std::string& below, const StepMount& step)
  {
    const Fd stage = kernel::make_plain_directories_in_root(trace_, root_.get(), stage_of_parts, 0700);
    kernel::attach(trace_, mount.get(), stage.get(), stage_of_parts);
    const Fd found = kernel::open_in_root(mount.get(), below.empty() ? "." : below, O_PATH);
    struct stat status {};
    if (::fstat(found.get(), &status) < 0) throw Error{"look at " + visible(below), errno};
    const Fd target = S_ISDIR(status.st_mode) ? kernel::make_directories_in_root(trace_, root_.get(), step.target, 0755)
                                              : kernel::make_file_in_root(trace_, root_.get(), step.target, 0644);
    const Fd copy = kernel::clone_tree(trace_, found.get(), "", false);
    if (step.read_only) kernel::set_attributes(trace_, copy.get(), MOUNT_ATTR_RDONLY, false);
    kernel::attach(trace_, copy.get(), target.get(), step.target);
    kernel::detach(trace_, mount.get(), stage_of_parts);
    kernel::remove_directory(trace_, dev_.get(), ".part");
  }

  void file(const StepMount& step)
  {
    const Fd mount = memory(step.target, 0);
    const Fd made{::openat(mount.get(), "file", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
    if (!made) throw Error{"make a file for " + visible(step.target), errno};
    for (size_t written = 0; written < step.content.size();) {
      const ssize_t now = ::write(made.get(), step.content.data() + written, step.content.size() - written);
      if (now < 0 && errno != EINTR) throw Error{"write a file for " + visible(step.target), errno};
      if (now > 0) written += static_cast<size_t>(now);
    }
    if (::fchown(made.get(), step.uid, step.gid) < 0 || ::fchmod(made.get(), step.mode) < 0)
      throw Error{"dress the file for " + visible(step.target), errno};
    part(mount, "file", step);
  }

  // Where the image has a symlink the start fails: these mounts guard the container and are not led elsewhere.
  void place(const Fd& mount, const std::string& target)
  {
    const Fd directory = kernel::make_plain_directories_in_root(trace_, root_.get(), target, 0755);
    kernel::attach(trace_, mount.get(), directory.get(), target);
  }

  Trace& trace_;
  const RootfsPlan& plan_;
  const Spec& spec_;
  std::vector<Fd> mounts_;
  size_t next_ = 0;
  Fd root_, dev_;
  Fd nothing_; // one empty directory serves all that is hidden
};

} // namespace

PseudoMounts make_pseudo_mounts(Trace& trace, const RootfsPlan& plan)
{
  const auto make = [&](const char* type, const kernel::MountOptions& options, unsigned attributes, const char* place) {
    return kernel::new_file_system(trace, type, options, attributes, place);
  };
  PseudoMounts made;
  made.proc = make("proc", {}, harmless, "proc");
  made.pts = make("devpts", {{"newinstance", ""}, {"ptmxmode", "0666"}, {"mode", "0620"}, {"gid", "5"}},
                  MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, "dev/pts");
  if (!plan.host_ipc) {
    made.shm = make("tmpfs", {{"mode", "1777"}, {"size", std::to_string(plan.shm_bytes)}, {"source", "shm"}}, harmless,
                    "dev/shm");
    made.mqueue = make("mqueue", {}, harmless, "dev/mqueue");
  }
  if (!plan.host_network) made.sys = make("sysfs", {}, harmless | MOUNT_ATTR_RDONLY, "sys");
  return made;
}

PlacedRoot place_root(Trace& trace, PseudoMounts pseudo, std::vector<Fd> mounts, const RootfsPlan& plan,
                      const Spec& spec, const WindowSize& size)
{
  kernel::make_slave(trace);
  Placing placing{trace, plan, spec, std::move(mounts)};
  PlacedRoot placed;
  placing.root();
  placing.pseudo(std::move(pseudo));
  placing.binds();
  placing.names();
  placing.step_mounts();
  placing.hide();
  if (spec.process.terminal) placed.terminal = placing.terminal(size);
  placing.change();
  return placed;
}

void change_into_tree(const Root& root, const Spec& spec, const std::string& rw)
{
  Trace& trace = root.trace();
  const RootfsPlan plan = plan_rootfs(root, spec, rw, false, false);
  prepare_rw(root, plan);
  const Fd tree = make_overlay(root, {.tree = root.dir(),
                                      .lower = plan.lower,
                                      .upper = plan.rw + "/upper",
                                      .work = plan.rw + "/work",
                                      .attributes = MOUNT_ATTR_NODEV});
  std::vector<Fd> binds;
  for (const auto& bind : plan.binds) binds.push_back(make_bind(trace, bind, -1));
  kernel::unshare_namespaces(trace, CLONE_NEWNS);
  kernel::make_slave(trace);
  const Fd here{::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)};
  kernel::attach(trace, tree.get(), here.get(), "the tree of '" + spec.name + "'");
  for (size_t at = 0; at < binds.size(); ++at) attach_bind(trace, tree.get(), plan.binds[at], binds[at]);
  if (spec.read_only) kernel::set_attributes(trace, tree.get(), MOUNT_ATTR_RDONLY, false);
  kernel::change_root(trace, tree.get());
}

} // namespace conductor
