// One line an option: what is left out here stays empty and comes from the image.
#include "tui/command/wish.h"

#include "core/base/error.h"
#include "core/container/command.h"
#include "core/container/health.h"
#include "core/container/ports.h"
#include "core/engine/networks.h"
#include "tui/command/values.h"

#include <algorithm>

#include <unistd.h>

namespace conductor::command {
namespace {

uint64_t size_of(std::string_view text, std::string_view option)
{
  const uint64_t bytes = parse_size(text, option);
  if (bytes == 0) throw usage_error(std::string{option} + ": nothing can run with 0 bytes");
  return bytes;
}

// An option of one value, and how it is read.
struct LimitOption {
  std::string_view name;
  void (*set)(Limits&, std::string_view text, std::string_view option);
  void (*unset)(Limits&);
};

template <auto member>
constexpr LimitOption size_option(std::string_view name)
{
  return {name, [](Limits& l, std::string_view text, std::string_view option) { l.*member = size_of(text, option); },
          [](Limits& l) { (l.*member).reset(); }};
}

template <auto member, uint64_t most>
constexpr LimitOption number_option(std::string_view name)
{
  return {
      name,
      [](Limits& l, std::string_view text, std::string_view option) { l.*member = parse_number(text, option, most); },
      [](Limits& l) { (l.*member).reset(); }};
}

template <auto member>
constexpr LimitOption text_option(std::string_view name)
{
  return {name, [](Limits& l, std::string_view text, std::string_view) { l.*member = std::string{text}; },
          [](Limits& l) { (l.*member).reset(); }};
}

constexpr LimitOption limit_options[] = {
    size_option<&Limits::memory_bytes>("memory"),
    {"memory-swap",
     [](Limits& l, std::string_view text, std::string_view option) { l.memory_swap_bytes = size_of(text, option); },
     [](Limits& l) { l.memory_swap_bytes = no_limit; }},
    size_option<&Limits::memory_reservation_bytes>("memory-reservation"),
    {"cpus", [](Limits& l, std::string_view text, std::string_view option) { l.cpus = parse_fraction(text, option); },
     [](Limits& l) { l.cpus.reset(); }},
    number_option<&Limits::cpu_weight, 10'000>("cpu-weight"),
    text_option<&Limits::cpuset>("cpuset"),
    text_option<&Limits::cpuset_mems>("cpuset-mems"),
    number_option<&Limits::pids, 1 << 22>("pids"),
    number_option<&Limits::io_weight, 10'000>("io-weight"),
};

struct RateOption {
  std::string_view name;
  std::vector<DeviceRate> Limits::*rates;
  bool sizes; // bytes, which have units
};
constexpr RateOption rate_options[] = {
    {"io-read-bps", &Limits::io_read_bps, true},
    {"io-write-bps", &Limits::io_write_bps, true},
    {"io-read-iops", &Limits::io_read_iops, false},
    {"io-write-iops", &Limits::io_write_iops, false},
};

struct HealthOption {
  std::string_view name;
  int64_t Healthcheck::*time;
};
constexpr HealthOption health_options[] = {
    {"health-interval", &Healthcheck::interval_ns},
    {"health-timeout", &Healthcheck::timeout_ns},
    {"health-start-period", &Healthcheck::start_period_ns},
    {"health-start-interval", &Healthcheck::start_interval_ns},
};

// None when nothing was said: then the image's counts.
std::optional<Healthcheck> health_wish(const Invocation& invocation)
{
  constexpr int64_t least_ns = 1'000'000;
  Healthcheck check;
  const auto command = invocation.value("health-cmd");
  const auto retries = invocation.value("health-retries");
  bool said = command || retries;
  if (command && command->empty()) throw usage_error("--health-cmd: the command is empty", "--no-healthcheck");
  if (command) check.test = health_test(*command);
  if (retries) check.retries = static_cast<int64_t>(parse_number(*retries, "--health-retries", 1 << 20));
  for (const HealthOption& row : health_options) {
    const auto text = invocation.value(row.name);
    if (!text) continue;
    const std::string option = "--" + std::string{row.name};
    try {
      check.*row.time = parse_duration(*text);
    } catch (const Error& error) {
      throw usage_error(option + ": " + std::string{error.sentence()}, std::string{error.hint()});
    }
    if (check.*row.time != 0 && check.*row.time < least_ns) throw usage_error(option + " cannot be less than 1ms");
    said = true;
  }
  if (!invocation.has("no-healthcheck")) return said ? std::optional{check} : std::nullopt;
  if (said)
    throw usage_error("--no-healthcheck and the other --health options contradict each other", "give one of both");
  return Healthcheck{.test = {"NONE"}};
}

struct SharedOption {
  std::string_view name;
  bool Spec::*shared;
};
constexpr SharedOption shared_options[] = {
    {"pid", &Spec::host_pid},
    {"ipc", &Spec::host_ipc},
    {"uts", &Spec::host_uts},
    {"cgroupns", &Spec::host_cgroup},
};

// As podman has it: several in one text, with ':' between.
std::vector<std::string> paths(const std::vector<std::string>& texts)
{
  std::vector<std::string> all;
  for (std::string_view text : texts)
    for (size_t end = 0; end != std::string_view::npos; text.remove_prefix(std::min(end + 1, text.size()))) {
      end = text.find(':');
      all.emplace_back(text.substr(0, end));
    }
  return all;
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

} // namespace

void change_limits(const Invocation& invocation, Limits& limits)
{
  for (const LimitOption& row : limit_options) {
    const auto text = invocation.value(row.name);
    if (!text) continue;
    if (is_unlimited(*text))
      row.unset(limits);
    else
      row.set(limits, *text, "--" + std::string{row.name});
  }
  // Swap that was counted with a limit of memory goes with it.
  if (!limits.memory_bytes && !invocation.has("memory-swap")) limits.memory_swap_bytes.reset();
  for (const RateOption& row : rate_options)
    for (const std::string& text : invocation.arguments().values(row.name)) {
      auto [device, rate] = parse_rate(text, "--" + std::string{row.name}, row.sizes);
      std::erase_if(limits.*row.rates, [&, &name = device](const DeviceRate& each) { return each.device == name; });
      if (rate) (limits.*row.rates).push_back({device, *rate});
    }
}

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
  wish.tmpfs = given.values("tmpfs");
  for (const std::string& text : given.values("volume")) wish.volumes.push_back(parse_volume(text));
  for (const std::string& text : given.values("mount")) parse_mount(text, wish);
  for (const std::string& text : given.values("ulimit")) wish.ulimits.push_back(parse_ulimit(text));
  wish.devices = given.values("device");
  wish.cap_add = given.values("cap-add");
  wish.cap_drop = given.values("cap-drop");
  wish.seccomp = invocation.value("seccomp").value_or("");
  // Read again at each start, which may happen in another directory.
  if (!wish.seccomp.empty() && wish.seccomp != "unconfined") wish.seccomp = absolute_path(wish.seccomp, "--seccomp");
  wish.read_only = given.has("read-only");
  wish.allow_new_privileges = given.has("allow-new-privileges");
  wish.auto_remove = given.has("rm");
  wish.init = given.has("init");
  wish.restart = invocation.value("restart").value_or("no");
  wish.health = health_wish(invocation);
  change_limits(invocation, wish.limits);
  if (const auto text = invocation.value("oom-score-adj"))
    wish.oom_score_adj = parse_adjustment(*text, "--oom-score-adj");
  if (const auto text = invocation.value("shm-size")) wish.shm_bytes = size_of(*text, "--shm-size");
  if (const auto text = invocation.value("userns"))
    wish.user_namespace = parse_choice(*text, "--userns", "auto|host") == "auto";
  for (const SharedOption& row : shared_options)
    if (const auto text = invocation.value(row.name))
      wish.*row.shared = parse_choice(*text, "--" + std::string{row.name}, "private|host") == "host";
  wish.mask = paths(given.values("mask"));
  wish.unmask = paths(given.values("unmask"));
  if (const auto text = invocation.value("network"))
    wish.network = parse_choice(*text, "--network", "none|host") == "host" ? NetworkMode::host : NetworkMode::none;
  if (invocation.value("network") == "none" && (given.has("internet") || given.has("expose")))
    throw usage_error(std::string{"--network none and --"} + (given.has("internet") ? "internet" : "expose") +
                          " contradict each other",
                      "leave out --network none: a container has no network but what is asked for");
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
  if (spec.hostname.empty() && !spec.host_uts) spec.hostname = spec.name;
  if (spec.process.workdir.empty()) spec.process.workdir = "/";
  check_spec(spec);
  conductor::check_wish({.published = request.published, .peers = {}}, spec.name);
  if (request.internet || !request.published.empty()) need_own_network(spec);
  plan_confinement(spec);
}

} // namespace conductor::command
