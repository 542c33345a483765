// JSON of Spec and Status. Each field is named once, in fields(); writing and reading walk the same list.
//
// What is empty, and empty by default, is not written: the files stay small, and `ps` reads them all. Absent keys keep
// their default and unknown ones are passed over, because a keeper of an older version may meet a newer conductor's
// file of the same format. A known key with the wrong kind of value is an Error that names it.
#include "core/base/error.h"
#include "core/container/spec.h"

#include <array>
#include <cmath>
#include <limits>
#include <type_traits>

#include <nlohmann/json.hpp>

namespace conductor {
namespace {

using Json = nlohmann::json;

template <class Visit>
void fields(const Volume*, Visit visit)
{
  visit("source", &Volume::source);
  visit("target", &Volume::target);
  visit("read_only", &Volume::read_only);
  visit("name", &Volume::name);
  visit("anonymous", &Volume::anonymous);
}

template <class Visit>
void fields(const DeviceRate*, Visit visit)
{
  visit("device", &DeviceRate::device);
  visit("rate", &DeviceRate::rate);
}

template <class Visit>
void fields(const Limits*, Visit visit)
{
  visit("memory_bytes", &Limits::memory_bytes);
  visit("cpus", &Limits::cpus);
  visit("pids", &Limits::pids);
  visit("memory_swap_bytes", &Limits::memory_swap_bytes);
  visit("memory_reservation_bytes", &Limits::memory_reservation_bytes);
  visit("cpu_weight", &Limits::cpu_weight);
  visit("cpuset", &Limits::cpuset);
  visit("cpuset_mems", &Limits::cpuset_mems);
  visit("io_weight", &Limits::io_weight);
  visit("io_read_bps", &Limits::io_read_bps);
  visit("io_write_bps", &Limits::io_write_bps);
  visit("io_read_iops", &Limits::io_read_iops);
  visit("io_write_iops", &Limits::io_write_iops);
}

template <class Visit>
void fields(const Ulimit*, Visit visit)
{
  visit("name", &Ulimit::name);
  visit("soft", &Ulimit::soft);
  visit("hard", &Ulimit::hard);
}

template <class Visit>
void fields(const Healthcheck*, Visit visit)
{
  visit("test", &Healthcheck::test);
  visit("interval_ns", &Healthcheck::interval_ns);
  visit("timeout_ns", &Healthcheck::timeout_ns);
  visit("start_period_ns", &Healthcheck::start_period_ns);
  visit("start_interval_ns", &Healthcheck::start_interval_ns);
  visit("retries", &Healthcheck::retries);
  visit("shell", &Healthcheck::shell);
}

template <class Visit>
void fields(const ProcessSpec*, Visit visit)
{
  visit("args", &ProcessSpec::args);
  visit("env", &ProcessSpec::env);
  visit("workdir", &ProcessSpec::workdir);
  visit("user", &ProcessSpec::user);
  visit("terminal", &ProcessSpec::terminal);
  visit("interactive", &ProcessSpec::interactive);
}

template <class Visit>
void fields(const Spec*, Visit visit)
{
  visit("id", &Spec::id);
  visit("name", &Spec::name);
  visit("image", &Spec::image);
  visit("image_id", &Spec::image_id);
  visit("layers", &Spec::layers);
  visit("hostname", &Spec::hostname);
  visit("labels", &Spec::labels);
  visit("process", &Spec::process);
  visit("volumes", &Spec::volumes);
  visit("tmpfs", &Spec::tmpfs);
  visit("ulimits", &Spec::ulimits);
  visit("devices", &Spec::devices);
  visit("cap_add", &Spec::cap_add);
  visit("cap_drop", &Spec::cap_drop);
  visit("seccomp", &Spec::seccomp);
  visit("read_only", &Spec::read_only);
  visit("allow_new_privileges", &Spec::allow_new_privileges);
  visit("user_namespace", &Spec::user_namespace);
  visit("host_pid", &Spec::host_pid);
  visit("host_ipc", &Spec::host_ipc);
  visit("host_uts", &Spec::host_uts);
  visit("host_cgroup", &Spec::host_cgroup);
  visit("mask", &Spec::mask);
  visit("unmask", &Spec::unmask);
  visit("init", &Spec::init);
  visit("oom_score_adj", &Spec::oom_score_adj);
  visit("shm_bytes", &Spec::shm_bytes);
  visit("auto_remove", &Spec::auto_remove);
  visit("limits", &Spec::limits);
  visit("network", &Spec::network);
  visit("networked", &Spec::networked);
  visit("stop_signal", &Spec::stop_signal);
  visit("stop_seconds", &Spec::stop_seconds);
  visit("restart", &Spec::restart);
  visit("health", &Spec::health);
  visit("created_ns", &Spec::created_ns);
}

template <class Visit>
void fields(const Status*, Visit visit)
{
  visit("state", &Status::state);
  visit("boot_id", &Status::boot_id);
  visit("pid", &Status::pid);
  visit("pid_start", &Status::pid_start);
  visit("keeper", &Status::keeper);
  visit("keeper_start", &Status::keeper_start);
  visit("first_id", &Status::first_id);
  visit("exit_code", &Status::exit_code);
  visit("exit_unknown", &Status::exit_unknown);
  visit("oom_killed", &Status::oom_killed);
  visit("why", &Status::why);
  visit("started_ns", &Status::started_ns);
  visit("finished_ns", &Status::finished_ns);
  visit("restarts", &Status::restarts);
  visit("restart_ns", &Status::restart_ns);
}

template <class Value>
concept Record = requires(const Value* value)
{
  fields(value, [](const char*, auto) {});
};

constexpr std::array<std::pair<State, std::string_view>, 4> state_names{
    {{State::created, "created"}, {State::running, "running"}, {State::paused, "paused"}, {State::exited, "exited"}}};
constexpr std::array<std::pair<NetworkMode, std::string_view>, 2> network_names{
    {{NetworkMode::none, "none"}, {NetworkMode::host, "host"}}};
constexpr const auto& names_of(State) { return state_names; }
constexpr const auto& names_of(NetworkMode) { return network_names; }

// ---- writing

Json written(const std::string& text)
{
  if (is_utf8(text)) return text;
  // Environment and arguments are bytes; JSON holds only UTF-8. So other bytes go as numbers.
  Json bytes = Json::array();
  for (const char byte : text) bytes.push_back(static_cast<unsigned char>(byte));
  return Json{{"bytes", std::move(bytes)}};
}

template <class Value>
requires std::is_arithmetic_v<Value> Json written(Value value) { return value; }

template <class Value>
requires std::is_enum_v<Value> Json written(Value value)
{
  for (const auto& [each, name] : names_of(value))
    if (each == value) return name;
  return nullptr;
}

template <Record Value>
Json written(const Value& value);
template <class Value>
Json written(const std::optional<Value>& value)
{
  return value ? written(*value) : Json{};
}

template <class Value>
Json written(const std::vector<Value>& values)
{
  Json list = Json::array();
  for (const Value& value : values) list.push_back(written(value));
  return list;
}

Json written(const std::map<std::string, std::string>& values)
{
  Json list = Json::array(); // of pairs, since a label's key too may be any bytes
  for (const auto& [key, value] : values) list.push_back(Json::array({written(key), written(value)}));
  return list;
}

bool is_empty(const Json& json)
{
  return json.is_null() || json == false || json == 0 || json == "" || (json.is_structured() && json.empty());
}

template <Record Value>
Json written(const Value& value)
{
  const Value defaults{};
  Json json = Json::object();
  fields(&value, [&](const char* key, auto member) {
    Json field = written(value.*member);
    if (is_empty(field) && field == written(defaults.*member)) return; // an optional 0 is something said
    json[key] = std::move(field);
  });
  return json;
}

// ---- reading

[[noreturn]] void wrong(const std::string& key, const char* wanted)
{
  throw Error{"field '" + key + "' is not " + wanted};
}

void read(const Json& json, const std::string& key, std::string& value)
{
  if (json.is_string()) {
    value = json.get_ref<const std::string&>();
    return;
  }
  const auto bytes = json.is_object() ? json.find("bytes") : json.end();
  if (!json.is_object() || bytes == json.end() || !bytes->is_array()) wrong(key, "a text");
  value.clear();
  for (const Json& byte : *bytes) {
    if (!byte.is_number_unsigned() || byte.get<uint64_t>() > 255) wrong(key, "a list of bytes");
    value += static_cast<char>(byte.get<uint64_t>());
  }
}

void read(const Json& json, const std::string& key, bool& value)
{
  if (!json.is_boolean()) wrong(key, "true or false");
  value = json.get<bool>();
}

void read(const Json& json, const std::string& key, double& value)
{
  if (!json.is_number()) wrong(key, "a number");
  value = json.get<double>();
}

template <class Value>
requires std::is_integral_v<Value>
void read(const Json& json, const std::string& key, Value& value)
{
  if (json.is_number_unsigned() && json.get<uint64_t>() <= static_cast<uint64_t>(std::numeric_limits<Value>::max()))
    value = static_cast<Value>(json.get<uint64_t>());
  else if (json.is_number_integer() && std::is_signed_v<Value> && json.get<int64_t>() < 0 &&
           json.get<int64_t>() >= static_cast<int64_t>(std::numeric_limits<Value>::min()))
    value = static_cast<Value>(json.get<int64_t>());
  else
    wrong(key, "a whole number in range");
}

template <class Value>
requires std::is_enum_v<Value>
void read(const Json& json, const std::string& key, Value& value)
{
  if (json.is_string())
    for (const auto& [each, name] : names_of(value))
      if (name == json.get_ref<const std::string&>()) {
        value = each;
        return;
      }
  wrong(key, "one of the known words");
}

template <Record Value>
void read(const Json& json, const std::string& key, Value& value);

template <class Value>
void read(const Json& json, const std::string& key, std::optional<Value>& value)
{
  if (json.is_null()) return value.reset();
  read(json, key, value.emplace());
}

template <class Value>
void read(const Json& json, const std::string& key, std::vector<Value>& values)
{
  if (!json.is_array()) wrong(key, "a list");
  values.clear();
  values.reserve(json.size());
  for (const Json& each : json) read(each, key, values.emplace_back());
}

void read(const Json& json, const std::string& key, std::map<std::string, std::string>& values)
{
  if (!json.is_array()) wrong(key, "a list of pairs");
  values.clear();
  for (const Json& pair : json) {
    if (!pair.is_array() || pair.size() != 2) wrong(key, "a list of pairs");
    std::string name;
    read(pair[0], key, name);
    read(pair[1], key, values[name]);
  }
}

template <Record Value>
void read(const Json& json, const std::string& key, Value& value)
{
  if (!json.is_object()) wrong(key, "an object");
  fields(&value, [&](const char* name, auto member) {
    if (const auto field = json.find(name); field != json.end()) read(*field, name, value.*member);
  });
}

Json parse(std::string_view text)
{
  Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) throw Error{"no JSON object"};
  return json;
}

bool is_id(const std::string& text)
{
  return text.size() == 32 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

} // namespace

std::string_view state_name(State state)
{
  for (const auto& [each, name] : state_names)
    if (each == state) return name;
  return "exited";
}

std::string to_json(const Spec& spec) { return written(spec).dump(); }
std::string to_json(const Status& status) { return written(status).dump(); }

std::string to_json(const Limits& limits)
{
  Json json = Json::object();
  fields(&limits, [&](const char* key, auto member) {
    Json value = written(limits.*member);
    json[key] = value == no_limit ? Json{} : std::move(value);
  });
  return json.dump();
}

Spec spec_from_json(std::string_view text)
{
  Spec spec;
  read(parse(text), "container", spec);
  if (!is_id(spec.id)) wrong("id", "32 hexadecimal digits");
  if (!is_name(spec.name)) wrong("name", "a container name");
  return spec;
}

Status status_from_json(std::string_view text)
{
  Status status;
  read(parse(text), "status", status);
  if (status.pid < 0 || status.keeper < 0) wrong("pid", "a process");
  return status;
}

} // namespace conductor
