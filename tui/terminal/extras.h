// What few cells have: a colour of the underline (SGR 58) and a hyperlink (OSC 8). A style holds the number of such a
// pair. Both tables are bounded and swept like the clusters; where they stay full, new pairs are left out.
#pragma once

#include "tui/terminal/cell.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace conductor::terminal {

struct Extra {
  Colour underline;
  std::uint16_t link = 0; ///< number of the link, 0 for none
};

class ExtraTable {
public:
  static constexpr std::size_t maximum_extras = 16'384, maximum_links = 2048, maximum_link_bytes = 2083,
                               maximum_bytes = 1U << 20;

  /// The number of a pair; 0 for the empty one, nothing if the table is full.
  std::optional<std::uint16_t> intern(Extra extra);
  /// The number of a hyperlink, from 1; nothing if the table is full. `uri` is at most maximum_link_bytes long.
  std::optional<std::uint16_t> intern_link(std::string_view uri);

  const Extra& extra(std::uint16_t number) const { return extras_[number]; }
  const std::string& link(std::uint16_t number) const { return links_[number]; }
  bool valid(std::uint16_t number) const { return number < extras_.size(); }
  std::size_t size() const { return extra_numbers_.size(); }

  void mark(std::uint16_t number) { extra_live_[number] = true; }
  void mark_link(std::uint16_t number) { link_live_[number] = true; }
  void sweep();
  /// Whether at least half of each bound is left.
  bool roomy() const
  {
    return size() * 2 <= maximum_extras && link_numbers_.size() * 2 <= maximum_links && bytes_ * 2 <= maximum_bytes;
  }

  const std::vector<Extra>& extras() const { return extras_; }
  const std::vector<std::string>& links() const { return links_; }
  bool restore(std::vector<Extra> extras, std::vector<std::string> links);

private:
  std::vector<Extra> extras_{1};
  std::vector<std::string> links_{1};
  std::vector<bool> extra_live_{false}, link_live_{false};
  std::vector<std::uint16_t> free_extras_, free_links_;
  std::unordered_map<std::uint64_t, std::uint16_t> extra_numbers_;
  std::unordered_map<std::string, std::uint16_t> link_numbers_;
  std::size_t bytes_ = 0;
};

} // namespace conductor::terminal
