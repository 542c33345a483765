// Where everything stands: one sliding divider; left is what exists, right is what you work in. Pure arithmetic.
//
// Every area is given with its frame; neighbours share one line of frame. What a size has no room for is left out, in
// steps: below 100 columns the side panels, below 80x24 the frames' neighbours share the screen in turn, below 60x16
// only the list, below 40x10 a status line.
#pragma once

#include "tui/console/grid.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace conductor::console {

/// A pane of 80 columns, as programs expect them, with its frame.
inline constexpr int pane_columns = 82;

enum class Step : std::uint8_t { full, narrow, small, tiny, line };

/// Something with a frame around it.
enum class Area : std::uint8_t { containers, images, events, details, panes, pane };

struct LayoutRequest {
  int rows = 24, columns = 80;
  bool work = false;             ///< panes are on the screen
  bool pane_first = false;       ///< where only one side fits: show the pane
  bool zoomed = false;           ///< the pane alone
  Area front = Area::containers; ///< where only one panel fits: which
  int divider = 0;               ///< columns that the user moved the divider by
  int across = 1;                ///< panes that are wished side by side
  int listed_panes = 0;          ///< panes and left shells, which are listed while none is on the screen
};

/// Rectangles include the frame; an area that is not shown is empty.
struct Layout {
  Step step = Step::full;
  Rect title, containers, images, events, details, panes, work, message, hint;
  bool side_by_side = true; ///< list and work area are both on the screen
  Rect of(Area area) const;
};

/// Has a screen of that size room for the list and a pane side by side? Otherwise they share it in turn.
bool fits_both(int rows, int columns);
Layout lay_out(const LayoutRequest& request);

/// The panes of the work area: a tree of splits whose leaves are panes by their number. What is to be side by side is
/// stacked as long as there are no 80 columns for each.
class PaneTree {
public:
  enum class Direction : std::uint8_t { left, right, up, down };

  bool empty() const { return !root_; }
  /// Puts `pane` beside (columns) or below (rows) the pane `at`; at 0 means below all others.
  void add(int pane, int at, bool beside);
  void remove(int pane);
  bool contains(int pane) const;
  /// Numbers in the order of the screen.
  std::vector<int> panes() const;
  /// Every pane with its rectangle, frame included, within `area`.
  std::vector<std::pair<int, Rect>> rects(Rect area) const;
  /// The pane on that side of `pane`; 0 where there is none.
  int neighbour(int pane, Direction direction, Rect area) const;
  /// Gives all panes of an area so wide the same share.
  void even(int columns);
  /// The tree as text: a pane is its number, a split "(b50 first second)" beside or "(s50 first second)" stacked, with
  /// the percent of the first.
  std::string shape() const;
  /// The reverse; an empty tree for what is no such text.
  static PaneTree from_shape(std::string_view text);
  /// How many panes are wished side by side.
  int across() const { return root_ ? across(*root_) : 0; }

private:
  struct Node {
    int pane = 0; ///< a leaf's
    bool beside = false;
    int share = 50; ///< percent of the first child
    std::unique_ptr<Node> first, second;
  };
  static void collect(const Node& node, Rect area, std::vector<std::pair<int, Rect>>& out);
  static std::unique_ptr<Node>* find(std::unique_ptr<Node>& node, int pane);
  static bool take(std::unique_ptr<Node>& node, int pane);
  static bool is_beside(const Node& node, int columns);
  static int across(const Node& node);
  static int leaves(const Node& node, bool beside, int columns);
  static void even(Node& node, int columns);
  static void write(const Node& node, std::string& text);
  static std::unique_ptr<Node> read(std::string_view& text, int depth);
  std::unique_ptr<Node> root_;
};

/// Collects frames and draws them with the right corners where they touch.
class Frames {
public:
  Frames(int rows, int columns);
  void add(Rect area);
  /// Draws every line; the frame of `focused` in its own style.
  void draw(Grid& grid, Rect focused, Style plain, Style focus, bool ascii) const;

private:
  int rows_, columns_;
  std::vector<std::uint8_t> arms_; ///< per cell: up 1, down 2, left 4, right 8
};

} // namespace conductor::console
