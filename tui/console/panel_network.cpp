// The map of the network: left how one gets in, in the middle the containers, right whom they reach.
#include "tui/command/reach.h"
#include "tui/console/panels.h"

#include <fmt/format.h>

#include <algorithm>

namespace conductor::console {
namespace {

constexpr int map_columns_least = 56; // below, the map becomes lines of words
constexpr int arrow_columns = 4;

// How wide each column of the map is.
struct Widths {
  int outer = 9, inner = 0, name = 9, address = 0; // "HOST PORT", "CONTAINER"

  Widths(const std::vector<MapRow>& rows, int columns)
  {
    for (const MapRow& row : rows) {
      outer = std::max(outer, text_width(row.outer));
      inner = std::max(inner, text_width(row.inner));
      name = std::max(name, text_width(row.name));
      address = std::max(address, text_width(row.address));
    }
    outer = std::min(outer, 24);
    inner = std::min(inner, 12);
    name = std::min(name, 20);
    // Whom it reaches is what the map is for: the address gives way.
    if (columns - reaches() < 18) address = 0;
  }
  int container() const { return 2 + outer + 1 + arrow_columns + 1 + (inner > 0 ? inner + 1 : 0); }
  int reaches() const { return container() + name + 2 + (address > 0 ? address + 2 : 0); }
};

void draw_map_row(Canvas canvas, int y, const Look& look, const MapRow& row, const Widths& widths, bool selected)
{
  const auto style = [&](Role role) {
    return selected ? look.theme->style(row.running ? role : Role::muted, Role::selected_inactive)
                    : look(row.running ? role : Role::muted);
  };
  if (selected) canvas.fill({y, 0, 1, canvas.columns()}, style(Role::text));
  if (selected && !row.name.empty()) canvas.print(y, 0, ">", style(Role::text));
  const int container = widths.container(), reaches = widths.reaches();
  if (!row.outer.empty()) {
    int x = canvas.print(y, 2, cut_text(row.outer, widths.outer), style(Role::text)) + 1;
    const int end = container - 1 - (widths.inner > 0 ? text_width(cut_text(row.inner, widths.inner)) + 1 : 0);
    const char32_t line = look.ascii_borders ? U'-' : U'─';
    while (x < end - 1) x = canvas.put(y, x, {&line, 1}, style(Role::muted));
    x = canvas.print(y, x, ">", style(Role::muted));
    canvas.print(y, end + 1, cut_text(row.inner, widths.inner), style(Role::text));
  }
  canvas.print(y, container, cut_text(row.name, widths.name), style(Role::accent));
  if (widths.address > 0)
    canvas.print(y, container + widths.name + 2, cut_text(row.address, widths.address), style(Role::muted));
  if (row.to.empty()) {
    if (!row.name.empty() && row.running) canvas.print(y, reaches, "the host only", style(Role::muted));
    return;
  }
  const Role role = row.refused ? Role::warning : Role::text;
  int x = canvas.print(y, reaches, row.arrow, style(role)) + 1;
  const int figure = text_width(row.figure);
  x = canvas.print(y, x, cut_text(row.to, std::max(canvas.columns() - x - figure - 2, 4)), style(role)) + 1;
  canvas.print(y, x, row.figure, style(row.refused ? Role::warning : Role::muted));
}

// Rows of the selected container stay in view; of the others what has room around them.
int first_shown(const std::vector<MapRow>& rows, const std::string& id, int room)
{
  int first = 0, last = 0;
  for (int i = 0; i < static_cast<int>(rows.size()); ++i) {
    if (rows[static_cast<std::size_t>(i)].id != id) continue;
    if (!rows[static_cast<std::size_t>(i)].name.empty()) first = i;
    last = i;
  }
  const int top = std::min(std::max(last - room + 1, 0), first);
  return std::clamp(top, 0, std::max(static_cast<int>(rows.size()) - room, 0));
}

std::string joined(const std::vector<std::string>& names)
{
  std::string all;
  for (const auto& name : names) all += (all.empty() ? "" : ", ") + name;
  return all;
}

// Below the map: what it means, and who is not in it.
std::vector<std::string> foot_lines(const Snapshot& snapshot, const ContainerPicture* selected)
{
  std::vector<std::string> lines;
  if (selected != nullptr && !selected->link && selected->spec().network != NetworkMode::host)
    lines.push_back(selected->spec().name + " is connected to nothing: a connects it, p makes it a peer");
  const std::string id = lines.empty() ? "" : selected->spec().id; // is told
  // A console that only looks may not ask the kernel this.
  if (const auto& problem = snapshot.network.problem; !problem.empty())
    lines.push_back("rates and refusals are not to be seen: " + problem);
  if (const auto rest = unconnected(snapshot, id); !rest.empty()) lines.push_back("not connected: " + joined(rest));
  lines.emplace_back("each of these and the host talk; containers only with their peers (<->)");
  return lines;
}

// Returns the row below.
int draw_refusals(Canvas canvas, const Look& look, const Snapshot& snapshot, const ContainerPicture* selected,
                  const std::vector<RefusalPicture>& refusals, int most)
{
  int y = 0;
  for (std::size_t i = 0; i < refusals.size() && y < most; ++i, ++y) {
    const bool last = y + 1 == most && i + 1 < refusals.size();
    const auto& each = refusals[i];
    const std::string id = selected != nullptr ? selected->spec().id : "";
    const bool concerns = each.from_id == id || each.to_id == id;
    const std::string more = last ? fmt::format("  (and {} more)", refusals.size() - i - 1) : "";
    const int room = canvas.columns() - 2 - text_width(more);
    const int x = canvas.print(y, 1, cut_text(refusal_text(snapshot, each, id), room),
                               look(concerns ? Role::warning : Role::text));
    canvas.print(y, x, more, look(Role::muted));
  }
  return y;
}

// Beside panes there is no room for columns: the selected container in words, then the others.
void draw_words(Canvas canvas, const Look& look, const Snapshot& snapshot, const ContainerPicture* selected,
                const std::vector<RefusalPicture>& refusals)
{
  int y = 0;
  const auto say = [&](const std::string& text, Role role) {
    for (const auto& part : wrap_text(text, canvas.columns() - 2))
      if (y < canvas.rows()) canvas.print(y++, 1, part, look(role));
  };
  const auto tell = [&](const ContainerPicture& each, Role role) {
    if (each.link)
      for (const auto& line : command::reach_lines(each.spec().name, *each.link)) say(line, role);
  };
  if (selected != nullptr) tell(*selected, Role::text);
  for (const auto& each : refusals) say(refusal_text(snapshot, each), Role::warning);
  if (selected != nullptr && !selected->link) say(foot_lines(snapshot, selected)[0], Role::text);
  for (const auto& each : snapshot.containers)
    if (&each != selected) tell(each, Role::muted);
}

} // namespace

void draw_network(Canvas canvas, const Look& look, const Snapshot& snapshot, const ContainerPicture* selected,
                  const std::vector<RefusalPicture>& refusals)
{
  canvas.fill(look(Role::text));
  const auto rows = map_rows(snapshot);
  if (rows.empty() && refusals.empty()) {
    draw_empty(canvas, look,
               selected == nullptr ? "no container is connected to anything"
                                   : "no container is connected to anything\n\na connects " + selected->spec().name +
                                         " to the host, the internet, by ports\np lets two containers talk");
    return;
  }
  if (canvas.columns() < map_columns_least) {
    draw_words(canvas, look, snapshot, selected, refusals);
    return;
  }
  int y = draw_refusals(canvas, look, snapshot, selected, refusals, std::max(canvas.rows() / 3, 1));
  const Widths widths{rows, canvas.columns()};
  const Style header = look(Role::header);
  canvas.fill({y, 0, 1, canvas.columns()}, header);
  canvas.print(y, 2, "HOST PORT", header);
  canvas.print(y, widths.container(), "CONTAINER", header);
  canvas.print(y++, widths.reaches(), "REACHES", header);
  // The foot gives way to the map, its least important line first.
  auto foot = foot_lines(snapshot, selected);
  const auto room = [&] { return canvas.rows() - y - static_cast<int>(foot.size()); };
  while (foot.size() > 1 && room() < static_cast<int>(rows.size())) foot.pop_back();
  if (room() < std::min(static_cast<int>(rows.size()), 2)) foot.clear();
  const std::string id = selected != nullptr ? selected->spec().id : "";
  const int top = first_shown(rows, id, room());
  const int shown = std::min(static_cast<int>(rows.size()) - top, std::max(room(), 0));
  for (int i = top; i < top + shown; ++i, ++y) {
    const MapRow& row = rows[static_cast<std::size_t>(i)];
    draw_map_row(canvas, y, look, row, widths, row.id == id);
  }
  if (top + shown < static_cast<int>(rows.size()))
    canvas.print_right(y - 1, canvas.columns(), " more below", look(Role::accent));
  if (top > 0 && shown > 1) canvas.print_right(y - shown, canvas.columns(), " more above", look(Role::accent));
  y = canvas.rows() - static_cast<int>(foot.size());
  for (const auto& line : foot) canvas.print(y++, 1, cut_text(line, canvas.columns() - 2), look(Role::muted));
}

} // namespace conductor::console
