#include "core/container/overlay.h"

#include "core/base/error.h"
#include "core/container/channel.h"
#include "core/kernel/files.h"
#include "core/kernel/mapped_root.h"
#include "core/kernel/namespaces.h"
#include "core/kernel/process.h"

#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace conductor {
namespace {

// There is always a /sys to lay something over, and nothing that we need lies below it.
constexpr const char* stage = "/sys";

std::string absolute(const Root& root, const std::string& path) { return root.path() + "/" + path; }

// In the process that has a mount namespace of its own: everything by path, as mount(2) wants it.
Fd overlay_by_path(const Root& root, const kernel::OverlayRequest& request)
{
  Trace& trace = root.trace();
  kernel::unshare_namespaces(trace, CLONE_NEWNS);
  kernel::make_slave(trace);
  const Fd plain = kernel::open_directory(AT_FDCWD, root.path(), O_PATH);
  const bool mapped = request.owner != 0;
  if (mapped) kernel::attach(trace, request.tree, plain.get(), root.path());
  kernel::mount_at(trace, "tmpfs", stage, "tmpfs", "mode=0755");
  const Fd links = kernel::open_directory(AT_FDCWD, stage);
  std::string lower;
  for (size_t at = request.lower.size(); at-- > 0;) {
    const std::string name = std::to_string(at);
    kernel::make_symlink(trace, absolute(root, request.lower[at]), links.get(), name);
    lower += (lower.empty() ? "" : ":") + name;
  }
  kernel::make_directory(trace, links.get(), "root", 0755);
  std::string options = "lowerdir=" + lower;
  if (!request.upper.empty()) {
    kernel::make_symlink(trace, absolute(root, request.upper), links.get(), "upper");
    kernel::make_symlink(trace, absolute(root, request.work), links.get(), "work");
    options += ",upperdir=upper,workdir=work,redirect_dir=off,metacopy=off";
    if (request.is_volatile) options += ",volatile";
  }
  if (::fchdir(links.get()) < 0) throw Error{"enter the links of the layers", errno};
  {
    const kernel::AsMappedRoot as{request.owner};
    kernel::mount_at(trace, "conductor", "root", "overlay", options);
  }
  Fd made = kernel::clone_tree(trace, AT_FDCWD, "root", false);
  if (request.attributes != 0) kernel::set_attributes(trace, made.get(), request.attributes, false);
  return made;
}

Fd by_a_process_of_its_own(const Root& root, const kernel::OverlayRequest& request)
{
  Trace& trace = root.trace();
  Step step{trace, "mount the layers by path", "this kernel cannot make an overlay of descriptors"};
  auto [upper, lower] = Channel::pair();
  const auto settings = TraceSettings::of(trace);
  auto child = kernel::clone_process(trace, {}, "a mount namespace for the layers");
  if (!child) {
    upper.close();
    Uplink uplink{lower, settings};
    settings.apply(trace, uplink);
    try {
      const Fd made = overlay_by_path(root, request);
      lower.send(MessageKind::mounts, {}, {made.get()});
    } catch (const Error& error) {
      lower.send_error(error);
    } catch (const std::exception& error) {
      lower.send_error(Error{error.what()});
    }
    ::_exit(0);
  }
  lower.close();
  auto message = receive_relaying(upper, trace);
  if (!message || message->descriptors.empty()) throw Error{"mount the layers: the helper ended", ECHILD};
  child->wait();
  step.done();
  return std::move(message->descriptors.front());
}

// Remembered for this boot, since such a kernel writes a line into its log for every attempt.
constexpr const char* by_path_marker = "overlay-by-path";

bool is_known_to_need_paths(const Root& root)
{
  return kernel::find_content(root.run(), by_path_marker) == kernel::boot_id();
}

} // namespace

Fd make_overlay(const Root& root, const kernel::OverlayRequest& request)
{
  if (is_known_to_need_paths(root)) return by_a_process_of_its_own(root, request);
  try {
    return kernel::overlay(root.trace(), request);
  } catch (const Error& error) {
    // What older kernels say to a detached layer or to `lowerdir+`; and what all say to a file system that will not do.
    if (error.number() != EINVAL) throw;
    Fd made;
    try {
      made = by_a_process_of_its_own(root, request);
    } catch (const Error&) {
      throw error;
    }
    kernel::write_file(root.trace(), root.run(), by_path_marker, kernel::boot_id());
    return made;
  }
}

} // namespace conductor
