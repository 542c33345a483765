// The tables of coloured underlines and hyperlinks.
#include "tui/terminal/extras.h"

namespace conductor::terminal {

namespace {

std::uint64_t key(const Extra& extra) { return std::uint64_t{extra.underline.packed} << 16 | extra.link; }

} // namespace

std::optional<std::uint16_t> ExtraTable::intern(Extra extra)
{
  if (key(extra) == 0) return std::uint16_t{0};
  if (auto found = extra_numbers_.find(key(extra)); found != extra_numbers_.end()) return found->second;
  if (extra_numbers_.size() >= maximum_extras) return std::nullopt;
  std::uint16_t number;
  if (free_extras_.empty()) {
    number = static_cast<std::uint16_t>(extras_.size());
    extras_.push_back(extra);
    extra_live_.push_back(false);
  } else {
    number = free_extras_.back();
    free_extras_.pop_back();
    extras_[number] = extra;
  }
  extra_numbers_.emplace(key(extra), number);
  return number;
}

std::optional<std::uint16_t> ExtraTable::intern_link(std::string_view uri)
{
  std::string text(uri);
  if (auto found = link_numbers_.find(text); found != link_numbers_.end()) return found->second;
  if (link_numbers_.size() >= maximum_links || bytes_ + uri.size() > maximum_bytes) return std::nullopt;
  std::uint16_t number;
  if (free_links_.empty()) {
    number = static_cast<std::uint16_t>(links_.size());
    links_.push_back(text);
    link_live_.push_back(false);
  } else {
    number = free_links_.back();
    free_links_.pop_back();
    links_[number] = text;
  }
  bytes_ += uri.size();
  link_numbers_.emplace(std::move(text), number);
  return number;
}

void ExtraTable::sweep()
{
  for (std::size_t i = 1; i < extras_.size(); ++i) {
    if (key(extras_[i]) == 0) continue;
    if (extra_live_[i]) {
      link_live_[extras_[i].link] = true;
    } else {
      extra_numbers_.erase(key(extras_[i]));
      extras_[i] = {};
      free_extras_.push_back(static_cast<std::uint16_t>(i));
    }
    extra_live_[i] = false;
  }
  for (std::size_t i = 1; i < links_.size(); ++i) {
    if (!links_[i].empty() && !link_live_[i]) {
      bytes_ -= links_[i].size();
      link_numbers_.erase(links_[i]);
      links_[i].clear();
      links_[i].shrink_to_fit();
      free_links_.push_back(static_cast<std::uint16_t>(i));
    }
    link_live_[i] = false;
  }
}

bool ExtraTable::restore(std::vector<Extra> extras, std::vector<std::string> links)
{
  *this = {};
  if (extras.empty() || extras.size() > maximum_extras + 1 || key(extras[0]) != 0) return false;
  if (links.empty() || links.size() > maximum_links + 1 || !links[0].empty()) return false;
  ExtraTable table;
  table.links_ = std::move(links);
  table.link_live_.resize(table.links_.size());
  for (std::size_t i = 1; i < table.links_.size(); ++i) {
    const std::string& uri = table.links_[i];
    if (uri.size() > maximum_link_bytes) return false;
    table.bytes_ += uri.size();
    if (uri.empty()) {
      table.free_links_.push_back(static_cast<std::uint16_t>(i));
    } else if (!table.link_numbers_.emplace(uri, static_cast<std::uint16_t>(i)).second) {
      return false;
    }
  }
  table.extras_ = std::move(extras);
  table.extra_live_.resize(table.extras_.size());
  for (std::size_t i = 1; i < table.extras_.size(); ++i) {
    const Extra& extra = table.extras_[i];
    if (extra.link >= table.links_.size() || static_cast<int>(extra.underline.kind()) > 2) return false;
    if (key(extra) == 0) {
      table.free_extras_.push_back(static_cast<std::uint16_t>(i));
    } else if (!table.extra_numbers_.emplace(key(extra), static_cast<std::uint16_t>(i)).second) {
      return false;
    }
  }
  if (table.bytes_ > maximum_bytes) return false;
  *this = std::move(table);
  return true;
}

} // namespace conductor::terminal
