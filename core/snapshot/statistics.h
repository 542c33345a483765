// The pictures for verbs that print once and end: ps, stats, top; and their JSON (CLI.md).
#pragma once

#include "core/container/links.h"
#include "core/network.h"
#include "core/snapshot/snapshot.h"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace conductor {

struct Stats {
  std::string name, id;
  Figures figures;
  std::vector<Interface> interfaces; // as the container sees them
};

// Measures twice with `interval` between, for the rates. Containers that do not run are left out, as are those that end
// meanwhile.
std::vector<Stats> statistics(const Root& root, Network& network, const std::vector<Container>& containers,
                              std::chrono::milliseconds interval);

// The processes of a running container, by their pid inside; empty when it does not run. interval as above; 0: the
// average over each process's life.
std::vector<ProcessInfo> processes(const Root& root, const Container& container, std::chrono::milliseconds interval);

// One JSON document each, without a newline at the end. `networks` of ps is empty for a container without links.
std::string ps_json(const Root& root, const std::vector<Container>& containers);
// One element of that: what `inspect` begins with.
std::string summary_json(const Root& root, const Container& container);
// An element of `networks` there.
std::string link_json(const LinkView& view);
std::string stats_json(const std::vector<Stats>& stats);
std::string top_json(const std::vector<ProcessInfo>& processes);

// The command as a person would have typed it, quoted where needed: /bin/sh -c 'a b'.
std::string command_line(const std::vector<std::string>& args);

} // namespace conductor
