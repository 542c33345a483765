#include "core/snapshot/network_reader.h"

#include "core/base/error.h"
#include "core/snapshot/details_reader.h"

#include <charconv>
#include <string_view>

namespace conductor {
namespace {

// The number in "cond7"; 0 for a link that is none of ours.
LinkIndex index_of(std::string_view link)
{
  constexpr std::string_view prefix = "cond";
  LinkIndex index = 0;
  if (!link.starts_with(prefix)) return 0;
  link.remove_prefix(prefix.size());
  const auto [end, error] = std::from_chars(link.data(), link.data() + link.size(), index);
  return error == std::errc{} && end == link.data() + link.size() ? index : LinkIndex{0};
}

std::string id_of(const std::map<LinkIndex, std::string>& ids, LinkIndex index)
{
  const auto found = ids.find(index);
  return found == ids.end() ? std::string{} : found->second;
}

} // namespace

void NetworkReader::read(Network& network, const std::map<LinkIndex, std::string>& ids, uint64_t now_us)
{
  if (ids.empty()) {
    *this = {};
    return;
  }
  try {
    look_for_rules(network);
    passages_next_ ? read_passages(network, ids, now_us) : read_refusals(network, ids);
    picture_.problem.clear();
  } catch (const Error& error) { // without these the rest is shown all the same
    picture_.problem = error.what();
  }
  passages_next_ = !passages_next_;
}

// The last container takes the rules away with its link, and its mark a moment later: only what is missing twice was
// taken by somebody else.
void NetworkReader::look_for_rules(Network& network)
{
  const bool missing = !network.subnet().has_value();
  picture_.rules_missing = missing && missed_before_;
  missed_before_ = missing;
}

void NetworkReader::read_refusals(Network& network, const std::map<LinkIndex, std::string>& ids)
{
  picture_.refusals.clear();
  std::map<std::pair<std::string, std::string>, uint64_t> packets; // one way may be refused by several rules
  for (const Refusal& refusal : network.refusals()) packets[{refusal.from, refusal.to}] += refusal.packets;
  for (const auto& [way, count] : packets) {
    RefusalPicture one{.from_link = way.first,
                       .to_link = way.second,
                       .from_id = id_of(ids, index_of(way.first)),
                       .to_id = id_of(ids, index_of(way.second)),
                       .packets = count};
    if (!one.from_id.empty() || !one.to_id.empty()) picture_.refusals.push_back(std::move(one));
  }
}

void NetworkReader::read_passages(Network& network, const std::map<LinkIndex, std::string>& ids, uint64_t now_us)
{
  const auto passages = network.passages();
  const uint64_t passed = passages_us_ == 0 ? 0 : now_us - passages_us_;
  passages_us_ = now_us;
  const auto before = std::exchange(bytes_, {});
  picture_.passages.clear();
  for (const Passage& passage : passages) {
    PassagePicture one{.from_id = id_of(ids, passage.from),
                       .to_id = passage.to == 0 ? std::string{} : id_of(ids, passage.to),
                       .to_internet = passage.to == 0 && passage.port == 0,
                       .port = passage.port,
                       .protocol = passage.protocol,
                       .bytes = passage.bytes,
                       .packets = passage.packets};
    if (one.from_id.empty() || (!one.to_internet && one.port == 0 && one.to_id.empty())) continue;
    const auto key = std::tuple{passage.from, passage.to, passage.port, passage.protocol};
    bytes_[key] = passage.bytes;
    if (const auto old = before.find(key); old != before.end())
      one.rate = rate_between(old->second, passage.bytes, passed);
    picture_.passages.push_back(std::move(one));
  }
}

} // namespace conductor
