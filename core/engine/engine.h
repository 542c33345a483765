// The public face of the engine: each function is one operation on one container, a recipe.
//
// All are synchronous, print nothing, tell the Trace what they do, roll back when they fail and throw Error.
#pragma once

#include "core/container/spec.h"
#include "core/network.h"
#include "core/store/config.h"
#include "core/store/containers.h"
#include "core/store/images.h"
#include "core/store/root.h"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace conductor {

struct Context {
  const Root& root;
  Trace& trace;
  Network& network;
  const Config& config;
  std::string verb;                           // written into locks and the journal
  std::chrono::milliseconds patience{10'000}; // how long to wait for another operation on the same container
  // Begins the verb again from a read-only mount of our program (core/kernel/own_program.h).
  std::function<void()> protect_program;
};

// What `create` and `run` ask for. `wish` holds what the user said; what is left empty comes from the image.
struct CreateRequest {
  std::string image;
  Spec wish;                // name empty: one is chosen
  bool has_command = false; // wish.process.args replaces the image's cmd (entrypoint stays)
  bool internet = false;    // as by addnetwork, and so are these
  std::vector<PublishedPort> published;
};
// Returns what was made of the wish, name and id included. The image must be there.
Spec create(Context& context, const CreateRequest& request);

// Starts it in the background: a keeper stays behind. Returns when the command was executed (execve succeeded).
void start(Context& context, const std::string& id);

// Those that their restart policy wants started, since the host has booted after their last life.
std::vector<Container> due_after_boot(Context& context);

// Starts it in the foreground with this process as its keeper and our stdin, stdout, stderr. Returns the exit status.
int start_attached(Context& context, const std::string& id);

struct ExecRequest {
  ProcessSpec process; // args empty: /bin/bash, else /bin/sh
  bool detach = false;
  bool session = false; // a session holder keeps the terminal; the session's id is in the result
};
struct ExecResult {
  int status = 0;
  std::string session; // id, with session or detach
};
ExecResult exec(Context& context, const std::string& id, const ExecRequest& request);

struct StopRequest {
  bool keep = false;
  std::optional<int> seconds; // grace; the container's own otherwise
};
struct StopResult {
  bool was_running = false;
  bool killed = false; // the grace time ran out, or PID 1 could not get the signal
  std::string why_killed;
};
StopResult stop(Context& context, const std::string& id, const StopRequest& request);
// A paused container gets any signal but SIGKILL when it goes on.
void kill(Context& context, const std::string& id, int signal);
// Stops it if it runs, with that grace (its own otherwise), and starts it. One that its end would remove is refused.
void restart(Context& context, const std::string& id, std::optional<int> seconds);
// Every process of it stands still until unpause(). Each throws Error when there is nothing to do.
void pause(Context& context, const std::string& id);
void unpause(Context& context, const std::string& id);
// Also of a running one. A host name that was its name changes with it, which a running one sees at its next start.
void rename(Context& context, const std::string& id, const std::string& to);
void remove(Context& context, const std::string& id, bool force);
// Changes its limits, also while it runs. `change` gets those that it has and makes them those that it shall have.
// Returns them. When the kernel refuses one of them, all are as before.
Limits update(Context& context, const std::string& id, const std::function<void(Limits&)>& change);
// Blocks until it ended; its exit status.
int wait(Context& context, const std::string& id);

// What is true now: a `running` whose process or boot is gone is settled (leftovers cleaned, status saved) and told as
// exited. Cheap when nothing happened.
Container settle(Context& context, const std::string& id);
std::vector<Container> settle_all(Context& context);

// The whole truth about one container, as a JSON object: the element of `ps --json` (CLI.md) and everything else known.
std::string inspect(Context& context, const std::string& id);
// The same of a container as it was read, without settling what has become of it: for those who only look.
std::string inspect_document(const Root& root, const Container& container);

} // namespace conductor
