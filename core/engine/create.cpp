// create: an image and a wish become a container's directory.
#include "core/engine/networks.h"

#include "core/base/error.h"
#include "core/base/undo.h"
#include "core/container/command.h"
#include "core/container/health.h"
#include "core/engine/volumes.h"
#include "core/kernel/group_limits.h"
#include "core/kernel/signals.h"
#include "core/store/journal.h"
#include "core/store/volumes.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <sys/random.h>

namespace conductor {
namespace {

// "busybox:latest" -> "busybox-1", the first number that is free: short to type, and it says what it is.
std::string choose_name(const Containers& containers, const std::string& reference)
{
  std::string stem = reference.substr(reference.rfind('/') + 1);
  stem = stem.substr(0, stem.find_first_of(":@"));
  std::string clean;
  for (const char c : stem)
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.') clean += c;
  while (!clean.empty() && (clean.front() == '-' || clean.front() == '_' || clean.front() == '.')) clean.erase(0, 1);
  if (clean.empty()) clean = "container";
  clean.resize(std::min<size_t>(clean.size(), 40));
  for (unsigned number = 1;; ++number) {
    std::string name = fmt::format("{}-{}", clean, number);
    if (!containers.is_taken(name)) return name;
  }
}

void merge_env(std::vector<std::string>& env, const std::vector<std::string>& more)
{
  for (const auto& setting : more) {
    const std::string_view key = std::string_view{setting}.substr(0, setting.find('='));
    std::erase_if(env, [&](const std::string& each) {
      return each.size() > key.size() && each.starts_with(key) && each[key.size()] == '=';
    });
    env.push_back(setting);
  }
}

void check_new_wish(Context& context, const Spec& spec, const CreateRequest& request)
{
  need_own_network(spec);
  check_wish({.published = request.published, .peers = {}}, spec.name);
  links_of(context).check_ports(LinkOwner::of(spec), request.published);
}

// What the user said wins over what the image says; the command replaces cmd, the entry point stays in front of it.
Spec complete(const CreateRequest& request, const Image& image)
{
  Spec spec = request.wish;
  spec.image = image.names.empty()                ? request.image
               : request.image.starts_with("id:") ? image.names.front()
                                                  : normal_reference(request.image);
  spec.image_id = image.id;
  spec.layers = image.layers;
  std::vector<std::string> env = image.config.env;
  merge_env(env, spec.process.env);
  spec.process.env = std::move(env);
  std::vector<std::string> args = image.config.entrypoint;
  const auto& command = request.has_command ? request.wish.process.args : image.config.cmd;
  args.insert(args.end(), command.begin(), command.end());
  spec.process.args = std::move(args);
  // That an image says what cannot be is no wrong usage, and is told before there is a container that nobody can stop.
  if (spec.process.workdir.empty()) {
    spec.process.workdir = image.config.workdir.empty() ? "/" : image.config.workdir;
    if (!spec.process.workdir.starts_with('/'))
      throw Error{"the image's working directory '" + visible(spec.process.workdir) + "' is not absolute", 0,
                  "name another: --workdir /"};
  }
  if (spec.process.user.empty()) spec.process.user = image.config.user;
  if (spec.stop_signal.empty()) {
    spec.stop_signal = image.config.stop_signal.empty() ? "SIGTERM" : image.config.stop_signal;
    if (!kernel::find_signal(spec.stop_signal))
      throw Error{"the image's stop signal '" + visible(spec.stop_signal) + "' is no signal", 0,
                  "name another: --stop-signal SIGTERM"};
  }
  for (const auto& [key, value] : image.config.labels) spec.labels.emplace(key, value);
  if (spec.hostname.empty() && !spec.host_uts) spec.hostname = spec.name;
  spec.health = merge_health(spec.health, image.config.healthcheck, image.config.shell);
  add_image_volumes(spec, image.config);
  return spec;
}

} // namespace

Spec create(Context& context, const CreateRequest& request)
{
  const Images images{context.root};
  const Containers containers{context.root};
  const Fd hold = images.hold_layers(); // no layer goes away between here and the spec that names it
  const Image image = images.load(request.image);
  Spec wish = request.wish;
  const bool chosen = wish.name.empty();
  if (chosen)
    wish.name = choose_name(containers, image.names.empty() ? "container" : request.image);
  else
    check_name(wish.name);
  CreateRequest named = request;
  named.wish = std::move(wish);
  Spec spec = complete(named, image);
  if (request.internet || !request.published.empty()) {
    spec.networked = true;
    check_new_wish(context, spec, request);
  }
  plan_confinement(spec); // a bad capability, limit or profile is told now, not at the first start
  kernel::check_limits_here(spec.limits);
  spec.id = random_hex(32);
  spec.created_ns = realtime_ns();
  Step step{context.trace, fmt::format("create '{}'", spec.name), "its directory: what is wanted, and its own layer"};
  for (;;) {
    try {
      containers.create(spec);
      break;
    } catch (const Error& error) {
      // Two that choose at the same time may choose the same name; the second takes the next.
      if (!chosen || error.number() != EEXIST) throw;
      const bool hostname_follows = spec.hostname == spec.name;
      spec.name = choose_name(containers, spec.image);
      if (hostname_follows) spec.hostname = spec.name;
    }
  }
  Undo undo{context.trace};
  undo.push("remove what was created", [&] { containers.remove(spec.id, spec.name); });
  const std::vector<std::string> made = ensure_volumes(context, spec);
  if (!made.empty())
    undo.push("remove the new volumes", [&context, made] {
      for (const std::string& volume : made) Volumes{context.root}.remove(volume);
    });
  if (spec.networked)
    save_network_wish(context.root, spec.id,
                      {.attached = true, .internet = request.internet, .published = request.published, .peers = {}});
  append(context.root,
         {.time_ns = spec.created_ns, .id = spec.id, .name = spec.name, .verb = "create", .outcome = "done"});
  undo.commit();
  step.done();
  return spec;
}

} // namespace conductor
