// config, version, help, completion, console, demo: this program and this host.
#include "core/base/error.h"
#include "core/engine/networks.h"
#include "tui/command/help.h"
#include "tui/command/invocation.h"
#include "tui/command/obtain.h"
#include "tui/command/runs.h"
#include "tui/command/settings.h"
#include "tui/command/text.h"

#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace conductor::command {
namespace {

using Json = nlohmann::ordered_json;

// Something to look at: a server, and a client that asks it by name and works a little.
struct DemoContainer {
  const char* name;
  const char* script;
};
constexpr DemoContainer demo_containers[] = {
    {"demo-web",
     "mkdir -p /tmp/www; while :; do date > /tmp/www/index.html; sleep 1; done & exec httpd -f -p 8000 -h /tmp/www"},
    {"demo-client",
     "while :; do wget -q -O - http://demo-web:8000; head -c 4000000 /dev/urandom | md5sum > /dev/null; sleep 1; done"},
};

} // namespace

int run_config(Invocation& invocation)
{
  if (invocation.has("console")) {
    invocation.write(settings_template());
    return 0;
  }
  Table table{{"KEY", "VALUE", "FROM", "MEANING"}};
  Json document = Json::object();
  for (const ConfigRow& row : config_rows(invocation.config())) {
    table.add({row.key, row.value, row.origin, row.help});
    document[row.key] = {{"value", Json::parse(row.value, nullptr, false)}, {"origin", row.origin}};
  }
  invocation.print(table.text());
  invocation.result(document.dump(-1, ' ', false, Json::error_handler_t::replace));
  return 0;
}

int run_version(Invocation& invocation)
{
  invocation.print("conductor " CONDUCTOR_VERSION "\n");
  invocation.result(R"({"version":")" CONDUCTOR_VERSION R"("})");
  return 0;
}

int run_help(Invocation& invocation)
{
  if (invocation.has("man")) {
    invocation.write(manual_page());
    return 0;
  }
  if (invocation.names().empty()) {
    invocation.write(help_overview());
    return 0;
  }
  const std::string& name = invocation.names()[0];
  const Verb* verb = find_verb(name);
  if (verb == nullptr) {
    // The parser has the right answer for every word that is no verb.
    const char* words[] = {name.c_str()};
    Arguments ignored;
    parse(words, ignored);
    throw usage_error("'" + visible(name) + "' is no verb of conductor");
  }
  invocation.write(help_for(*verb));
  return 0;
}

int run_completion(Invocation& invocation)
{
  invocation.write(completion_script(invocation.names()[0]));
  return 0;
}

int run_console(Invocation& invocation) { invocation.become(Home::console); }

int run_demo(Invocation& invocation)
{
  require_image(invocation, "busybox");
  Context& context = invocation.context();
  const Containers containers{invocation.root()};
  std::vector<std::string> ids;
  for (const DemoContainer& demo : demo_containers) {
    auto id = containers.find_name(demo.name);
    if (!id) {
      CreateRequest request{.image = "busybox", .has_command = true};
      request.wish.name = demo.name;
      request.wish.process.args = {"/bin/sh", "-c", demo.script};
      request.wish.process.workdir = "";
      request.wish.stop_signal = "SIGKILL"; // a shell in a loop would only make the user wait
      request.wish.limits.memory_bytes = 64 << 20;
      id = create(context, request).id;
    }
    ids.push_back(*id);
  }
  add_peer(context, ids[0], ids[1]); // before they run, so that the first question is answered
  for (const std::string& id : ids) {
    const Container container = settle(context, id);
    const bool runs = container.status.state == State::running;
    if (!runs) start(context, id);
    invocation.print(container.spec.name + (runs ? " runs already\n" : " started\n"));
  }
  invocation.print(fmt::format("{} and {} are peers: one asks the other for the time\n", demo_containers[0].name,
                               demo_containers[1].name));
  invocation.result(Json{{"containers", {demo_containers[0].name, demo_containers[1].name}}}.dump());
  if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDOUT_FILENO) != 1 || invocation.json()) return 0;
  invocation.become(Home::console);
}

} // namespace conductor::command
