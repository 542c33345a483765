// HEALTHCHECK: its options and its command. Pure.
#pragma once

#include "core/image/recipe.h"
#include "core/store/configuration.h"

#include <cstdint>
#include <string_view>

namespace conductor::image {

// Throws Error without the place.
Healthcheck parse_health_check(const Instruction& instruction);

// "1m30s", "500ms", "1.5h" in nanoseconds, as Go writes durations. Throws Error.
int64_t parse_duration(std::string_view text);

} // namespace conductor::image
