// HEALTHCHECK: its options and its command. Pure.
#pragma once

#include "core/image/recipe.h"
#include "core/store/configuration.h"

namespace conductor::image {

// Throws Error without the place.
Healthcheck parse_health_check(const Instruction& instruction);

} // namespace conductor::image
