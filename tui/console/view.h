// From a picture of the world to rows of text: what is shown, in which order, in which words. Pure: no colours, no
// screen, no clock. Roles say what a text means; the theme says how that looks.
#pragma once

#include "core/snapshot/snapshot.h"
#include "tui/command/verbs.h"
#include "tui/console/theme.h"

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace conductor::console {

// ---- figures as people read them

std::string size_text(std::uint64_t bytes);       ///< "0", "840K", "7.8M", "1.1G": at most 5 columns
std::string rate_text(double bytes_per_second);   ///< the same; "0" below one byte
std::string percent_text(double percent);         ///< "38.2", "0.0", "212"
std::string duration_text(std::uint64_t seconds); ///< "41s", "5m", "2h14m", "3d02h": seconds only below a minute
std::string ago_text(std::uint64_t seconds);      ///< "now", "3 min ago", "2 h ago"
std::string clock_text(std::int64_t realtime_ns, bool with_seconds); ///< local time, "14:02"

/// One character of a graph and its role (graph_1 low ... graph_4 high).
struct GraphCell {
  char32_t shape;
  Role role;
};
/// The newest `columns` values, each cell the highest of its share of the time. `full`: the value of a full column, 0
/// for the highest value shown. Blank where nothing was measured.
std::vector<GraphCell> graph(const History& history, int columns, double full, bool ascii);

// ---- containers

struct ContainerRow {
  std::string id, name, image;
  char state = ' '; ///< * runs, ! runs and is unhealthy, = paused, o exited, . created
  Role state_role = Role::text;
  std::string up, cpu, memory, pids, rx, tx;
  std::string reason; ///< in words, for one that does not run: shown instead of figures
  bool marked = false, running = false, paused = false;
  const ContainerPicture* picture = nullptr; ///< into the snapshot that the rows were made from
};

enum class Sort : char { name, cpu, memory, pids, age, state };
std::string_view sort_name(Sort sort);

struct ListWish {
  std::string filter; ///< shown are rows whose name, image or state contains it, whatever the case
  Sort sort = Sort::name;
  bool reverse = false;
  std::set<std::string> marked; ///< ids
};
/// Is what an action needs a container, and may it be this one?
bool about_container(command::Needs needs);
bool suits(command::Needs needs, const ContainerRow& row);
std::vector<ContainerRow> container_rows(const Snapshot& snapshot, const ListWish& wish);
/// Why it does not run, in words: "exit 137: out of memory, 3 min ago".
std::string reason_text(const ContainerPicture& container, std::int64_t now_ns);

/// What its checks say: "unhealthy, 3 failed in a row: connection refused"; empty for one that nobody checks.
std::string health_text(const ContainerPicture& container);

/// What is mounted in it, in words: "/data = data, /srv = /home/x (read-only), /run in memory"; empty for nothing.
std::string mounts_text(const Spec& spec);

/// One column of the table of containers at a given width.
struct Column {
  enum class What : char { name, image, up, cpu, graph, memory, pids, rx, tx } what;
  int width;
};
/// What fits into `columns`, by priority: names are never cut to nothing.
std::vector<Column> container_columns(int columns, int longest_name, int longest_image);
std::string_view column_title(Column::What what);

// ---- the rest

struct ImageRow {
  std::string id, tag, size, used_by;
};
std::vector<ImageRow> image_rows(const Snapshot& snapshot);
std::string images_total(const Snapshot& snapshot); ///< "929M in 5 images"

struct EventRow {
  std::string time, name, text;
  bool bad = false;
};
std::vector<EventRow> event_rows(const Snapshot& snapshot);

/// Processes as a tree: each row's text begins with its branches.
struct ProcessRow {
  std::string tree, pid, cpu, memory, wchan;
  char state;
};
std::vector<ProcessRow> process_rows(const Details& details, bool ascii);

/// Left and right part of the title line.
std::pair<std::string, std::string> title_texts(const Snapshot& snapshot, bool read_only, int columns);

} // namespace conductor::console
