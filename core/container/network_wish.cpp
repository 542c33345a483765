#include "core/container/network_wish.h"

#include "core/base/error.h"
#include "core/container/ports.h"
#include "core/kernel/files.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace conductor {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t file_limit = 1 << 20;

[[noreturn]] void wrong(const char* key, const char* wanted)
{
  throw Error{fmt::format("field '{}' is not {}", key, wanted)};
}

bool flag(const Json& json, const char* key)
{
  const auto found = json.find(key);
  if (found == json.end()) return false;
  if (!found->is_boolean()) wrong(key, "true or false");
  return found->get<bool>();
}

std::string text(const Json& json, const char* key)
{
  const auto found = json.find(key);
  if (found == json.end()) return {};
  if (!found->is_string()) wrong(key, "a text");
  return found->get<std::string>();
}

uint16_t number(const Json& json, const char* key)
{
  const auto found = json.find(key);
  if (found == json.end()) return 0;
  if (!found->is_number_unsigned() || found->get<uint64_t>() > std::numeric_limits<uint16_t>::max())
    wrong(key, "a whole number in range");
  return found->get<uint16_t>();
}

const Json& list(const Json& json, const char* key)
{
  static const Json empty = Json::array();
  const auto found = json.find(key);
  if (found == json.end()) return empty;
  if (!found->is_array()) wrong(key, "a list");
  return *found;
}

PublishedPort port_from(const Json& json)
{
  if (!json.is_object()) wrong("published", "a list of objects");
  PublishedPort port{.protocol = text(json, "protocol"),
                     .host_address = text(json, "host_address"),
                     .outer = number(json, "outer"),
                     .inner = number(json, "inner")};
  if (port.protocol != "tcp" && port.protocol != "udp") wrong("protocol", "tcp or udp");
  if (!is_host_address(port.host_address)) wrong("host_address", "an address of a host");
  if (port.outer == 0) wrong("outer", "a port");
  if (port.inner == 0) wrong("inner", "a port");
  return port;
}

bool is_id(const std::string& id)
{
  return id.size() == 32 && id.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::string path_of(const std::string& id) { return "containers/id/" + id + "/network.json"; }
std::string path_of_step(const std::string& id) { return "c/" + id + "/network.json"; }

} // namespace

bool NetworkWish::names(std::string_view id) const { return std::find(peers.begin(), peers.end(), id) != peers.end(); }

std::string to_json(const NetworkWish& wish)
{
  Json published = Json::array();
  for (const auto& port : wish.published) {
    published.push_back({{"protocol", port.protocol},
                         {"host_address", port.host_address},
                         {"outer", port.outer},
                         {"inner", port.inner}});
  }
  return Json{{"attached", wish.attached},
              {"internet", wish.internet},
              {"published", std::move(published)},
              {"peers", wish.peers},
              {"index", wish.index}}
      .dump();
}

NetworkWish network_wish_from_json(std::string_view document)
{
  const Json json = Json::parse(document, nullptr, false);
  if (!json.is_object()) throw Error{"no JSON object"};
  NetworkWish wish{
      .attached = flag(json, "attached"), .internet = flag(json, "internet"), .index = number(json, "index")};
  if (wish.index != 0 && (wish.index < first_link_index || wish.index > last_link_index))
    wrong("index", "the number of a link");
  for (const Json& each : list(json, "published")) wish.published.push_back(port_from(each));
  for (const Json& each : list(json, "peers")) {
    if (!each.is_string() || !is_id(each.get<std::string>())) wrong("peers", "a list of container ids");
    wish.peers.push_back(each.get<std::string>());
  }
  return wish;
}

void check_wish(const NetworkWish& wish, std::string_view name)
{
  if (wish.published.size() > most_ports)
    throw usage_error(fmt::format("'{}' would publish {} ports", name, wish.published.size()),
                      fmt::format("at most {}", most_ports));
  for (size_t at = 0; at < wish.published.size(); ++at) {
    for (size_t other = 0; other < at; ++other) {
      if (!collide(wish.published[at], wish.published[other])) continue;
      throw usage_error(fmt::format("port {} of the host leads to {} of '{}' already",
                                    outer_text(wish.published[other]), wish.published[other].inner, name),
                        fmt::format("conductor delnetwork {} -e {}", name, port_text(wish.published[other])));
    }
  }
}

std::optional<NetworkWish> find_network_wish(const Root& root, const std::string& id)
{
  std::string file = root.path() + "/" + path_of(id);
  auto content = kernel::find_content(root.dir(), path_of(id), file_limit);
  if (!content) {
    file = root.run_path() + "/" + path_of_step(id);
    content = kernel::find_content(root.run(), path_of_step(id), file_limit);
  }
  if (!content) return std::nullopt;
  try {
    return network_wish_from_json(*content);
  } catch (const Error& error) {
    throw error.within("cannot read '" + file + "'")
        .with_hint("remove the file, and give the container its network again: conductor addnetwork");
  }
}

void save_network_wish(const Root& root, const std::string& id, const NetworkWish& wish)
{
  kernel::write_file(root.trace(), root.dir(), path_of(id), to_json(wish));
}

void save_network_wish_of_step(const Root& root, const std::string& id, const NetworkWish& wish)
{
  kernel::write_file(root.trace(), root.run(), path_of_step(id), to_json(wish));
}

void remove_network_wish(const Root& root, const std::string& id)
{
  kernel::remove_file(root.trace(), root.dir(), path_of(id));
}

} // namespace conductor
