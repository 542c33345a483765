// One line an option: what is left out here stays empty and comes from the image.
#include "tui/command/wish.h"

#include "core/base/error.h"
#include "core/container/command.h"
#include "core/container/ports.h"
#include "core/engine/networks.h"
#include "tui/command/values.h"

#include <algorithm>

#include <unistd.h>

namespace conductor::command {
namespace {

std::optional<uint64_t> size_of(const Invocation& invocation, std::string_view option)
{
  const auto text = invocation.value(option);
  if (!text) return std::nullopt;
  const uint64_t bytes = parse_size(*text, "--" + std::string{option});
  if (bytes == 0) throw usage_error("--" + std::string{option} + ": nothing can run with 0 bytes");
  return bytes;
}

std::vector<std::string> environment(const Invocation& invocation)
{
  std::vector<std::string> variables;
  for (const std::string& path : invocation.arguments().values("env-file"))
    for (std::string& variable : read_env_file(path)) variables.push_back(std::move(variable));
  for (const std::string& text : invocation.arguments().values("env"))
    if (std::string variable = parse_env(text); !variable.empty()) variables.push_back(std::move(variable));
  return variables;
}

Limits limits(const Invocation& invocation)
{
  Limits wanted;
  wanted.memory_bytes = size_of(invocation, "memory");
  if (const auto text = invocation.value("cpus")) wanted.cpus = parse_fraction(*text, "--cpus");
  if (const auto text = invocation.value("pids")) wanted.pids = parse_number(*text, "--pids", 1 << 22);
  return wanted;
}

} // namespace

ProcessSpec process_wish(const Invocation& invocation)
{
  ProcessSpec process;
  process.args = invocation.arguments().command;
  process.env = environment(invocation);
  process.workdir = invocation.value("workdir").value_or("");
  process.user = invocation.value("user").value_or("");
  // In the foreground the command has a terminal when stdin is one, and stdin is its own.
  const bool foreground = !invocation.has("detach") && invocation.arguments().verb->name != "create";
  // With output into a pipe or a file no terminal is made unasked: it would put carriage returns into what is piped.
  const bool at_a_terminal = ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
  process.terminal = invocation.has("tty") || (foreground && at_a_terminal);
  process.interactive = invocation.has("interactive") || foreground;
  return process;
}

std::vector<PublishedPort> published_ports(const Invocation& invocation)
{
  std::vector<PublishedPort> ports;
  for (const std::string& text : invocation.arguments().values("expose"))
    for (PublishedPort& port : parse_ports(text, "--expose"))
      if (std::find(ports.begin(), ports.end(), port) == ports.end()) ports.push_back(std::move(port));
  return ports;
}

CreateRequest create_request(const Invocation& invocation)
{
  const Arguments& given = invocation.arguments();
  Spec wish;
  if (given.names.size() > 1) wish.name = given.names[1];
  wish.process = process_wish(invocation);
  wish.hostname = invocation.value("hostname").value_or("");
  for (const std::string& text : given.values("label")) {
    auto [key, value] = parse_pair(text, "--label");
    wish.labels[key] = value;
  }
  for (const std::string& text : given.values("volume")) wish.volumes.push_back(parse_volume(text));
  for (const std::string& text : given.values("ulimit")) wish.ulimits.push_back(parse_ulimit(text));
  wish.tmpfs = given.values("tmpfs");
  wish.devices = given.values("device");
  wish.cap_add = given.values("cap-add");
  wish.cap_drop = given.values("cap-drop");
  wish.seccomp = invocation.value("seccomp").value_or("");
  // Read again at each start, which may happen in another directory.
  if (!wish.seccomp.empty() && wish.seccomp != "unconfined") wish.seccomp = absolute_path(wish.seccomp, "--seccomp");
  wish.read_only = given.has("read-only");
  wish.allow_new_privileges = given.has("allow-new-privileges");
  wish.auto_remove = given.has("rm");
  wish.limits = limits(invocation);
  if (const auto text = invocation.value("userns"))
    wish.user_namespace = parse_choice(*text, "--userns", "auto|host") == "auto";
  if (const auto text = invocation.value("network"))
    wish.network = parse_choice(*text, "--network", "none|host") == "host" ? NetworkMode::host : NetworkMode::none;
  const auto signal = invocation.value("stop-signal");
  wish.stop_signal = signal ? signal_name(parse_signal(*signal, "--stop-signal")) : "";
  return {.image = given.names[0],
          .wish = std::move(wish),
          .has_command = given.has_command,
          .internet = given.has("internet"),
          .published = published_ports(invocation)};
}

void check_wish(const std::vector<std::string>& words)
{
  std::vector<const char*> argv;
  for (const std::string& word : words) argv.push_back(word.c_str());
  Arguments arguments;
  parse(argv, arguments);
  const Program program;
  Trace trace;
  const Invocation invocation{program, arguments, nullptr, trace};
  const CreateRequest request = create_request(invocation);
  Spec spec = request.wish;
  // What the image or the engine would add.
  if (spec.name.empty()) spec.name = "name";
  if (spec.hostname.empty()) spec.hostname = spec.name;
  if (spec.process.workdir.empty()) spec.process.workdir = "/";
  check_spec(spec);
  conductor::check_wish({.published = request.published, .peers = {}}, spec.name);
  if (request.internet || !request.published.empty()) need_own_network(spec);
  plan_confinement(spec);
}

} // namespace conductor::command
