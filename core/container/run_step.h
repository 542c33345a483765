// One RUN step of a build: a container like any other that lives as long as one command.
#pragma once

#include "core/container/id_range.h"
#include "core/container/links.h"
#include "core/container/rootfs.h"
#include "core/container/spec.h"
#include "core/store/root.h"

#include "core/base/handle.h"

#include <string>

namespace conductor {

// Runs spec.process on spec.layers with `rw` (a directory relative to the root directory; upper/ and work/ are made in
// it) as the writable layer, stdin empty, no environment but spec's. What it prints goes to trace.output(). Returns how
// it ended; all that was made in the kernel is gone then, and rw/upper holds the new layer with the image's own ids.
// Throws Error when it cannot be started (status 126 or 127 when the command is the reason).
// mounts: what it sees besides; the places that are made for them in the layer are taken away again. links: it reaches
// the internet by a link of its own, as a container does after addnetwork -i; null: it does not.
ExitStatus run_step(const Root& root, const Spec& spec, const std::string& rw, const IdPool& pool = {},
                    std::vector<StepMount> mounts = {}, Links* links = nullptr);

} // namespace conductor
