// How it is found out whether a container does what it is for. A plain value, of images and of containers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace conductor {

struct Healthcheck {
  std::vector<std::string> test; // {"NONE"}, {"CMD", ...}, {"CMD-SHELL", line}
  int64_t interval_ns = 0, timeout_ns = 0, start_period_ns = 0, start_interval_ns = 0; // 0: the default
  int64_t retries = 0;
  std::vector<std::string> shell; // a container's: what runs the line of CMD-SHELL; empty: /bin/sh -c
  bool operator==(const Healthcheck&) const = default;
};

} // namespace conductor
