#include "tui/console/layout.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace conductor::console {
namespace {

constexpr int least_list = 39; // beside panes that would fill the rest: what 120 columns leave beside one

// Two areas one above the other that share a line of frame.
void stack(Rect whole, int upper_rows, Rect& upper, Rect& lower)
{
  upper = {whole.row, whole.column, upper_rows, whole.columns};
  lower = {whole.row + upper_rows - 1, whole.column, whole.rows - upper_rows + 1, whole.columns};
}

void browse(const LayoutRequest& request, Rect body, Layout& layout)
{
  Rect left = body;
  if (layout.step == Step::full) {
    const int right_columns = std::clamp(body.columns * 31 / 100 - request.divider, 20, body.columns - 42);
    left.columns = body.columns - right_columns + 1;
    const Rect right{body.row, left.right() - 1, body.rows, right_columns};
    stack(right, body.rows / 2 + 1, layout.images, layout.events);
    if (request.listed_panes > 0) {
      const int rows = std::clamp(request.listed_panes + 2, 3, body.rows / 4);
      const Rect below = layout.events;
      stack(below, below.rows - rows + 1, layout.events, layout.panes);
    }
  }
  // On a low screen the details take most of the room while they have the focus.
  const bool low = body.rows < 28;
  const int details = low && request.front == Area::details ? std::max(body.rows - 6, 8) : std::max(body.rows / 2, 8);
  stack(left, body.rows - details + 1, layout.containers, layout.details);
}

void work(const LayoutRequest& request, Rect body, Layout& layout)
{
  const auto beside_panes = [&](int count) { return body.columns - count * (pane_columns - 1); };
  int across = 1;
  while (across < request.across && beside_panes(across + 1) >= least_list) ++across;
  const int left_columns = std::clamp(beside_panes(across) + request.divider, 24, std::max(body.columns - 30, 24));
  const Rect left{body.row, body.column, body.rows, left_columns};
  layout.work = {body.row, left.right() - 1, body.rows, body.columns - left_columns + 1};
  const int upper = std::max(body.rows * 48 / 100, 6);
  Rect rest;
  stack(left, upper, layout.containers, rest);
  const int panes = std::clamp(rest.rows * 2 / 5, 3, 9);
  stack(rest, rest.rows - panes + 1, layout.details, layout.panes);
}

// Where images, events or the list of panes have no place of their own, they take that of the details while they have
// the focus.
void show_instead_of_details(Area front, Layout& layout)
{
  if (front == Area::images) layout.images = std::exchange(layout.details, {});
  if (front == Area::events) layout.events = std::exchange(layout.details, {});
  if (front == Area::panes) layout.panes = std::exchange(layout.details, {});
}

} // namespace

Rect Layout::of(Area area) const
{
  switch (area) {
  case Area::containers: return containers;
  case Area::images: return images;
  case Area::events: return events;
  case Area::details: return details;
  case Area::panes: return panes;
  case Area::pane: return work;
  }
  return {};
}

namespace {

Step step_of(int rows, int columns)
{
  return rows < 10 || columns < 40   ? Step::line
         : rows < 16 || columns < 60 ? Step::tiny
         : rows < 24 || columns < 80 ? Step::small
         : columns < 100             ? Step::narrow
                                     : Step::full;
}

} // namespace

bool fits_both(int rows, int columns) { return step_of(rows, columns) == Step::full && columns >= 110; }

Layout lay_out(const LayoutRequest& request)
{
  Layout layout;
  const int rows = std::max(request.rows, 1), columns = std::max(request.columns, 1);
  layout.step = step_of(rows, columns);
  if (layout.step == Step::line) {
    layout.title = {0, 0, 1, columns};
    layout.containers = {1, 0, rows - 1, columns};
    return layout;
  }
  layout.title = {0, 0, 1, columns};
  layout.message = {rows - 2, 0, 1, columns};
  layout.hint = {rows - 1, 0, 1, columns};
  const Rect body{1, 0, rows - 3, columns};
  if (request.work && request.zoomed) {
    layout.work = body;
    layout.side_by_side = false;
    return layout;
  }
  if (request.work && fits_both(rows, columns)) {
    work(request, body, layout);
    if (request.front != Area::panes) show_instead_of_details(request.front, layout);
    return layout;
  }
  layout.side_by_side = false;
  if (request.work && request.pane_first) {
    layout.work = body;
    return layout;
  }
  layout.side_by_side = !request.work;
  if (layout.step <= Step::narrow) {
    browse(request, body, layout);
    if (layout.step == Step::narrow) show_instead_of_details(request.front, layout);
    return layout;
  }
  switch (request.front) {
  case Area::images: layout.images = body; break;
  case Area::events: layout.events = body; break;
  case Area::details: layout.details = body; break;
  case Area::panes: layout.panes = body; break;
  case Area::containers:
  case Area::pane: layout.containers = body; break;
  }
  return layout;
}

void PaneTree::add(int pane, int at, bool beside)
{
  auto leaf = std::make_unique<Node>();
  leaf->pane = pane;
  if (!root_) {
    root_ = std::move(leaf);
    return;
  }
  std::unique_ptr<Node>& place = at == 0 || !contains(at) ? root_ : *find(root_, at);
  auto split = std::make_unique<Node>();
  split->beside = beside;
  split->first = std::move(place);
  split->second = std::move(leaf);
  place = std::move(split);
}

std::unique_ptr<PaneTree::Node>* PaneTree::find(std::unique_ptr<Node>& node, int pane)
{
  if (!node) return nullptr;
  if (node->pane == pane) return &node;
  if (auto* found = find(node->first, pane)) return found;
  return find(node->second, pane);
}

bool PaneTree::take(std::unique_ptr<Node>& node, int pane)
{
  if (!node || node->pane != 0) return false;
  for (auto* child : {&node->first, &node->second}) {
    if ((*child)->pane == pane) {
      // The sibling takes the place of both.
      auto sibling = std::move(child == &node->first ? node->second : node->first);
      node = std::move(sibling);
      return true;
    }
    if (take(*child, pane)) return true;
  }
  return false;
}

void PaneTree::remove(int pane)
{
  if (root_ && root_->pane == pane)
    root_.reset();
  else
    take(root_, pane);
}

bool PaneTree::contains(int pane) const
{
  const auto all = panes();
  return std::find(all.begin(), all.end(), pane) != all.end();
}

std::vector<int> PaneTree::panes() const
{
  std::vector<int> numbers;
  for (const auto& [pane, rect] : rects({0, 0, 1000, 1000})) numbers.push_back(pane);
  return numbers;
}

std::vector<std::pair<int, Rect>> PaneTree::rects(Rect area) const
{
  std::vector<std::pair<int, Rect>> all;
  if (root_) collect(*root_, area, all);
  return all;
}

void PaneTree::collect(const Node& node, Rect area, std::vector<std::pair<int, Rect>>& out)
{
  if (node.pane != 0) {
    out.emplace_back(node.pane, area);
    return;
  }
  Rect first = area, second = area;
  if (is_beside(node, area.columns)) {
    first.columns = std::clamp((area.columns + 1) * node.share / 100, pane_columns, area.columns - pane_columns + 1);
    second.column = first.right() - 1;
    second.columns = area.columns - first.columns + 1;
  } else
    stack(area, std::clamp((area.rows + 1) * node.share / 100, 3, std::max(area.rows - 2, 3)), first, second);
  collect(*node.first, first, out);
  collect(*node.second, second, out);
}

int PaneTree::neighbour(int pane, Direction direction, Rect area) const
{
  const auto all = rects(area);
  const auto mine = std::find_if(all.begin(), all.end(), [&](const auto& each) { return each.first == pane; });
  if (mine == all.end()) return 0;
  const Rect here = mine->second;
  for (const auto& [other, rect] : all) {
    const bool rows_meet = rect.row < here.bottom() - 1 && rect.bottom() - 1 > here.row;
    const bool columns_meet = rect.column < here.right() - 1 && rect.right() - 1 > here.column;
    switch (direction) {
    case Direction::left:
      if (rect.right() - 1 == here.column && rows_meet) return other;
      break;
    case Direction::right:
      if (rect.column == here.right() - 1 && rows_meet) return other;
      break;
    case Direction::up:
      if (rect.bottom() - 1 == here.row && columns_meet) return other;
      break;
    case Direction::down:
      if (rect.row == here.bottom() - 1 && columns_meet) return other;
      break;
    }
  }
  return 0;
}

bool PaneTree::is_beside(const Node& node, int columns) { return node.beside && columns >= 2 * pane_columns - 1; }

int PaneTree::across(const Node& node)
{
  if (node.pane != 0) return 1;
  const int first = across(*node.first), second = across(*node.second);
  return node.beside ? first + second : std::max(first, second);
}

int PaneTree::leaves(const Node& node, bool beside, int columns)
{
  if (node.pane != 0 || is_beside(node, columns) != beside) return 1;
  return leaves(*node.first, beside, columns) + leaves(*node.second, beside, columns);
}

void PaneTree::even(Node& node, int columns)
{
  if (node.pane != 0) return;
  const bool beside = is_beside(node, columns);
  const int first = leaves(*node.first, beside, columns), second = leaves(*node.second, beside, columns);
  node.share = 100 * first / (first + second);
  even(*node.first, beside ? columns * node.share / 100 : columns);
  even(*node.second, beside ? columns - columns * node.share / 100 : columns);
}

void PaneTree::even(int columns)
{
  if (root_) even(*root_, columns);
}

void PaneTree::write(const Node& node, std::string& text)
{
  if (node.pane != 0) {
    text += std::to_string(node.pane);
    return;
  }
  text += node.beside ? "(b" : "(s";
  text += std::to_string(node.share) + " ";
  write(*node.first, text);
  text += " ";
  write(*node.second, text);
  text += ")";
}

std::string PaneTree::shape() const
{
  std::string text;
  if (root_) write(*root_, text);
  return text;
}

std::unique_ptr<PaneTree::Node> PaneTree::read(std::string_view& text, int depth)
{
  constexpr int deepest = 50, most_panes = 999;
  const auto take = [&](std::string_view wanted) {
    if (!text.starts_with(wanted)) return false;
    text.remove_prefix(wanted.size());
    return true;
  };
  const auto number = [&](int least, int most) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return error == std::errc{} && value >= least && value <= most ? value : 0;
  };
  auto node = std::make_unique<Node>();
  if (depth > deepest) return nullptr;
  if (!take("(")) {
    node->pane = number(1, most_panes);
    return node->pane != 0 ? std::move(node) : nullptr;
  }
  node->beside = text.starts_with('b');
  if (!take("b") && !take("s")) return nullptr;
  node->share = number(1, 99);
  if (node->share == 0 || !take(" ") || !(node->first = read(text, depth + 1))) return nullptr;
  if (!take(" ") || !(node->second = read(text, depth + 1)) || !take(")")) return nullptr;
  return node;
}

PaneTree PaneTree::from_shape(std::string_view text)
{
  PaneTree tree;
  tree.root_ = read(text, 0);
  const auto panes = tree.panes();
  const bool twice = std::any_of(panes.begin(), panes.end(),
                                 [&](int pane) { return std::count(panes.begin(), panes.end(), pane) > 1; });
  if (!text.empty() || twice) tree.root_.reset();
  return tree;
}

namespace {

enum Arm : std::uint8_t { up = 1, down = 2, left = 4, right = 8 };

} // namespace

Frames::Frames(int rows, int columns) : rows_(rows), columns_(columns)
{
  arms_.assign(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns), 0);
}

void Frames::add(Rect area)
{
  if (area.rows < 2 || area.columns < 2) return;
  const auto mark = [&](int y, int x, unsigned arms) {
    if (y < 0 || x < 0 || y >= rows_ || x >= columns_) return;
    arms_[static_cast<std::size_t>(y) * static_cast<std::size_t>(columns_) + static_cast<std::size_t>(x)] |=
        static_cast<std::uint8_t>(arms);
  };
  const int bottom = area.bottom() - 1, end = area.right() - 1;
  for (int x = area.column + 1; x < end; ++x) {
    mark(area.row, x, left | right);
    mark(bottom, x, left | right);
  }
  for (int y = area.row + 1; y < bottom; ++y) {
    mark(y, area.column, up | down);
    mark(y, end, up | down);
  }
  mark(area.row, area.column, down | right);
  mark(area.row, end, down | left);
  mark(bottom, area.column, up | right);
  mark(bottom, end, up | left);
}

void Frames::draw(Grid& grid, Rect focused, Style plain, Style focus, bool ascii) const
{
  // By arms: up 1, down 2, left 4, right 8.
  constexpr std::array<char32_t, 16> lines{U' ', U'│', U'│', U'│', U'─', U'┘', U'┐', U'┤',
                                           U'─', U'└', U'┌', U'├', U'─', U'┴', U'┬', U'┼'};
  constexpr std::array<char32_t, 16> plain_lines{U' ', U'|', U'|', U'|', U'-', U'+', U'+', U'+',
                                                 U'-', U'+', U'+', U'+', U'-', U'+', U'+', U'+'};
  Canvas canvas{grid, {0, 0, grid.rows(), grid.columns()}};
  for (int y = 0; y < std::min(rows_, grid.rows()); ++y) {
    for (int x = 0; x < std::min(columns_, grid.columns()); ++x) {
      const std::uint8_t arms =
          arms_[static_cast<std::size_t>(y) * static_cast<std::size_t>(columns_) + static_cast<std::size_t>(x)];
      if (arms == 0) continue;
      const bool on_focus = focused.contains(y, x) && !focused.inset(1).contains(y, x);
      const char32_t line = (ascii ? plain_lines : lines)[arms];
      canvas.put(y, x, {&line, 1}, on_focus ? focus : plain);
    }
  }
}

} // namespace conductor::console
