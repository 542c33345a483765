// A state and a runtime directory below a temporary one, gone with the test. Needs no root.
#pragma once

#include "core/base/error.h"
#include "core/store/root.h"

#include <cerrno>
#include <cstdlib>
#include <string>

#include <ftw.h>
#include <unistd.h>

namespace conductor::testing {

class TemporaryDirectory {
public:
  TemporaryDirectory()
  {
    if (::mkdtemp(path_.data()) == nullptr) throw Error{"make a temporary directory", errno};
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory()
  {
    ::nftw(
        path_.c_str(), [](const char* path, const struct stat*, int, FTW*) { return ::remove(path); }, 16,
        FTW_DEPTH | FTW_PHYS);
  }
  const std::string& path() const { return path_; }

private:
  std::string path_ = "/tmp/conductor-test-XXXXXX";
};

struct TemporaryRoot {
  TemporaryDirectory directory;
  Trace trace;
  Root root{trace, directory.path() + "/root", directory.path() + "/run"};
};

} // namespace conductor::testing
