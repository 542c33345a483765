// RUN --mount=type=...: what a step sees besides its layers, as text and as a value. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace conductor::image {

enum class MountKind : char { bind, cache, tmpfs, secret };
enum class Sharing : char { shared, exclusive, locked }; // exclusive: "private"

struct RunMount {
  MountKind kind = MountKind::bind;
  std::string target;
  std::string source; // bind, cache: below `from`
  std::string from;   // a stage or an image; empty: the context (bind), nothing (cache)
  std::string id;     // cache, secret
  bool writable = false;
  bool required = false; // secret
  std::string variable;  // secret: given as an environment variable of this name (env=)
  Sharing sharing = Sharing::shared;
  uint32_t uid = 0, gid = 0;
  std::optional<mode_t> mode; // cache: of a new directory, else 0755; secret: of the file, else 0400
  uint64_t size_bytes = 0;    // tmpfs; 0: no limit of its own
};

// "type=cache,target=/root/.cache,sharing=locked" by Docker's rules. Throws Error: an unknown or unfit key (the hint is
// the nearest), a missing target, type=ssh.
RunMount parse_mount(std::string_view text);
// As much of it as can be said while variables are not put in yet.
void check_mount(std::string_view text);

} // namespace conductor::image
