#include "core/snapshot/details_reader.h"

#include "core/base/error.h"
#include "core/base/trace.h"

#include <algorithm>

namespace conductor {

double rate_between(uint64_t before, uint64_t now, uint64_t microseconds)
{
  if (microseconds == 0 || now < before) return 0;
  return static_cast<double>(now - before) * 1e6 / static_cast<double>(microseconds);
}

size_t history_steps(uint64_t microseconds) { return std::max<size_t>(1, (microseconds + 500'000) / 1'000'000); }

DetailsReader::DetailsReader(std::string_view root_id, const Container& container)
    : pid_(container.status.pid), pid_start_(container.status.pid_start),
      processes_(root_id, container.spec.id, container.status.first_id)
{
  details_.id = container.spec.id;
}

bool DetailsReader::is_of(const Container& container) const
{
  return details_.id == container.spec.id && pid_ == container.status.pid && pid_start_ == container.status.pid_start;
}

void DetailsReader::read(Network& network, TextReader& text)
{
  details_.problem.clear();
  details_.processes = processes_.read(text, details_.processes_left_out);
  try {
    read_interfaces(network);
  } catch (const Error& error) { // it ended meanwhile, or the kernel refused
    details_.interfaces.clear();
    details_.problem = error.what();
  }
}

void DetailsReader::read_interfaces(Network& network)
{
  const std::vector<Interface> interfaces = network.interfaces(pid_);
  const uint64_t now = monotonic_us();
  const uint64_t passed = interfaces_us_ == 0 ? 0 : now - interfaces_us_;
  interfaces_us_ = now;
  std::map<std::string, Before> before = std::move(before_);
  before_.clear();
  details_.interfaces.clear();
  for (const Interface& interface : interfaces) {
    InterfacePicture picture{.interface = interface};
    if (const auto found = before.find(interface.name); found != before.end()) {
      picture.rx_rate = rate_between(found->second.rx_bytes, interface.rx_bytes, passed);
      picture.tx_rate = rate_between(found->second.tx_bytes, interface.tx_bytes, passed);
      picture.rx_history = found->second.rx_history;
      picture.rx_history.push(static_cast<float>(picture.rx_rate), history_steps(passed));
    }
    before_[interface.name] = {interface.rx_bytes, interface.tx_bytes, picture.rx_history};
    details_.interfaces.push_back(std::move(picture));
  }
}

} // namespace conductor
