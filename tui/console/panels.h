// The panels left and right of the divider: rows of the view, drawn in the roles of the theme.
#pragma once

#include "tui/console/network_view.h"
#include "tui/console/view.h"

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace conductor::console {

/// How to draw: the theme, and whether this terminal shows block elements.
struct Look {
  const Theme* theme;
  bool ascii_borders = false, ascii_graphs = false;
  Style operator()(Role role) const { return theme->style(role); }
};

/// A cursor in a list. What is selected is an id, not a place, so that it stays the same when rows move.
struct ListCursor {
  std::string selected; ///< id of the row; empty: the first one
  int top = 0;          ///< first row shown
  int page = 1;         ///< rows that fit, as of the last drawing
};

void draw_containers(Canvas canvas, const Look& look, const std::vector<ContainerRow>& rows, ListCursor& cursor,
                     bool focused, const std::string& empty);
void draw_images(Canvas canvas, const Look& look, const std::vector<ImageRow>& rows, const std::string& total,
                 ListCursor& cursor, bool focused);
void draw_events(Canvas canvas, const Look& look, const std::vector<EventRow>& rows, int& scrolled, bool focused);
/// The tabs of the details: what draw_details and draw_network show.
inline constexpr std::array<std::string_view, 2> tabs{"Overview", "Network"};
/// Everything about one container, in a narrow form where it has no room for tables.
void draw_details(Canvas canvas, const Look& look, const Snapshot& snapshot, const ContainerPicture* container,
                  int& scrolled);

/// Who may talk to whom, and who was refused: a map of all, with the selected one in view. `refusals` in the order in
/// which they are told.
void draw_network(Canvas canvas, const Look& look, const Snapshot& snapshot, const ContainerPicture* selected,
                  const std::vector<RefusalPicture>& refusals);

/// Lines of help where there are no rows, centred a little above the middle.
void draw_empty(Canvas canvas, const Look& look, const std::string& text);

/// Keeps the selected row in view.
void keep_in_view(ListCursor& cursor, int index, int rows, int room);

} // namespace conductor::console
