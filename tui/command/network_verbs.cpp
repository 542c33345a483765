// addnetwork, delnetwork, peer, unpeer, networks: who may talk to whom.
#include "core/base/error.h"
#include "core/engine/networks.h"
#include "core/snapshot/statistics.h"
#include "tui/command/invocation.h"
#include "tui/command/reach.h"
#include "tui/command/runs.h"
#include "tui/command/text.h"
#include "tui/command/wish.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace conductor::command {
namespace {

using Json = nlohmann::ordered_json;

bool runs(const Container& container)
{
  return container.status.state == State::running || container.status.state == State::paused;
}

Json object_of(const Container& container, const std::optional<LinkView>& view)
{
  Json networks = Json::array();
  if (view) networks.push_back(Json::parse(link_json(*view), nullptr, false));
  return {{"name", container.spec.name},
          {"id", container.spec.id},
          {"state", state_name(container.status.state)},
          {"networks", std::move(networks)}};
}

// What is reachable now, of each of these containers; a peering once.
void tell(Invocation& invocation, const std::vector<std::string>& ids)
{
  const Containers containers{invocation.root()};
  Json document = Json::array();
  std::vector<std::string> told;
  for (const std::string& id : ids) {
    const Container container = containers.load(id);
    const auto view = view_link(invocation.root(), container.spec);
    const std::string& name = container.spec.name;
    document.push_back(object_of(container, view));
    if (!view) {
      invocation.print(name + " is connected to nothing\n");
      continue;
    }
    if (!runs(container)) invocation.print(name + " does not run; when it does:\n");
    for (const std::string& line : reach_lines(name, *view)) {
      if (std::find(told.begin(), told.end(), line) == told.end()) invocation.print(line + "\n");
      told.push_back(line);
    }
    // Said of one, it holds for the other.
    for (const std::string& peer : view->peers) told.push_back(fmt::format("{} <-> {}", peer, name));
  }
  invocation.result(ids.size() == 1 ? document[0].dump() : document.dump());
}

NetworkRequest request_of(const Invocation& invocation)
{
  return {.internet = invocation.has("internet"), .published = published_ports(invocation)};
}

constexpr const char* word(NetworkRemark::Kind kind)
{
  switch (kind) {
  case NetworkRemark::Kind::changed: return "changed";
  case NetworkRemark::Kind::obstacle: return "obstacle";
  case NetworkRemark::Kind::clash: return "clash";
  }
  return "";
}

Json host_object(const NetworkState& state)
{
  Json remarks = Json::array();
  for (const NetworkRemark& remark : state.remarks)
    remarks.push_back({{"kind", word(remark.kind)},
                       {"cured", remark.cured},
                       {"place", remark.place},
                       {"sentence", remark.sentence},
                       {"hint", remark.hint}});
  Json subnet, subnet6;
  if (state.subnet) {
    subnet = state.subnet->address(0) + "/16";
    if (!state.subnet->ipv6.empty()) subnet6 = state.subnet->ipv6 + "/64";
  }
  return {{"subnet", subnet},
          {"subnet6", subnet6},
          {"ipv6_internet", state.ipv6_internet},
          {"remarks", std::move(remarks)}};
}

} // namespace

int run_addnetwork(Invocation& invocation)
{
  const NetworkRequest request = request_of(invocation);
  const std::string id = invocation.resolve(invocation.names()[0]);
  add_network(invocation.context(), id, request);
  tell(invocation, {id});
  return 0;
}

int run_delnetwork(Invocation& invocation)
{
  const NetworkRequest request = request_of(invocation);
  const std::string id = invocation.resolve(invocation.names()[0]);
  remove_network(invocation.context(), id, request);
  tell(invocation, {id});
  return 0;
}

int run_peer(Invocation& invocation)
{
  const std::string one = invocation.resolve(invocation.names()[0]), other = invocation.resolve(invocation.names()[1]);
  add_peer(invocation.context(), one, other);
  tell(invocation, {one, other});
  return 0;
}

int run_unpeer(Invocation& invocation)
{
  const std::string one = invocation.resolve(invocation.names()[0]), other = invocation.resolve(invocation.names()[1]);
  remove_peer(invocation.context(), one, other);
  tell(invocation, {one, other});
  return 0;
}

int run_networks(Invocation& invocation)
{
  Context& context = invocation.context();
  mend(context);
  const auto all = connected(context);
  const NetworkState state = context.network.state();
  Table table{{"NAME", "STATE", "ADDRESS", "ADDRESS6", "INTERNET", "PORTS", "PEERS"}};
  Json containers = Json::array();
  for (const auto& [container, view] : all) {
    std::string peers, address6;
    for (const std::string& peer : view.peers) peers += (peers.empty() ? "" : ", ") + peer;
    if (view.link) address6 = view.link->subnet.address6(view.link->index);
    table.add({container.spec.name, std::string{state_name(container.status.state)}, address_cell(view),
               address6.empty() ? "-" : address6, view.internet ? "yes" : "no", ports_cell(view),
               peers.empty() ? "-" : peers});
    containers.push_back(object_of(container, view));
  }
  invocation.print(table.text());
  for (const NetworkRemark& remark : state.remarks) {
    invocation.print(fmt::format("{}{}: {}: {}\n", word(remark.kind), remark.cured ? " (cured)" : "",
                                 shown(remark.place), shown(remark.sentence)));
    if (!remark.hint.empty()) invocation.print(fmt::format("    {}\n", shown(remark.hint)));
  }
  const Json document{{"containers", std::move(containers)}, {"host", host_object(state)}};
  invocation.result(document.dump(-1, ' ', false, Json::error_handler_t::replace));
  return 0;
}

} // namespace conductor::command
