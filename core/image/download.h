// ADD of an address: one file, fetched by HTTP, its bytes hashed while they come.
#pragma once

#include "core/base/trace.h"
#include "core/kernel/copy.h"

#include <string>
#include <string_view>

namespace conductor::image {

struct Download {
  std::string address;     // http:// or https://
  std::string checksum;    // "sha256:..." or empty
  std::string name;        // for the file in the image
  std::string file;        // where it is put, below the directory
  std::string digest;      // of what came
  kernel::FileFacts facts; // mode 0600; the time that the server says, else 1970
};

// The last part of the address's path; empty where there is none that can be a file's name.
std::string name_of_download(std::string_view address);
// Throws Error when it is not sha256: and 64 hex digits.
void check_checksum(std::string_view checksum);
// Fetches into `file` below the open directory; fills digest and facts. Follows redirects, never from https to http
// without a checksum. Throws Error: not reachable, not found, not what the checksum says.
void fetch(Trace& trace, int directory, Download& download);

} // namespace conductor::image
