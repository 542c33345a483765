// CPU and memory of the host.
#pragma once

#include "core/base/handle.h"
#include "core/snapshot/parse.h"
#include "core/snapshot/read_text.h"
#include "core/snapshot/snapshot.h"

namespace conductor {

class HostReader {
public:
  HostReader();
  // cpu_percent is that since the call before, 0 at the first.
  HostPicture read(TextReader& text);

private:
  Fd stat_, memory_;
  int cpus_ = 1;
  CpuTimes before_;
};

} // namespace conductor
