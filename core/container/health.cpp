#include "core/container/health.h"

#include "core/base/error.h"
#include "core/kernel/files.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include <nlohmann/json.hpp>
#include <unistd.h>

namespace conductor {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t place_size = 32 << 10;
constexpr size_t headline_size = 128; // the first line is all that ps reads
constexpr std::string_view state_names[] = {"starting", "healthy", "unhealthy"};

std::string place(const std::string& id) { return "c/" + id + "/health"; }
std::string kept(const std::string& id) { return "containers/id/" + id + "/health"; }

struct Unit {
  std::string_view name;
  double ns;
};
constexpr Unit units[] = {{"ns", 1}, {"us", 1e3}, {"µs", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};

bool is_number(char c) { return (c >= '0' && c <= '9') || c == '.'; }

double take_number(std::string_view& text)
{
  double number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc{} || !is_number(text.front())) return -1;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return number;
}

double take_unit(std::string_view& text)
{
  const size_t length = static_cast<size_t>(std::find_if(text.begin(), text.end(), is_number) - text.begin());
  for (const Unit& unit : units) {
    if (unit.name != text.substr(0, length)) continue;
    text.remove_prefix(length);
    return unit.ns;
  }
  return -1;
}

int64_t or_default(int64_t value, int64_t otherwise) { return value == 0 ? otherwise : value; }

std::string headline(const Health& health)
{
  return Json{{"status", health_name(health.state)}, {"failing_streak", health.failing_streak}}.dump() + "\n";
}

std::string log_text(const std::vector<HealthResult>& log)
{
  Json list = Json::array();
  for (const HealthResult& each : log)
    list.push_back(
        {{"start", each.start_ns}, {"end", each.end_ns}, {"exit_code", each.exit_code}, {"output", each.output}});
  return list.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::optional<Health> health_of_headline(std::string_view line)
{
  const Json json = Json::parse(line, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto status = json.find("status");
  const auto streak = json.find("failing_streak");
  if (status == json.end() || !status->is_string() || streak == json.end() || !streak->is_number_integer())
    return std::nullopt;
  const auto* name = std::find(std::begin(state_names), std::end(state_names), status->get_ref<const std::string&>());
  if (name == std::end(state_names)) return std::nullopt;
  return Health{static_cast<HealthState>(name - std::begin(state_names)), streak->get<int64_t>(), {}};
}

std::optional<HealthResult> result_of(const Json& json)
{
  if (!json.is_object()) return std::nullopt;
  for (const char* key : {"start", "end", "exit_code"})
    if (const auto found = json.find(key); found == json.end() || !found->is_number_integer()) return std::nullopt;
  const auto output = json.find("output");
  if (output == json.end() || !output->is_string()) return std::nullopt;
  return HealthResult{json["start"].get<int64_t>(), json["end"].get<int64_t>(), json["exit_code"].get<int>(),
                      output->get<std::string>()};
}

bool is_up(const Container& container)
{
  return container.status.state == State::running || container.status.state == State::paused;
}

// Whoever reads while it is written over may see a bit of both.
template <class Read>
auto patiently(Read read)
{
  auto found = read();
  for (int attempt = 0; !found && attempt < 3; ++attempt) found = read();
  return found;
}

} // namespace

std::string_view health_name(HealthState state) { return state_names[static_cast<size_t>(state)]; }

int64_t parse_duration(std::string_view text)
{
  const Error wrong{"'" + visible(text) + "' is no duration", 0, "30s, 1m30s, 500ms"};
  if (text == "0") return 0;
  if (text.empty()) throw Error{wrong};
  double total = 0;
  while (!text.empty()) {
    const double number = take_number(text);
    const double unit = take_unit(text);
    if (number < 0 || unit < 0) throw Error{wrong};
    total += number * unit;
    if (total > 9e18) throw Error{wrong};
  }
  return static_cast<int64_t>(total);
}

std::vector<std::string> health_test(std::string_view command)
{
  if (command.starts_with('[')) {
    const auto list = Json::parse(command, nullptr, false);
    if (list.is_array() && std::all_of(list.begin(), list.end(), [](const auto& e) { return e.is_string(); })) {
      std::vector<std::string> test{"CMD"};
      for (const auto& word : list) test.push_back(word.template get<std::string>());
      if (test.size() == 1) throw Error{"the list is empty"};
      return test;
    }
  }
  return {"CMD-SHELL", std::string{command}};
}

std::optional<Healthcheck> merge_health(const std::optional<Healthcheck>& wish, const std::optional<Healthcheck>& image,
                                        const std::vector<std::string>& shell)
{
  Healthcheck check = wish.value_or(Healthcheck{});
  if (image) {
    if (check.test.empty()) check.test = image->test;
    for (const auto field : {&Healthcheck::interval_ns, &Healthcheck::timeout_ns, &Healthcheck::start_period_ns,
                             &Healthcheck::start_interval_ns, &Healthcheck::retries})
      if (check.*field == 0) check.*field = (*image).*field;
  }
  const bool says_none = !check.test.empty() && check.test[0] == "NONE";
  if (wish && wish->test.empty() && (check.test.empty() || says_none))
    throw Error{"there are times for a health check, and neither the image nor --health-cmd says what to execute", 0,
                "--health-cmd 'wget -q -O /dev/null http://localhost/'"};
  if (check.test.empty() || says_none) return std::nullopt;
  // An image that was made elsewhere may say anything.
  const bool known = check.test.size() > 1 && (check.test[0] == "CMD" || check.test[0] == "CMD-SHELL");
  if (!known)
    throw Error{"the image's health check is neither CMD nor CMD-SHELL with a command", 0, "--no-healthcheck"};
  if (check.test[0] == "CMD-SHELL") check.shell = shell;
  // Each check costs the host a process: what an image may ask for has the bounds of the options.
  constexpr int64_t shortest_ns = 1'000'000;
  for (const auto field : {&Healthcheck::interval_ns, &Healthcheck::timeout_ns, &Healthcheck::start_period_ns,
                           &Healthcheck::start_interval_ns})
    if (check.*field < shortest_ns) check.*field = 0;
  check.retries = std::max<int64_t>(check.retries, 0);
  return check;
}

std::vector<std::string> health_command(const Healthcheck& check)
{
  if (check.test[0] == "CMD") return {check.test.begin() + 1, check.test.end()};
  std::vector<std::string> command = check.shell.empty() ? std::vector<std::string>{"/bin/sh", "-c"} : check.shell;
  command.push_back(check.test[1]);
  return command;
}

int64_t pause_before_check(const Healthcheck& check, HealthState state, int64_t age_ns)
{
  if (state == HealthState::starting && age_ns < check.start_period_ns)
    return or_default(check.start_interval_ns, default_health_start_interval_ns);
  return or_default(check.interval_ns, default_health_interval_ns);
}

void judge(Health& health, const Healthcheck& check, HealthResult result, bool in_start_period)
{
  if (result.exit_code == 0) {
    health.state = HealthState::healthy;
    health.failing_streak = 0;
  } else if (health.state != HealthState::starting || !in_start_period) {
    ++health.failing_streak;
    if (health.failing_streak >= or_default(check.retries, default_health_retries))
      health.state = HealthState::unhealthy;
  }
  health.log.push_back(std::move(result));
  if (health.log.size() > health_results)
    health.log.erase(health.log.begin(), health.log.end() - static_cast<ptrdiff_t>(health_results));
}

std::string to_text(const Health& health)
{
  std::string text = headline(health);
  text.resize(std::max(text.size(), headline_size), ' ');
  std::vector<HealthResult> log = health.log;
  std::string list = log_text(log);
  // A byte takes up to six in JSON.
  for (HealthResult& oldest : log) {
    if (text.size() + list.size() <= place_size) break;
    oldest.output.clear();
    list = log_text(log);
  }
  text += list;
  text.resize(place_size, ' ');
  return text;
}

std::optional<Health> health_from_text(std::string_view text)
{
  auto health = health_of_headline(text.substr(0, text.find('\n')));
  if (!health || text.size() < headline_size) return std::nullopt;
  const Json list = Json::parse(text.substr(headline_size), nullptr, false);
  if (!list.is_array()) return std::nullopt;
  for (const Json& each : list) {
    auto result = result_of(each);
    if (!result) return std::nullopt;
    health->log.push_back(std::move(*result));
  }
  return health;
}

void begin_health(const Root& root, const std::string& id)
{
  kernel::write_file(root.trace(), root.run(), place(id), to_text({}));
  kernel::remove_file(root.trace(), root.dir(), kept(id)); // of the life before
}

void save_health(const Root& root, const std::string& id, const Health& health)
{
  if (kernel::exists(root.run(), place(id))) kernel::write_value(root.trace(), root.run(), place(id), to_text(health));
}

void keep_health(const Root& root, const std::string& id)
{
  try {
    if (const auto text = kernel::find_content(root.run(), place(id), place_size))
      kernel::write_file(root.trace(), root.dir(), kept(id), *text);
  } catch (const Error& error) {
    root.trace().notice(error.sentence());
  }
}

std::optional<Health> find_health(const Root& root, const Container& container)
{
  if (!container.spec.health) return std::nullopt;
  const std::string& id = container.spec.id;
  return patiently([&]() -> std::optional<Health> {
    auto text = kernel::find_content(root.run(), place(id), place_size);
    if (!text) text = kernel::find_content(root.dir(), kept(id), place_size);
    return text ? health_from_text(*text) : std::nullopt;
  });
}

std::optional<Health> find_health_state(const Root& root, const Container& container)
{
  if (!container.spec.health || !is_up(container)) return std::nullopt;
  return patiently([&]() -> std::optional<Health> {
    const auto file = kernel::find_file(root.run(), place(container.spec.id));
    std::array<char, headline_size> line{};
    const ssize_t got = file ? ::pread(file->get(), line.data(), line.size(), 0) : 0;
    if (got <= 0) return std::nullopt;
    const std::string_view text{line.data(), static_cast<size_t>(got)};
    return health_of_headline(text.substr(0, text.find('\n')));
  });
}

} // namespace conductor
