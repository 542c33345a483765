#include "tui/command/reach.h"

#include "core/container/ports.h"

#include <fmt/format.h>

namespace conductor::command {

std::vector<std::string> reach_lines(const std::string& name, const LinkView& view)
{
  std::vector<std::string> lines;
  std::string addresses;
  if (view.link) {
    addresses = " (" + view.link->subnet.address(view.link->index);
    const std::string address6 = view.link->subnet.address6(view.link->index);
    addresses += (address6.empty() ? "" : ", " + address6) + ")";
  }
  lines.push_back(fmt::format("host <-> {}{}", name, addresses));
  if (view.internet) lines.push_back(fmt::format("{} -> internet", name));
  for (const PublishedRange& range : ranges_of(view.published))
    lines.push_back(fmt::format("host {} -> {} {}", range.outer, name, range.inner));
  for (const std::string& peer : view.peers) lines.push_back(fmt::format("{} <-> {}", name, peer));
  return lines;
}

std::string address_cell(const std::optional<LinkView>& view)
{
  return view && view->link ? view->link->subnet.address(view->link->index) : "-";
}

std::string ports_cell(const std::optional<LinkView>& view)
{
  if (!view || view->published.empty()) return "-";
  std::string text;
  for (const std::string& range : port_texts(view->published)) text += (text.empty() ? "" : ", ") + range;
  return text;
}

} // namespace conductor::command
