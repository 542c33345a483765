// stop, kill, rm, wait: how containers end.
#include "core/base/error.h"
#include "tui/command/each.h"
#include "tui/command/runs.h"
#include "tui/command/values.h"

#include <csignal>

#include <nlohmann/json.hpp>

namespace conductor::command {
namespace {

using Json = nlohmann::ordered_json;

} // namespace

int run_stop(Invocation& invocation)
{
  StopRequest request{.keep = invocation.has("keep")};
  if (const auto text = invocation.value("time"))
    request.seconds = static_cast<int>((parse_seconds(*text, "--time") + 999) / 1000);
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
  Json done = Json::array();
  const int status = for_each_name(invocation, [&](const std::string& name) {
    const std::string id = invocation.resolve(name);
    conductor::remove(invocation.context(), id, invocation.has("force"));
    invocation.print(name + "\n");
    done.push_back({{"name", name}, {"id", id}});
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
