// Drives net/ alone, one operation per run, so that tests can attach network namespaces of their own making.
//
//     conductor-link-driver [--explain] VERB [KEY=VALUE...]
//
// VERB: attach change detach repair subnet state refusals passages traffic listener. Keys: root id name index ns (a
// file: /proc/PID/ns/net) pool internet=1 peer=INDEX:NAME port=PROTOCOL/OUTER/INNER[/ADDRESS] end=now. `next` begins
// another container (repair takes several). The answer is JSON on stdout; a failure is its sentence on stderr and
// status 1, with EEXIST status 17.
#include "core/base/error.h"
#include "net/network.h"

#include <cerrno>
#include <cstdio>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <nlohmann/json.hpp>

using namespace conductor;
using Json = nlohmann::json;

namespace {

struct Request {
  std::string root = "0123456789abcdef0123456789abcdef", ns, pool;
  LinkEnd end = LinkEnd::with_its_namespace;
  std::vector<WantedLink> links{1};
};

PublishedPort port_from(const std::string& text)
{
  std::vector<std::string> parts(1);
  for (const char each : text)
    if (each == '/')
      parts.emplace_back();
    else
      parts.back() += each;
  PublishedPort port{.protocol = parts.at(0)};
  port.outer = static_cast<uint16_t>(std::stoul(parts.at(1)));
  port.inner = static_cast<uint16_t>(std::stoul(parts.at(2)));
  if (parts.size() > 3) port.host_address = parts[3];
  return port;
}

void take(Request& request, const std::string& key, const std::string& value)
{
  WantedLink& link = request.links.back();
  const size_t colon = value.find(':');
  if (key == "next") request.links.emplace_back();
  if (key == "root") request.root = value;
  if (key == "ns") request.ns = value;
  if (key == "pool") request.pool = value;
  if (key == "end") request.end = LinkEnd::now;
  if (key == "id") link.container_id = value;
  if (key == "name") link.name = value;
  if (key == "index") link.index = static_cast<LinkIndex>(std::stoul(value));
  if (key == "internet") link.internet = true;
  if (key == "peer") link.peers.push_back({static_cast<LinkIndex>(std::stoul(value)), value.substr(colon + 1)});
  if (key == "port") link.published.push_back(port_from(value));
}

Json subnet_json(const std::optional<Subnet>& subnet)
{
  if (!subnet) return nullptr;
  return {{"host", subnet->host()}, {"host6", subnet->host6()}, {"ipv6", subnet->ipv6}};
}

Json run(Network& network, const std::string& verb, const Request& request)
{
  const WantedLink& link = request.links.front();
  Json answer = nullptr;
  if (verb == "attach") {
    const int fd = ::open(request.ns.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) throw Error{"open " + request.ns, errno};
    answer = subnet_json(network.attach(request.root, link, fd, request.pool));
  }
  if (verb == "change") network.change(request.root, link, link);
  if (verb == "detach") network.detach(request.root, link, request.end, -1);
  if (verb == "repair")
    answer = network.repair(request.root, link.index == 0 ? std::vector<WantedLink>{} : request.links);
  if (verb == "subnet") answer = subnet_json(network.subnet());
  if (verb == "traffic")
    for (const Traffic& each : network.traffic(request.root))
      answer.push_back({{"id", each.container_id}, {"rx", each.rx_bytes}, {"tx", each.tx_bytes}});
  if (verb == "refusals")
    for (const Refusal& each : network.refusals())
      answer.push_back({{"from", each.from}, {"to", each.to}, {"packets", each.packets}});
  if (verb == "passages")
    for (const Passage& each : network.passages())
      answer.push_back({{"from", each.from}, {"to", each.to}, {"packets", each.packets}, {"bytes", each.bytes}});
  if (verb == "listener")
    if (const auto found = network.listener(link.published.at(0)))
      answer = {{"pid", found->pid}, {"name", found->name}, {"address", found->address}};
  if (verb == "state") {
    const NetworkState state = network.state();
    answer = {
        {"subnet", subnet_json(state.subnet)}, {"ipv6_internet", state.ipv6_internet}, {"remarks", Json::array()}};
    for (const NetworkRemark& each : state.remarks)
      answer["remarks"].push_back({{"kind", each.kind == NetworkRemark::Kind::changed    ? "changed"
                                            : each.kind == NetworkRemark::Kind::obstacle ? "obstacle"
                                                                                         : "clash"},
                                   {"cured", each.cured},
                                   {"place", each.place},
                                   {"sentence", each.sentence},
                                   {"hint", each.hint}});
  }
  return answer;
}

class Explainer : public Listener {
public:
  explicit Explainer(bool calls) : calls_(calls) {}
  void on(const Event& event) override
  {
    if (event.kind == EventKind::notice) std::cerr << "notice: " << event.detail << "\n";
    if (event.kind == EventKind::call_ended)
      std::cerr << event.topic << " | " << event.detail << " | " << event.by_hand << " | " << event.error << " "
                << event.duration_us << " us\n";
  }
  bool wants_calls() const override { return calls_; }

private:
  bool calls_;
};

} // namespace

int main(int argc, char** argv)
{
  std::vector<std::string> words(argv + 1, argv + argc);
  const bool explain = !words.empty() && words.front() == "--explain";
  if (explain) words.erase(words.begin());
  try {
    Trace trace;
    Explainer explainer{explain};
    trace.add(explainer);
    const auto network = make_network(trace);
    Request request;
    for (size_t i = 1; i < words.size(); ++i) {
      const size_t equals = words[i].find('=');
      take(request, words[i].substr(0, equals), equals == std::string::npos ? "" : words[i].substr(equals + 1));
    }
    std::cout << run(*network, words.at(0), request).dump() << "\n";
    return 0;
  } catch (const Error& error) {
    std::cerr << error.sentence() << (error.hint().empty() ? "" : "\nhint: ") << error.hint() << "\n";
    return error.number() == EEXIST ? EEXIST : 1;
  }
}
