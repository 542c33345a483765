// Who was refused, and what passed which permission: read by turns, one dump of the kernel's sets at a time, and told
// in names of containers instead of links.
#pragma once

#include "core/network.h"
#include "core/snapshot/snapshot.h"

#include <map>
#include <string>
#include <tuple>
#include <utility>

namespace conductor {

class NetworkReader {
public:
  // One dump and one question to the kernel. ids: of the containers of this root that have a link, by its number; what
  // concerns none of them is left out. Without a link nothing is asked.
  void read(Network& network, const std::map<LinkIndex, std::string>& ids, uint64_t now_us);
  const NetworkPicture& picture() const { return picture_; }

private:
  void look_for_rules(Network& network);
  void read_refusals(Network& network, const std::map<LinkIndex, std::string>& ids);
  void read_passages(Network& network, const std::map<LinkIndex, std::string>& ids, uint64_t now_us);

  NetworkPicture picture_;
  bool passages_next_ = true;
  bool missed_before_ = false; // the reading before found no rules
  uint64_t passages_us_ = 0;
  std::map<std::tuple<LinkIndex, LinkIndex, uint16_t, std::string>, uint64_t> bytes_; // of the reading before
};

} // namespace conductor
