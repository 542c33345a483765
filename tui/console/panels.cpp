#include "tui/console/panels.h"

#include "tui/command/reach.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace conductor::console {
namespace {

// The style of a role in a row that is selected, marked or neither.
struct RowLook {
  const Look& look;
  bool selected, focused;
  Style operator()(Role role) const
  {
    if (!selected) return look(role);
    return look.theme->style(role, focused ? Role::selected : Role::selected_inactive);
  }
};

void print_graph(Canvas canvas, int y, int x, const std::vector<GraphCell>& cells, const RowLook& style)
{
  for (const GraphCell& cell : cells) x = canvas.put(y, x, {&cell.shape, 1}, style(cell.role));
}

void print_cell(Canvas canvas, int y, int x, const Column& column, const ContainerRow& row, const RowLook& style,
                const Look& look)
{
  const auto right = [&](const std::string& text, Role role = Role::text) {
    canvas.print_right(y, x + column.width, text, style(role));
  };
  const auto left = [&](const std::string& text, Role role) {
    canvas.print(y, x, cut_text(text, column.width), style(role), column.width);
  };
  switch (column.what) {
  case Column::What::name: left(row.name, row.marked ? Role::marked : Role::text); break;
  case Column::What::image: left(row.image, Role::muted); break;
  case Column::What::up: left(row.up, Role::text); break;
  case Column::What::cpu: right(row.cpu); break;
  case Column::What::memory: right(row.memory); break;
  case Column::What::pids: right(row.pids); break;
  case Column::What::rx: right(row.rx); break;
  case Column::What::tx: right(row.tx); break;
  case Column::What::graph:
    // Against one CPU, so that rows can be compared; a busier one is full.
    if (row.running && row.picture != nullptr)
      print_graph(canvas, y, x, graph(row.picture->cpu_history, column.width, 100, look.ascii_graphs), style);
    break;
  }
}

bool is_left(Column::What what)
{
  return what == Column::What::name || what == Column::What::image || what == Column::What::up ||
         what == Column::What::graph;
}

} // namespace

void draw_empty(Canvas canvas, const Look& look, const std::string& text)
{
  int y = std::max((canvas.rows() - 3) / 3, 0);
  std::string_view rest = text;
  while (!rest.empty() && y < canvas.rows()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    canvas.print(y++, std::max((canvas.columns() - text_width(line)) / 2, 0), line, look(Role::muted));
  }
}

void keep_in_view(ListCursor& cursor, int index, int rows, int room)
{
  cursor.page = std::max(room, 1);
  if (index < cursor.top) cursor.top = index;
  if (index >= cursor.top + cursor.page) cursor.top = index - cursor.page + 1;
  cursor.top = std::clamp(cursor.top, 0, std::max(rows - cursor.page, 0));
}

void draw_containers(Canvas canvas, const Look& look, const std::vector<ContainerRow>& rows, ListCursor& cursor,
                     bool focused, const std::string& empty)
{
  canvas.fill(look(Role::text));
  if (rows.empty()) {
    draw_empty(canvas, look, empty);
    return;
  }
  int longest_name = 4, longest_image = 5, index = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    longest_name = std::max(longest_name, text_width(rows[i].name));
    longest_image = std::max(longest_image, text_width(rows[i].image));
    if (rows[i].id == cursor.selected) index = static_cast<int>(i);
  }
  // Cursor, mark and state take four columns in front.
  constexpr int front = 4;
  const auto columns = container_columns(canvas.columns() - front - 1, longest_name, longest_image);
  int x = front;
  const Style header = look(Role::header);
  canvas.fill({0, 0, 1, canvas.columns()}, header);
  canvas.print(0, 2, "S", header);
  for (const Column& column : columns) {
    auto title = column_title(column.what);
    if (column.what == Column::What::graph && column.width < 9) title = "60 s";
    if (is_left(column.what))
      canvas.print(0, x, cut_text(title, column.width), header, column.width);
    else
      canvas.print_right(0, x + column.width, title, header);
    x += column.width + 1;
  }
  keep_in_view(cursor, index, static_cast<int>(rows.size()), canvas.rows() - 1);
  for (int y = 1; y < canvas.rows() && cursor.top + y - 1 < static_cast<int>(rows.size()); ++y) {
    const ContainerRow& row = rows[static_cast<std::size_t>(cursor.top + y - 1)];
    const RowLook style{look, cursor.top + y - 1 == index, focused};
    if (style.selected) canvas.fill({y, 0, 1, canvas.columns()}, style(Role::text));
    if (style.selected) canvas.print(y, 0, ">", style(Role::text));
    if (row.marked) canvas.print(y, 1, "x", style(Role::marked));
    canvas.print(y, 2, std::string_view{&row.state, 1}, style(row.state_role));
    x = front;
    for (const Column& column : columns) {
      const bool is_name = column.what == Column::What::name;
      if (!row.reason.empty() && !is_name && column.what != Column::What::image) {
        // What does not run says why, in the room of its figures.
        const int room = canvas.columns() - x - 1;
        canvas.print(y, x, cut_text(row.reason, room), style(row.state_role == Role::bad ? Role::bad : Role::muted),
                     room);
        break;
      }
      print_cell(canvas, y, x, column, row, style, look);
      x += column.width + 1;
    }
  }
}

void draw_images(Canvas canvas, const Look& look, const std::vector<ImageRow>& rows, const std::string& total,
                 ListCursor& cursor, bool focused)
{
  canvas.fill(look(Role::text));
  if (rows.empty()) {
    draw_empty(canvas, look, "no images yet\nb builds one from a file");
    return;
  }
  int index = 0;
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (rows[i].tag == cursor.selected) index = static_cast<int>(i);
  const int width = canvas.columns(), used_columns = std::clamp(width / 3, 6, 12),
            tag_columns = std::max(width - used_columns - 9, 4);
  const Style header = look(Role::header);
  canvas.fill({0, 0, 1, width}, header);
  canvas.print(0, 1, "TAG", header);
  canvas.print_right(0, tag_columns + 7, "SIZE", header);
  canvas.print(0, tag_columns + 8, "USED BY", header);
  const bool foot = canvas.rows() > static_cast<int>(rows.size()) + 2;
  keep_in_view(cursor, index, static_cast<int>(rows.size()), canvas.rows() - 1 - (foot ? 1 : 0));
  for (int y = 1; y <= cursor.page && cursor.top + y - 1 < static_cast<int>(rows.size()); ++y) {
    const ImageRow& row = rows[static_cast<std::size_t>(cursor.top + y - 1)];
    const RowLook style{look, focused && cursor.top + y - 1 == index, focused};
    if (style.selected) canvas.fill({y, 0, 1, width}, style(Role::text));
    if (style.selected) canvas.print(y, 0, ">", style(Role::text));
    canvas.print(y, 1, cut_text(row.tag, tag_columns), style(Role::text), tag_columns);
    canvas.print_right(y, tag_columns + 7, row.size, style(Role::text));
    canvas.print(y, tag_columns + 8, cut_text(row.used_by, used_columns), style(Role::muted));
  }
  if (foot) canvas.print(canvas.rows() - 1, 1, total, look(Role::muted));
}

void draw_events(Canvas canvas, const Look& look, const std::vector<EventRow>& rows, int& scrolled, bool focused)
{
  canvas.fill(look(Role::text));
  if (rows.empty()) draw_empty(canvas, look, "nothing has happened yet");
  scrolled = std::clamp(scrolled, 0, std::max(static_cast<int>(rows.size()) - canvas.rows(), 0));
  for (int y = 0; y < canvas.rows() && scrolled + y < static_cast<int>(rows.size()); ++y) {
    const EventRow& row = rows[static_cast<std::size_t>(scrolled + y)];
    int x = canvas.print(y, 1, canvas.columns() < 34 ? row.time.substr(0, 5) : row.time, look(Role::muted)) + 1;
    const int name_columns = std::clamp((canvas.columns() - x) / 2 - 1, 4, 12);
    canvas.print(y, x, cut_text(row.name, name_columns), look(Role::text), name_columns);
    x += name_columns + 1;
    canvas.print(y, x, cut_text(row.text, canvas.columns() - x), look(row.bad ? Role::bad : Role::text));
  }
  if (focused && scrolled > 0) canvas.print_right(0, canvas.columns(), "^", look(Role::accent));
}

namespace {

constexpr int table_columns_wide = 70; // from here on the tables have all their columns

// "[####......]", its filled part in the role of a meter or, when nearly full, of a warning.
int print_meter(Canvas canvas, int y, int x, int columns, double share, const Look& look)
{
  const int inside = std::max(columns - 2, 1), full = std::clamp(static_cast<int>(share * inside + 0.5), 0, inside);
  x = canvas.print(y, x, "[", look(Role::muted));
  for (int i = 0; i < inside; ++i)
    x = canvas.print(y, x, i < full ? "#" : ".",
                     look(i >= full     ? Role::meter_empty
                          : share > 0.9 ? Role::bad
                                        : Role::meter));
  return canvas.print(y, x, "]", look(Role::muted));
}

std::string limit_text(const std::optional<std::uint64_t>& limit, bool size)
{
  if (!limit) return {};
  return "/" + (size ? size_text(*limit) : std::to_string(*limit));
}

// One row: cpu, memory, pids with their limits.
int draw_limits(Canvas canvas, int y, const Look& look, const ContainerPicture& container)
{
  const Figures& figures = container.figures;
  const auto& limits = container.spec().limits;
  int x = canvas.print(y, 1, "LIMITS", look(Role::header)) + 2;
  x = canvas.print(y, x,
                   limits.cpus ? fmt::format("cpu {:.1f}% of {:g}", figures.cpu_percent, *limits.cpus)
                               : fmt::format("cpu {:.1f}%, no limit", figures.cpu_percent),
                   look(Role::text));
  if (figures.throttled_percent > 0)
    x = canvas.print(y, x, fmt::format(", throttled {:.1f}%", figures.throttled_percent), look(Role::warning));
  x = canvas.print(y, x + 3, "mem ", look(Role::text));
  if (figures.memory_limit_bytes && *figures.memory_limit_bytes > 0)
    x = print_meter(canvas, y, x, 12,
                    static_cast<double>(figures.memory_bytes) / static_cast<double>(*figures.memory_limit_bytes),
                    look) +
        1;
  x = canvas.print(y, x, size_text(figures.memory_bytes) + limit_text(figures.memory_limit_bytes, true),
                   look(Role::text));
  canvas.print(y, x + 3, "pids " + std::to_string(figures.pids) + limit_text(figures.pids_limit, false),
               look(Role::text));
  return y + 1;
}

int draw_processes(Canvas canvas, int y, int last, const Look& look, const Details& details)
{
  const int width = canvas.columns();
  const bool wide = width >= 70, middle = width >= 46;
  // From the right: WCHAN, S, RSS, CPU%, PID.
  const int wchan = wide ? width - 18 : width, state = wchan - 3, memory = state - 1, cpu = memory - 6,
            pid = middle ? cpu - 6 : cpu - 6;
  const int text_end = middle ? pid - 8 : cpu - 6;
  const Style header = look(Role::header);
  canvas.fill({y, 0, 1, width}, header);
  canvas.print(y, 1, "PROCESSES", header);
  if (middle) canvas.print_right(y, pid, "PID", header);
  canvas.print_right(y, cpu, "CPU%", header);
  canvas.print_right(y, memory, "RSS", header);
  canvas.print(y, state, "S", header);
  if (wide) canvas.print(y, wchan, "WCHAN", header);
  ++y;
  const auto rows = process_rows(details, look.ascii_graphs);
  std::size_t shown = 0;
  for (; shown < rows.size() && y < last; ++shown, ++y) {
    // The last row counts what has no room.
    if (y + 1 == last && shown + 1 < rows.size()) break;
    const ProcessRow& row = rows[shown];
    canvas.print(y, 1, cut_text(row.tree, text_end - 1), look(Role::text), text_end - 1);
    if (middle) canvas.print_right(y, pid, row.pid, look(Role::muted));
    canvas.print_right(y, cpu, row.cpu, look(Role::text));
    canvas.print_right(y, memory, row.memory, look(Role::text));
    canvas.print(y, state, std::string_view{&row.state, 1},
                 look(row.state == 'R'                       ? Role::good
                      : row.state == 'D' || row.state == 'Z' ? Role::bad
                                                             : Role::muted));
    if (wide) canvas.print(y, wchan, cut_text(row.wchan, width - wchan), look(Role::muted));
  }
  const std::uint64_t more = rows.size() - shown + details.processes_left_out;
  if (more > 0 && y < canvas.rows()) canvas.print(y++, 1, fmt::format("and {} more", more), look(Role::muted));
  return y;
}

// What passes a link to each of the others, below the link itself.
int draw_uses(Canvas canvas, int y, int last, const Look& look, const std::vector<UseRow>& rows, int rx, int tx)
{
  const int width = canvas.columns();
  const bool wide = width >= table_columns_wide;
  for (std::size_t i = 0; i < rows.size() && y < last; ++i, ++y) {
    if (y + 1 == last && i + 1 < rows.size()) {
      canvas.print(y, 3, fmt::format("and {} more: Right shows the network", rows.size() - i), look(Role::muted));
      return y + 1;
    }
    const UseRow& row = rows[i];
    const bool end = i + 1 == rows.size();
    canvas.print(y, 1, look.ascii_graphs ? (end ? "`-" : "+-") : (end ? "└─" : "├─"), look(Role::muted));
    const std::string what = row.what + (row.allowed ? "" : " (refused)");
    canvas.print(y, 4, cut_text(what, rx - 10), look(row.allowed ? Role::text : Role::muted));
    canvas.print_right(y, rx, row.rx, look(Role::text));
    canvas.print_right(y, tx, row.tx, look(Role::text));
    if (!row.both.empty()) {
      if (wide)
        canvas.print(y, rx + 2, row.both + " both ways", look(Role::text));
      else
        canvas.print_right(y, rx, row.both, look(Role::text));
    }
    canvas.print_right(y, width - 1, row.refused == 0 ? "" : size_text(row.refused), look(Role::warning));
  }
  return y;
}

int draw_interfaces(Canvas canvas, int y, int last, const Look& look, const std::vector<const InterfacePicture*>& all,
                    const std::vector<UseRow>& uses)
{
  const int width = canvas.columns();
  const bool wide = width >= table_columns_wide;
  const Style header = look(Role::header);
  canvas.fill({y, 0, 1, width}, header);
  canvas.print(y, 1, "INTERFACE", header);
  const int host = 12, address = wide ? 22 : 12, rx = wide ? width - 33 : width - 14, graph_columns = 15,
            tx = wide ? width - 10 : width - 7;
  if (wide) canvas.print(y, host, "HOST SIDE", header);
  canvas.print(y, address, "ADDRESS", header);
  canvas.print_right(y, rx, "RX/s", header);
  if (wide) canvas.print(y, rx + 2, "last 60 s", header);
  canvas.print_right(y, tx, "TX/s", header);
  canvas.print_right(y, width - 1, "DROPS", header);
  ++y;
  const RowLook style{look, false, false};
  for (const InterfacePicture* picture : all) {
    const InterfacePicture& each = *picture;
    if (y >= last) break;
    canvas.print(y, 1, cut_text(each.interface.name, 10), look(each.interface.up ? Role::text : Role::muted));
    if (wide)
      canvas.print(y, host, each.interface.host_interface.empty() ? "-" : cut_text(each.interface.host_interface, 11),
                   look(Role::muted));
    const std::string first = each.interface.addresses.empty() ? "-" : each.interface.addresses[0];
    canvas.print(y, address, cut_text(first, rx - address - 6), look(Role::text));
    canvas.print_right(y, rx, rate_text(each.rx_rate), look(Role::text));
    if (wide) print_graph(canvas, y, rx + 2, graph(each.rx_history, graph_columns, 0, look.ascii_graphs), style);
    canvas.print_right(y, tx, rate_text(each.tx_rate), look(Role::text));
    canvas.print_right(y, width - 1, size_text(each.interface.rx_dropped + each.interface.tx_dropped),
                       look(Role::text));
    ++y;
    if (each.interface.name == link_inside) y = draw_uses(canvas, y, last, look, uses, rx, tx);
  }
  return y;
}

void draw_narrow(Canvas canvas, const Look& look, const ContainerPicture& container, const Details* details)
{
  const Figures& figures = container.figures;
  int y = 0;
  const auto meter_row = [&](const char* label, const std::string& value, double share, const std::string& limit) {
    int x = canvas.print(y, 1, fmt::format("{:<5}{:>6}  ", label, value), look(Role::text));
    if (!limit.empty()) {
      x = print_meter(canvas, y, x, 12, share, look);
      canvas.print(y, x + 1, "of " + limit, look(Role::muted));
    }
    ++y;
  };
  std::string address;
  if (details != nullptr)
    for (const auto& each : details->interfaces)
      if (each.interface.name != "lo" && !each.interface.addresses.empty()) address = each.interface.addresses[0];
  canvas.print(y, 1, fmt::format("PID {}  {}", container.status().pid, address), look(Role::muted));
  canvas.print_right(y++, canvas.columns() - 1, "up " + duration_text(container.uptime_seconds), look(Role::muted));
  if (container.health)
    canvas.print(y++, 1, cut_text(health_text(container), canvas.columns() - 2),
                 look(container.health->state == HealthState::unhealthy ? Role::bad : Role::text));
  const auto& limits = container.spec().limits;
  meter_row("cpu", percent_text(figures.cpu_percent) + "%", limits.cpus ? figures.cpu_percent / 100 / *limits.cpus : 0,
            limits.cpus ? fmt::format("{:g}", *limits.cpus) : "");
  if (figures.throttled_percent > 0)
    canvas.print(y++, 1, fmt::format("throttled {:.1f}%", figures.throttled_percent), look(Role::warning));
  const auto& memory = figures.memory_limit_bytes;
  meter_row("mem", size_text(figures.memory_bytes),
            memory && *memory > 0 ? static_cast<double>(figures.memory_bytes) / static_cast<double>(*memory) : 0,
            memory ? size_text(*memory) : "");
  meter_row("pids", std::to_string(figures.pids),
            figures.pids_limit && *figures.pids_limit > 0
                ? static_cast<double>(figures.pids) / static_cast<double>(*figures.pids_limit)
                : 0,
            figures.pids_limit ? std::to_string(*figures.pids_limit) : "");
  if (details == nullptr) return;
  for (const auto& each : details->interfaces) {
    if (each.interface.name == "lo" || y >= canvas.rows()) continue;
    const int x = canvas.print(y, 1,
                               fmt::format("{:<5} rx {:>5} tx {:>5}  ", cut_text(each.interface.name, 5),
                                           rate_text(each.rx_rate), rate_text(each.tx_rate)),
                               look(Role::text));
    print_graph(canvas, y++, x, graph(each.rx_history, canvas.columns() - x - 1, 0, look.ascii_graphs),
                {look, false, false});
  }
  if (y + 2 < canvas.rows()) draw_processes(canvas, y + 1, canvas.rows(), look, *details);
}

void draw_stopped(Canvas canvas, const Look& look, const Snapshot& snapshot, const ContainerPicture& container)
{
  const auto& spec = container.spec();
  std::string command;
  for (const auto& word : spec.process.args) command += (command.empty() ? "" : " ") + word;
  std::string network;
  if (container.link)
    for (const auto& line : command::reach_lines(spec.name, *container.link))
      network += (network.empty() ? "" : ", ") + line;
  const std::string mounts = mounts_text(spec);
  const std::array<std::pair<const char*, std::string>, 7> rows{{
      {"STATE", reason_text(container, snapshot.time_ns)},
      {"IMAGE", spec.image},
      {"COMMAND", command},
      {"NETWORK", network.empty() ? "none" : network},
      {"MOUNTS", mounts.empty() ? "none" : mounts},
      {"CREATED", ago_text(static_cast<std::uint64_t>(
                      std::max<std::int64_t>((snapshot.time_ns - spec.created_ns) / 1'000'000'000, 0)))},
      {"ID", spec.id.substr(0, 12)},
  }};
  int y = 0;
  for (const auto& [label, text] : rows) {
    canvas.print(y, 1, label, look(Role::header));
    canvas.print(y++, 10, cut_text(text, canvas.columns() - 11), look(Role::text));
  }
  canvas.print(y + 1, 1, "s starts it, l shows what it printed, D deletes it", look(Role::muted));
}

} // namespace

void draw_details(Canvas canvas, const Look& look, const Snapshot& snapshot, const ContainerPicture* container,
                  int& scrolled)
{
  canvas.fill(look(Role::text));
  scrolled = 0;
  if (container == nullptr) {
    draw_empty(canvas, look, "nothing is selected");
    return;
  }
  if (container->state == State::created || container->state == State::exited) {
    draw_stopped(canvas, look, snapshot, *container);
    return;
  }
  const Details* details =
      snapshot.details && snapshot.details->id == container->spec().id ? &*snapshot.details : nullptr;
  constexpr int table_columns = 56; // below it the tables have no room for what they are about
  if (canvas.columns() < table_columns) {
    draw_narrow(canvas, look, *container, details);
    return;
  }
  // The last rows say what is mounted and what its checks say, where there is room for that.
  constexpr int rows_with_more = 14, rows_with_bad_news = 6;
  int rows = canvas.rows();
  const auto last_row = [&](const char* label, const std::string& text, Role role) {
    if (text.empty() || canvas.rows() < (role == Role::bad ? rows_with_bad_news : rows_with_more)) return;
    const int x = canvas.print(--rows, 1, label, look(Role::header)) + 2;
    canvas.print(rows, x, cut_text(text, canvas.columns() - x - 1), look(role));
  };
  last_row("MOUNTS", mounts_text(container->spec()), Role::text);
  const bool unhealthy = container->health && container->health->state == HealthState::unhealthy;
  last_row("HEALTH", health_text(*container), unhealthy ? Role::bad : Role::text);
  if (details == nullptr) {
    draw_limits(canvas, rows - 1, look, *container);
    return;
  }
  // The limits keep the last row, the interfaces what they need above it, the processes the rest.
  const auto uses = use_rows(snapshot, *container);
  const bool low = rows < 12;
  std::vector<const InterfacePicture*> links;
  for (const auto& each : details->interfaces)
    // A container's talk to itself gives way to who talks to it.
    if (!low || each.interface.name != "lo" || details->interfaces.size() == 1) links.push_back(&each);
  const int interfaces =
      std::min(static_cast<int>(links.size() + uses.size()) + 1, std::max(low ? rows / 2 - 1 : rows / 2, 2));
  const int processes_end = std::max(rows - interfaces - (low ? 1 : 3), 2);
  int y = draw_processes(canvas, 0, processes_end, look, *details);
  if (!details->problem.empty() && y < rows)
    canvas.print(y++, 1, cut_text(details->problem, canvas.columns() - 2), look(Role::warning));
  y = std::max(std::min(y + 1, rows - interfaces - 2), y);
  if (y + 1 < rows) y = draw_interfaces(canvas, y, rows - 1, look, links, uses);
  if (y < rows) draw_limits(canvas, std::min(y + 1, rows - 1), look, *container);
}

} // namespace conductor::console
