// The network as the kernel tells it by rtnetlink: what the programs hand to the engine as its Network.
#pragma once

#include "core/base/trace.h"
#include "core/network.h"

#include <memory>

namespace conductor {

// Opens nothing yet; the trace must outlive it. One thread at a time may use it.
std::unique_ptr<Network> make_network(Trace& trace);

} // namespace conductor
