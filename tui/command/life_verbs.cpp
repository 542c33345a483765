// stop, kill, restart, pause, unpause, rename, rm, wait: what becomes of containers that are there.
#include "core/base/error.h"
#include "tui/command/each.h"
#include "tui/command/runs.h"
#include "tui/command/values.h"
#include "tui/command/wish.h"

#include <algorithm>
#include <csignal>
#include <functional>

#include <nlohmann/json.hpp>

namespace conductor::command {
namespace {

using Json = nlohmann::ordered_json;

// The grace that -t asks for, in whole seconds.
std::optional<int> grace(const Invocation& invocation)
{
  const auto text = invocation.value("time");
  if (!text) return std::nullopt;
  return static_cast<int>((parse_seconds(*text, "--time") + 999) / 1000);
}

// One operation on each of the names.
int on_each(Invocation& invocation, const std::function<void(const std::string& id)>& act)
{
  Json done = Json::array();
  const int status = for_each_name(invocation, [&](const std::string& name) {
    const std::string id = invocation.resolve(name);
    act(id);
    invocation.print(name + "\n");
    done.push_back({{"name", name}, {"id", id}});
  });
  invocation.result(done.dump());
  return status;
}

} // namespace

void protect_program_for_several(Invocation& invocation)
{
  if (invocation.names().size() < 2) return;
  const Containers containers{invocation.root()};
  for (const std::string& name : invocation.names()) {
    try {
      if (!containers.load(containers.resolve(name)).spec.user_namespace) invocation.protect_program();
    } catch (const Error&) { // told when its turn comes
    }
  }
}

int run_restart(Invocation& invocation)
{
  const auto seconds = grace(invocation);
  protect_program_for_several(invocation);
  return on_each(invocation, [&](const std::string& id) { restart(invocation.context(), id, seconds); });
}

int run_pause(Invocation& invocation)
{
  return on_each(invocation, [&](const std::string& id) { conductor::pause(invocation.context(), id); });
}

int run_unpause(Invocation& invocation)
{
  return on_each(invocation, [&](const std::string& id) { unpause(invocation.context(), id); });
}

int run_rename(Invocation& invocation)
{
  const std::string& from = invocation.names()[0];
  const std::string& to = invocation.names()[1];
  const std::string id = invocation.resolve(from);
  rename(invocation.context(), id, to);
  invocation.print(to + "\n");
  invocation.result(Json{{"name", to}, {"id", id}, {"was", from}}.dump());
  return 0;
}

int run_stop(Invocation& invocation)
{
  const StopRequest request{.keep = invocation.has("keep"), .seconds = grace(invocation)};
  Json done = Json::array();
  const int status = for_each_name(invocation, [&](const std::string& name) {
    const std::string id = invocation.resolve(name);
    const StopResult result = stop(invocation.context(), id, request);
    std::string line = name;
    if (result.killed) line += " (killed: " + result.why_killed + ")";
    invocation.print(line + "\n");
    done.push_back({{"name", name},
                    {"id", id},
                    {"was_running", result.was_running},
                    {"killed", result.killed},
                    {"why_killed", result.why_killed},
                    {"kept", request.keep}});
  });
  invocation.result(done.dump());
  return status;
}

int run_kill(Invocation& invocation)
{
  const int signal = parse_signal(invocation.value("signal").value_or("KILL"), "--signal");
  Json done = Json::array();
  const int status = for_each_name(invocation, [&](const std::string& name) {
    const std::string id = invocation.resolve(name);
    conductor::kill(invocation.context(), id, signal);
    invocation.print(name + "\n");
    done.push_back({{"name", name}, {"id", id}, {"signal", signal_name(signal)}});
  });
  invocation.result(done.dump());
  return status;
}

int run_rm(Invocation& invocation)
{
  const bool force = invocation.has("force");
  return on_each(invocation, [&](const std::string& id) { conductor::remove(invocation.context(), id, force); });
}

int run_update(Invocation& invocation)
{
  const auto is_given = [&](const Option& option) { return invocation.has(option.name); };
  if (std::ranges::none_of(invocation.arguments().verb->options, is_given))
    throw usage_error("update needs a limit to change", "conductor update " + invocation.names()[0] + " --memory 512M");
  Json done = Json::array();
  const int status = for_each_name(invocation, [&](const std::string& name) {
    const std::string id = invocation.resolve(name);
    const Limits now = update(invocation.context(), id, [&](Limits& limits) { change_limits(invocation, limits); });
    invocation.print(name + "\n");
    done.push_back({{"name", name}, {"id", id}, {"limits", Json::parse(to_json(now))}});
  });
  invocation.result(done.dump());
  return status;
}

int run_wait(Invocation& invocation)
{
  const std::string& name = invocation.names()[0];
  const std::string id = invocation.resolve(name);
  const int status = conductor::wait(invocation.context(), id);
  invocation.result(Json{{"name", name}, {"id", id}, {"exit_code", status}}.dump());
  return status;
}

} // namespace conductor::command
