// What a container may use: the table of the limits that its control group keeps.
//
// A row is one limit: the option that asks for it, the controller that keeps it, its file in v2 and in v1, and its
// value as each of them writes it. Setting, changing, rolling back, reading and refusing are the same few lines for all
// rows. Sources: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/ of the kernel.
#pragma once

#include "core/base/error.h"
#include "core/container/limits.h"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace conductor::kernel {

enum class Hierarchy : char { v1, v2 };

struct LimitRow {
  struct Place {
    std::string_view controller;
    std::array<std::string_view, 2> files; // the first that the kernel has
    std::string_view none;                 // what takes the limit away
  };
  std::string_view option; // without its dashes
  Place v1, v2;
  // The value as it is written; none when nothing is wanted. Not of rates.
  std::optional<std::string> (*text)(const Limits&, Hierarchy, std::string_view file) = nullptr;
  // Puts what the kernel says into the limits. Rows above have been read. Not of rates.
  void (*read)(Limits&, Hierarchy, std::string_view file, std::string_view text) = nullptr;
  std::vector<DeviceRate> Limits::*rates = nullptr;
  std::string_view key = {};                 // of rates in v2's io.max
  bool (*is_asked)(const Limits&) = nullptr; // a limit that follows from another is not missed where it cannot be
  std::string_view absent = {};              // what it means that the controller is there and the file is not

  const Place& place(Hierarchy hierarchy) const { return hierarchy == Hierarchy::v1 ? v1 : v2; }
  // Whether the user said something of it, so that a host that cannot keep it must refuse.
  bool asks(const Limits& limits) const;
  // Whether there is something to write for it, asked for or following from another.
  bool follows(const Limits& limits) const;
};
std::span<const LimitRow> limit_rows();

// One write into a file of a group, and the write that takes it back.
struct LimitChange {
  std::string value, back;
};
// What leads from `before` to `wanted` in this row, and nothing where they are the same. Throws Error for a device that
// is no whole disk.
std::vector<LimitChange> limit_changes(const LimitRow& row, Hierarchy hierarchy, std::string_view file,
                                       const Limits& before, const Limits& wanted);
// Whether this row's change must come before those of the rows above: v1 refuses memory above memory and swap together
// at any moment, so the larger one is raised first.
bool goes_first(const LimitRow& row, Hierarchy hierarchy, const Limits& before, const Limits& wanted);
// Reads one row's file into `limits`.
void read_limit(const LimitRow& row, Hierarchy hierarchy, std::string_view file, std::string_view text, Limits& limits);

// What is said where a host cannot keep a limit: its controller is missing, or is there without the row's file.
Error cannot_keep(const LimitRow& row, bool has_controller);

// Throws a usage Error for what can be kept nowhere.
void check_limits(const Limits& limits);
// Throws Error for what this host lacks: controllers, CPUs, memory nodes, disks. Changes nothing.
void check_limits_here(const Limits& limits);
// What is kept but has no effect on this host as it is now, a sentence each.
std::vector<std::string> limit_remarks(const Limits& limits);

// Whether the text of cgroup.controllers ("cpuset cpu io memory pids\n") names this one.
bool names_controller(std::string_view text, std::string_view controller);

// "0-3,5" -> {0, 1, 2, 3, 5}; none when it is no such list, or has a number above 8191.
std::optional<std::vector<unsigned>> parse_cpu_list(std::string_view text);

} // namespace conductor::kernel
