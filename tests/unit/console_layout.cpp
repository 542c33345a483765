// The layout at every size: areas stay on the screen, share frames, and leave in the order that was decided.
#include "tui/console/layout.h"

#include <gtest/gtest.h>

using namespace conductor::console;

namespace {

std::vector<Rect> shown(const Layout& layout)
{
  std::vector<Rect> all;
  for (const Rect& area : {layout.title, layout.containers, layout.images, layout.events, layout.details, layout.panes,
                           layout.work, layout.message, layout.hint})
    if (!area.empty()) all.push_back(area);
  return all;
}

} // namespace

TEST(ConsoleLayout, NothingReachesOutsideTheScreenAtAnySize)
{
  for (int rows = 1; rows <= 70; ++rows)
    for (int columns = 1; columns <= 220; columns += 3)
      for (const bool work : {false, true})
        for (const bool first : {false, true})
          for (const Rect& area :
               shown(lay_out({.rows = rows, .columns = columns, .work = work, .pane_first = first}))) {
            EXPECT_GE(area.row, 0);
            EXPECT_GE(area.column, 0);
            EXPECT_LE(area.bottom(), rows);
            EXPECT_LE(area.right(), columns);
          }
}

TEST(ConsoleLayout, BrowsingShowsEverythingAt120x35)
{
  const Layout layout = lay_out({.rows = 35, .columns = 120});
  EXPECT_EQ(layout.step, Step::full);
  for (const Area area : {Area::containers, Area::images, Area::events, Area::details})
    EXPECT_FALSE(layout.of(area).empty());
  EXPECT_EQ(layout.containers.right() - 1, layout.images.column);
  EXPECT_EQ(layout.containers.bottom() - 1, layout.details.row);
}

TEST(ConsoleLayout, AShellGetsExactly80ColumnsAt120)
{
  const Layout layout = lay_out({.rows = 35, .columns = 120, .work = true});
  EXPECT_EQ(layout.work.inset(1).columns, 80);
  EXPECT_TRUE(layout.side_by_side);
  EXPECT_FALSE(layout.containers.empty());
}

TEST(ConsoleLayout, At80x24ItIsListOrPane)
{
  const Layout list = lay_out({.rows = 24, .columns = 80, .work = true});
  EXPECT_TRUE(list.work.empty());
  EXPECT_FALSE(list.containers.empty());
  const Layout pane = lay_out({.rows = 24, .columns = 80, .work = true, .pane_first = true});
  EXPECT_TRUE(pane.containers.empty());
  EXPECT_EQ(pane.work.columns, 80);
}

TEST(ConsoleLayout, SmallSizesKeepTheList)
{
  EXPECT_EQ(lay_out({.rows = 16, .columns = 60}).step, Step::small);
  EXPECT_EQ(lay_out({.rows = 10, .columns = 40}).step, Step::tiny);
  EXPECT_EQ(lay_out({.rows = 9, .columns = 40}).step, Step::line);
  EXPECT_FALSE(lay_out({.rows = 10, .columns = 40}).containers.empty());
  EXPECT_FALSE(lay_out({.rows = 10, .columns = 40, .front = Area::events}).events.empty());
}

TEST(ConsoleLayout, PanesSplitMoveAndClose)
{
  PaneTree tree;
  tree.add(4, 0, false);
  tree.add(5, 4, false);
  tree.add(6, 5, true);
  const Rect area{1, 38, 30, 2 * pane_columns - 1};
  EXPECT_EQ(tree.panes(), (std::vector<int>{4, 5, 6}));
  EXPECT_EQ(tree.neighbour(4, PaneTree::Direction::down, area), 5);
  EXPECT_EQ(tree.neighbour(5, PaneTree::Direction::right, area), 6);
  EXPECT_EQ(tree.neighbour(6, PaneTree::Direction::up, area), 4);
  EXPECT_EQ(tree.neighbour(4, PaneTree::Direction::left, area), 0);
  tree.remove(5);
  EXPECT_EQ(tree.panes(), (std::vector<int>{4, 6}));
  tree.remove(4);
  tree.remove(6);
  EXPECT_TRUE(tree.empty());
}

TEST(ConsoleLayout, PanesFillTheirAreaAndShareFrames)
{
  PaneTree tree;
  tree.add(1, 0, false);
  tree.add(2, 1, true);
  const auto all = tree.rects({0, 0, 20, 170});
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].second.right() - 1, all[1].second.column);
  EXPECT_EQ(all[1].second.right(), 170);
}

TEST(ConsoleLayout, PanesAreStackedUntilEachCanHave80Columns)
{
  PaneTree tree;
  tree.add(1, 0, false);
  tree.add(2, 1, true);
  tree.add(3, 2, true);
  EXPECT_EQ(tree.across(), 3);
  for (int columns = 20; columns < 300; ++columns) {
    tree.even(columns);
    const auto all = tree.rects({0, 0, 60, columns});
    for (const auto& [pane, rect] : all)
      EXPECT_TRUE(rect.columns == columns || rect.columns >= pane_columns) << pane << " of " << columns;
    const auto side_by_side =
        std::count_if(all.begin(), all.end(), [](const auto& each) { return each.second.row == 0; });
    EXPECT_EQ(side_by_side, columns >= 244 ? 3 : columns >= 163 ? 2 : 1) << columns;
    if (columns < 163) {
      EXPECT_NEAR(all[0].second.rows, 20, 1) << "a third each";
    }
  }
}

TEST(ConsoleLayout, TheListGivesWayToASecondPaneAt201Columns)
{
  for (const int columns : {120, 163, 200})
    EXPECT_EQ(lay_out({.rows = 55, .columns = columns, .work = true, .across = 2}).work.columns, pane_columns);
  EXPECT_EQ(lay_out({.rows = 55, .columns = 201, .work = true, .across = 2}).work.columns, 163);
  EXPECT_EQ(lay_out({.rows = 55, .columns = 201, .work = true, .across = 2}).containers.columns, 39);
}

TEST(ConsoleLayout, EvenGivesThreeStackedPanesAThirdEach)
{
  PaneTree tree;
  tree.add(1, 0, false);
  tree.add(2, 1, false);
  tree.add(3, 2, false);
  tree.even(80);
  const auto all = tree.rects({0, 0, 31, 80});
  EXPECT_NEAR(all[0].second.rows, 11, 1);
  EXPECT_NEAR(all[2].second.rows, 11, 1);
}

TEST(ConsoleLayout, FramesThatTouchGetJunctions)
{
  Grid grid{3, 5};
  Frames frames{3, 5};
  frames.add({0, 0, 3, 3});
  frames.add({0, 2, 3, 3});
  frames.draw(grid, {}, {}, {}, false);
  EXPECT_EQ(grid.row(0)[2].text[0], U'┬');
  EXPECT_EQ(grid.row(2)[2].text[0], U'┴');
  EXPECT_EQ(grid.row(0)[0].text[0], U'┌');
  EXPECT_EQ(grid.row(1)[2].text[0], U'│');
}

TEST(ConsoleGrid, ControlCharactersAreShownAndNothingElseHappens)
{
  Grid grid{1, 20};
  Canvas canvas{grid, {0, 0, 1, 20}};
  canvas.print(0, 0, "a\x1b[31mb\xff", {});
  std::string text;
  for (const auto& cell : grid.row(0)) text += static_cast<char>(cell.text[0] == 0 ? ' ' : cell.text[0]);
  EXPECT_EQ(text.substr(0, 14), "a\\x1b[31mb\\xff");
}

TEST(ConsoleGrid, HalfOfAWideCharacterNeverRemains)
{
  Grid grid{1, 4};
  Canvas canvas{grid, {0, 0, 1, 4}};
  canvas.print(0, 0, "漢字", {});
  canvas.print(0, 1, "x", {});
  EXPECT_EQ(grid.row(0)[0].text[0], U' ');
  EXPECT_FALSE(grid.row(0)[0].style.has(flag::wide_lead));
  EXPECT_EQ(canvas.print(0, 3, "漢", {}), 3);
}

TEST(ConsoleGrid, TextIsCutWithTwoDots)
{
  EXPECT_EQ(cut_text("container", 9), "container");
  EXPECT_EQ(cut_text("container", 7), "conta..");
  EXPECT_EQ(cut_text("漢字漢字", 7), "漢字..");
}

TEST(ConsoleGrid, LongTextIsWrappedAtBlanksAndNothingIsLost)
{
  using Rows = std::vector<std::string>;
  EXPECT_EQ(wrap_text("", 10), Rows{""});
  EXPECT_EQ(wrap_text("no image is called so", 11), (Rows{"no image is", "called so"}));
  EXPECT_EQ(wrap_text("a container", 9), (Rows{"a", "container"}));
  EXPECT_EQ(wrap_text("a longestword b", 6), (Rows{"a", "longes", "tword", "b"}));
  EXPECT_EQ(wrap_text("漢字漢字", 5), (Rows{"漢字", "漢字"}));
  EXPECT_EQ(wrap_text("x\x1b[m", 4), (Rows{"x\\x1", "b[m"}));
}

TEST(ConsoleLayout, WhatHasTheFocusIsOnTheScreenBesideAShell)
{
  for (const Area area : {Area::containers, Area::images, Area::events, Area::details, Area::panes})
    for (const auto& [rows, columns] : {std::pair{35, 120}, {24, 80}, {16, 60}, {10, 40}})
      EXPECT_FALSE(
          lay_out({.rows = rows, .columns = columns, .work = true, .front = area, .listed_panes = 1}).of(area).empty())
          << static_cast<int>(area) << " at " << columns;
}
