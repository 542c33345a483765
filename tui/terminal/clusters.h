// Characters with combining marks. A cluster is a number into a table of pairs (what came before, mark), so that adding
// a mark is one look-up, equal clusters share a number, and a cell stays a number whatever the child prints. The table
// is bounded; when it is full the terminal marks what its cells still use, and the rest is swept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace conductor::terminal {

class ClusterTable {
public:
  static constexpr std::uint32_t cluster_bit = 0x8000'0000U;
  static constexpr int maximum_marks = 8;
  static constexpr std::size_t maximum_nodes = 32'768;

  /// The text of a cell that showed `text` and got `mark`: the same text if it has 8 marks already; nothing if the
  /// table is full.
  std::optional<std::uint32_t> append(std::uint32_t text, char32_t mark);
  /// Writes the code points of a cell's text, base first; returns how many. A blank (0) has none.
  std::size_t code_points(std::uint32_t text, std::span<char32_t, maximum_marks + 1> out) const;
  /// Whether `text` may stand in a cell: a blank, a scalar value, or a cluster that exists.
  bool valid(std::uint32_t text) const;

  void mark(std::uint32_t text); ///< this text is in use
  void sweep();                  ///< forgets all clusters that were not marked since the last sweep
  std::size_t size() const { return used_; }

  /// A node as it is written down by serialise(): restore_node() must see them in the order of their numbers.
  struct Node {
    std::uint32_t parent = 0; ///< text before the mark
    std::uint32_t mark = 0;
    std::uint8_t depth = 0; ///< marks so far, 0 for a free node
    bool live = false;
  };
  std::span<const Node> nodes() const { return nodes_; }
  /// Takes a table over; false (and empty) if a node is not well-formed.
  bool restore(std::vector<Node> nodes);

private:
  std::vector<Node> nodes_;
  std::vector<std::uint32_t> slots_; ///< open addressing: number of the node + 1, or 0
  std::vector<std::uint32_t> free_;
  std::size_t used_ = 0;

  std::size_t slot(std::uint32_t parent, std::uint32_t mark) const;
  void rehash(std::size_t size);
};

} // namespace conductor::terminal
