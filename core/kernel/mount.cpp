#include "core/kernel/mount.h"

#include "core/base/error.h"
#include "core/kernel/call.h"
#include "core/kernel/files.h"
#include "core/kernel/mapped_root.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace conductor::kernel {
namespace {

constexpr struct {
  uint64_t bit;
  const char* name;
  const char* option;
} attribute_names[] = {
    {MOUNT_ATTR_RDONLY, "MOUNT_ATTR_RDONLY", "ro"},
    {MOUNT_ATTR_NOSUID, "MOUNT_ATTR_NOSUID", "nosuid"},
    {MOUNT_ATTR_NODEV, "MOUNT_ATTR_NODEV", "nodev"},
    {MOUNT_ATTR_NOEXEC, "MOUNT_ATTR_NOEXEC", "noexec"},
};

std::string constants(uint64_t attributes)
{
  std::string text;
  for (const auto& each : attribute_names)
    if ((attributes & each.bit) != 0) text += (text.empty() ? "" : "|") + std::string{each.name};
  return text.empty() ? "0" : text;
}

std::string options_by_hand(uint64_t attributes, const MountOptions& options)
{
  std::string text;
  const auto add = [&](const std::string& option) { text += (text.empty() ? "-o " : ",") + option; };
  for (const auto& each : attribute_names)
    if ((attributes & each.bit) != 0) add(each.option);
  for (const auto& [key, value] : options) add(value.empty() ? key : key + "=" + value);
  return text.empty() ? text : text + " ";
}

// What the file system itself says about a refusal: lines "e overlay: ..." in the context's queue (fsopen(2)).
std::string complaint(int context)
{
  std::string text;
  std::array<char, 1024> line; // NOLINT: filled by read(2)
  for (int count = 0; count < 8; ++count) {
    const ssize_t got = ::read(context, line.data(), line.size());
    if (got <= 2) break;
    std::string_view message{line.data() + 2, static_cast<size_t>(got) - 2};
    while (!message.empty() && message.back() == '\n') message.remove_suffix(1);
    if (line[0] == 'e') text += (text.empty() ? " (" : "; ") + std::string{message};
  }
  return text.empty() ? text : text + ")";
}

Fd open_context(Trace& trace, const char* type)
{
  const auto result = perform(
      trace, "fsopen",
      [&] {
        return CallText{fmt::format("fsopen(\"{}\", FSOPEN_CLOEXEC)", type), "# part of the mount below"};
      },
      [&] { return ::syscall(SYS_fsopen, type, FSOPEN_CLOEXEC); });
  if (result.failed())
    throw Error{fmt::format("open a {} file system", type), result.error,
                result.error == ENODEV ? fmt::format("this kernel has no {}; try: modprobe {}", type, type) : ""};
  return Fd{static_cast<int>(result.value)};
}

void configure(Trace& trace, int context, const char* type, const std::string& key, const std::string& value)
{
  const auto result = perform(
      trace, "fsconfig",
      [&] {
        return CallText{value.empty()
                            ? fmt::format("fsconfig({}, FSCONFIG_SET_FLAG, \"{}\")", type, key)
                            : fmt::format("fsconfig({}, FSCONFIG_SET_STRING, \"{}\", \"{}\")", type, key, value),
                        "# part of the mount below"};
      },
      [&] {
        return value.empty() ? ::syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, key.c_str(), nullptr, 0)
                             : ::syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, key.c_str(), value.c_str(), 0);
      });
  if (result.failed())
    throw Error{fmt::format("set {}={} of a {} file system{}", key, value, type, complaint(context)), result.error};
}

void create(Trace& trace, int context, const char* type, const std::string& cure)
{
  const auto result = perform(
      trace, "fsconfig",
      [&] {
        return CallText{fmt::format("fsconfig({}, FSCONFIG_CMD_CREATE)", type), "# part of the mount below"};
      },
      [&] { return ::syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0); });
  if (result.failed())
    throw Error{fmt::format("create a {} file system{}", type, complaint(context)), result.error, cure};
}

Fd mount_context(Trace& trace, int context, const char* type, unsigned attributes, const std::string& by_hand)
{
  const auto result = perform(
      trace, "fsmount",
      [&] {
        return CallText{fmt::format("fsmount({}, FSMOUNT_CLOEXEC, {})", type, constants(attributes)), by_hand};
      },
      [&] { return ::syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes); });
  if (result.failed()) throw Error{fmt::format("mount a {} file system", type), result.error};
  return Fd{static_cast<int>(result.value)};
}

} // namespace

Fd new_file_system(Trace& trace, const char* type, const MountOptions& options, unsigned attributes,
                   const std::string& by_hand_target)
{
  const Fd context = open_context(trace, type);
  // Without a source, mount(8) shows "none".
  const bool named =
      std::any_of(options.begin(), options.end(), [](const auto& each) { return each.first == "source"; });
  if (!named) configure(trace, context.get(), type, "source", type);
  for (const auto& [key, value] : options) configure(trace, context.get(), type, key, value);
  create(trace, context.get(), type, {});
  return mount_context(trace, context.get(), type, attributes,
                       trace.calls_wanted() ? fmt::format("mount -t {} {}{} {}", type,
                                                          options_by_hand(attributes, options), type, by_hand_target)
                                            : std::string{});
}

namespace {

// Paths of an overlay are looked up from the working directory; it is put back however we leave.
class WorkingDirectory {
public:
  explicit WorkingDirectory(int directory) : before_(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC))
  {
    if (::fchdir(directory) < 0) throw Error{"enter the layers' directory", errno};
  }
  ~WorkingDirectory()
  {
    if (!before_ || ::fchdir(before_.get()) < 0) {
      if (::chdir("/") < 0) return;
    }
  }
  WorkingDirectory(const WorkingDirectory&) = delete;
  WorkingDirectory& operator=(const WorkingDirectory&) = delete;

private:
  Fd before_;
};

constexpr const char* overlay_source = "conductor";

constexpr const char* overlay_cure =
    "the file system of the state directory may not serve as an overlay layer (another overlay, NFS, a FAT); choose a "
    "directory on ext4, xfs, btrfs or tmpfs with --root";

} // namespace

Fd overlay(Trace& trace, const OverlayRequest& request)
{
  const WorkingDirectory here{request.tree};
  const AsMappedRoot as{request.owner};
  const Fd context = open_context(trace, "overlay");
  const auto set = [&](const char* key, const std::string& value) {
    try {
      configure(trace, context.get(), "overlay", key, value);
    } catch (Error& error) {
      throw Error::relayed(error.what(), error.number(), overlay_cure, error.status());
    }
  };
  set("source", overlay_source);
  for (auto layer = request.lower.rbegin(); layer != request.lower.rend(); ++layer) set("lowerdir+", *layer);
  if (!request.upper.empty()) {
    set("upperdir", request.upper);
    set("workdir", request.work);
    // Some kernels are built with these on. A renamed directory would then be a pointer into lower layers, and a
    // changed mode a file without content: no archive can hold either, so what was written could never be an image.
    set("redirect_dir", "off");
    set("metacopy", "off");
  }
  if (request.is_volatile && !request.upper.empty()) set("volatile", "");
  create(trace, context.get(), "overlay", overlay_cure);
  std::string by_hand;
  if (trace.calls_wanted()) {
    by_hand = "mount -t overlay overlay -o lowerdir=";
    for (auto layer = request.lower.rbegin(); layer != request.lower.rend(); ++layer)
      by_hand += (layer == request.lower.rbegin() ? "" : ":") + *layer;
    if (!request.upper.empty()) by_hand += fmt::format(",upperdir={},workdir={}", request.upper, request.work);
    by_hand += " root";
  }
  return mount_context(trace, context.get(), "overlay", request.attributes, by_hand);
}

Fd clone_tree(Trace& trace, int at, const std::string& path, bool recursive)
{
  const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0U);
  const auto shown = [&] { return path.empty() ? path_of(at) : path; };
  const auto result = perform(
      trace, "open_tree",
      [&] {
        return CallText{
            fmt::format("open_tree(\"{}\", OPEN_TREE_CLONE{})", shown(), recursive ? "|AT_RECURSIVE" : ""),
            fmt::format("mount --{} {} TARGET   # with move_mount below", recursive ? "rbind" : "bind", shown())};
      },
      [&] { return ::syscall(SYS_open_tree, at, path.c_str(), flags); });
  if (result.failed()) throw Error{fmt::format("clone the mount of {}", shown()), result.error};
  return Fd{static_cast<int>(result.value)};
}

void set_attributes(Trace& trace, int mount, uint64_t set, bool recursive)
{
  mount_attr attributes{};
  attributes.attr_set = set;
  const auto result = perform(
      trace, "mount_setattr",
      [&] {
        return CallText{
            fmt::format("mount_setattr({}, {})", path_of(mount), constants(set)),
            fmt::format("mount {}TARGET   # bind,remount", options_by_hand(set, {{"remount", ""}, {"bind", ""}}))};
      },
      [&] {
        return ::syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attributes,
                         sizeof attributes);
      });
  if (result.failed()) throw Error{fmt::format("set {} on a mount", constants(set)), result.error};
}

void make_private(Trace& trace, int mount)
{
  mount_attr attributes{};
  attributes.propagation = MS_PRIVATE;
  const auto result = perform(
      trace, "mount_setattr",
      [&] {
        return CallText{fmt::format("mount_setattr({}, MS_PRIVATE)", path_of(mount)), "mount --make-rprivate TARGET"};
      },
      [&] {
        return ::syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes, sizeof attributes);
      });
  if (result.failed()) throw Error{"make a mount private", result.error};
}

void map_ids(Trace& trace, int mount, int user_namespace, const std::string& shown_source, bool recursive)
{
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_IDMAP;
  attributes.userns_fd = static_cast<uint64_t>(user_namespace);
  const auto result = perform(
      trace, "mount_setattr",
      [&] {
        return CallText{fmt::format("mount_setattr({}, MOUNT_ATTR_IDMAP, {})", shown_source, path_of(user_namespace)),
                        "mount --bind -o X-mount.idmap=/proc/PID/ns/user SOURCE TARGET   # util-linux 2.39"};
      },
      [&] {
        return ::syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &attributes,
                         sizeof attributes);
      });
  if (result.failed())
    throw Error{fmt::format("map the ids of {}", shown_source), result.error,
                recursive ? "its file system, or one mounted below it, may not support id-mapped mounts on this kernel"
                          : "its file system may not support id-mapped mounts on this kernel"}
        .with_flag_hint("run --userns host does without");
}

void attach(Trace& trace, int mount, int target, const std::string& shown_target)
{
  const auto result = perform(
      trace, "move_mount",
      [&] {
        return CallText{fmt::format("move_mount(the new mount, \"{}\")", shown_target),
                        fmt::format("# puts it at {}", shown_target)};
      },
      [&] {
        return ::syscall(SYS_move_mount, mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
      });
  if (result.failed()) throw Error{fmt::format("mount at {}", shown_target), result.error};
}

namespace {

void detach_at(Trace& trace, const std::string& path, const std::string& shown_target)
{
  const auto result = perform(
      trace, "umount2",
      [&] {
        return CallText{fmt::format("umount2(\"{}\", MNT_DETACH)", shown_target),
                        fmt::format("umount -l {}", shown_target)};
      },
      [&] { return ::umount2(path.c_str(), MNT_DETACH); });
  if (result.failed()) throw Error{fmt::format("take away the mount at {}", shown_target), result.error};
}

} // namespace

void detach(Trace& trace, int mount, const std::string& shown_target)
{
  detach_at(trace, "/proc/self/fd/" + std::to_string(mount), shown_target);
}

void detach_by(Trace& trace, int own_descriptors, int mount, const std::string& shown_target)
{
  if (::fchdir(own_descriptors) < 0) throw Error{"go to where descriptors are listed", errno};
  detach_at(trace, std::to_string(mount), shown_target);
}

void mount_at(Trace& trace, const char* source, const char* target, const char* type, const std::string& options)
{
  const auto result = perform(
      trace, "mount",
      [&] {
        return CallText{fmt::format("mount(\"{}\", \"{}\", \"{}\", 0, \"{}\")", source, target, type, options),
                        fmt::format("mount -t {} -o {} {} {}", type, options, source, target)};
      },
      [&] { return ::mount(source, target, type, 0, options.c_str()); });
  if (result.failed()) throw Error{fmt::format("mount {} at {}", type, target), result.error};
}

void make_slave(Trace& trace)
{
  const auto result = perform(
      trace, "mount",
      [] {
        return CallText{"mount(NULL, \"/\", NULL, MS_REC|MS_SLAVE, NULL)", "mount --make-rslave /"};
      },
      [] { return ::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr); });
  if (result.failed()) throw Error{"make the mounts of the new namespace slaves of the host's", result.error};
}

void change_root(Trace& trace, int new_root)
{
  if (::fchdir(new_root) < 0) throw Error{"enter the new root", errno};
  const auto pivot = perform(
      trace, "pivot_root",
      [] {
        return CallText{"pivot_root(\".\", \".\")", "cd root && pivot_root . ."};
      },
      [] { return ::syscall(SYS_pivot_root, ".", "."); });
  if (pivot.failed()) throw Error{"change the root", pivot.error};
  // The old root now lies over the new one, at ".": off with it, and everything below goes with it.
  const auto detach = perform(
      trace, "umount2",
      [] {
        return CallText{"umount2(\".\", MNT_DETACH)", "umount -l ."};
      },
      [] { return ::umount2(".", MNT_DETACH); });
  if (detach.failed()) throw Error{"detach the host's root", detach.error};
  if (::chdir("/") < 0) throw Error{"enter /", errno};
}

std::vector<std::string> overlays_below(const std::string& directory)
{
  std::vector<std::string> found;
  const std::string text = find_content(AT_FDCWD, "/proc/self/mountinfo", 16 << 20).value_or("");
  const std::string kind = fmt::format(" - overlay {} ", overlay_source);
  for (std::string_view rest = text; !rest.empty();) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.find(kind) == std::string_view::npos) continue;
    for (int field = 0; field < 4; ++field) line.remove_prefix(std::min(line.find(' ') + 1, line.size())); // proc(5)
    const std::string_view place = line.substr(0, line.find(' '));
    if (place.starts_with(directory + "/")) found.emplace_back(place);
  }
  std::ranges::reverse(found);
  return found;
}

} // namespace conductor::kernel
