// An overlay of layers, detached, on every kernel that we run on.
//
// Newer kernels (6.15) make one by descriptors alone. Older ones want each layer mounted in the maker's namespace and
// all of them named in one page of options; there a short-lived process does it in a mount namespace of its own, with
// links of two or three characters for the layers, and hands the result over.
#pragma once

#include "core/base/handle.h"
#include "core/kernel/mount.h"
#include "core/store/root.h"

namespace conductor {

// request.tree: a detached clone of the root directory, or the root directory itself. Throws Error.
Fd make_overlay(const Root& root, const kernel::OverlayRequest& request);

} // namespace conductor
