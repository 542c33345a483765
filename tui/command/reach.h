// Who reaches whom, in words: what the verbs of the network print, and the columns of tables.
#pragma once

#include "core/container/links.h"

#include <optional>
#include <string>
#include <vector>

namespace conductor::command {

// "host <-> web (10.83.0.7)", "web -> internet", "host 8080 -> web 80", "web <-> db".
std::vector<std::string> reach_lines(const std::string& name, const LinkView& view);

// "-" where there is nothing.
std::string address_cell(const std::optional<LinkView>& view);
std::string ports_cell(const std::optional<LinkView>& view); // "80-8080, 53-5353/udp"

} // namespace conductor::command
