#include "core/engine/launch.h"

#include "core/base/error.h"
#include "core/base/undo.h"
#include "core/container/id_range.h"
#include "core/container/name_files.h"
#include "core/container/restart.h"
#include "core/container/start.h"
#include "core/engine/health_watch.h"
#include "core/engine/networks.h"
#include "core/engine/oom_watch.h"
#include "core/engine/volumes.h"
#include "core/kernel/cgroup.h"
#include "core/kernel/files.h"
#include "core/kernel/process.h"
#include "core/kernel/signals.h"
#include "core/store/journal.h"

#include <cerrno>
#include <csignal>

#include <fmt/format.h>
#include <unistd.h>

namespace conductor {

void protect_program(const Context& context, const Spec& spec)
{
  if (!spec.user_namespace && context.protect_program) context.protect_program();
}

Lock lock_container(const Context& context, const std::string& id, const std::string& name)
{
  return Lock{context.root.dir(), Containers{context.root}.path(id) + "/lock", context.verb, context.patience,
              fmt::format("'{}'", name)};
}

namespace {

// The wish is read again where it is carried out: a peer may come in between.
void plan_link(const Context& context, const Spec& spec, StartRequest& request, Undo& undo)
{
  const auto wish = find_network_wish(context.root, spec.id);
  if (!wish || !wish->needs_link()) return;
  mend(context);
  links_of(context).check_ports(LinkOwner::of(spec), wish->published);
  make_name_files(context.root, spec.id);
  undo.push("take its link away", [&context, id = spec.id] { links_of(context).leave(id); });
  request.link = [&context, &spec](int namespace_fd) {
    Links links = links_of(context);
    const Lock lock = links.lock();
    if (auto now = find_network_wish(context.root, spec.id))
      links.attach(LinkOwner::of(spec), std::move(*now), namespace_fd);
  };
}

} // namespace

KeeperRequest launch(const Context& context, const Container& container, Local local, unsigned restarts)
{
  const Root& root = context.root;
  const Spec& spec = container.spec;
  Trace& trace = context.trace;
  const Containers containers{root};
  const IdPool pool = parse_id_pool(context.config.id_pool);
  Started started;
  Undo undo{trace};
  Step step{trace, fmt::format("start '{}'", spec.name),
            "what was begun is found in the run directory, whatever happens"};

  // The run directory is the intent: while it is there, something of this container may be in the kernel.
  Fd run_directory = containers.run_directory(spec.id);
  undo.push("remove the run directory", [&] { kernel::remove_tree(trace, root.run(), "c/" + spec.id); });

  ensure_volumes(context, spec); // of a container whose making was killed, or whose volume somebody deleted

  StartRequest request{
      .root = root, .spec = spec, .rw = containers.path(spec.id) + "/rw", .is_volatile = spec.auto_remove};
  if (spec.networked) plan_link(context, spec, request, undo);
  if (spec.user_namespace) {
    request.first_id = take_id_range(root, pool, spec.id);
    undo.push("give the user range back", [&, first = request.first_id] { release_id_range(root, spec.id, first); });
  }
  Fd listener = wire::listen_in(trace, run_directory.get(), keeper_socket);
  Streams ours;
  if (!spec.process.terminal) {
    StreamPair streams = make_pipes(spec.process.interactive ? Stdin::open : Stdin::empty, request.first_id);
    ours = std::move(streams.ours);
    request.streams = std::move(streams.theirs);
  }
  if (local == Local::terminal) request.window = window_size(0).value_or(WindowSize{});
  const uint32_t first_id = request.first_id;
  LogWriter log{trace, kernel::open_directory(containers.directory(spec.id).get(), "log"),
                LogLimits{.size_bytes = context.config.log_size, .files = context.config.log_files}};

  started = start_container(std::move(request));
  if (started.terminal) ours.master = std::move(started.terminal);
  undo.push("end the container", [&, first_id] {
    started.child.kill_and_reap();
    tear_down(root, spec.id, first_id);
  });

  Status status;
  status.state = State::running;
  status.boot_id = kernel::boot_id();
  status.pid = started.child.pid();
  status.pid_start = kernel::start_time(status.pid).value_or(0);
  status.keeper = ::getpid();
  status.keeper_start = kernel::start_time(status.keeper).value_or(0);
  status.first_id = first_id;
  status.started_ns = started.started_ns;
  status.restarts = restarts;
  containers.keep_place_for_end(spec.id, status);
  if (spec.health) begin_health(root, spec.id);
  undo.push("record that it does not run", [&] { containers.save_status(spec.id, container.status); });
  containers.save_status(spec.id, status);
  unmark_stopped(root, spec);
  append(root, {.time_ns = started.started_ns,
                .id = spec.id,
                .name = spec.name,
                .verb = "start",
                .outcome = restarts == 0 ? "done" : fmt::format("again ({}. time)", restarts)});
  undo.commit();
  step.done();

  std::array<std::unique_ptr<LoopGuest>, 2> guests;
  if (spec.health) guests[0] = std::make_unique<HealthWatch>(root, spec);
  if (spec.limits.memory_bytes) guests[1] = OomWatch::begin(root, spec.id);
  return KeeperRequest{.trace = trace,
                       .child = std::move(started.child),
                       .streams = std::move(ours),
                       .log = std::move(log),
                       .listener = std::move(listener),
                       .held = {{std::move(started.mount_namespace), std::move(started.mapped)}},
                       .run_directory = run_directory.release(),
                       .local = local,
                       .interactive = spec.process.interactive,
                       .guests = std::move(guests),
                       .farewell = Farewell{.signal = kernel::signal_number(spec.stop_signal),
                                            .grace_us = static_cast<uint64_t>(spec.stop_seconds) * 1'000'000,
                                            .to_pid_one = !spec.host_pid},
                       .on_exit = [&context, id = spec.id](const ExitStatus& exit) { finish(context, id, exit, {}); }};
}

void note(const Context& context, const JournalEntry& entry)
{
  try {
    append(context.root, entry);
  } catch (const Error& error) {
    context.trace.notice(error.sentence());
  }
}

namespace {

// "exit 137: out of memory": for the journal, and for whoever waited in the foreground.
std::string told(const Status& status)
{
  std::string text = status.exit_unknown ? "exit unknown" : fmt::format("exit {}", status.exit_code);
  if (!status.why.empty()) text += ": " + status.why;
  return text;
}

// The same of one in which somebody was ended for lack of memory: "exit 0: out of memory ('dd' killed)". To be made
// while its group is there.
std::string told_of_memory(const Context& context, const Container& container, const Status& status)
{
  const std::string names = names_of(kernel::oom_victims(context.root.id(), container.spec.id));
  std::string text = told(status);
  if (status.why.empty()) text += ": out of memory";
  return names.empty() ? text : fmt::format("{} ({} killed)", text, names);
}

// How it ended, by its keeper, who saw it.
Status ended(const Context& context, const Container& container, const ExitStatus& exit)
{
  Status status = container.status;
  status.state = State::exited;
  status.finished_ns = realtime_ns();
  status.exit_code = exit.shell();
  status.oom_killed = kernel::oom_kills(context.root.id(), container.spec.id) > 0;
  if (status.oom_killed && status.exit_code == 137) status.why = "out of memory";
  return status;
}

// How it ended, by somebody who finds it without its keeper. Nothing was written down: then its keeper was killed, and
// PID 1 with it (PDEATHSIG), unless that was on another boot or by a keeper that could not write.
Status ended_unseen(const Context& context, const Container& container, const std::optional<Status>& found,
                    const std::string& why)
{
  if (found && found->state == State::exited) return *found;
  Status status = container.status;
  status.state = State::exited;
  status.finished_ns = realtime_ns();
  status.exit_code = 128 + SIGKILL;
  status.exit_unknown = !found || status.boot_id != kernel::boot_id();
  status.oom_killed = kernel::oom_kills(context.root.id(), container.spec.id) > 0;
  status.why = why;
  return status;
}

} // namespace

Status finish(const Context& context, const std::string& id, const std::optional<ExitStatus>& exit,
              const std::string& why)
{
  const Root& root = context.root;
  Trace& trace = context.trace;
  const Containers containers{root};
  auto container = containers.find(id);
  if (!container) return {.state = State::exited};
  Step step{trace, fmt::format("finish '{}'", container->spec.name), "its group, its range of ids, its run directory"};
  Status status = container->status;
  const uint32_t first_id = status.first_id;
  const bool was_active = status.state == State::running || status.state == State::paused;
  const auto found = exit ? std::nullopt : containers.find_end(id);
  const bool is_news = (was_active || exit) && !(found && found->state == State::exited);
  if (exit)
    status = ended(context, *container, *exit);
  else if (was_active)
    status = ended_unseen(context, *container, found, why);
  status.pid = 0;
  status.pid_start = 0;
  status.keeper = 0;
  status.keeper_start = 0;
  status.first_id = 0;
  if (was_active || exit) containers.record_end(id, status); // first of all, for we may be killed at any moment
  std::string outcome = told(status);
  if (exit && status.oom_killed) {
    outcome = told_of_memory(context, *container, status);
    // Only at a `run` in the foreground somebody hears this.
    trace.notice(fmt::format("'{}': {}", container->spec.name, outcome));
  }
  tear_down(root, id, first_id);
  if (container->spec.networked) links_of(context).leave(id);
  if (is_news)
    note(context,
         {.time_ns = realtime_ns(), .id = id, .name = container->spec.name, .verb = "exit", .outcome = outcome});
  if (container->spec.auto_remove) {
    kernel::remove_tree(trace, root.run(), "c/" + id);
    containers.remove(id, container->spec.name);
    if (container->spec.networked) links_of(context).release(id);
  } else {
    try {
      if (container->spec.health) keep_health(root, id);
      containers.save_status(id, status);
    } catch (const Error& error) {
      // Whoever stops or removes it, to get room, must be able to. The run directory stays: this is done again.
      trace.notice(error.sentence());
      return status;
    }
    kernel::remove_tree(trace, root.run(), "c/" + id);
  }
  step.done();
  return status;
}

} // namespace conductor
