// The cluster table: nodes, and a hash over them with linear probing.
#include "tui/terminal/clusters.h"

#include "tui/terminal/width.h"

#include <algorithm>

namespace conductor::terminal {

std::size_t ClusterTable::slot(std::uint32_t parent, std::uint32_t mark) const
{
  std::uint64_t hash = (std::uint64_t{parent} << 21 ^ mark) * 0x9E37'79B9'7F4A'7C15U;
  std::size_t mask = slots_.size() - 1;
  std::size_t at = (hash >> 32) & mask;
  while (slots_[at] != 0) {
    const Node& node = nodes_[slots_[at] - 1];
    if (node.parent == parent && node.mark == mark) break;
    at = (at + 1) & mask;
  }
  return at;
}

std::optional<std::uint32_t> ClusterTable::append(std::uint32_t text, char32_t mark)
{
  if (text == 0) text = ' ';
  int depth = (text & cluster_bit) != 0 ? nodes_[text & ~cluster_bit].depth : 0;
  if (depth >= maximum_marks) return text;
  if (slots_.empty()) rehash(256);
  std::size_t at = slot(text, mark);
  if (slots_[at] != 0) return (slots_[at] - 1) | cluster_bit;
  if (used_ >= maximum_nodes) return std::nullopt;
  if ((used_ + 1) * 2 > slots_.size()) {
    rehash(slots_.size() * 2);
    at = slot(text, mark);
  }
  std::uint32_t number;
  if (free_.empty()) {
    number = static_cast<std::uint32_t>(nodes_.size());
    nodes_.emplace_back();
  } else {
    number = free_.back();
    free_.pop_back();
  }
  nodes_[number] = {text, mark, static_cast<std::uint8_t>(depth + 1), false};
  slots_[at] = number + 1;
  ++used_;
  return number | cluster_bit;
}

std::size_t ClusterTable::code_points(std::uint32_t text, std::span<char32_t, maximum_marks + 1> out) const
{
  if (text == 0) return 0;
  std::size_t marks = (text & cluster_bit) != 0 ? nodes_[text & ~cluster_bit].depth : 0;
  for (std::size_t i = marks; i > 0; --i) {
    const Node& node = nodes_[text & ~cluster_bit];
    out[i] = node.mark;
    text = node.parent;
  }
  out[0] = text;
  return marks + 1;
}

bool ClusterTable::valid(std::uint32_t text) const
{
  if ((text & cluster_bit) == 0) return text == 0 || (text >= 0x20 && is_scalar(text));
  std::uint32_t number = text & ~cluster_bit;
  return number < nodes_.size() && nodes_[number].depth > 0;
}

void ClusterTable::mark(std::uint32_t text)
{
  while ((text & cluster_bit) != 0 && !nodes_[text & ~cluster_bit].live) {
    Node& node = nodes_[text & ~cluster_bit];
    node.live = true;
    text = node.parent;
  }
}

void ClusterTable::sweep()
{
  for (std::uint32_t number = 0; number < nodes_.size(); ++number) {
    Node& node = nodes_[number];
    if (node.depth > 0 && !node.live) {
      node = {};
      free_.push_back(number);
      --used_;
    }
    node.live = false;
  }
  if (!slots_.empty()) rehash(slots_.size());
}

void ClusterTable::rehash(std::size_t size)
{
  slots_.assign(size, 0);
  for (std::uint32_t number = 0; number < nodes_.size(); ++number)
    if (nodes_[number].depth > 0) slots_[slot(nodes_[number].parent, nodes_[number].mark)] = number + 1;
}

bool ClusterTable::restore(std::vector<Node> nodes)
{
  *this = {};
  if (nodes.size() > maximum_nodes) return false;
  // Parents may follow their children, since numbers are used again. Depths that grow by one at each step also rule out
  // a cycle.
  auto good = [&nodes](const Node& node) {
    if (node.depth > maximum_marks || !is_scalar(node.mark) || node.mark < 0x20) return false;
    if ((node.parent & cluster_bit) == 0) return node.depth == 1 && node.parent >= 0x20 && is_scalar(node.parent);
    std::uint32_t parent = node.parent & ~cluster_bit;
    return parent < nodes.size() && nodes[parent].depth > 0 && nodes[parent].depth + 1 == node.depth;
  };
  for (Node& node : nodes) {
    node.live = false;
    if (node.depth > 0 && !good(node)) return false;
  }
  nodes_ = std::move(nodes);
  for (std::uint32_t number = 0; number < nodes_.size(); ++number) {
    if (nodes_[number].depth > 0) {
      ++used_;
    } else {
      free_.push_back(number);
    }
  }
  std::size_t size = 256;
  while (size < used_ * 2 + 2) size *= 2;
  rehash(size);
  return true;
}

} // namespace conductor::terminal
