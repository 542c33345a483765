// run, create, start, exec, attach: verbs that make something run or join it.
#include "core/base/error.h"
#include "core/base/undo.h"
#include "core/container/attach.h"
#include "core/container/restart.h"
#include "core/engine/networks.h"
#include "core/store/images.h"
#include "tui/command/each.h"
#include "tui/command/obtain.h"
#include "tui/command/runs.h"
#include "tui/command/values.h"
#include "tui/command/wish.h"

#include <nlohmann/json.hpp>

namespace conductor::command {
namespace {

using Json = nlohmann::ordered_json;

std::string name_and_id(const std::string& name, const std::string& id)
{
  return Json{{"name", name}, {"id", id}}.dump();
}

// Makes the container; its id. What can be refused is refused before an image is got, since that may take long.
Spec create_container(Invocation& invocation, CreateRequest request)
{
  if (!request.wish.name.empty() || invocation.names().size() > 1) {
    check_name(request.wish.name);
    if (Containers{invocation.root()}.is_taken(request.wish.name))
      throw Error{"a container '" + request.wish.name + "' exists already", 0,
                  "conductor rm " + request.wish.name + " removes it, or leave the name out and one is chosen"};
  }
  request.wish.stop_seconds = static_cast<int>(invocation.config().stop_seconds);
  require_image(invocation, request.image);
  return create(invocation.context(), request);
}

} // namespace

void require_image(Invocation& invocation, const std::string& reference)
{
  const Images images{invocation.root()};
  const auto given = invocation.value("pull");
  const std::string when = given ? parse_choice(*given, "--pull", "missing|always|never") : "missing";
  if (when != "always" && images.exists(reference)) return;
  if (when == "never" || reference.starts_with("id:")) {
    images.load(reference); // says that it is not there, with the nearest name
    return;
  }
  if (invocation.program().obtain != nullptr)
    return invocation.program().obtain(invocation, reference, when == "always");
  const bool streams = invocation.has("events") || invocation.has("explain");
  invocation.become(Home::images, streams ? std::vector<std::string>{"--continued"} : std::vector<std::string>{});
}

int run_create(Invocation& invocation)
{
  const Spec made = create_container(invocation, create_request(invocation));
  invocation.print(made.name + "\n");
  invocation.result(name_and_id(made.name, made.id));
  return 0;
}

int run_run(Invocation& invocation)
{
  const auto policy = restart_policy(invocation.value("restart").value_or("no"));
  if (policy.when != RestartPolicy::When::never && !invocation.has("detach"))
    throw usage_error("--restart is for containers in the background", "give -d too");
  CreateRequest request = create_request(invocation);
  if (!request.wish.user_namespace) invocation.protect_program();
  const Spec made = create_container(invocation, std::move(request));
  Context& context = invocation.context();
  Undo undo{invocation.trace()};
  undo.push("remove the container", [&] { remove(context, made.id, true); });
  int status = 0;
  if (invocation.has("detach")) {
    start(context, made.id);
    invocation.print(made.name + "\n");
  } else {
    status = start_attached(context, made.id);
  }
  undo.commit();
  if (invocation.has("detach"))
    invocation.result(name_and_id(made.name, made.id));
  else
    invocation.trace().result(Json{{"name", made.name}, {"id", made.id}, {"exit_code", status}}.dump());
  return status;
}

namespace {

// Each is tried, whatever becomes of the others.
int start_after_boot(Invocation& invocation)
{
  Json done = Json::array();
  int status = 0;
  const std::vector<Container> due = due_after_boot(invocation.context());
  for (const Container& container : due)
    if (!container.spec.user_namespace) invocation.protect_program();
  for (const Container& container : due) {
    const Spec& spec = container.spec;
    try {
      start(invocation.context(), spec.id);
      invocation.print(spec.name + "\n");
      done.push_back({{"name", spec.name}, {"id", spec.id}});
    } catch (const Error& error) {
      if (invocation.trace().interrupted()) throw;
      write_all(STDERR_FILENO, error_text(error, invocation.arguments(), invocation.json()));
      status = 1;
    }
  }
  invocation.result(done.dump());
  return status;
}

} // namespace

int run_start(Invocation& invocation)
{
  const NetworkRequest wish{.internet = invocation.has("internet"), .published = published_ports(invocation)};
  if (invocation.has("boot") && invocation.names().empty()) return start_after_boot(invocation);
  if (invocation.has("boot")) throw usage_error("--boot takes no names", "conductor start --boot, or start NAME...");
  if (invocation.names().empty()) throw usage_error("which container?", "conductor ps -a lists all");
  Json done = Json::array();
  protect_program_for_several(invocation);
  const int status = for_each_name(invocation, [&](const std::string& name) {
    const std::string id = invocation.resolve(name);
    if (!wish.empty()) add_network(invocation.context(), id, wish);
    start(invocation.context(), id);
    invocation.print(name + "\n");
    done.push_back({{"name", Containers{invocation.root()}.load(id).spec.name}, {"id", id}});
  });
  invocation.result(done.dump());
  return status;
}

int run_exec(Invocation& invocation)
{
  const std::string id = invocation.resolve(invocation.names()[0]);
  ExecRequest request{
      .process = process_wish(invocation), .detach = invocation.has("detach"), .session = invocation.has("session")};
  const ExecResult result = exec(invocation.context(), id, request);
  if (request.session) {
    invocation.print(result.session + "\n");
    invocation.result(Json{{"id", id}, {"session", result.session}}.dump());
  } else {
    invocation.trace().result(Json{{"id", id}, {"exit_code", result.status}}.dump());
  }
  return result.status;
}

int run_attach(Invocation& invocation)
{
  const std::string id = invocation.resolve(invocation.names()[0]);
  const Container container = settle(invocation.context(), id);
  if (container.status.state == State::paused)
    throw Error{"cannot attach to '" + container.spec.name + "': it is paused", 0,
                "conductor unpause " + container.spec.name};
  if (container.status.state != State::running)
    throw Error{"cannot attach to '" + container.spec.name + "': it is not running", 0,
                "conductor start " + container.spec.name};
  const Fd directory = Containers{invocation.root()}.run_directory(id);
  const auto session = invocation.value("session");
  const AttachResult result = session ? attach_to_session(directory.get(), *session, false)
                                      : attach_to_container(directory.get(), container.spec.process.interactive);
  if (result.end == AttachEnd::exited) return result.status.shell();
  if (result.end == AttachEnd::taken) invocation.trace().notice("another terminal took the session");
  return 0;
}

} // namespace conductor::command
